"""A holder's leases: whose word carries it, and until when (R1).

A lease and a promise are two views of one acknowledgement.  The holder's lease
runs H from when it *sent* what was acknowledged; the voter's promise runs G
from when it *received* it, and G >= (H + S)(1 + rho)/(1 - rho) + tick.  So the
lease, and the stop after it, are over before the promise is, whatever the
delays in between and whichever clock is the faster.  The other side is bus/promise.py.
"""

from __future__ import annotations

from bus.step import LONG_AGO

WITNESS = "-witness"
"""The SDS among a holder's voters."""


class Leases:
    """A holder's side: by voter, until when it may serve on that voter's word."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._sent: dict[int, tuple[str, float]] = {}
        self._until: dict[str, float] = {}
        self.answered_at: dict[str, float] = {}  # when the newest acknowledged message was sent
        self.heard_at: dict[str, float] = {}  # when anything was last heard

    def sent(self, beat: int, voter: str, now: float) -> None:
        """A message that the voter may acknowledge leaves now."""
        self._forget(now)
        self._sent[beat] = (voter, now)

    def acknowledged(self, beat: int, voter: str, now: float, earns: bool) -> bool:
        """The voter names this beat.  False if it was never sent to it, or too long ago (R21)."""
        voter_asked, sent_at = self._sent.get(beat, ("", LONG_AGO))
        if voter_asked != voter:
            return False
        self.heard_at[voter] = now
        self.answered_at[voter] = max(self.answered_at.get(voter, LONG_AGO), sent_at)
        if earns:
            self.grant(voter, sent_at + self._lease_s)
        return True

    def grant(self, voter: str, until: float) -> None:
        """The voter's word carries the holder until then."""
        self._until[voter] = max(self._until.get(voter, LONG_AGO), until)

    def until(self, voter: str) -> float:
        """Until when the voter's word carries the holder."""
        return self._until.get(voter, LONG_AGO)

    def void(self) -> None:
        """After a lapse no word from before counts (R5)."""
        self._until.clear()

    def _forget(self, now: float) -> None:
        """Drop what is too old to earn a lease; beats leave in the order of time."""
        horizon = now - 4 * self._lease_s
        for beat, (_, sent_at) in list(self._sent.items())[:2]:
            if sent_at >= horizon:
                break
            del self._sent[beat]
