"""Keys in files, and whose they are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bus import keys
from bus.config import ConfigError
from bus.keys import Secret, Trust
from bus.values import Owner

HTTP, FTP = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


def test_a_pair_is_made_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        public = keys.make(tmp_path / "http")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "http").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "http.pub").stat().st_mode) == 0o644
    secret = keys.load_secret(tmp_path / "http")
    assert secret.public == public == keys.load_public(tmp_path / "http.pub")
    assert secret.z85 not in repr(secret) and secret.z85 not in str([secret])


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    public = keys.make(tmp_path / "http")
    with pytest.raises(ConfigError, match="there is a key already"):
        keys.make(tmp_path / "http")
    assert keys.load_secret(tmp_path / "http").public == public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o777])
def test_a_secret_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "http"
    keys.make(path)
    path.chmod(mode)
    with pytest.raises(ConfigError) as error:
        keys.load_secret(path)
    assert str(error.value).startswith(f"{path}: ") and f"chmod 600 {path}" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 40 + b"y", b'"' * 40, b"#" * 40, b"\xff\xfe" * 20, "é".encode() * 40])
def test_what_is_no_key_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    for load in (keys.load_secret, keys.load_public):
        with pytest.raises(ConfigError) as error:
            load(path)
        assert str(error.value).startswith(f"{path}: not a ") and "\n" not in str(error.value)


def test_a_missing_file_or_directory_is_one_line(tmp_path: Path) -> None:
    for action in (keys.load_secret, keys.load_public, Trust.load):
        with pytest.raises(ConfigError, match="No such file"):
            action(tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot write a key"):
        keys.make(tmp_path / "none" / "key")


def test_trust_says_who_owns_a_key(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(f'[servers]\nhttp = "{HTTP}"\n[operators]\n[viewers]\n[sds]\nsds = "{FTP}"\n')
    trust = Trust.load(path)
    assert trust.owner(HTTP) == Owner("http", "server") and trust.owner(FTP) == Owner("sds", "sds")
    assert trust.owner(Secret.new().public) is None and trust.owner("") is None and len(trust) == 2
    same = Trust.of({"server": {"http": HTTP}, "sds": {"sds": FTP}})
    assert same.owner(HTTP) == trust.owner(HTTP)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'[servers]\nhttp = "{HTTP}"\nftp = "{HTTP}"', "has the key of server 'http'"),
        (f'[servers]\nhttp = "{HTTP}"\n[viewers]\nme = "{HTTP}"', "has the key of server 'http'"),
        ('[servers]\nhttp = "short"', "40 characters of Z85, this has 5"),
        (f'[servers]\nhttp = "{chr(34) * 0}{"," * 40}"', "others among them"),
        ('[servers]\nhttp = "' + "#" * 40 + '"', "others among them"),
        (f'[servers]\nHTTP = "{HTTP}"', "not a name"),
        (f'[servers]\n"http\\n" = "{HTTP}"', "not a name"),
        ("[servers]\nhttp = 1", "in quotes"),
        ("servers = 1", "is no section"),
        (f'[server]\nhttp = "{HTTP}"', "no such section"),
        (f'http = "{HTTP}"', "no such section"),
        (f'[servers]\nhttp = "{HTTP}"\nhttp = "{FTP}"', "not TOML"),
        ("[servers", "not TOML"),
        ("a = " + "[" * 5000 + "]" * 5000, "too deeply"),
    ],
)
def test_a_bad_trust_file_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        Trust.parse(text, "trust.toml")
    line = str(error.value)
    assert line.startswith("trust.toml: ") and words in line and "\n" not in line


def test_trust_in_memory_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="no such role"):
        Trust.of({"boss": {"anna": HTTP}})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="not a public key"):
        Trust.of({"server": {"http": "x"}})
