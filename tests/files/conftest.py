"""A real database of files, through the door of an embedded store; and its twin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from file_servers import Store

from agent.database import AnyFiles
from agent.files_twin import FilesTwin


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all tests of a file."""
    made = Store(tmp_path_factory.mktemp("store"))
    yield made
    made.valkey.stop()


@pytest.fixture(params=["valkey", "twin"])
def files(request: pytest.FixtureRequest) -> AnyFiles:
    """A database of files; the real one may hold what tests before put there."""
    if request.param == "twin":
        return FilesTwin()
    found: Store = request.getfixturevalue("store")
    return found.files()
