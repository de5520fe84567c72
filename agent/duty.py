"""One service on one server: what I know of it, hold of it, owe its holder, and run of it.

    off --grant, lease--> starting --answers--> on --lease over, superseded--> killing --gone--> off
                             ^                   |--planned move--> stopping --> killing
                             |---- gone <---- killing <--its process died

A planned move of a service that is not exclusive goes on --> finishing --> stopping,
beside the next holder (agent/finishing.py).

A hot secondary is on standby instead of off: its program is started, but shut
(agent/hot.py), and to activate it is to start.

Rules held here: R5 (cutting off), R8 (epochs, burned epochs, equal epochs with
different grants), R14 (*Released* only after a verified stop, repeated until
acknowledged).  Nothing is "off" before the tether said `Gone`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from agent import channel
from agent.finishing import Finishing
from agent.holding import Choice, Holding, Out
from agent.hot import Hot
from agent.lease import WITNESS
from agent.standing_in import StandingIn
from agent.surroundings import SDS, Release, Run, Surroundings, ToRunner, ToTether
from bus.messages import (
    Acknowledgement,
    Beat,
    Grant,
    Message,
    Recorded,
    Refusal,
    ReleaseAcknowledged,
    Released,
    ReleaseService,
    RemoveAssignment,
    Renewed,
    Superseded,
    Takeover,
)
from bus.step import LONG_AGO, NEVER, Note, Peer, Send
from bus.timeline import Transition
from bus.values import TEXT_LIMIT, is_server

LONGEST_PAUSE_S = 3.2
"""The longest pause of the runner before it starts a service again in place (agent/takeover.py)."""


class Duty:
    """Everything of one service on this server; `Guarding` owns one for each service."""

    def __init__(self, service: str, around: Surroundings, promised_until: float) -> None:
        self.service = service
        self._around = around
        self._timing = around.timing
        self.epoch = 0  # the highest known
        self._grant_id = 0  # of that epoch, 0 if unknown
        self._burned = 0  # this epoch and all below are never served here (R8)
        self.holding: Holding | None = None
        self.standing_in = StandingIn(service, around.timing, promised_until)
        self.choice = Choice()
        self.run = Run.OFF
        self._hot = Hot(around.timing.promise_s)
        self._finishing = Finishing(around.timing)
        self._pid: int | None = None
        self._start_after = LONG_AGO
        self._kill_at = NEVER
        self._kill_number = 0  # of the newest order to kill: an older one's answer says nothing of what runs now
        self._spawn_number = 0  # of the newest order to spawn: the end of what was spawned before says nothing either
        self._stopping_epoch = 0
        self._start_by = NEVER  # by then the runner must have begun a start that it was told of, and then have ended it
        self._gone_by = NEVER  # by then what was killed must be gone
        self._exited: channel.Exited | None = None
        self._yielding = ""  # to a hot secondary, since what ran here died: why
        self._until_said = LONG_AGO
        self._port: int | None = None  # of what runs here
        self._open_until = LONG_AGO  # until then it may be reached
        self._backed_said: tuple[str, bool] | None = None
        self._silence_noted = LONG_AGO  # the last word of the holder before the silence that was noted
        self.releases: dict[int, Release] = {}

    @property
    def shut(self) -> bool:
        """Nothing of the service can answer here: nothing runs, or a standby that was not activated."""
        return self.run in (Run.OFF, Run.STANDBY)

    @property
    def door(self) -> tuple[int, float] | None:
        """For the kernel gate (R6): the port, and until when it may be reached; None if nothing of the service runs here.

        What is being killed may be reached as long as it might have been: its last word may leave, and nothing is prolonged.
        """
        return (self._port, self._open_until) if self._port is not None and self.run is not Run.OFF else None

    # -- messages

    def receive(self, sender: Peer, message: Message, now: float) -> None:
        """A message about this service.  What follows from its time is for the `tick` after all that waited was heard (R7)."""
        match message:
            case Beat():
                self._beat(sender, message, now)
            case Acknowledgement():
                if self._holds(message.epoch):
                    self.holding.acknowledged(sender.name, message, now)  # type: ignore[union-attr]
            case Renewed():
                if self._holds(message.epoch, message.grant_id) and self.holding.renewed(message, now, self.shut):  # type: ignore[union-attr]
                    self._note("continued", "the SDS still knows this epoch")
            case Recorded():
                if self._holds(message.epoch, message.grant_id):
                    self._send(self.holding.record(message, now))  # type: ignore[union-attr]
            case Grant():
                self._grant(message, now)
            case Refusal():
                self._refusal(message, now)
            case RemoveAssignment():
                if self.standing_in.dismissed(message):
                    self._left_role("dismissed by its holder", number=message.number, by=sender.name)
            case Superseded():
                self._superseded(sender, message, now)
            case ReleaseAcknowledged():
                self.releases.pop(message.epoch, None)
            case ReleaseService():
                self._release_asked(sender, message, now)
            case _:
                pass

    def _holds(self, epoch: int, grant_id: int | None = None) -> bool:
        held = self.holding
        return held is not None and held.epoch == epoch and grant_id in (None, held.grant_id)

    def _beat(self, sender: Peer, beat: Beat, now: float) -> None:
        other_grant = beat.epoch == self.epoch and self._grant_id not in (0, beat.grant_id)
        if beat.epoch < self.epoch or other_grant:
            self._answer_superseded(sender)
            if other_grant:
                self.drop("another server holds the same epoch under another grant", now)
            return
        self.learn(beat.epoch, now)
        self._grant_id = beat.grant_id
        if not self._around.known or self.holding:
            return
        before = self.standing_in.role
        acknowledgement = self.standing_in.beat(beat, sender.name, now)
        if acknowledgement:
            self._around.emit(Send(sender, acknowledgement))
            role = self.standing_in.role
            if before is None or role is None or before.rank != role.rank:
                self._say(channel.StandingIn(service=self.service, epoch=beat.epoch, holder=sender.name))
                self._note("standing-in", f"for {sender.name}, appointment {beat.number}", holder=sender.name, number=beat.number)

    def _answer_superseded(self, sender: Peer) -> None:
        self._around.emit(Send(sender, Superseded(service=self.service, epoch=self.epoch, grant_id=self._grant_id)))

    def _superseded(self, sender: Peer, message: Superseded, now: float) -> None:
        held = self.holding
        if sender.part == "sds" and held and message.refused_grant_id == held.grant_id:
            self.drop("the SDS has another grant on record", now)
        if message.epoch > self.epoch:
            self.learn(message.epoch, now)
        elif message.epoch == self.epoch and held and message.grant_id not in (0, held.grant_id):
            self.drop("another grant of the same epoch exists", now)

    def learn(self, epoch: int, now: float) -> None:
        """A higher epoch exists: whatever was ours under a lower one ends (R8)."""
        if epoch <= self.epoch:
            return
        self.epoch, self._grant_id = epoch, 0
        if self.standing_in.superseded(epoch):
            self._left_role(f"epoch {epoch} exists")
        if self.holding and self.holding.epoch < epoch:
            self.drop(f"epoch {epoch} exists", now)

    def _left_role(self, why: str, **evidence: Any) -> None:
        self._say(channel.StandingIn(service=self.service, epoch=self.epoch, holder=None))
        self._note("dismissed", why, **evidence)

    # -- a grant

    def _grant(self, grant: Grant, now: float) -> None:
        around = self._around
        if grant.to_incarnation != around.incarnation or grant.epoch <= self._burned:
            return
        if grant.epoch < self.epoch:
            self._answer_superseded(SDS)
            return
        if self.holding and self.holding.epoch >= grant.epoch:
            return
        if grant.epoch == self.epoch and self._grant_id not in (0, grant.grant_id):
            return
        asked_at = LONG_AGO
        if grant.question:
            asked = self.standing_in.granted(grant.question)
            if asked is None:
                return
            asked_at = asked
        self.learn(grant.epoch, now)
        self._grant_id = grant.grant_id
        self._start_after = LONG_AGO if grant.clean else self.standing_in.promise.until
        self.standing_in.role = None
        if not self.choice.is_fresh(now, self._timing):
            self.choice.forget()
        self.holding = Holding(grant, self._timing, self.choice, around.next_beat, around.nonce, now)
        self.holding.leases.grant(WITNESS, asked_at + self._timing.lease_s)
        self._backed_said = None
        self._finishing.granted(grant.overlap_s, now)
        if self.run is Run.FINISHING:
            self._kill(now)  # what finishes has the epoch of before
        why = "the SDS granted it" + (" after a release" if grant.clean and grant.epoch > 1 else "")
        self._note("holding", why, question=grant.question, clean=grant.clean)

    def _refusal(self, refusal: Refusal, now: float) -> None:
        if self.standing_in.refused(refusal):
            self._left_role("the SDS has another secondary on record")
        self.learn(refusal.epoch, now)

    # -- giving up

    def drop(self, why: str, now: float, *, orderly: bool = False, failed: bool = False, seen_epoch: int = 0) -> None:
        """Hold no longer: stop, verify, then repeat *Released* (R8, R14)."""
        held = self.holding
        if held is None:
            return
        stop_by = min(held.serve_until(), now + self._timing.lease_s)
        self._end_yielding()
        self._burned = max(self._burned, held.epoch)
        self.holding = self._exited = None
        reason = why[:TEXT_LIMIT]
        message = Released(
            service=self.service, epoch=held.epoch, grant_id=held.grant_id, reason=reason, failed=failed, seen_epoch=seen_epoch
        )
        self.releases[held.epoch] = Release(message, verified=self.shut)
        self._open_until = min(self._open_until, stop_by)
        self._note("stopping", why, held.epoch, failed=failed)
        if self.shut:
            self._say(channel.Ended(service=self.service, epoch=held.epoch))
        elif self.run is Run.ON and orderly and self._around.runner_here and stop_by > now:
            self.run, self._kill_at, self._stopping_epoch = Run.STOPPING, stop_by, held.epoch
            self._say(channel.Stop(service=self.service, epoch=held.epoch, within_s=stop_by - now))
        elif self.run is not Run.KILLING:
            self._kill(now)

    def _kill(self, now: float) -> None:
        self._end_yielding()
        self.run, self._kill_at, self._start_by = Run.KILLING, NEVER, NEVER
        self._gone_by = now + self._timing.stop_s + self._timing.runner_answer_s
        self._until_said = LONG_AGO
        self._kill_number += 1
        self._around.emit(ToTether(channel.Kill(service=self.service, number=self._kill_number)))

    def _gone(self, line: channel.Gone, now: float) -> None:
        """The stop is verified; unless something newer was started since the tether saw that (docs/decisions/0011)."""
        if line.number and (self.run is not Run.KILLING or line.number != self._kill_number):
            return
        if not line.number and line.spawn != self._spawn_number:
            return
        was_up = self.run in (Run.ON, Run.STARTING)
        self.run, self._pid, self._kill_at, self._start_by, self._gone_by = Run.OFF, None, NEVER, NEVER, NEVER
        self._open_until = LONG_AGO
        self._standby_gone()
        self._finishing.over()
        for release in self.releases.values():
            release.verified = True
            release.message = msgspec.structs.replace(release.message, overlap=False)
        held = self.holding
        exited, self._exited = self._exited, None
        if held and was_up:
            held.lapse()
            self._note("lapsed", "the tether ended it, since this guard was late")
        if held and exited and not held.lapsed:
            self.run = Run.STARTING
            self._start_by = now + self._timing.runner_answer_s + LONGEST_PAUSE_S
            self._say(msgspec.structs.replace(exited, epoch=held.epoch))  # a standby that died unactivated knew none
            return
        self._say(channel.Ended(service=self.service, epoch=held.epoch if held else self.epoch))

    # -- planned moves

    def _release_asked(self, sender: Peer, message: ReleaseService, now: float) -> None:
        """The target of a planned move asks (P15)."""
        if self._holds(message.epoch) and sender.name in self.choice.names and self.holding and not self.holding.target:
            self.holding.move(sender.name, now)
            self._note("release-asked", f"{sender.name} asks for it", by=sender.name)

    def hand_over(self, now: float) -> None:
        """This server is to end: move the service to its secondary, or give it up (R14)."""
        held = self.holding
        if held is None or (held.target and not self._yielding):
            return
        target = held.recorded if is_server(held.recorded) else next(iter(self.choice.names), None)
        if target and self.run is Run.ON:
            held.move(target, now)
        else:
            self.drop("this server is ending", now, orderly=True)

    def _begin_to_yield(self, why: str, now: float) -> None:
        """Nothing of it is left to be stopped: it moves as soon as its hot secondary and W agree (R14), unless it is started first."""
        held = self.holding
        if held and is_server(held.recorded) and not held.undecided and held.target in (None, held.recorded):
            held.move(held.recorded, now)
            self._yielding = why

    def _end_yielding(self) -> None:
        """Moved, or not any more."""
        if self._yielding and self.holding:
            self.holding.target = None
        self._yielding = ""

    def _finish(self, held: Holding, now: float) -> None:
        """Give the epoch up while the process serves on for a while, beside the next holder (R22)."""
        self._burned = max(self._burned, held.epoch)
        self.holding = self._exited = None
        finish_s = held.definition.finish_s
        why = f"planned move to {held.target}; serving on for {finish_s:g} s"
        message = Released(service=self.service, epoch=held.epoch, grant_id=held.grant_id, reason=why, overlap=True)
        self.releases[held.epoch] = Release(message, verified=True)
        self._note("finishing", why, held.epoch)
        self.run, self._stopping_epoch = Run.FINISHING, held.epoch
        self._finishing.begin(finish_s, now)
        self._say_until(self._finishing.kill_at)
        self._say(channel.Finish(service=self.service, epoch=held.epoch))
        self._repeat_releases(now)

    def _tick_finishing(self, now: float) -> None:
        """The time is over, or that of an orderly stop has come."""
        kill_at = self._finishing.kill_at
        if now >= kill_at or not self._around.runner_here:
            self._kill(now)
        else:
            self.run, self._kill_at = Run.STOPPING, kill_at
            self._say(channel.Stop(service=self.service, epoch=self._stopping_epoch, within_s=kill_at - now))

    # -- the runner and the tether

    def from_runner(self, line: channel.Line, now: float) -> None:
        """The runner says something about this service."""
        match line:
            case channel.Candidates():
                self.choice.names, self.choice.better, self.choice.known_at = line.names, line.better, now
            case channel.Surveying():
                if self._holds(line.epoch) and self.holding and self.run is Run.STARTING:
                    self._start_by = self._start_limit(self.holding, now)
            case channel.Spawn():
                self._spawn(line, now)
            case channel.Prepare():
                self._prepare(line)
            case channel.EndStandby():
                self.end_standby("ended by the runner", now)
            case channel.Activate():
                self._activate(line, now)
            case channel.Serving():
                if self._holds(line.epoch) and self.run is Run.STARTING:
                    self.run, self._start_by = Run.ON, NEVER
            case channel.Stopped():
                if self.run is Run.STOPPING and line.epoch == self._stopping_epoch:
                    self._kill(now)
            case channel.GiveUp():
                if self._holds(line.epoch):
                    self.drop(line.reason, now, failed=True, seen_epoch=line.seen_epoch)
            case channel.YieldToHot():
                if self._holds(line.epoch) and self.run is Run.STARTING:
                    self._begin_to_yield(line.reason, now)
            case channel.AskRelease():
                message = ReleaseService(service=self.service, epoch=line.epoch)
                self._around.emit(Send(Peer(line.holder, "guard"), message))
            case _:
                pass
        self.tick(now)

    def _spawn(self, line: channel.Spawn, now: float) -> None:
        """Let the start pass only while there is a lease: nothing else keeps a slow runner from a late start."""
        held = self.holding
        permitted = held and (held.epoch, held.grant_id) == (line.epoch, line.grant_id) and self.run is Run.STARTING
        if held is None or not permitted or held.serve_until() <= now:
            self._say(channel.SpawnFailed(service=self.service, epoch=line.epoch, reason="no lease for it any more"))
            return
        self._end_yielding()  # it took too long
        self._start_by = self._start_limit(held, now)
        self._until_said = LONG_AGO  # the tether forgot it with the process before
        self._say_until(held.serve_until())
        self._order_start(line)

    def _order_start(self, line: channel.Spawn | channel.Prepare | channel.Activate) -> None:
        self._spawn_number += 1
        self._around.emit(ToTether(msgspec.structs.replace(line, number=self._spawn_number)))

    def _start_limit(self, held: Holding, now: float) -> float:
        """The runner gives up a start that takes too long; one that hangs gives up nothing (docs/decisions/0014)."""
        return now + held.definition.start_limit_s + self._timing.runner_answer_s

    # -- a hot standby

    def _prepare(self, line: channel.Prepare) -> None:
        """A secondary may have its program started, where nothing runs: what is shut needs no lease."""
        reason = ""
        if self.run is not Run.OFF or self.holding is not None or not self.standing_in.role:
            reason = "this server does not stand in, or something of it still runs"
        elif not line.definition.activate and not self._around.gate:
            reason = "the kernel gate is not in force"
        if reason:
            self._say(channel.Standby(service=self.service, reason=reason))
            return
        if not line.definition.activate:
            self._around.wish += 1
        self._hot.prepare(line, self._around.wish)
        self.run, self._port = Run.STANDBY, line.definition.port
        if not self._hot.waiting:
            self._order_start(line)

    def gate(self, shut: frozenset[int], wish: int, now: float) -> bool:
        """The kernel gate keeps these ports shut since the wish of that number, or is not in force.  True if that led to something."""
        if self.run is not Run.STANDBY or not self._hot.behind_gate:
            return False
        if not self._around.gate:
            self.end_standby("the kernel gate is not in force any more", now)
            return True
        waiting = self._hot.waiting
        if waiting is None or wish < self._hot.wish or self._port not in shut:
            return False
        self._hot.waiting = None
        self._order_start(waiting)
        return True

    def end_standby(self, why: str, now: float) -> None:
        """Kill the standby, if there is one that was not activated."""
        if self.run is Run.STANDBY:
            self._hot.ended = why
            self._kill(now)

    def _standby_gone(self, reason: str = "") -> None:
        if self._hot.definition is not None:
            self._hot.gone(reason)
            self._say(self._hot.line(self.service))

    def _activate(self, line: channel.Activate, now: float) -> None:
        """Let the door be opened only while there is a lease, as `_spawn` does."""
        held = self.holding
        permitted = held and (held.epoch, held.grant_id) == (line.epoch, line.grant_id) and self.run is Run.STARTING
        if held is None or not permitted or not self._hot.fits(held.definition) or held.serve_until() <= now:
            reason = "no lease for it any more"
            self._say(channel.Activated(service=self.service, epoch=line.epoch, status=1, reason=reason))
            return
        self._start_by, self._hot.activated = self._start_limit(held, now), True
        self._until_said = LONG_AGO
        self._say_until(held.serve_until())
        self._order_start(line)

    # -- the tether

    def from_tether(self, line: channel.Line, now: float) -> None:
        """The tether says something about this service."""
        match line:
            case channel.Spawned() if self._hot.definition and line.epoch == 0:
                self._pid = self._hot.pid = line.pid
                self._say(self._hot.line(self.service))
            case channel.SpawnFailed() if self._hot.definition and line.epoch == 0:
                if self.run is Run.STANDBY:
                    self.run = Run.OFF
                self._standby_gone(line.reason)
            case channel.Spawned():
                self._pid = line.pid
                self._say(line)
            case channel.SpawnFailed() | channel.Activated():
                self._say(line)
            case channel.Exited():
                self._process_ended(line, now)
            case channel.Gone():
                self._gone(line, now)
            case _:
                pass
        self.tick(now)

    def _process_ended(self, line: channel.Exited, now: float) -> None:
        """The main process is dead; what it left behind is killed before anything starts again."""
        if line.pid != self._pid:
            return
        if self.run in (Run.ON, Run.STARTING):
            self._exited = line
            self._kill(now)
        elif self.run in (Run.STOPPING, Run.FINISHING):
            self._kill(now)
        elif self.run is Run.STANDBY:
            how = f"signal {-line.status}" if line.status < 0 else f"status {line.status}"
            self.end_standby(f"its process ended with {how}", now)

    def welcome_runner(self, now: float) -> None:
        """A runner came, perhaps a new one: tell it what is held and what runs (R4)."""
        held = self.holding
        if held and self.run in (Run.STARTING, Run.ON):
            if self.run is Run.STARTING and self._pid:
                self._start_by = self._start_limit(held, now)
            self._start(held)
        elif self.run is Run.STOPPING:
            self._kill(now)
        elif self.run is Run.KILLING:
            self._exited = None  # the runner that it was for is dead: this one is told to start, once all is gone
        role = self.standing_in.role
        if role:
            self._say(channel.StandingIn(service=self.service, epoch=role.epoch, holder=role.holder))
        if self.run is Run.STANDBY:
            self._say(self._hot.line(self.service))
        self._backed_said = None

    def _start(self, held: Holding) -> None:
        hot = self._hot.fits(held.definition)
        pid, standby = (None, self._pid) if hot else (self._pid, None)
        start = channel.Start(
            service=self.service, epoch=held.epoch, grant_id=held.grant_id, definition=held.definition, pid=pid, standby=standby
        )
        self._say(start)

    # -- time

    def gap(self, now: float) -> None:
        """R7."""
        self.standing_in.gap(now)

    def tick(self, now: float) -> None:
        """Do what is due; called after every line too, and after all messages that came at once, so that nothing waits for its beat."""
        if self.run is Run.FINISHING and now >= self._finishing.stop_at:
            self._tick_finishing(now)
        if self.run is Run.STOPPING and now >= self._kill_at:
            self._kill(now)
        if self.releases:
            self._repeat_releases(now)
        self._hot.wanted(self.holding is not None or self.standing_in.role is not None or self.standing_in.asking, now)
        if self.run is Run.STANDBY and self._hot.unwanted(now):
            self.end_standby("this server does not stand in any more", now)
        if self.holding:
            self._tick_holding(self.holding, now)
        elif self._around.known:
            question = self.standing_in.question(self.epoch, self._around.knows, now)
            if question:
                self._ask(question, now)

    def _ask(self, question: Takeover, now: float) -> None:
        standing_in = self.standing_in
        if self._silence_noted != standing_in.heard_at:
            self._silence_noted = standing_in.heard_at
            holder = standing_in.role.holder if standing_in.role else None
            self._note(
                "asking",
                f"nothing from the holder for {question.silent_s:.2f} s",
                holder=holder,
                number=question.number,
                heard_nothing_s=round(question.silent_s, 3),
                keep_alives=standing_in.keep_alives,
            )
        self._around.emit(Send(SDS, question))

    def _repeat_releases(self, now: float) -> None:
        for release in self.releases.values():
            if release.verified and now >= release.next_at:
                release.next_at = now + self._timing.beat_s
                self._around.emit(Send(SDS, release.message))

    def _tick_holding(self, held: Holding, now: float) -> None:
        if self.run in (Run.STARTING, Run.ON) and held.serve_until() <= now:
            voters = sorted(held.voters())
            held.lapse()
            why = f"no acknowledgement left of {', '.join(voters)} or the SDS"
            self._note("lapsed", why, heard_nothing_s=held.heard_nothing_s(voters, now))
            self._kill(now)
        elif self.shut and held.serve_until() > now and now > self._start_after and self._around.runner_here:
            if self.run is Run.STANDBY and not self._hot.fits(held.definition):
                self.end_standby("it is not of the definition that was granted, or not up yet", now)
            else:
                self.run, self._port = Run.STARTING, held.definition.port
                self._start_by = now + self._timing.runner_answer_s
                self._start(held)
        if self.run is Run.STARTING and now >= self._start_by:
            self.drop("the runner does not answer", now, failed=True)
            return
        if self.run is Run.KILLING and now >= self._gone_by:
            self.drop("what was killed does not end", now, failed=True)
            return
        if self.run is Run.ON and held.ready_to_move(now) and self._move(held, now):
            return
        if self._yielding and self.run is Run.STARTING and held.ready_to_move(now):
            self.drop(self._yielding, now)
            return
        self._send(held.tick(self.run is Run.ON, now))
        if self.run in (Run.STARTING, Run.ON):
            self._say_until(held.serve_until())
        backed = (held.recorded, bool(held.undecided))
        if backed != self._backed_said:
            self._backed_said = backed
            self._say(channel.Backed(service=self.service, epoch=held.epoch, secondary=held.recorded, changing=bool(held.undecided)))

    def _move(self, held: Holding, now: float) -> bool:
        """Target and W have just agreed: hand over.  False: not yet, since a third may still finish (R22)."""
        if held.definition.exclusive:
            self.drop(f"planned move to {held.target}", now, orderly=True)
        elif now >= self._finishing.allowed_from:
            self._finish(held, now)
        else:
            return False
        return True

    def _say_until(self, until: float) -> None:
        if until != self._until_said:
            self._until_said = self._open_until = until
            self._around.emit(ToTether(channel.Until(service=self.service, until_at=until)))

    def wake_at(self, now: float) -> float:
        """When to look again."""
        due = self._kill_at
        for release in self.releases.values():
            if release.verified:
                due = min(due, release.next_at)
        if self.holding:
            due = min(due, self._start_by, self._gone_by, self.holding.wake_at(now))
            if self.shut and self._start_after > now:
                due = min(due, self._start_after + 1e-6)
        elif self._around.known:
            due = min(due, self.standing_in.wake_at(self.epoch))
        if self.run is Run.FINISHING:
            due = min(due, self._finishing.stop_at)
        if self.run is Run.STANDBY:
            due = min(due, self._hot.wake_at + 1e-6)
        return due

    # -- saying

    def _send(self, out: Out) -> None:
        for voter, message in out:
            self._around.emit(Send(SDS if voter == WITNESS else Peer(voter, "guard"), message))

    def _say(self, line: channel.Line) -> None:
        self._around.emit(ToRunner(line))

    def _note(self, kind: str, text: str, epoch: int | None = None, **evidence: Any) -> None:
        held = self.holding
        shown = epoch if epoch is not None else (held.epoch if held else self.epoch)
        transition = Transition(kind=kind, server=self._around.name, service=self.service, epoch=shown, text=text, evidence=evidence)
        self._around.emit(Note(transition))
