"""The command driver: a foreground program with its start, stop and check.

The programs get LOCUM_SERVICE, LOCUM_SERVER, LOCUM_ADDRESS, LOCUM_PORT,
LOCUM_EPOCH, LOCUM_RUN, a directory in which those of one service may meet, and
LOCUM_FILES, below which the service's files lie on this server: empty for /.  One
that is started as a hot standby gets epoch 0, and LOCUM_STANDBY=1 if it has to be activated;
what activates it gets its pid as LOCUM_PID.  Without a stop command it is SIGTERM, without a check it is the
port that accepts a connection.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from agent import adoption, kept
from agent.doors import KNOCKS_FROM
from agent.drivers import programs
from agent.drivers.boot import enabled_at_boot
from agent.listeners import listening, listens6
from agent.spawning import DEFAULT_PATH
from bus.values import ServiceDefinition

CHECK_LIMIT_S = 2.0
"""A check that takes longer is not known to have failed."""

_NO_WAY_THERE = (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ETIMEDOUT)
"""This server's own address is not there, or not yet: that says nothing of the program."""


class CommandDriver:
    """The command services of one server."""

    def __init__(self, server: str, address: str, agent_id: str, state_dir: Path, files_root: str = "") -> None:
        self._server = server
        self._address = address
        self._agent_id = agent_id
        self._files_root = files_root
        self._logs = state_dir / "log"
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._meeting_places = Path(os.path.realpath(state_dir)) / "run"

    def moved(self, address: str) -> None:
        """The server is at another address now (P20)."""
        self._address = address

    def program(self, definition: ServiceDefinition) -> tuple[str, ...]:
        """What the tether runs: it stays in the foreground, and its end is the end of the service."""
        return definition.start

    def keeps(self, definition: ServiceDefinition) -> bool:
        """Whether that program is a keeper of daemons."""
        return False

    def last_words(self, definition: ServiceDefinition, epoch: int) -> str:
        """Why the keeper of that epoch ended, as it said itself; nothing if there was none."""
        text = kept.text_of(str(self._meeting_places / definition.name / kept.WORDS))
        of, _, words = text.partition("\n")
        return words.strip().replace("\n", " ") if of == str(epoch) else ""

    async def look(self, definitions: Sequence[ServiceDefinition], ours: frozenset[str]) -> None:
        """Whatever `why_not` needs and takes longer than a moment: here nothing."""

    def knows(self, definition: ServiceDefinition) -> bool:
        """Whether `look` was asked about this one before: a start need not wait for it."""
        return True

    def environment(self, definition: ServiceDefinition, epoch: int, standby: bool = False) -> dict[str, str]:
        """What the service's programs find in their environment."""
        place = self._meeting_places / definition.name
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = {"LOCUM_RUN": str(place)} | ({"LOCUM_STANDBY": "1"} if standby else {})
        return (
            definition.environment
            | told
            | {
                "LOCUM_SERVICE": definition.name,
                "LOCUM_SERVER": self._server,
                "LOCUM_ADDRESS": self._address,
                "LOCUM_PORT": str(definition.port),
                "LOCUM_EPOCH": str(epoch),
                "LOCUM_FILES": self._files_root,
            }
        )

    def output(self, definition: ServiceDefinition) -> str:
        """The file to which the service's output is appended."""
        return str(self._logs / f"{definition.name}.log")

    def why_not(self, definition: ServiceDefinition, *, ours: bool = False) -> str | None:
        """Why this server could not run it; None if it could (P19, R17).  `ours`: what listens there now is ours."""
        for purpose in ("start", "stop", "check", "prepare", "activate"):
            argv: tuple[str, ...] = getattr(definition, purpose)
            if argv and shutil.which(argv[0], path=definition.environment.get("PATH", DEFAULT_PATH)) is None:
                return f"its {purpose} program {argv[0]} is not here: install it"
        unit = enabled_at_boot(definition.start)
        if unit:
            return f"{unit} starts it at boot, behind Locum's back: systemctl disable --now {unit}"
        return None if ours else self.foreign(definition)

    def foreign(self, definition: ServiceDefinition) -> str | None:
        """What of somebody else's stands where this service would run (R17)."""
        if adoption.find(self._agent_id, definition.name) or not listening(self._address, definition.port):
            return None
        return (
            f"a program that is not ours listens on {self._address} port {definition.port} "
            f"(ss -ltnp 'sport = :{definition.port}' shows it): stop it, and keep it from starting at boot"
        )

    async def check(self, definition: ServiceDefinition, epoch: int) -> tuple[bool | None, str]:
        """Whether the service answers; None if it took too long to know."""
        if definition.check:
            return await self._run(definition, definition.check, epoch, CHECK_LIMIT_S)
        return await self.answers(definition)

    async def answers(self, definition: ServiceDefinition) -> tuple[bool | None, str]:
        """Whether its port accepts a connection at this server's address; None if that cannot be known yet."""
        if ":" in self._address and not listens6(self._address, definition.port):
            return False, f"{self._address} port {definition.port}: nobody listens"
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                source = (KNOCKS_FROM[6 if ":" in self._address else 4], 0)
                _, writer = await asyncio.open_connection(self._address, definition.port, local_addr=source)
        except TimeoutError:
            return None, f"no answer on {self._address} port {definition.port} within {CHECK_LIMIT_S:g} s"
        except OSError as error:
            unclear = error.errno in _NO_WAY_THERE
            return None if unclear else False, f"{self._address} port {definition.port}: {error.strerror or error}"
        writer.close()
        return True, ""

    async def examine(self, definition: ServiceDefinition) -> str | None:
        """What the service's prepare program complains of; None if it is content."""
        if not definition.prepare:
            return None
        content, text = await self._run(definition, definition.prepare, 0, definition.start_limit_s)
        return None if content else f"it is not ready to run here: {text}"

    def is_shut(self, definition: ServiceDefinition) -> bool:
        """Whether nothing listens where the service would."""
        return not listening(self._address, definition.port)

    async def stop(self, definition: ServiceDefinition, epoch: int, pid: int | None, within_s: float) -> None:
        """Ask the service to end.  What does not end in time the guard kills."""
        if definition.stop:
            await self._run(definition, definition.stop, epoch, within_s)
        elif pid is not None:
            self.signal(pid, signal.SIGTERM)

    def signal(self, pid: int, number: int) -> None:
        """Signal a main process, if it is still one of ours: a child of the tether, which is our parent."""
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return  # it ended by itself
        try:
            stat = adoption.stat_of(pid)
            if stat is not None and stat.parent == os.getppid():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    async def _run(self, definition: ServiceDefinition, argv: tuple[str, ...], epoch: int, limit_s: float) -> tuple[bool | None, str]:
        return await programs.run(argv, self.environment(definition, epoch), limit_s)
