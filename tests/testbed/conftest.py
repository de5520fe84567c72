from __future__ import annotations

from collections.abc import Iterator

import pytest
from standing_bed import StandingBed

from vagrant.bed.netns import Netns
from vagrant.bed.plan import plan


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandingBed]:
    """One bed for all tests, up from nothing; taken down at the end."""
    state = tmp_path_factory.mktemp("testbed")
    missing = Netns(state, plan({})).missing()
    if missing:
        pytest.skip(f"the test-bed cannot be made here, it lacks {'; '.join(missing)}")
    standing = StandingBed(state)
    try:
        made = standing.testbed("up", within_s=600)
        assert made.returncode == 0, made.stdout + made.stderr
        yield standing
    finally:
        standing.testbed("down")


@pytest.fixture
def healed(bed: StandingBed) -> StandingBed:
    """That bed with everything mended, and every service at home with a secondary."""
    bed.heal()
    return bed
