"""What is done within a host to break it, and to mend it: run there by the scripts in vagrant/failures.

    inside.py kill PROGRAM...              SIGKILL every process of these programs; a name that ends with / is a directory of programs
    inside.py kill-agent tether|guard|runner|all
    inside.py stop-agent|continue-agent
    inside.py kill-unit NAME               SIGKILL a unit, which stays dead until `mend`
    inside.py load LEVEL|off
    inside.py fill|empty
    inside.py move ADDRESS
    inside.py step-clock SECONDS
    inside.py mend ADDRESS                 all of it undone

What it did it says in one line, with the instant by CLOCK_MONOTONIC.  A
program is known by its executable and not by its name: the OCF agent of
nginx is called nginx too.  Only the standard library: `python3 -I -S`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

LOADS = Path("/run/bed-load")
FILL = Path("/var/fill-disk")
KEPT_ADDRESS = Path("/etc/bed/address")
UNITS = {"redis": "bed-redis", "dns": "bed-dns", "sds": "locum-sds"}
PARTS = ("tether", "guard", "runner")


class Refused(Exception):
    """Nothing was done."""


def processes() -> list[int]:
    """Everyone here but ourselves."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) not in (1, os.getpid())]


def of(pid: int, programs: Sequence[str]) -> bool:
    """Whether a process runs one of these programs."""
    try:
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return False
    return any(program.startswith(name) if name.endswith("/") else program == str(Path(name).resolve()) for name in programs)


def part_of_agent(pid: int) -> str | None:
    """Which part of the agent a process is."""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (OSError, UnicodeDecodeError):
        return None
    for part in PARTS:
        if f"agent.{part}" in argv:
            return part
    return None


def send(pids: Sequence[int], number: signal.Signals, what: str) -> None:
    """The signal to all of them at once, and the line that says when."""
    if not pids:
        raise Refused(f"no {what} runs here")
    at = time.monotonic()
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    print(f"{at:.6f} {number.name} to {what}: {' '.join(map(str, pids))}")


def kill(*programs: str) -> None:
    """Every process of these programs."""
    send([pid for pid in processes() if of(pid, programs)], signal.SIGKILL, " ".join(programs))


def agent(parts: Sequence[str], number: signal.Signals) -> None:
    """The signal to parts of the agent."""
    send([pid for pid in processes() if part_of_agent(pid) in parts], number, f"agent's {' '.join(parts)}")


def kill_agent(part: str) -> None:
    """One part of the agent, or all three at once."""
    agent(PARTS if part == "all" else (part,), signal.SIGKILL)


def with_systemd() -> bool:
    """Whether process 1 is systemd, or the test-bed's own."""
    return Path("/run/systemd/system").is_dir()


def kill_unit(name: str) -> None:
    """Told first that it may not come back, then killed."""
    unit = UNITS[name]
    if with_systemd():
        held = Path(f"/run/systemd/system/{unit}.service.d/held.conf")
        held.parent.mkdir(parents=True, exist_ok=True)
        held.write_text("[Service]\nRestart=no\n")
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        main = subprocess.run(["systemctl", "show", "-P", "MainPID", unit], check=True, capture_output=True, text=True).stdout.strip()
        pids = [int(main)] if main not in ("", "0") else []
    else:
        number = Path(f"/run/bed/{unit}.pid")
        if not number.exists():
            raise Refused(f"no {name} runs here")
        Path(f"/run/bed/{unit}.held").touch()
        pids = [int(number.read_text())]
    send(pids + [pid for pid in processes() if parent(pid) in pids], signal.SIGKILL, name)


def parent(pid: int) -> int:
    """Of a process; 0 if it is gone, or was begun from outside."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def release_units() -> None:
    """What was killed may come back."""
    if with_systemd():
        for held in Path("/run/systemd/system").glob("*.service.d/held.conf"):
            held.unlink()
            subprocess.run(["systemctl", "daemon-reload"], check=True)
            subprocess.run(["systemctl", "start", held.parent.name.removesuffix(".d")], check=True)
        return
    for held in Path("/run/bed").glob("*.held"):
        held.unlink()
    os.kill(1, signal.SIGHUP)


def load(level: str) -> None:
    """That part of all cores busy, by processes at normal priority, until it is off."""
    end_loads()
    if level == "off":
        return
    part = number(level, 0, 1)
    with LOADS.open("w") as file:
        for _ in range(len(os.sched_getaffinity(0))):
            pid = os.fork()
            if pid == 0:
                busy(part)
            file.write(f"{pid}\n")
            file.flush()
    print(f"{time.monotonic():.6f} load {part:g}")


def busy(part: float) -> NoReturn:
    """In every 50 ms busy for `part` of them, with nothing of whoever called: else what waits for the end of a pipe waits for us."""
    os.setsid()
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    while True:
        begun = time.monotonic()
        while time.monotonic() - begun < 0.05 * part:
            pass
        time.sleep(0.05 * (1 - part))


def end_loads() -> None:
    """No load of ours any more."""
    try:
        pids = [int(line) for line in LOADS.read_text().split()]
    except FileNotFoundError:
        return
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    LOADS.unlink()


def fill() -> None:
    """Not a byte is left for anybody, root included."""
    with FILL.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    print(f"{time.monotonic():.6f} disk full: {FILL} has {FILL.stat().st_size >> 20} MB")


def interface_of(address: str) -> tuple[str, int] | None:
    """The interface with this address, and its prefix length."""
    listed = subprocess.run(["ip", "-j", "address"], check=True, capture_output=True, text=True).stdout
    for entry in json.loads(listed):
        for info in entry["addr_info"]:
            if info.get("local") == address:
                return entry["ifname"], info["prefixlen"]
    return None


def move(address: str, former: str) -> None:
    """The host is at another address of its network from now on, and after a boot."""
    found = interface_of(former)
    if not found:
        raise Refused(f"no interface here has {former}")
    name, length = found
    # Else the new address, the second of its network here, would go with the old one.
    Path(f"/proc/sys/net/ipv4/conf/{name}/promote_secondaries").write_text("1")
    subprocess.run(["ip", "address", "add", f"{address}/{length}", "dev", name], check=True)
    at = time.monotonic()
    subprocess.run(["ip", "address", "delete", f"{former}/{length}", "dev", name], check=True)
    if not with_systemd():
        KEPT_ADDRESS.parent.mkdir(exist_ok=True)
        KEPT_ADDRESS.write_text(address + "\n")
    print(f"{at:.6f} {former} is now {address}")


def present_address(like: str) -> str | None:
    """The address that this host has now on the network of that one."""
    network = like.rpartition(".")[0] + "."
    listed = subprocess.run(["ip", "-j", "-4", "address"], check=True, capture_output=True, text=True).stdout
    found = [info["local"] for entry in json.loads(listed) for info in entry["addr_info"] if info["local"].startswith(network)]
    return found[0] if found else None


def move_to(address: str) -> None:
    """From whatever address on that network the host has."""
    former = present_address(address)
    if former is None:
        raise Refused(f"this host has no address on the network of {address}")
    if former != address:
        move(address, former)


def step_clock(seconds: str) -> None:
    """The wall clock of this host; nothing of Locum may depend on it (R2)."""
    if not with_systemd():
        raise Refused("the hosts of the netns backend share this machine's clock: step it on virtual machines")
    subprocess.run(["systemctl", "stop", "systemd-timesyncd"], check=False, capture_output=True)
    time.clock_settime(time.CLOCK_REALTIME, time.time() + number(seconds, -1e8, 1e8))
    print(f"{time.monotonic():.6f} clock stepped by {seconds} s")


def mend(address: str) -> None:
    """Everything above undone; the host is at this address again."""
    end_loads()
    FILL.unlink(missing_ok=True)
    stopped = [pid for pid in processes() if part_of_agent(pid) and state_of(pid) == "T"]
    if stopped:
        send(stopped, signal.SIGCONT, "the agent")
    move_to(address)
    release_units()


def state_of(pid: int) -> str:
    """The letter of proc(5): T is stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def number(text: str, least: float, most: float) -> float:
    """What the command line says, if it lies between these."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise Refused(f"{text}: is no number from {least:g} to {most:g}")
    return value


ACTS: dict[str, Callable[..., None]] = {
    "kill": kill,
    "kill-agent": kill_agent,
    "stop-agent": lambda: agent(PARTS, signal.SIGSTOP),
    "continue-agent": lambda: agent(PARTS, signal.SIGCONT),
    "kill-unit": kill_unit,
    "load": load,
    "fill": fill,
    "empty": lambda: FILL.unlink(missing_ok=True),
    "move": move_to,
    "step-clock": step_clock,
    "mend": mend,
}


def main() -> int:
    """Do one act; 1 if it could not be."""
    name, *words = sys.argv[1:]
    try:
        ACTS[name](*words)
    except (Refused, subprocess.CalledProcessError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
