"""python -m monitor CONFIG text|json [PORT]: what `locum monitor` becomes."""

from __future__ import annotations

from gevent import monkey

# Not select: whether standard error takes a line is asked of the kernel (bus/log.py).
monkey.patch_all(select=False)

import sys  # noqa: E402  # after gevent has replaced what the others import

from monitor.serving import command_line  # noqa: E402

if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))
