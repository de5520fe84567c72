"""Clients that ask again and again: a process of its own, so that nothing else of the demo stalls them.

    python -m demo.asker --every 0.02

Each service has a client: it resolves the name at the demo's name server and
asks who serves, by a new connection each time.  One line of JSON for each
answer, until stdin is closed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import threading
import time

import dns.exception
import dns.message
import dns.rdatatype

from demo.layout import DNS, SERVERS, ZONE
from demo.telling import Answer

TIMEOUT_S = 0.25
"""A question that took longer was not answered."""

_QUESTIONS = {"www": b"GET /whoami HTTP/1.0\r\n\r\n", "ftp": b"", "mail": b""}
_GOODBYES = {"www": b"", "ftp": b"QUIT\r\n", "mail": b"QUIT\r\n"}
_SERVER = re.compile(rb'"server": ?"([^"]+)"|^220 .*server=(\S+)', re.MULTILINE)


class Client:
    """One service's client."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._port = next(server.port for server in SERVERS if server.service == service)
        self._query = dns.message.make_query(f"{service}.{ZONE}.", "A")
        self._wire = self._query.to_wire()

    def ask(self) -> Answer:
        """One question, to its end."""
        asked_at = time.monotonic()
        try:
            server, trouble = self._greet(self._resolve()), ""
        except (OSError, dns.exception.DNSException, ValueError) as error:
            server, trouble = "", str(error) or type(error).__name__
        return Answer(self.service, asked_at, time.monotonic(), server, trouble)

    def _resolve(self) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.settimeout(TIMEOUT_S)
            line.connect((DNS.address, DNS.port))
            line.send(self._wire)
            reply = dns.message.from_wire(line.recv(4096))
        if not self._query.is_response(reply):
            raise ValueError("the name server answered something else")
        for rrset in reply.answer:
            if rrset.rdtype == dns.rdatatype.A:
                return str(rrset[0].to_text())
        raise ValueError("the name has no address")

    def _greet(self, address: str) -> str:
        with socket.create_connection((address, self._port), TIMEOUT_S) as line:
            line.sendall(_QUESTIONS[self.service])
            heard = b""
            while not (found := _SERVER.search(heard)):
                more = line.recv(4096)
                if not more:
                    raise ValueError(f"{address} said {heard[:80]!r} and hung up")
                heard += more
            line.sendall(_GOODBYES[self.service])
        return (found[1] or found[2]).decode()


def _for_ever(client: Client, every_s: float) -> None:
    at = time.monotonic()
    while True:
        os.write(1, json.dumps(client.ask()).encode() + b"\n")  # one write, so that lines of several clients stay whole
        at = max(at + every_s, time.monotonic())
        time.sleep(max(0.0, at - time.monotonic()))


def main() -> None:
    """Ask until stdin is closed."""
    parser = argparse.ArgumentParser(prog="python -m demo.asker", description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=float, default=0.02, help="seconds between two questions for a service")
    wanted = parser.parse_args()
    for service in _QUESTIONS:
        threading.Thread(target=_for_ever, args=(Client(service), wanted.every), daemon=True).start()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
