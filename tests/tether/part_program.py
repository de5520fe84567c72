"""A guard or a runner that does what the test says: it passes everything on, both ways.

    part_program.py guard|runner FD CONTROL

To the test: H hello with our pid, L a line from tether or guard, R a line from
the runner, T a SIGTERM.  From the test: L say this line, R say it to the
runner, X end with this status, C end with the tether as a real guard does, by
the kernel's signal alone, D the same by the end of the line alone,
E answer E, Y send this packet as it is.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable

from agent import adoption, channel
from agent.lines import LineSocket


class PartProgram:
    def __init__(self, name: str, fd: int, control: str) -> None:
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.connect(control)
        self.raw = os.dup(fd)
        self.line = LineSocket.inherited(fd)
        self.runner: LineSocket | None = None
        self.mains: list[int] = []
        self.line_ended: Callable[[], object] = signal.pause  # so that nothing but the kernel's signal ends us
        self.control.send(f"H{name} {os.getpid()}".encode())
        signal.signal(signal.SIGTERM, lambda *_: self.control.send(b"T"))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))

    def run(self) -> None:
        while True:
            poller = select.poll()
            sockets = [self.control, self.line] + ([self.runner] if self.runner else [])
            for sock in sockets:
                poller.register(sock, select.POLLIN)
            ready = {fd for fd, _ in poller.poll()}
            if self.control.fileno() in ready:
                self.obey(self.control.recv(1 << 16))
            self.pass_on(self.line, b"L")
            if self.runner:
                self.pass_on(self.runner, b"R")
                self.runner = None if self.runner.closed else self.runner
            if self.line.closed:
                self.line_ended()

    def pass_on(self, line: LineSocket, sign: bytes) -> None:
        for said, fds in line.receive():
            if isinstance(said, channel.Spawned):
                self.mains.append(said.pid)
            for fd in fds:
                self.runner = LineSocket(socket.socket(fileno=fd))
            self.control.send(sign + channel.encode(said))

    def obey(self, packet: bytes) -> None:
        sign, rest = packet[:1], packet[1:]
        if sign == b"L":
            self.line.send(channel.decode(rest))
        elif sign == b"R" and self.runner:
            self.runner.send(channel.decode(rest))
        elif sign in (b"C", b"D"):
            end_all = adoption.end_all_after_tether(os.environ["LOCUM_AGENT"], lambda: self.mains)
            if sign == b"D":
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                self.line_ended = end_all
            self.control.send(sign)
        elif sign == b"E":
            self.control.send(b"E")
        elif sign == b"Y":
            os.write(self.raw, rest)
        else:
            os._exit(int(rest or 0))


if __name__ == "__main__":
    PartProgram(sys.argv[1], int(sys.argv[2]), sys.argv[3]).run()
