from __future__ import annotations

import pytest
from stage import Stage


@pytest.fixture
def stage() -> Stage:
    """The paper's cluster in virtual time, nothing of it started yet but the SDS."""
    return Stage()


@pytest.fixture
def cluster(stage: Stage) -> Stage:
    """The same with all three servers up, as in Fig. 2a, and everything told."""
    stage.all_up()
    stage.run(1.0)
    return stage
