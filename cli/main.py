"""The door of the command line: which command is meant, and with which exit code it ends.

    0 done    1 refused, the reason on stderr    2 usage, or a bad config    3 cluster unreachable

Commands are imported when they are used, so that `locum --version` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cli import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default this process's; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"locum {VERSION}")
        return 0
    from cli.commands import run

    try:
        code = run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
