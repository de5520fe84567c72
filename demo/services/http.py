"""The demo's `www`: `python -m demo.services.http [--address A] [--port P] [--root DIR]`.

Answers `GET /whoami` with service, server and epoch as JSON, `/` with a page
for people, and anything else with the file of that name under --root.
"""

from __future__ import annotations

from demo.services.program import begin, serve_until_told


def main() -> None:
    """Serve until SIGTERM.  Exit 0 told to stop, 1 address or directory unusable, 2 wrongly called."""
    setting, door = begin(needs_root=False)
    from demo.services.web import Site  # http.server takes longer to import than all before took

    serve_until_told(setting, Site(setting, door).serve_forever)


if __name__ == "__main__":
    main()
