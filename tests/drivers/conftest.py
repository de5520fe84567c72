"""Resource agents under a real tether: the stand-in of these tests, and those of the distribution."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import adoption
from agent.channel import Spawned, Until
from agent.drivers.ocf import OcfDriver
from bus.values import ServiceDefinition
from tests.tether.conftest import FOREVER_S, Agent, boottime

STAND_IN = Path(__file__).parent / "stand_in_agent.sh"

MakeKept = Callable[..., "Kept"]


class Kept:
    """One service of a resource agent, run by its keeper under a tether whose guard is the test."""

    def __init__(self, agent: Agent, root: Path, definition: ServiceDefinition) -> None:
        self.agent = agent
        self.definition = definition
        self.epoch = 0
        state = Path(agent.config.state_dir)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.driver = OcfDriver("one", "127.0.0.1", agent.id, state, root)
        self.look()
        self.keeper = 0

    def look(self) -> str | None:
        """Have the driver find out about it; why it could not run here."""
        asyncio.run(self.driver.look([self.definition], frozenset()))
        return self.driver.why_not(self.definition)

    def begin(self) -> None:
        """As the runner, the guard and the tether would."""
        self.epoch += 1
        line = self.agent.spawn_line(self.driver.program(self.definition), epoch=self.epoch)
        values = {field: getattr(line, field) for field in line.__struct_fields__}
        values |= {"environment": self.driver.environment(self.definition, self.epoch), "keeper": True}
        values |= {"output": self.driver.output(self.definition)}
        self.agent.guard.say(type(line)(**values))
        self.agent.guard.say(Until(service="www", until_at=boottime() + FOREVER_S))
        self.keeper = self.agent.guard.hear(Spawned, "www").pid

    @property
    def words(self) -> str:
        return self.driver.last_words(self.definition, self.epoch)

    @property
    def log(self) -> str:
        return Path(self.driver.output(self.definition)).read_text()


@pytest.fixture
def stand_in_root(tmp_path: Path) -> Path:
    """An OCF_ROOT in which the stand-in is ocf:test:stand-in."""
    place = tmp_path / "ocf" / "resource.d" / "test"
    place.mkdir(parents=True)
    shutil.copy(STAND_IN, place / "stand-in")
    return tmp_path / "ocf"


@pytest.fixture
def tether(tmp_path: Path) -> Iterator[Agent]:
    """A tether with its parts."""
    directory = tmp_path / "agent"
    directory.mkdir()
    agent = Agent(directory)
    yield agent.start()
    agent.close()


@pytest.fixture
def make_kept(tether: Agent, stand_in_root: Path, tmp_path: Path) -> MakeKept:
    """A service of the stand-in, with these parameters."""

    def make(agent: str = "ocf:test:stand-in", root: Path | None = None, port: int = 1, **parameters: str) -> Kept:
        parameters = {"pidfile": str(tmp_path / "daemon.pid")} | parameters if root is None else parameters
        definition = ServiceDefinition(name="www", fqdn="www.test", port=port, home="one", driver="ocf", agent=agent, parameters=parameters)
        return Kept(tether, root or stand_in_root, definition)

    return make


def gone(pid: int) -> bool:
    stat = adoption.stat_of(pid)
    return stat is None or stat.zombie
