"""Change control: the one door between a stored, approved plan and the world."""

from __future__ import annotations

from datetime import timedelta

from connectors.change_control.caretaker import Caretaker
from connectors.change_control.desk import HOLDING
from connectors.change_control.pusher import Pusher
from connectors.change_control.rollback import Rollback
from connectors.change_control.session import Session
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, PlanState
from twin.plans.calm import Reversal
from twin.plans.guardrails import Sight, same, sight
from twin.plans.premises import Stale
from twin.plans.records import Change, PlanRecord

_S = PlanState
REVERSAL_REFUSED = "reversal refused"
"""Event of the audit log; how often it happened tells whether the optimiser alternates."""
_STARTED = frozenset({_S.PUSHING, _S.PAUSED, _S.PUSHED, _S.CONFIRMED, _S.ROLLING_BACK, _S.ROLLED_BACK, _S.STUCK})
_BUSY = frozenset({_S.PUSHING, _S.PAUSED, _S.ROLLING_BACK, _S.STUCK})


class ChangeControl(Caretaker):
    """Push, pause, resume, roll back, release all; with the caretaker's duties the only way to ``apply``."""

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
            self._require_free_site(plan_id, actor)
            session = self._session(lease, plan_id, actor)
            self._require_plan(session)
            self._require_evidence(session)
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
        now = self._store.time_for(session.plan_id, self._clock.now())
        if now > session.plan.expires_at:
            self._supersede(session, f"it expired at {session.plan.expires_at.isoformat()}")
        refusals = self._gate.plan_refusals(self._store.view(session.plan_id), now)
        if refusals:
            self._store.note(session.actor, "push refused", session.plan_id, {"refusals": list(refusals)})
            for said in refusals:
                if isinstance(said, Reversal):
                    self._count_reversal(session.plan_id, session.actor, said)
            if stale := [said for said in refusals if isinstance(said, Stale)]:
                self._supersede(session, "; ".join(stale))
            message = f"plan {session.plan_id[:12]} may not be pushed: {'; '.join(refusals)}"
            raise RefusedError(message)

    def _require_evidence(self, session: Session) -> None:
        """A plan whose guards prove nothing would only be paused after its first wave: it is not started."""
        doubts = self._doubts()
        flagged = [f"{g.point}: {doubts[g.point]}" for g in session.plan.guards if g.point in doubts]
        if flagged:
            said = f"what should guard it is flagged: {'; '.join(flagged)}. Repair the sensor or ingest newer telemetry"
            message = f"plan {session.plan_id[:12]} may not be pushed: {said}"
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
        message = (
            f"plan {session.plan_id[:12]} is stale: {reason}. Approvals do not carry over; propose it anew with "
            f"'understudy plan propose --again {session.plan_id[:12]}'"
        )
        raise RefusedError(message)

    def _count_reversal(self, plan_id: str, actor: str, reason: str) -> None:
        self._store.note(actor, REVERSAL_REFUSED, plan_id, {"reason": reason})

    def _require_free_site(self, plan_id: str, actor: str) -> None:
        busy = [r for r in self._store.records() if r.state in _BUSY and r.plan_id != plan_id]
        if busy:
            said = ", ".join(f"{r.plan_id[:12]} is {r.state}: {r.reason}" for r in busy)
            message = f"the site takes no other push now: {said}"
            raise RefusedError(message)
        actions = {(s.action.connector, s.action.point): s.action for s in self._store.plan(plan_id).steps()}
        for record in self._store.records():
            if record.state is _S.PUSHED and record.plan_id != plan_id:
                held = {(s.action.connector, s.action.point) for s in self._store.plan(record.plan_id).steps()}
                if shared := sorted(actions.keys() & held):
                    message = f"plan {record.plan_id[:12]} still soaks on {shared[0][1]}; wait or undo it"
                    if any(self._takes_back(record.plan_id, actions[target]) for target in shared):
                        self._count_reversal(plan_id, actor, message)
                    raise RefusedError(message)

    def _takes_back(self, plan_id: str, action: Action) -> bool:
        prior = self._store.prior_of(plan_id, action.point)
        return prior is not None and same(action.value, prior, action.tolerance)

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

    def release_all(self, actor: str, reason: str = "release all") -> list[PlanRecord]:
        """Stops every plan of the site and gives every point back, whatever state its plan is in."""
        holding = [
            record.plan_id
            for record in self._store.records()
            if record.state in {_S.PUSHING, _S.PAUSED} or (record.state in HOLDING and self._holds(record))
        ]
        with self._store.urgent():
            self._release_slots(holding, actor, reason)
            return [self.rollback(plan_id, actor, reason) for plan_id in holding]

    def _release_slots(self, plan_ids: list[str], actor: str, reason: str) -> None:
        """The slots of all plans after a holder that died, before the first of them waits for its strays."""
        session = self._session_if_free(plan_ids[0], actor) if len(plan_ids) > 1 else None
        if session is None:
            return
        try:
            for plan_id in plan_ids if session.lease.may_stray else []:
                other = self._session_back(session.lease, plan_id, actor)
                if other.record().state is not _S.CONFIRMED:
                    self._store.request_stop(plan_id, actor, reason, hold=False)
                    self._turn(other, f"{actor}: {reason}")
                Rollback(other).release_slots()
        finally:
            session.lease.release()

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
