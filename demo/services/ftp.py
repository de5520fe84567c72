"""The demo's `ftp`: `python -m demo.services.ftp --root DIR [--files PATH] [--address A] [--port P]`.

User `demo`, password `demo`, may do anything below --root; or whoever stands in the
service's file --files, a user and a password in each line.  Passive data
connections are on the service's own address.
"""

from __future__ import annotations

from demo.services.program import begin, serve_until_told


def main() -> None:
    """Serve until SIGTERM.  Exit 0 told to stop, 1 address or directory unusable, 2 wrongly called."""
    setting, door = begin(needs_root=True)
    from demo.services.filing import serve_files  # pyftpdlib takes longer to import than all before took

    serve_until_told(setting, lambda: serve_files(setting, door))


if __name__ == "__main__":
    main()
