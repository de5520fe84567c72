"""Who speaks is decided by a CURVE key (R20): keys in files, and whose they are.

A key pair is two files of Z85 text: NAME, the secret, for its owner alone
(mode 0600), and NAME.pub, for everyone.  `Trust` says which public key belongs
to whom, and in which role.  Whatever is wrong with a file is one `ConfigError`
that names the file and the remedy.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import zmq
from zmq.utils import z85

from bus.config import ConfigError
from bus.values import Owner, Part, Role

SPEAKS_AS: dict[Role, frozenset[Part]] = {
    "server": frozenset[Part](("guard", "runner", "member")),
    "sds": frozenset[Part](("sds",)),
    "operator": frozenset[Part](("operator", "viewer")),
    "viewer": frozenset[Part](("viewer",)),
    "joiner": frozenset[Part](("joiner",)),
}
"""What the owner of a key may call itself in a header, by role (DESIGN section 7)."""

_SECTIONS: dict[str, Role] = {"servers": "server", "operators": "operator", "viewers": "viewer", "sds": "sds"}
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Secret:
    """A secret key and its public half, both Z85.  It does not print itself."""

    __slots__ = ("public", "z85")

    def __init__(self, text: str) -> None:
        """Raises `ValueError` if `text` is no key."""
        check(text)
        self.z85 = text
        self.public: str = zmq.curve_public(text.encode()).decode()

    def __repr__(self) -> str:
        return f"Secret(public={self.public!r})"

    @classmethod
    def new(cls) -> Secret:
        """A fresh key pair, in memory."""
        return cls(zmq.curve_keypair()[1].decode())


class Trust:
    """Which public key belongs to whom.  It never changes: a socket is given another.

    [servers]
    http = "Z85 public key"
    [operators]
    [viewers]
    [sds]
    """

    __slots__ = ("_owners",)

    def __init__(self, owners: Mapping[str, Owner]) -> None:
        self._owners = dict(owners)

    def owner(self, public_key: str) -> Owner | None:
        """Whose key this is (Z85); None for a stranger's."""
        return self._owners.get(public_key)

    def keys(self, role: Role) -> dict[str, str]:
        """The public keys of everyone in this role, by name."""
        return {owner.name: key for key, owner in self._owners.items() if owner.role == role}

    def owners(self) -> dict[str, Owner]:
        """Everyone, by public key."""
        return dict(self._owners)

    def __len__(self) -> int:
        return len(self._owners)

    @classmethod
    def of(cls, keys: Mapping[Role, Mapping[str, str]]) -> Trust:
        """From role to name to public key; raises `ConfigError`."""
        return cls(_owners({role: dict(names) for role, names in keys.items()}, "trust"))

    @classmethod
    def parse(cls, text: str, filename: str) -> Trust:
        """From the text of a trust file; raises `ConfigError`."""
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{filename}: not TOML: {error}") from None
        except RecursionError:
            raise ConfigError(f"{filename}: not TOML of ours: nested too deeply") from None
        by_role: dict[Role, object] = {}
        for section, names in raw.items():
            if section not in _SECTIONS:
                raise ConfigError(f"{filename}: {section!r}: no such section: there are [{'], ['.join(_SECTIONS)}]")
            by_role[_SECTIONS[section]] = names
        return cls(_owners(by_role, filename))

    @classmethod
    def load(cls, path: Path) -> Trust:
        """From a trust file; raises `ConfigError`."""
        return cls.parse(_read(path, "a trust file"), str(path))


def check(public_or_secret: str) -> None:
    """Raise `ValueError`, saying what is wrong, unless this is 32 bytes in Z85 (ZeroMQ RFC 32)."""
    if len(public_or_secret) != 40:
        raise ValueError(f"a key is 40 characters of Z85, this has {len(public_or_secret)}")
    try:
        z85.decode(public_or_secret.encode("ascii"))
    except (KeyError, UnicodeError, struct.error):
        raise ValueError("a key is 40 characters of Z85, this has others among them") from None


def make(path: Path) -> str:
    """A new key pair in `path` and `path`.pub; returns the public key.  Raises `ConfigError`.

    It never overwrites: a lost secret key is a server that must join again.
    """
    secret = Secret.new()
    public_path = path.with_name(path.name + ".pub")
    try:
        _write_new(path, secret.z85, 0o600)
        _write_new(public_path, secret.public, 0o644, replace=True)
    except FileExistsError:
        raise ConfigError(f"{path}: there is a key already: use it, or move it away first") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot write a key: {error.strerror}: give a directory that can be written") from None
    return secret.public


def load_secret(path: Path) -> Secret:
    """The secret key in `path`, refused if others than its owner may read it.  Raises `ConfigError`."""
    text = _read(path, "a secret key", private=True)
    try:
        return Secret(text.strip())
    except ValueError as error:
        raise ConfigError(f"{path}: not a secret key: {error}: make a new one") from None


def load_public(path: Path) -> str:
    """The public key in `path`, Z85.  Raises `ConfigError`."""
    text = _read(path, "a public key").strip()
    try:
        check(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not a public key: {error}: copy the .pub file again") from None
    return text


def load_password(path: Path) -> str:
    """The password in `path`, of the database of files; refused if others than its owner may read it.  Raises `ConfigError`."""
    text = _read(path, "a password", private=True).strip()
    if not text or any(not "!" <= letter <= "~" for letter in text):
        raise ConfigError(f"{path}: not a password: write one word of printable ASCII there")
    return text


def _owners(by_role: Mapping[Role, object], where: str) -> dict[str, Owner]:
    owners: dict[str, Owner] = {}
    for role, names in by_role.items():
        if role not in get_args(Role):
            raise ConfigError(f"{where}: {role!r}: no such role: there are {', '.join(get_args(Role))}")
        if not isinstance(names, Mapping):
            raise ConfigError(f'{where}: {role}: is no section: write lines of name = "public key" under it')
        for name, key in names.items():
            at = f"{where}: {role} {name!r}"
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ConfigError(f"{at}: not a name: use small letters, digits and hyphens, 63 at most")
            if not isinstance(key, str):
                raise ConfigError(f"{at}: not a public key: put the text of the .pub file in quotes")
            try:
                check(key)
            except ValueError as error:
                raise ConfigError(f"{at}: not a public key: {error}: copy the .pub file again") from None
            if key in owners:
                other = owners[key]
                raise ConfigError(f"{at}: has the key of {other.role} {other.name!r}: make each a key of its own")
            owners[key] = Owner(name, role)
    return owners


def _read(path: Path, what: str, private: bool = False) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if private and mode & 0o077:
                raise ConfigError(f"{path}: others may read or change this secret (mode {mode:04o}): chmod 600 {path}")
            return file.read(1_000_000).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not {what}: it is no text") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot read {what}: {error.strerror}") from None


def _write_new(path: Path, text: str, mode: int, replace: bool = False) -> None:
    """All of it or nothing, and with its mode from the first byte."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, mode)
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)
        if replace:
            fresh.replace(path)
        else:
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
