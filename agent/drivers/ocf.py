"""The OCF driver: a resource agent (OCF Resource Agent API 1.1) starts, stops and monitors the service.

    found     its meta-data, its parameters held against them, its validate-all, its monitor: each minute, off the way of a takeover
    started   by a keeper (agent/drivers/keeper.py), which the tether runs as it runs a program in the foreground
    answers   as soon as the port does; then the port each second, and the agent's monitor each few seconds
    stopped   SIGTERM to the keeper, which runs the agent's stop

The timeout that the agent advises for its monitor bounds ours from above.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from agent import adoption, kept, ocf_codes
from agent.drivers import metadata, pid_files, programs
from agent.drivers.boot import enabled_at_boot, unit_enabled
from agent.drivers.command import CommandDriver
from agent.drivers.keeper import words_in
from agent.drivers.looking import Look, LookingDriver, clock
from agent.drivers.metadata import Metadata, MetadataError
from agent.spawning import DEFAULT_PATH
from bus.values import ServiceDefinition

ROOT = Path("/usr/lib/ocf")
"""OCF_ROOT; its resource.d/PROVIDER/TYPE are the agents."""

MONITOR_EVERY_S = 5.0
"""Between two monitors of a service that answers; one that failed is repeated with every check."""

ACTION_LIMIT_S = 10.0
"""No monitor takes longer, whatever the agent advises."""

LOOK_LIMIT_S = 120.0
"""Nor any action of a look.  Nobody waits for it, and on a slow machine postfix's takes most of a minute."""

_HOUSE = str(Path(__file__).resolve().parents[2])
_BOOT = "import sys; sys.path[:0] = [sys.argv.pop(1)]; from agent.drivers.keeper import main; main()"
_PACKAGES = {
    "apache": "apache2",
    "named": "bind9",
    "nginx": "nginx-light",
    "redis": "redis-server",
    "Pure-FTPd": "pure-ftpd",
    "pgsql": "postgresql",
}
"""Where Debian's package is not called as the agent is."""

_FOR_VALIDATION = {"ocf:heartbeat:nginx": {"status10url": "http://localhost/nginx_status"}}
"""What an agent's validate-all, and nothing else, gets in place of a parameter that was left out.

nginx's makes up a status URL if there is none, and then refuses the one that it made.
"""


class _Look(Look):
    metadata: Metadata | None = None
    programs: tuple[str, ...] = ()
    awaits: bool = False  # its files are not here yet, so it was not validated


class _Monitored(msgspec.Struct):
    """The newest monitor of a service under an epoch."""

    epoch: int
    at: float
    answers: bool | None = True
    text: str = ""


class OcfDriver(LookingDriver[_Look]):
    """The services of one server that have a resource agent."""

    def __init__(
        self,
        server: str,
        address: str,
        agent_id: str,
        state_dir: Path,
        root: Path = ROOT,
        monitor_every_s: float = MONITOR_EVERY_S,
        files_root: str = "",
        lacks_files: Callable[[ServiceDefinition], bool] = lambda _: False,
    ) -> None:
        """`lacks_files`: whether a service's files are still to be brought here; its agent would complain of that."""
        super().__init__(server, address, agent_id, state_dir, files_root)
        self._lacks_files = lacks_files
        self._root = root
        self._monitor_every_s = monitor_every_s
        self._metadata: dict[tuple[str, int], Metadata] = {}  # by the agent's path and its time of change
        self._monitored: dict[str, _Monitored] = {}

    # -- how it is run

    def program(self, definition: ServiceDefinition) -> tuple[str, ...]:
        """The keeper.  It must not be found by a pattern such as `nginx.*CONFIGFILE`, by which some agents kill."""
        return (sys.executable, "-I", "-S", "-c", _BOOT, _HOUSE, str(self._agent(definition)))

    def keeps(self, definition: ServiceDefinition) -> bool:
        """The program keeps daemons."""
        return True

    def environment(self, definition: ServiceDefinition, epoch: int, standby: bool = False) -> dict[str, str]:
        """What agent and keeper find in their environment."""
        return super().environment(definition, epoch, standby) | self._told(definition, definition.start_limit_s)

    def _told(self, definition: ServiceDefinition, limit_s: float, interval_s: float = 0.0) -> dict[str, str]:
        _, provider, kind = definition.agent.split(":")
        milliseconds = {"timeout": limit_s, "interval": interval_s}
        return (
            {f"OCF_RESKEY_{name}": value for name, value in definition.parameters.items()}
            | {f"OCF_RESKEY_CRM_meta_{name}": str(round(value * 1000)) for name, value in milliseconds.items()}
            | {
                "OCF_ROOT": str(self._root),
                "OCF_RA_VERSION_MAJOR": "1",
                "OCF_RA_VERSION_MINOR": "1",
                "OCF_RESOURCE_INSTANCE": definition.name,
                "OCF_RESOURCE_TYPE": kind,
                "OCF_RESOURCE_PROVIDER": provider,
                "HA_LOGFACILITY": "none",  # what it says goes to its standard error
            }
        )

    def _agent(self, definition: ServiceDefinition) -> Path:
        _, provider, kind = definition.agent.split(":")
        return self._root / "resource.d" / provider / kind

    # -- whether it can run here

    def _found(self, definition: ServiceDefinition) -> _Look | None:
        """Nothing, if files came since for want of which its agent was not asked."""
        look = super()._found(definition)
        return None if look is not None and look.awaits and not self._lacks_files(definition) else look

    async def _find_out(self, definition: ServiceDefinition, ours: bool) -> _Look:
        look = _Look(definition)
        agent, kind = self._agent(definition), definition.agent.split(":")[2]
        if not os.access(agent, os.X_OK):
            look.trouble = f"there is no resource agent {agent}: apt install resource-agents, or mend agent"
            return look
        try:
            look.metadata = await self._metadata_of(definition)
        except MetadataError as error:
            look.trouble = f"{definition.agent}: {error}"
            return look
        path = definition.environment.get("PATH", DEFAULT_PATH)
        look.programs = look.metadata.programs(kind, definition.parameters, path)
        look.awaits = self._lacks_files(definition)
        look.trouble = look.metadata.wrong(definition.parameters)
        if look.trouble is None and not look.awaits:
            look.trouble = await self._validated(definition)
        if look.trouble is None and not look.programs and (absent := look.metadata.absent(definition.parameters)):
            look.trouble = f"{kind} is not installed here ({absent} is not there): apt install {_PACKAGES.get(kind, kind)}"
        if look.trouble is None and not ours and not look.awaits:
            look.trouble = await self._runs_already(definition, look)
        return look

    async def _metadata_of(self, definition: ServiceDefinition) -> Metadata:
        agent = self._agent(definition)
        try:
            key = str(agent), agent.stat().st_mtime_ns
            if key not in self._metadata:
                environment = self._told(definition, LOOK_LIMIT_S)
                outcome = await programs.outcome_of((str(agent), "meta-data"), environment, LOOK_LIMIT_S, metadata.LARGEST + 1)
                if outcome.status != 0:
                    raise MetadataError(f"its meta-data: {_how(outcome, LOOK_LIMIT_S)}")
                self._metadata[key] = metadata.read(outcome.output)
        except OSError as error:
            raise MetadataError(f"{agent}: {error.strerror}") from None
        return self._metadata[key]

    async def _validated(self, definition: ServiceDefinition) -> str | None:
        """What the agent's validate-all complains of."""
        outcome = await self._ask(definition, "validate-all", LOOK_LIMIT_S, filled_in=_FOR_VALIDATION.get(definition.agent, {}))
        kind = definition.agent.split(":")[2]
        if outcome.status in (ocf_codes.SUCCESS, 3):  # 3: it has no such action, which OCF 1.1 allows
            return None
        if outcome.status == ocf_codes.NOT_INSTALLED or words_in(outcome.said).endswith("not found or is not an executable!"):
            return f"{kind} is not installed here ({words_in(outcome.said)}): apt install {_PACKAGES.get(kind, kind)}"
        return f"{definition.agent} cannot run with these parameters here: {_how(outcome, LOOK_LIMIT_S)}"

    async def _runs_already(self, definition: ServiceDefinition, look: _Look) -> str | None:
        """Something of somebody else's that the agent takes for its own (R17)."""
        place = os.path.join(self._meeting_places, definition.name)
        record = kept.read(place)
        known = pid_files.named_by({**self._defaults(look), **definition.parameters}) | record.pid_files
        if not adoption.find(self._agent_id, definition.name):
            pid_files.remove_stale(known, record.programs)
        outcome = await self._ask(definition, "monitor", LOOK_LIMIT_S)
        if outcome.status is None or not ocf_codes.runs(outcome.status) or adoption.find(self._agent_id, definition.name):
            return None
        return (
            f"{definition.agent} says that it runs here already, and it is not ours: stop it "
            f"({self._agent(definition)} stop, or systemctl stop), and keep it from starting at boot"
        )

    def _defaults(self, look: _Look) -> dict[str, str]:
        return {p.name: p.default for p in look.metadata.parameters.values() if p.default} if look.metadata else {}

    async def _ask(
        self,
        definition: ServiceDefinition,
        action: str,
        limit_s: float,
        interval_s: float = 0.0,
        filled_in: Mapping[str, str] | None = None,
    ) -> programs.Outcome:
        told = {f"OCF_RESKEY_{name}": value for name, value in (filled_in or {}).items()} | self._told(definition, limit_s, interval_s)
        environment = CommandDriver.environment(self, definition, 0) | told
        try:
            return await programs.outcome_of((str(self._agent(definition)), action), environment, limit_s)
        except OSError as error:
            return programs.Outcome(ocf_codes.NOT_INSTALLED, f"{self._agent(definition)}: {error.strerror}")

    def why_not(self, definition: ServiceDefinition, *, ours: bool = False) -> str | None:
        """As `look` found it; what can be seen at once is looked at now."""
        look = self._found(definition)
        if look is None:
            return f"{definition.agent} has not been asked yet whether it could run here: wait"
        trouble = look.trouble or self._shared(definition, look) or self._at_boot(definition, look)
        return trouble or super().why_not(definition, ours=ours)

    def _shared(self, definition: ServiceDefinition, look: _Look) -> str | None:
        """A parameter that the agent calls unique, given to two services."""
        mine = look.metadata.unique(definition.parameters) if look.metadata else {}
        for other in self._looks.values():
            if other is look or other.metadata is None or other.definition.agent != definition.agent:
                continue
            theirs = other.metadata.unique(other.definition.parameters)
            for name, value in mine.items():
                if theirs.get(name) == value:
                    return f'parameters: {name} = "{value}" is that of {other.definition.name} too, and no two may share it: change one'
        return None

    def _at_boot(self, definition: ServiceDefinition, look: _Look) -> str | None:
        kind = definition.agent.split(":")[2]
        unit = unit_enabled(kind) or next(filter(None, (enabled_at_boot((program,)) for program in look.programs)), None)
        return f"{unit} starts it at boot, behind Locum's back: systemctl disable --now {unit}" if unit else None

    # -- whether it answers

    async def check(self, definition: ServiceDefinition, epoch: int) -> tuple[bool | None, str]:
        """The port, or the check program; and now and then, once that is content, the agent's monitor."""
        answers, text = await super().check(definition, epoch)
        if not answers:
            return answers, text
        newest = self._monitored.get(definition.name)
        if newest is None or newest.epoch != epoch:
            newest = self._monitored[definition.name] = _Monitored(epoch, clock())
        elif clock() - newest.at >= self._monitor_every_s or newest.answers is False:
            newest.at, (newest.answers, newest.text) = clock(), await self._monitor(definition)
        return newest.answers, newest.text

    async def _monitor(self, definition: ServiceDefinition) -> tuple[bool | None, str]:
        look = self._looks.get(definition.name)
        limit_s = look.metadata.limit_s("monitor", ACTION_LIMIT_S) if look and look.metadata else ACTION_LIMIT_S
        outcome = await self._ask(definition, "monitor", limit_s, MONITOR_EVERY_S)
        if outcome.status is None:
            return None, f"{definition.agent} monitor took longer than {limit_s:g} s"
        return ocf_codes.runs(outcome.status), f"{definition.agent} monitor: {_how(outcome, limit_s)}"


def _how(outcome: programs.Outcome, limit_s: float) -> str:
    if outcome.status is None:
        return f"it took longer than {limit_s:g} s"
    words = words_in(outcome.said)
    return f"{ocf_codes.in_words(outcome.status)}{': ' if words else ''}{words}"
