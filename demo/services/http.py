"""The demo's `www`: `python -m demo.services.http [--address A] [--port P] [--root DIR | --files PATH]`.

Answers `GET /whoami` with service, server and epoch as JSON, `/` with a page
for people, and anything else with the file of that name under --root.  --files is a
directory of the service's files: its index.html is then that page.  With
LOCUM_STANDBY=1 it is a hot standby: all loaded, its port shut until its epoch is
written to the FIFO $LOCUM_RUN/standby.PID.
"""

from __future__ import annotations

import os

from demo.services.program import Bell, Setting, begin, begin_standby, is_standby, open_door, say_listening, serve_until_told


def main() -> None:
    """Serve until SIGTERM.  Exit 0 told to stop, 1 address or directory unusable, 2 wrongly called."""
    if is_standby(os.environ):
        stand_by(*begin_standby(needs_root=False))
        return
    setting, door = begin(needs_root=False)
    from demo.services.web import Site  # http.server takes longer to import than all before took

    serve_until_told(setting, Site(setting, door).serve_forever)


def stand_by(setting: Setting, bell: Bell) -> None:
    """Be ready; open the door on the epoch."""
    from demo.services.web import Site

    def serve() -> None:
        setting.epoch = bell.wait()
        door = open_door(setting)
        say_listening(setting)
        Site(setting, door).serve_forever()

    serve_until_told(setting, serve, standby=True)


if __name__ == "__main__":
    main()
