"""The systemd driver: a unit is started and stopped by systemctl, and kept by our unit keeper.

What systemd does by itself must not fight the cluster.  A unit that something starts
at boot or on demand is refused, with the remedy.  `Restart=` is overridden at run time
by a drop-in in /run, gone at the next boot: who restarts is decided by the lease.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent import adoption, control_groups
from agent.drivers import programs
from agent.drivers.looking import Look, LookingDriver
from agent.spawning import DEFAULT_PATH
from agent.units import GROUP, SYSTEMCTL, UNIT
from bus.values import ServiceDefinition

DROP_INS = Path("/run/systemd/system")
"""Below it stand the settings of units that hold until the next boot."""

DROP_IN = "50-locum.conf"
_OVERRIDE = "# Written by Locum: the holder of the lease restarts, nobody else.\n[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=no\n"

CALL_LIMIT_S = 10.0

_PROPERTIES = [
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "Restart",
    "Type",
    "Slice",
    "ControlGroup",
    "TriggeredBy",
    "WantedBy",
    "RequiredBy",
    "RefuseManualStart",
]
_BOOT = "import sys; sys.path[:0] = [sys.argv.pop(1)]; from agent.drivers.unit_keeper import main; main()"
_HOUSE = str(Path(__file__).resolve().parents[2])


class _Look(Look):
    group: str = ""  # the unit's control group


class SystemdDriver(LookingDriver[_Look]):
    """The services of one server that are units."""

    look_every_s = 30.0

    def __init__(
        self,
        server: str,
        address: str,
        agent_id: str,
        state_dir: Path,
        systemctl: str = "systemctl",
        drop_ins: Path = DROP_INS,
        files_root: str = "",
    ) -> None:
        super().__init__(server, address, agent_id, state_dir, files_root)
        self._systemctl = shutil.which(systemctl, path=DEFAULT_PATH)
        self._drop_ins = drop_ins
        self._root = control_groups.root()

    # -- how it is run

    def program(self, definition: ServiceDefinition) -> tuple[str, ...]:
        """The unit keeper."""
        return (sys.executable, "-I", "-S", "-c", _BOOT, _HOUSE, self._systemctl or "systemctl", definition.unit, self._group(definition))

    def keeps(self, definition: ServiceDefinition) -> bool:
        """It first ends the unit when the tether dies."""
        return True

    def environment(self, definition: ServiceDefinition, epoch: int, standby: bool = False) -> dict[str, str]:
        """What the unit keeper, and the tether at the end, must know; the unit's own processes have systemd's environment."""
        unit = {UNIT: definition.unit, GROUP: self._group(definition), SYSTEMCTL: self._systemctl or "systemctl"}
        return super().environment(definition, epoch, standby) | unit

    def _group(self, definition: ServiceDefinition) -> str:
        look = self._looks.get(definition.name)
        return look.group if look is not None and look.group else f"{self._root}{control_groups.path_of(definition.unit, 'system.slice')}"

    # -- whether it can run here

    async def _find_out(self, definition: ServiceDefinition, ours: bool) -> _Look:
        unit = definition.unit
        if self._systemctl is None or self._root is None:
            return _Look(
                definition, "systemd does not run here: there is no systemctl, or no control group: give the service another driver"
            )
        if os.geteuid():
            return _Look(definition, f"only root may start {unit}: run the agent as root")
        shown = await self._show(unit, _PROPERTIES)
        if isinstance(shown, str):
            return _Look(definition, f"systemd does not answer ({shown}): is it what runs this host?")
        group = shown.get("ControlGroup") or control_groups.path_of(unit, shown.get("Slice") or "system.slice")
        look = _Look(definition, self._unusable(unit, shown) or await self._started_by_others(unit, shown), group=f"{self._root}{group}")
        foreign = not ours and shown.get("ActiveState") not in ("inactive", "failed") and not self._is_ours(definition)
        if look.trouble is None and foreign:
            look.trouble = f"{unit} runs here already ({shown.get('ActiveState')}), and not by our doing: systemctl stop {unit}"
        if look.trouble is None:
            look.trouble = await self._hold_back(unit, shown)
        return look

    def _unusable(self, unit: str, shown: Mapping[str, str]) -> str | None:
        loaded = shown.get("LoadState", "")
        if loaded == "not-found":
            return f"there is no unit {unit} here: install what it belongs to"
        if loaded == "masked":
            return f"{unit} is masked: systemctl unmask {unit}"
        if loaded != "loaded":
            return f"systemd cannot read {unit} ({loaded}): systemctl status {unit} says why"
        if shown.get("Type") == "oneshot":
            return f"{unit} has no main process (Type=oneshot), so nothing tells when it ended: give the service another driver"
        if shown.get("RefuseManualStart") == "yes":
            return f"{unit} refuses to be started (RefuseManualStart=): give another unit"
        return None

    async def _started_by_others(self, unit: str, shown: Mapping[str, str]) -> str | None:
        """At boot, by another unit, or by a socket, path or timer (R17)."""
        if shown.get("UnitFileState", "").startswith("enabled") or shown.get("UnitFileState") == "generated":
            return f"{unit} starts at boot, behind Locum's back: systemctl disable --now {unit}"
        wanting = " ".join(filter(None, (shown.get("WantedBy"), shown.get("RequiredBy"))))
        if wanting:
            return f"{unit} is started along with {wanting}, behind Locum's back: systemctl disable --now {unit}, or drop it there"
        for trigger in shown.get("TriggeredBy", "").split():
            other = await self._show(trigger, ["UnitFileState", "ActiveState"])
            if isinstance(other, str) or other.get("ActiveState") == "active" or other.get("UnitFileState", "").startswith("enabled"):
                return f"{trigger} starts {unit} on demand, behind Locum's back: systemctl disable --now {trigger}"
        return None

    def _is_ours(self, definition: ServiceDefinition) -> bool:
        return bool(adoption.find(self._agent_id, definition.name))

    async def _hold_back(self, unit: str, shown: Mapping[str, str]) -> str | None:
        """Have systemd restart nothing by itself; why that cannot be done."""
        if shown.get("Restart") == "no":
            return None
        place = self._drop_ins / f"{unit}.d"
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
            (place / DROP_IN).write_text(_OVERRIDE)
        except OSError as error:
            return f"{unit} restarts by itself (Restart={shown.get('Restart')}), and {place} cannot be written: {error.strerror}"
        status, said = await self._call("daemon-reload")
        after = await self._show(unit, ["Restart"])
        if status != 0 or isinstance(after, str) or after.get("Restart") != "no":
            return f"{unit} restarts by itself, and systemd does not take {place / DROP_IN} ({said or 'Restart= is still set'})"
        return None

    def why_not(self, definition: ServiceDefinition, *, ours: bool = False) -> str | None:
        """As `look` found it; what can be seen at once is looked at now."""
        look = self._found(definition)
        if look is None:
            return f"systemd has not been asked yet about {definition.unit}: wait"
        return look.trouble or super().why_not(definition, ours=ours)

    # -- systemctl

    async def _show(self, unit: str, properties: Sequence[str]) -> dict[str, str] | str:
        """The unit's properties; in words why there are none."""
        words = [word for name in properties for word in ("-p", name)]
        outcome = await self._outcome("show", *words, "--", unit)
        if outcome.status != 0:
            return _last_line(outcome) or "systemctl show failed"
        pairs = (line.partition("=") for line in outcome.output.decode(errors="replace").splitlines())
        return {key: value for key, _, value in pairs}

    async def _call(self, *words: str) -> tuple[int | None, str]:
        outcome = await self._outcome(*words)
        return outcome.status, _last_line(outcome)

    async def _outcome(self, *words: str) -> programs.Outcome:
        argv = (self._systemctl or "systemctl", "--no-ask-password", "--no-pager", *words)
        try:
            return await programs.outcome_of(argv, {}, CALL_LIMIT_S, 65_536)
        except OSError as error:
            return programs.Outcome(None, f"{argv[0]}: {error.strerror}")


def _last_line(outcome: programs.Outcome) -> str:
    lines = outcome.said.strip().splitlines()
    return lines[-1][: programs.LONGEST_LINE] if lines else ""
