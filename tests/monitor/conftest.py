from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from site_running import Site
from told_sds import ToldSds

from monitor.passwords import hashed

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def sds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToldSds]:
    """An SDS for all tests of a file."""
    told = ToldSds(tmp_path_factory.mktemp("sds"))
    yield told
    told.end()


@pytest.fixture(scope="module")
def running(sds: ToldSds) -> Iterator[Site]:
    """A monitor for all tests of a file."""
    directory: Path = sds.public_key_file.parent
    site = Site(directory, sds, password_hash=hashed(PASSWORD), names=["locum.test"])
    try:
        yield site.ready()
    finally:
        site.end()


@pytest.fixture
def site(running: Site) -> Site:
    return running
