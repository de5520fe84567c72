"""A bad config is one line that names file, key and remedy, exit 2, and nothing was started (DESIGN section 9)."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from command_line import begin, locum

from bus import keys


class Files:
    """Good settings of an SDS and of an agent, to be spoiled."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("sds", "http"):
            keys.make(directory / f"{name}.key")
        (directory / "trust.toml").write_text(f'[servers]\nhttp = "{keys.load_public(directory / "http.key.pub")}"\n')
        (directory / "tsig").write_text("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n")
        (directory / "tsig").chmod(0o600)
        self.sds = f'''cluster = "test"
address = "127.0.0.1"
port = 15750
updates_port = 15751
state_dir = "{directory}/sds"
key_file = "{directory}/sds.key"
trust_file = "{directory}/trust.toml"
'''
        self.agent = f'''cluster = "test"
name = "http"
address = "127.0.0.1"
state_dir = "{directory}/http"
key_file = "{directory}/http.key"
[sds]
public_key_file = "{directory}/sds.key.pub"
[dns]
server = "127.0.0.1"
zone = "test"
key_name = "locum."
key_secret_file = "{directory}/tsig"
[[service]]
name = "www"
fqdn = "www.test"
port = 18081
start = ["/bin/true"]
'''

    def write(self, text: str) -> str:
        """The settings as a file."""
        path = self.directory / "part.toml"
        path.write_text(text)
        return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("part", ["sds", "agent"])
def test_good_settings_are_good_and_nothing_is_made(files: Files, part: str) -> None:
    before = sorted(files.directory.iterdir())
    path = files.write(getattr(files, part))
    done = locum(part, "--config", path, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: good\n", "")
    assert sorted(files.directory.iterdir()) == sorted([*before, Path(path)])


SPOILED = [
    ("sds", "port = 15750", "prot = 15750", ["prot", 'did you mean "port"?']),
    ("sds", "port = 15750", 'port = "many"', ["port", "int"]),
    ("sds", "port = 15750", "port = 15751", ["updates_port", "two different numbers"]),
    ("sds", 'cluster = "test"', "", ["cluster", "is missing"]),
    ("sds", 'cluster = "test"', "cluster = ", ["not TOML"]),
    ("sds", "/sds.key", "/none.key", ["key_file", "/none.key"]),
    ("sds", "/trust.toml", "/none.toml", ["/none.toml"]),
    ("sds", 'state_dir = "', 'state_dir = "/dev/null/', ["state_dir", "cannot be written"]),
    ("agent", 'name = "http"', 'name = "HTTP!"', ["name"]),
    ("agent", "/sds.key.pub", "/none.pub", ["/none.pub"]),
    ("agent", "/sds.key.pub", "/trust.toml", ["trust.toml", "not a public key"]),
    ("agent", "/tsig", "/none", ["dns.key_secret_file", "/none"]),
    ("agent", 'start = ["/bin/true"]', "", ["www", "start", "is missing"]),
    ("agent", "start = [", "strat = [", ["strat", 'did you mean "start"?']),
    ("agent", 'state_dir = "', 'state_dir = "/dev/null/', ["state_dir", "cannot be written"]),
]


@pytest.mark.parametrize(("part", "good", "bad", "words"), SPOILED)
def test_a_mistake_is_one_line_with_file_key_and_remedy(files: Files, part: str, good: str, bad: str, words: list[str]) -> None:
    text: str = getattr(files, part)
    assert good in text
    path = files.write(text.replace(good, bad, 1))
    for more in (["--check"], []):
        done = locum(part, "--config", path, *more)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert all(word in done.stderr for word in [*words]), done.stderr
    assert not (files.directory / part).exists()


def test_a_secret_that_others_may_read_is_refused(files: Files) -> None:
    (files.directory / "http.key").chmod(0o644)
    done = locum("agent", "--config", files.write(files.agent), "--check")
    assert done.returncode == 2
    assert "chmod 600" in done.stderr


def test_a_file_that_is_not_there_or_no_text(files: Files, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.toml", tmp_path / "binary", tmp_path):
        done = locum("sds", "--config", str(path))
        assert (done.returncode, done.stdout) == (2, "")
        assert str(path) in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_an_agent_takes_no_code_from_where_it_is_started(files: Files) -> None:
    """It may be root's, and the directory anyone's."""
    (files.directory / "agent").mkdir()
    (files.directory / "agent" / "__init__.py").write_text('raise SystemExit("foreign code")\n')
    (files.directory / "http").mkdir()
    config = files.write(files.agent)
    with (files.directory / "http" / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = begin("agent", "--config", config, cwd=files.directory)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "another agent runs" in said, said


@pytest.mark.parametrize(("text", "mode", "words"), [("secret", 0o644, "chmod 600"), ("", 0o600, "one word"), (None, 0, "cannot be read")])
@pytest.mark.parametrize("part", ["sds", "agent"])
def test_the_password_of_the_files_is_checked_too(files: Files, part: str, text: str | None, mode: int, words: str) -> None:
    password = files.directory / "files.password"
    if text is not None:
        password.write_text(text)
        password.chmod(mode)
    where = 'address = "127.0.0.1"' if part == "sds" else 'url = "redis://files@127.0.0.1:1/0"'
    settings = f'{getattr(files, part)}\n[files]\n{where}\npassword_file = "{password}"\n'
    checked = locum(part, "--config", files.write(settings), "--check")
    assert (checked.returncode, checked.stdout, len(checked.stderr.splitlines())) == (2, "", 1), checked.stderr
    assert str(password) in checked.stderr and words in checked.stderr


@pytest.mark.parametrize("spoil", ["mode", "text", "zone"])
def test_what_names_need_is_checked_too(files: Files, spoil: str) -> None:
    text = files.agent
    if spoil == "mode":
        (files.directory / "tsig").chmod(0o644)
    elif spoil == "text":
        (files.directory / "tsig").write_text("no base64!\n")
    else:
        text = text.replace('zone = "test"', 'zone = "a..b"')
    checked = locum("agent", "--config", files.write(text), "--check")
    assert (checked.returncode, checked.stdout, len(checked.stderr.splitlines())) == (2, "", 1), checked.stderr
    assert ("dns.zone" if spoil == "zone" else "tsig") in checked.stderr
