"""The demo's `mail`: `python -m demo.services.smtp --root DIR [--files PATH] [--address A] [--port P]`.

Takes mail for any mailbox @demo.locum.test, or of the domain in the service's file
--files, each into a Maildir of its own below --root.
"""

from __future__ import annotations

from demo.services.program import begin, serve_until_told


def main() -> None:
    """Serve until SIGTERM.  Exit 0 told to stop, 1 address or directory unusable, 2 wrongly called."""
    setting, door = begin(needs_root=True)
    from demo.services.post import receive_mail  # asyncio takes longer to import than all before took

    serve_until_told(setting, lambda: receive_mail(setting, door))


if __name__ == "__main__":
    main()
