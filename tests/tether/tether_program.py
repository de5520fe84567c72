"""The real tether, with the commands of guard and runner that a test wants.

    tether_program.py CONFIG GUARD-COMMAND RUNNER-COMMAND

Commands are JSON lists; "{fd}" stands for the number of the line's descriptor.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agent import tether
from bus.config import AgentConfig, parse


def main(path: str, guard: str, runner: str) -> int:
    def command(name: str, fd: int) -> tuple[str, ...]:
        return tuple(word.replace("{fd}", str(fd)) for word in json.loads(guard if name == "guard" else runner))

    return tether.main(parse(Path(path).read_text(), AgentConfig, path), path, "text", command)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
