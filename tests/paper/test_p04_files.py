"""P4: a database stores all files that the servers need (configuration, web pages)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from file_servers import Server, Store, comes, play

from agent.depot import Part
from bus.values import ServiceDefinition

PAGE, CONFIGURATION = "/srv/www/index.html", "/etc/www.conf"
WWW = ServiceDefinition(name="www", fqdn="www.test", port=80, home="http", start=("run",), files=("/srv/www", CONFIGURATION))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store")
    yield made
    made.valkey.stop()


def test_p4_the_database_brings_pages_and_configuration_to_whoever_stands_in(tmp_path: Path, store: Store) -> None:
    """P4: a database stores all files that the servers need (configuration, web pages).

    They lie on the disk of HTTP, the home; EMAIL, its secondary, has them by the
    database.  HTTP dies; EMAIL holds the service, and FTP, its next secondary,
    has the files with what was changed meanwhile, and so has HTTP when it returns.
    """
    http, email, ftp = (Server(name, tmp_path, store.files(), Part("other", 0)) for name in ("http", "email", "ftp"))
    http.page("welcome"), http.page("port 80", CONFIGURATION)

    async def fig_2a() -> None:
        http.part, email.part = Part("holder", 1), Part("stand-in", 0)
        await comes(lambda: (email.page(), email.page(path=CONFIGURATION)) == ("welcome", "port 80"))
        assert await email.depot.staged(WWW) is None
        assert ftp.page() is None, "who is not appointed has them not"

    async def fig_2b() -> None:
        email.part, ftp.part = Part("holder", 2), Part("stand-in", 0)
        email.page("welcome, as changed at email")
        await comes(lambda: (ftp.page(), ftp.page(path=CONFIGURATION)) == ("welcome, as changed at email", "port 80"))

    async def recovers() -> None:
        assert again.page() == "welcome"
        await comes(lambda: again.depot.why_not(WWW) is None)
        assert again.page() == "welcome, as changed at email"

    play(fig_2a, WWW, http, email, ftp)
    email, ftp = (Server(name, tmp_path, store.files(), Part("other", 0)) for name in ("email", "ftp"))
    play(fig_2b, WWW, email, ftp)
    again = Server("http", tmp_path, store.files(), Part("other", 0))
    play(recovers, WWW, again)
