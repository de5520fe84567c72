"""The process that `locum agent` becomes: nothing of ours outlives the guard (R6).

    tether --+-- guard      in real time; decides what may run
             +-- runner     drivers, files, names
             +-- services, and what they daemonise, for it is their child subreaper

One thread and no asyncio, so that a fork is cheap and exact, and a parent-death
signal, which is bound to the thread that forked, means the process.

If the tether itself is killed, the kernel ends runner and main processes with
SIGKILL and sends the guard SIGHUP, which ends it too, or, with
`adoption.end_all_after_tether`, has it first end what services daemonised.
"""

from __future__ import annotations

import fcntl
import gc
import os
import sys
from pathlib import Path
from typing import NoReturn

from agent import adoption, gate, kernel, scheduling
from agent.parent import ROOT, Parent
from agent.parts import MISCONFIGURED, REFUSED, Commands, commands_for
from bus.config import AgentConfig, ConfigError, Timing, parse
from bus.log import Log

LEFTOVERS_LIMIT_S = 5.0
"""What an earlier run left must be dead within this time, or nothing is started."""


class Refusal(Exception):
    """The agent cannot start here now.  Nothing was started."""


def _lock(config: AgentConfig, path: str) -> int:
    """One tether for each state_dir, which also names whose leftovers are ours: the lock ends with the process."""
    try:
        Path(config.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(Path(config.state_dir, "agent.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"{path}: state_dir: {config.state_dir} cannot be written: {error.strerror}: give another, or its rights"
        ) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise Refusal(f"{path}: another agent runs with state_dir {config.state_dir}: stop that one, or give this one its own") from None
    return fd


def main(config: AgentConfig, path: str, log_format: str = "text", commands: Commands | None = None) -> int:
    """Be the agent described by `config`, read from `path`; its exit status.

    0 ended as asked, 1 refused, 2 the config cannot be used here; each of the
    last two with one line on standard error.  The process is given over to it:
    signals, children, scheduling class.
    """
    log = Log(config.name, "tether", log_format)
    try:
        lock = _lock(config, path)
        in_force = scheduling.take("fifo")
        timing = Timing.preset(config.timing, in_force.scheduling)
        ended = adoption.end_leftovers(adoption.identity(config), LEFTOVERS_LIMIT_S)
    except ConfigError as error:
        log(str(error))
        return MISCONFIGURED
    except (Refusal, adoption.LeftoverError) as error:
        log(str(error))
        return REFUSED
    if ended:
        log(f"ended {ended} processes left from an earlier run")
    log(timing.promises)
    log(f"in force: {', '.join((*in_force.guards, *in_force.lacks)) or 'nothing that protects'}")
    kernel.become_subreaper()
    kernel.name_process("locum-tether")
    gc.freeze()
    try:
        parent = Parent(config, timing, commands or commands_for(path, log_format, timing.name), log)
        code = parent.run()
        if parent.clear and config.kernel_gate == "auto":
            gate.remove_left(config, adoption.identity(config))
        return code
    finally:
        os.close(lock)


def become(path: str, log_format: str = "text") -> NoReturn:
    """Replace this process, whatever it has imported, by the tether of the agent described in `path`."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
    os.execv(sys.executable, [sys.executable, "-P", "-m", "agent.tether", path, "--log", log_format])


def _command_line(arguments: list[str]) -> int:
    """python -m agent.tether CONFIG [--log text|json]"""
    path, log_format = arguments[0], arguments[2] if arguments[1:2] == ["--log"] else "text"
    try:
        config = parse(Path(path).read_text(), AgentConfig, path)
    except (ConfigError, OSError, UnicodeError) as error:
        text = str(error) if isinstance(error, ConfigError) else f"{path}: cannot be read: {error}: give the path of a config file"
        Log("", "tether", log_format)(text)
        return MISCONFIGURED
    return main(config, path, log_format)


if __name__ == "__main__":
    sys.exit(_command_line(sys.argv[1:]))
