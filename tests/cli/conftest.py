from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Answering


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    """A router to ask."""
    router = Answering(tmp_path)
    yield router
    router.close()
