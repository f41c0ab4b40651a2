"""Change control: the one door between a stored, approved plan and the world."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from connectors.change_control.lease import Lease, SiteLock
from connectors.change_control.pusher import Pusher
from connectors.change_control.rollback import Rollback
from connectors.change_control.session import Gate, Session
from connectors.change_control.settings import PushSettings
from connectors.plan_store import PlanStore
from twin.errors import OutsideWorldError, RefusedError, StoppedError
from twin.guardrails import Sight, sight
from twin.judge import Verdict, judge_guard, worst
from twin.plan import PlanState
from twin.plan_records import Change, Finding, PlanRecord
from twin.ports import Clock, Connector

_S = PlanState
_STARTED = frozenset({_S.PUSHING, _S.PAUSED, _S.PUSHED, _S.CONFIRMED, _S.ROLLING_BACK, _S.ROLLED_BACK, _S.STUCK})
_BUSY = frozenset({_S.PUSHING, _S.PAUSED, _S.ROLLING_BACK, _S.STUCK})
_HOLDING = frozenset({_S.PUSHING, _S.PAUSED, _S.PUSHED, _S.CONFIRMED, _S.ROLLING_BACK, _S.STUCK})


def process_name() -> str:
    """Host and process id, as the lease shows them."""
    return f"{socket.gethostname()}:{os.getpid()}"


class ChangeControl:
    """Push, pause, resume, roll back, release all, recover, and enforce deadlines; the only caller of ``apply``."""

    def __init__(
        self,
        store: PlanStore,
        connectors: Mapping[str, Connector],
        clock: Clock,
        gate: Gate,
        lock: SiteLock,
        settings: PushSettings | None = None,
        *,
        holder: str | None = None,
        proof: Callable[[], Sequence[Finding]] | None = None,
    ) -> None:
        self._store = store
        self._connectors = connectors
        self._clock = clock
        self._gate = gate
        self._lock = lock
        self._settings = settings or PushSettings()
        self._holder = holder or process_name()
        self._proof = proof or store.verify

    # ---- forward -----------------------------------------------------------------------------------------------

    def push(self, plan_id: str, actor: str) -> PlanRecord:
        """Pushes an approved plan; a plan that was pushed before gives its present record and nothing is written.

        Raises:
            RefusedError: not approved, refused by policy or guard, stale, expired, or the site is busy.
            OutsideWorldError: a point cannot be read before the start, or the journal failed.
        """
        record = self._store.record(plan_id)
        if record.consumed and record.state in _STARTED:
            return record
        self._require_state(record, _S.APPROVED, "be pushed")
        self._require_sound_log()
        with self._leased() as lease:
            self._recover(lease)
            self._require_free_site(plan_id)
            session = self._session(lease, plan_id, actor)
            self._require_plan(session)
            self._require_fresh(session)
            self._start(session)
            return Pusher(session).run()

    def _start(self, session: Session) -> None:
        record = session.record()
        now = self._clock.now()
        self._store.commit(
            Change(
                plan_id=record.plan_id,
                actor=session.actor,
                event="push started",
                version=record.version,
                state=_S.PUSHING,
                reason=f"pushed by {session.actor}",
                deadline=now + timedelta(seconds=session.plan.deadlines.pushing_s),
                consume_nonce=record.nonce,
                epoch=session.lease.epoch,
                evidence={"evidence": session.plan.evidence},
            )
        )

    def resume(self, plan_id: str, actor: str) -> PlanRecord:
        """Goes on with a paused plan after all push checks pass again."""
        self._require_state(self._store.record(plan_id), _S.PAUSED, "be resumed")
        self._require_sound_log()
        with self._leased() as lease:
            self._recover(lease)
            session = self._session(lease, plan_id, actor)
            self._require_state(session.record(), _S.PAUSED, "be resumed")
            self._require_plan(session)
            self._store.clear_stop(plan_id, actor)
            deadline = self._clock.now() + timedelta(seconds=session.plan.deadlines.pushing_s)
            session.commit("resumed", state=_S.PUSHING, reason=f"resumed by {actor}", deadline=deadline)
            return Pusher(session).run()

    def _require_sound_log(self) -> None:
        findings = self._proof()
        if findings:
            said = "; ".join(f"{finding.row}: {finding.sentence}" for finding in findings[:3])
            message = f"the audit log does not hold, so nothing is pushed: {said}"
            raise RefusedError(message)

    def _require_plan(self, session: Session) -> None:
        now = self._clock.now()
        if now > session.plan.expires_at:
            self._supersede(session, f"it expired at {session.plan.expires_at.isoformat()}")
        refusals = self._gate.plan_refusals(self._store.view(session.plan_id), now)
        if refusals:
            self._store.note(session.actor, "push refused", session.plan_id, {"refusals": list(refusals)})
            message = f"plan {session.plan_id[:12]} may not be pushed: {'; '.join(refusals)}"
            raise RefusedError(message)

    def _require_fresh(self, session: Session) -> None:
        """Looks at every target before the first write: a changed world supersedes the plan."""
        changed, unread = [], []
        for step in session.plan.steps():
            reading = session.look(step.action)
            seen = sight(step.action, reading)
            if seen is Sight.CHANGED:
                changed.append(f"{step.action.point}: expected {step.action.expected}, shows {reading.value}")
            if seen is Sight.UNREADABLE:
                unread.append(step.action.point)
        if changed:
            self._supersede(session, f"the world changed: {'; '.join(changed)}")
        if unread:
            message = f"plan {session.plan_id[:12]} is not started: cannot read {', '.join(unread)}"
            raise OutsideWorldError(message)

    def _supersede(self, session: Session, reason: str) -> None:
        if session.record().state is _S.APPROVED:
            session.commit("superseded", state=_S.SUPERSEDED, reason=reason)
        message = f"plan {session.plan_id[:12]} is stale: {reason}. Propose a new plan; approvals do not carry over"
        raise RefusedError(message)

    def _require_free_site(self, plan_id: str) -> None:
        busy = [r for r in self._store.records() if r.state in _BUSY and r.plan_id != plan_id]
        if busy:
            said = ", ".join(f"{r.plan_id[:12]} is {r.state}: {r.reason}" for r in busy)
            message = f"the site takes no other push now: {said}"
            raise RefusedError(message)
        targets = {(s.action.connector, s.action.point) for s in self._store.plan(plan_id).steps()}
        for record in self._store.records():
            if record.state is _S.PUSHED and record.plan_id != plan_id:
                held = {(s.action.connector, s.action.point) for s in self._store.plan(record.plan_id).steps()}
                if targets & held:
                    message = (
                        f"plan {record.plan_id[:12]} still soaks on {sorted(targets & held)[0][1]}; wait or undo it"
                    )
                    raise RefusedError(message)

    # ---- stop and back -----------------------------------------------------------------------------------------

    def pause(self, plan_id: str, actor: str, reason: str = "pause asked for") -> PlanRecord:
        """Asks the pusher to hold before its next write; when nobody pushes, the plan is paused at once."""
        self._require_state(self._store.record(plan_id), _S.PUSHING, "be paused")
        self._store.request_stop(plan_id, actor, reason, hold=True)
        if (session := self._session_if_free(plan_id, actor)) is None:
            return self._store.record(plan_id)
        try:
            deadline = self._clock.now() + timedelta(seconds=session.plan.deadlines.paused_s)
            return session.commit("paused", state=_S.PAUSED, reason=f"{actor}: {reason}", deadline=deadline)
        finally:
            session.lease.release()

    def rollback(self, plan_id: str, actor: str, reason: str = "rollback asked for") -> PlanRecord:
        """Stops a plan and undoes it; when another process pushes it, that process obeys and undoes it.

        Raises:
            RefusedError: nothing of the plan was ever pushed, or it is final.
        """
        record = self._store.record(plan_id)
        if record.state in {_S.PROPOSED, _S.APPROVED}:
            message = f"plan {plan_id[:12]} is {record.state}: nothing was pushed; 'plan reject' takes it off the table"
            raise RefusedError(message)
        if record.state is _S.CONFIRMED:
            return self._release_confirmed(plan_id, actor, reason)
        with self._store.urgent():
            self._store.request_stop(plan_id, actor, reason, hold=False)
            session = self._session_if_free(plan_id, actor)
            if session is None:
                return self._store.record(plan_id)
            try:
                return self._roll_back(session, f"{actor}: {reason}")
            finally:
                session.lease.release()

    def _roll_back(self, session: Session, reason: str) -> PlanRecord:
        if session.record().state is not _S.ROLLING_BACK:
            deadline = self._clock.now() + timedelta(seconds=session.plan.deadlines.rolling_back_s)
            session.commit("rolling back", state=_S.ROLLING_BACK, reason=reason, deadline=deadline)
        return Rollback(session).run()

    def _release_confirmed(self, plan_id: str, actor: str, reason: str) -> PlanRecord:
        """A confirmed plan is final; what it still holds is released without changing its state."""
        with self._store.urgent(), self._leased() as lease:
            session = self._session(lease, plan_id, actor)
            left = Rollback(session).release_only(reason)
        if left:
            message = f"plan {plan_id[:12]}: not known to be released: {', '.join(left)}"
            raise OutsideWorldError(message)
        return self._store.record(plan_id)

    def release_all(self, actor: str, reason: str = "release all") -> list[PlanRecord]:
        """Stops every plan of the site and gives every point back, whatever state its plan is in."""
        return [
            self.rollback(record.plan_id, actor, reason)
            for record in self._store.records()
            if record.state in {_S.PUSHING, _S.PAUSED} or (record.state in _HOLDING and self._holds(record))
        ]

    def _holds(self, record: PlanRecord) -> bool:
        return any(step.touched for step in self._store.steps(record.plan_id))

    def close_by_hand(self, plan_id: str, actor: str, statement: str) -> PlanRecord:
        """Ends a stuck plan with a person's statement of what was found."""
        if len(statement.strip()) < 10:
            message = "say what was found at the site, in ten characters or more; the statement stays in the audit log"
            raise RefusedError(message)
        record = self._store.record(plan_id)
        self._require_state(record, _S.STUCK, "be closed by hand")
        change = Change(
            plan_id=plan_id,
            actor=actor,
            event="closed by hand",
            version=record.version,
            state=_S.CLOSED_BY_HAND,
            reason=statement,
        )
        return self._store.commit(change)

    # ---- restart and deadlines ---------------------------------------------------------------------------------

    def recover(self) -> list[PlanRecord]:
        """Takes up what a dead process left behind, by looking at the world.

        Raises:
            RefusedError: another process holds the site and shows life.
        """
        if not any(self._is_left_behind(record) for record in self._store.records()):
            return []
        with self._leased() as lease:
            return self._recover(lease)

    def _is_left_behind(self, record: PlanRecord) -> bool:
        if record.state in {_S.PAUSED, _S.PUSHED}:
            stop = self._store.stop(record.plan_id)
            return stop is not None and stop.stops
        return record.state in {_S.PUSHING, _S.ROLLING_BACK}

    def _recover(self, lease: Lease) -> list[PlanRecord]:
        return [
            self._take_up(self._session(lease, record.plan_id, self._holder))
            for record in self._store.records()
            if self._is_left_behind(record)
        ]

    def _take_up(self, session: Session) -> PlanRecord:
        attempts = session.record().attempts + 1
        record = session.commit("taken up", attempts=attempts, evidence={"attempt": attempts})
        if attempts > 2 * self._settings.takeovers:
            return self._dead_letter(session, attempts)
        stop = self._store.stop(session.plan_id)
        if record.state is _S.PUSHING and attempts <= self._settings.takeovers:
            return Pusher(session).run()
        why = f"{stop.actor}: {stop.reason}" if stop is not None else f"{attempts} processes ended while they pushed it"
        return self._roll_back(session, why)

    def _dead_letter(self, session: Session, attempts: int) -> PlanRecord:
        reason = f"{attempts} processes ended while they handled it; a person must look"
        if session.record().state is _S.PUSHING:
            session.commit("rolling back", state=_S.ROLLING_BACK, reason=reason)
        deadline = self._clock.now() + timedelta(seconds=session.plan.deadlines.stuck_s)
        return session.commit("stuck", state=_S.STUCK, reason=reason, deadline=deadline)

    def enforce(self) -> list[PlanRecord]:
        """Takes the declared action of every state whose deadline has passed, and releases what was held too long."""
        now = self._clock.now()
        due = [r for r in self._store.records() if r.deadline is not None and r.deadline <= now]
        done = [after for r in due if (after := self._enforce(r, now)) is not None]
        return done + self._release_expired(now) + self._sweep(now)

    def _sweep(self, now: datetime) -> list[PlanRecord]:
        """Looks at what was rolled back in the last days: a process that slept through it may have written since."""
        held = {
            (step.action.connector, step.action.point)
            for record in self._store.records()
            if record.state in _HOLDING
            for step in self._store.plan(record.plan_id).steps()
        }
        done = []
        for record in self._store.records():
            if record.state is not _S.ROLLED_BACK or (now - record.since).total_seconds() > self._settings.sweep_s:
                continue
            looker = Rollback(self._session(self._lease(), record.plan_id, self._holder))
            strays = [stray for stray in looker.strays() if looker.target(stray) not in held]
            if strays:
                with self._leased() as lease:
                    Rollback(self._session(lease, record.plan_id, self._holder)).release_strays(strays)
                done.append(self._store.record(record.plan_id))
        return done

    def _enforce(self, record: PlanRecord, now: datetime) -> PlanRecord | None:
        if record.state in {_S.PROPOSED, _S.APPROVED}:
            change = Change(
                plan_id=record.plan_id,
                actor=self._holder,
                event="superseded",
                version=record.version,
                state=_S.SUPERSEDED,
                reason="it expired",
            )
            return self._store.commit(change)
        if record.state in {_S.PUSHING, _S.PAUSED, _S.ROLLING_BACK}:
            return self.rollback(record.plan_id, self._holder, f"{record.state} for longer than its deadline")
        if record.state is _S.PUSHED:
            return self._confirm(record, now)
        if record.state is _S.STUCK:
            return self._alarm_again(record, now)
        return None

    def _alarm_again(self, record: PlanRecord, now: datetime) -> PlanRecord:
        self._store.note(self._holder, "alarm", record.plan_id, {"stuck": record.reason})
        wait = timedelta(seconds=self._store.plan(record.plan_id).deadlines.stuck_s)
        return self._store.postpone(record, self._holder, now + wait)

    def _confirm(self, record: PlanRecord, now: datetime) -> PlanRecord | None:
        with self._leased() as lease:
            session = self._session(lease, record.plan_id, self._holder)
            found = [judge_guard(g, session.look_at(g.connector, [g.point])[0], now) for g in session.plan.guards]
            reasons = "; ".join(f"{j.name}: {j.reason}" for j in found if j.verdict is not Verdict.PASS)
            if worst(found) is Verdict.PASS:
                return session.commit("confirmed", state=_S.CONFIRMED, reason="the soak time passed without a breach")
            late = now > (record.deadline or now) + timedelta(seconds=session.plan.deadlines.paused_s)
            if worst(found) is Verdict.FAIL or late:
                return self._roll_back(session, reasons)
            return None

    def _release_expired(self, now: datetime) -> list[PlanRecord]:
        done = []
        for record in self._store.records():
            if record.state not in {_S.PUSHED, _S.CONFIRMED} or self._store.plan(record.plan_id).hold_until > now:
                continue
            if self._holds(record):
                reason = "the hold time is over"
                if record.state is _S.PUSHED and (after := self._confirm(record, now)) is not None:
                    record = after  # noqa: PLW2901 - the same plan one state later
                if record.state is _S.CONFIRMED:
                    done.append(self._release_confirmed(record.plan_id, self._holder, reason))
        return done

    def records(self) -> Sequence[PlanRecord]:
        """Where all plans of the site stand."""
        return self._store.records()

    # ---- shared ------------------------------------------------------------------------------------------------

    def _lease(self) -> Lease:
        return Lease(self._store, self._clock, self._settings, self._lock, self._holder)

    @contextmanager
    def _leased(self) -> Iterator[Lease]:
        lease = self._lease()
        lease.acquire()
        try:
            yield lease
        except RefusedError:
            lease.release()
            raise
        except BaseException:
            lease.drop()
            raise
        lease.release()

    def _session_if_free(self, plan_id: str, actor: str) -> Session | None:
        """A session when no live process holds the site; the holder obeys the stop flag by itself."""
        lease = self._lease()
        try:
            lease.acquire()
        except StoppedError:
            raise
        except RefusedError:
            return None
        return self._session(lease, plan_id, actor)

    def _session(self, lease: Lease, plan_id: str, actor: str) -> Session:
        return Session(
            store=self._store,
            connectors=self._connectors,
            clock=self._clock,
            settings=self._settings,
            lease=lease,
            gate=self._gate,
            plan=self._store.plan(plan_id),
            plan_id=plan_id,
            actor=actor,
        )

    @staticmethod
    def _require_state(record: PlanRecord, state: PlanState, what: str) -> None:
        if record.state is not state:
            message = f"plan {record.plan_id[:12]} is {record.state} and cannot {what}; it must be {state}"
            raise RefusedError(message)
