"""What the demo's services share: setting, door and end.

    read_setting -> open_door -> (the slow imports) -> serve_until_told
       exit 2         exit 1                               exit 0

A hot standby does it in another order: the slow imports first, then it waits
for its epoch at a FIFO, and then opens its door (docs/decisions/0015).

The door opens before a service imports what it is made of.  From then on the
kernel takes connections and holds them until the service accepts, some ten
milliseconds later, so a client that comes early waits instead of being
refused.  That is also why this file imports next to nothing: neither argparse
nor pathlib nor typing, each of which costs more than opening the door.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence

BACKLOG = 128
"""Connections that the kernel holds for a service that is not accepting yet."""

_FLAGS = ("--address", "--port", "--root", "--files")
_STOPS = frozenset({signal.SIGTERM, signal.SIGINT})


class SettingError(Exception):
    """A flag or an environment variable is missing or wrong.  Nothing was started; exit 2."""


class DoorError(Exception):
    """The address or the directory cannot be used.  Nothing was started; exit 1."""


class Setting:
    """What one start of a service was told: who serves what, under which epoch, and where.

    `service` and `server` are printable ASCII without spaces, so that they fit
    on a greeting line; for HTML they still have to be escaped.
    """

    __slots__ = ("address", "epoch", "files", "port", "root", "server", "service")

    def __init__(
        self, *, service: str, server: str, epoch: int, address: str, port: int, root: str | None, files: str | None = None
    ) -> None:
        self.service = service
        self.server = server
        self.epoch = epoch
        self.address = address
        self.port = port
        self.root = root
        self.files = files  # what came by the database of files, on this server

    @property
    def where(self) -> str:
        """Address and port as people write them."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def greeting(self) -> str:
        """What FTP and SMTP greet with after 220: DESIGN section 9."""
        return f"Locum {self.service} server={self.server} epoch={self.epoch}"


def read_setting(arguments: Sequence[str], environment: Mapping[str, str], *, needs_root: bool) -> Setting:
    """The setting from LOCUM_* and the flags --address, --port, --root, which override, and --files.

    Raises SettingError.
    """
    flags = _read_flags(arguments)
    setting = Setting(
        service=_name("LOCUM_SERVICE", environment),
        server=_name("LOCUM_SERVER", environment),
        epoch=_number("LOCUM_EPOCH", _needed("LOCUM_EPOCH", environment), 0, 2**62),
        address=_address(*_either("--address", "LOCUM_ADDRESS", flags, environment)),
        port=_number(*_either("--port", "LOCUM_PORT", flags, environment), 1, 65_535),
        root=flags.get("--root"),
        files=_files(flags.get("--files"), environment),
    )
    if needs_root and setting.root is None:
        raise SettingError("--root: is missing: give the directory in which this service keeps its files")
    return setting


def is_standby(environment: Mapping[str, str]) -> bool:
    """Whether this process is to stay shut until it is activated."""
    return environment.get("LOCUM_STANDBY") == "1"


class Bell:
    """The FIFO at which a standby hears its epoch: `echo $LOCUM_EPOCH > $LOCUM_RUN/standby.$LOCUM_PID`.

    Each process has its own, so what was said to the one before is not heard.
    Raises DoorError if it cannot be made.
    """

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, f"standby.{os.getpid()}")
        try:
            for name in os.listdir(directory):  # of those that died shut
                if name.startswith("standby."):
                    os.unlink(os.path.join(directory, name))
            os.mkfifo(self._path, 0o600)
            self._fifo = os.open(self._path, os.O_RDWR)  # a writer need not wait for us, nor do we see its end
        except OSError as error:
            raise DoorError(f"{self._path}: {_reason(error)}: give LOCUM_RUN a directory that this user may write to") from error

    def wait(self) -> int:
        """The epoch, once somebody says one; what is no epoch is complained of."""
        while True:
            said = os.read(self._fifo, 4096).decode("ascii", "replace").strip()
            if said.isascii() and said.isdigit() and 0 < len(said) <= 20:
                break
            _say(f"{self._path}: {said[:40]!r} is no epoch: still shut")
        os.unlink(self._path)
        os.close(self._fifo)
        return int(said)


def make_root(root: str, *, writable: bool) -> str:
    """Make the directory if it is missing; its real path.  Raises DoorError if it cannot be used.

    Whether it can be written to is tried: permission bits do not tell of
    read-only file systems, and nothing of what root may do.
    """
    try:
        os.makedirs(root, exist_ok=True)
        os.scandir(root).close()
    except OSError as error:
        raise DoorError(f"--root {root}: {_reason(error)}: give a directory that can be made and read") from error
    probe = os.path.join(root, f".locum-probe-{os.getpid()}")
    try:
        if writable:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600))
            os.unlink(probe)
    except OSError as error:
        raise DoorError(f"--root {root}: cannot be written to, {_reason(error)}: mend that, or give another directory") from error
    return os.path.realpath(root)


def open_door(setting: Setting) -> socket.socket:
    """Listen on exactly the setting's address and port.  Raises DoorError."""
    family = socket.AF_INET6 if ":" in setting.address else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for the connections of the one before to time out.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        door.bind((setting.address, setting.port))
        door.listen(BACKLOG)
    except OSError as error:
        door.close()
        raise DoorError(f"{setting.where}: {_remedy(error)}") from error
    return door


def begin_standby(*, needs_root: bool) -> tuple[Setting, Bell]:
    """Setting and bell of a hot standby, or one line on stderr and exit 2 or 1."""
    setting = _begin(needs_root)
    try:
        return setting, Bell(_needed("LOCUM_RUN", os.environ))
    except SettingError as error:
        _say(str(error))
        sys.exit(2)
    except DoorError as error:
        _say(str(error))
        sys.exit(1)


def begin(*, needs_root: bool) -> tuple[Setting, socket.socket]:
    """Setting and open door of this process, or one line on stderr and exit 2 or 1."""
    setting = _begin(needs_root)
    try:
        return setting, open_door(setting)
    except DoorError as error:
        _say(str(error))
        sys.exit(1)


def _begin(needs_root: bool) -> Setting:
    # Held back until `serve_until_told` takes them: no start is interrupted half-way.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        setting = read_setting(sys.argv[1:], os.environ, needs_root=needs_root)
        if setting.root is not None:
            setting.root = make_root(setting.root, writable=needs_root)
        return setting
    except SettingError as error:
        _say(str(error))
        sys.exit(2)
    except DoorError as error:
        _say(str(error))
        sys.exit(1)


def serve_until_told(setting: Setting, serve: Callable[[], None], *, standby: bool = False) -> None:
    """Run `serve` until SIGTERM or SIGINT, then exit 0; exit 1 if it ends by itself.

    The signal is waited for, not caught: a handler that raises can come between
    any two lines, or too late to wake a loop that is just going to sleep.
    """
    ended = threading.Event()

    def body() -> None:
        try:
            serve()
        except DoorError as error:
            _say(str(error))
        except BaseException:
            traceback.print_exc()
        ended.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=body, name="serve", daemon=True).start()
    if standby:
        _say(f"{setting.service}: standing by for {setting.where}, server={setting.server}")
    else:
        say_listening(setting)
    signal.sigwait(_STOPS)
    sys.exit(1 if ended.is_set() else 0)


def say_listening(setting: Setting) -> None:
    """One line, once the door is open."""
    _say(f"{setting.service}: listening on {setting.where}, server={setting.server} epoch={setting.epoch}")


def _say(line: str) -> None:
    print(f"locum demo: {line}", file=sys.stderr, flush=True)


def _read_flags(arguments: Sequence[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        flag, joined, value = rest.pop(0).partition("=")
        if flag not in _FLAGS:
            raise SettingError(f"{flag!r}: is no flag of this program: it knows {', '.join(_FLAGS)}")
        if not joined:
            value = rest.pop(0) if rest else ""
        if not value:
            raise SettingError(f"{flag}: has no value: write {flag} VALUE")
        flags[flag] = value
    return flags


def _needed(variable: str, environment: Mapping[str, str]) -> str:
    value = environment.get(variable)
    if not value:
        raise SettingError(f"{variable}: is missing from the environment: Locum's command driver sets it, so start this service through it")
    return value


def _either(flag: str, variable: str, flags: Mapping[str, str], environment: Mapping[str, str]) -> tuple[str, str]:
    """Where a value was found, and the value."""
    if flag in flags:
        return flag, flags[flag]
    if not environment.get(variable):
        raise SettingError(f"{flag}: is missing: give it, or set {variable}")
    return variable, environment[variable]


def _name(variable: str, environment: Mapping[str, str]) -> str:
    value = _needed(variable, environment)
    if len(value) > 63 or not all("!" <= character <= "~" for character in value):
        raise SettingError(f"{variable}: is {value!r}: give 1 to 63 printable ASCII characters without spaces")
    return value


def _number(where: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high):
        raise SettingError(f"{where}: is {text!r}: give a whole number from {low} to {high}")
    return int(text)


def _files(path: str | None, environment: Mapping[str, str]) -> str | None:
    """A path of the service's files, as it is called everywhere, on this server."""
    if path is not None and not path.startswith("/"):
        raise SettingError(f"--files: is {path!r}: give it as the service's files name it, as in /srv/www")
    return None if path is None else os.path.realpath(environment.get("LOCUM_FILES", "") + path)


def _address(where: str, text: str) -> str:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        raise SettingError(f"{where}: is {text!r}: give an IPv4 or IPv6 address, as in 127.0.1.11") from None
    return text


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remedy(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is taken by another program: stop that one, or give another --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "is no address of this machine: give one that is, with --address"
    if error.errno == errno.EACCES:
        return "needs root: give a --port above 1023"
    return f"cannot be listened on: {_reason(error)}"
