"""Plans, steps, approvals, stops, reports of one site: one transaction per transition."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from connectors.audit.checkpoints import (
    CheckpointFile,
)
from connectors.audit.ledger import Ledger, Transaction
from connectors.plan_store.lease_table import LeaseTable
from connectors.plan_store.salvage import salvaged_plan
from connectors.plan_store.transitions import StaleVersionError, next_record, next_step
from twin.errors import BadInputError, OutsideWorldError, RefusedError, StoppedError
from twin.plan import NEXT, PlanState, StepState, Value
from twin.plans.calm import Touch, next_touch
from twin.plans.document import Plan
from twin.plans.records import Approval, AuditRow, Change, Finding, PlanRecord, PlanView, StepRecord, StopRecord
from twin.plans.verification import Verification
from twin.ports import Clock
from twin.text.canonical import digest, plain, thing_from

_OPEN_FOR_PUSH = frozenset({PlanState.PROPOSED, PlanState.APPROVED})
_BACKWARDS = frozenset({PlanState.ROLLING_BACK, PlanState.ROLLED_BACK, PlanState.STUCK, PlanState.PAUSED})


def _step_key(plan_id: str, position: int) -> str:
    return f"{plan_id}/{position:05d}"


def _is_new_write(t: Transaction, plan_id: str, step: StepRecord) -> bool:
    """Whether a step is about to be written, rather than told what became of the write before."""
    before = thing_from(StepRecord, t.get("step", _step_key(plan_id, step.position)))
    return step.state is StepState.INTENT and step.writes > before.writes


class PlanStore(LeaseTable):
    """Plans, steps, approvals, lease and audit of one site. One instance per process and thread."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        site: str,
        *,
        checkpoints: CheckpointFile | None = None,
        token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.ledger = ledger
        self.site = site
        self._clock = clock
        self._checkpoints = checkpoints
        self._token = token
        self._proved: dict[str, tuple[str, Plan]] = {}

    def add(self, plan: Plan) -> PlanRecord:
        """Stores a proposal; open plans that share a target with it become superseded.

        Raises:
            RefusedError: the plan is for another site.
        """
        if plan.site != self.site:
            message = f"the plan is for site {plan.site!r}, this is the store of {self.site!r}"
            raise RefusedError(message)
        plan_id, now = plan.id, self._clock.now()
        if (known := self.ledger.get("plan", plan_id)) is not None:
            return thing_from(PlanRecord, known)
        record = PlanRecord(
            plan_id=plan_id,
            state=PlanState.PROPOSED,
            version=1,
            since=now,
            reason="proposed",
            nonce=self._token(),
            deadline=plan.expires_at,
        )
        payload = {"state": record.state, "title": plan.title, "evidence": plan.evidence, "risk": plan.risk_class}
        with self.ledger.transaction(plan.proposer, "proposed", plan_id, payload) as t:
            t.put("document", plan_id, plan)
            t.put("plan", plan_id, record)
            position = 0
            for wave in plan.waves:
                for step in wave.steps:
                    key = _step_key(plan_id, position)
                    row = StepRecord(plan_id=plan_id, action_id=step.action.id, position=position, wave=wave.index)
                    t.put("step", key, row)
                    position += 1
        self._supersede_rivals(plan, record)
        self._checkpoint()
        return record

    def _supersede_rivals(self, plan: Plan, record: PlanRecord) -> None:
        targets = {(step.action.connector, step.action.point) for step in plan.steps()}
        for other in self.records():
            if other.state not in _OPEN_FOR_PUSH or other.plan_id == record.plan_id:
                continue
            if targets & {(step.action.connector, step.action.point) for step in self.plan(other.plan_id).steps()}:
                self.commit(
                    Change(
                        plan_id=other.plan_id,
                        actor=plan.proposer,
                        event="superseded",
                        version=other.version,
                        state=PlanState.SUPERSEDED,
                        reason=f"the newer plan {record.plan_id[:12]} shares a target",
                    )
                )

    def resolve(self, prefix: str) -> str:
        """The full id of a plan from its first characters.

        Raises:
            BadInputError: none or several plans begin so.
        """
        ids = [body["plan_id"] for body in self.ledger.all("plan", prefix)] if prefix else []
        if len(ids) != 1:
            message = f"plan {prefix!r}: {len(ids)} plans begin so; 'understudy plan list' shows their ids"
            raise BadInputError(message)
        return str(ids[0])

    def plan(self, plan_id: str) -> Plan:
        """The document of a plan, proved against its id.

        Raises:
            RefusedError: the stored document is not the one that the id names.
        """
        text = self.ledger.text("document", plan_id)
        if text is None:
            message = f"plan {plan_id!r} is not in the store; 'understudy plan list' shows what is"
            raise BadInputError(message)
        if plan_id in self._proved and self._proved[plan_id][0] == text:
            return self._proved[plan_id][1]
        plan = Plan.from_json(json.loads(text))
        if plan.id != plan_id:
            message = f"plan {plan_id[:12]}: the stored document was changed; it now is {plan.id[:12]}. Nothing is done"
            raise RefusedError(message)
        self._proved[plan_id] = (text, plan)
        return plan

    def plan_for_the_way_back(self, plan_id: str) -> tuple[Plan, bool]:
        """The plan; or, when its document was changed or is of another version, what its sound step records still say.

        The flag tells which.
        """
        try:
            return self.plan(plan_id), False
        except (RefusedError, BadInputError):
            if self.ledger.text("document", plan_id) is None:
                raise
            rotten = {finding.row for finding in self.verify()}
            steps = [
                step for step in self.steps(plan_id) if f"record step/{_step_key(plan_id, step.position)}" not in rotten
            ]
            return salvaged_plan(self.site, steps, self._clock.now()), True

    def record(self, plan_id: str) -> PlanRecord:
        """Where a plan stands."""
        body = self.ledger.get("plan", plan_id)
        if body is None:
            message = f"plan {plan_id!r} is not in the store; 'understudy plan list' shows what is"
            raise BadInputError(message)
        return thing_from(PlanRecord, body)

    def records(self) -> Sequence[PlanRecord]:
        """Where all plans stand, in the order in which they last changed."""
        found = [thing_from(PlanRecord, body) for body in self.ledger.all("plan")]
        return sorted(found, key=lambda record: (record.since, record.plan_id))

    def steps(self, plan_id: str) -> Sequence[StepRecord]:
        """Steps of a plan in the order of the push."""
        return [thing_from(StepRecord, body) for body in self.ledger.all("step", f"{plan_id}/")]

    def step(self, plan_id: str, position: int) -> StepRecord:
        """One step of a plan."""
        return thing_from(StepRecord, self.ledger.get("step", _step_key(plan_id, position)))

    def approvals(self, plan_id: str) -> Sequence[Approval]:
        """What people said of a plan, in order."""
        return [thing_from(Approval, body) for body in self.ledger.all("approval", f"{plan_id}/")]

    def touch(self, connector: str, point: str) -> Touch | None:
        """When we last wrote to a target."""
        body = self.ledger.get("touch", f"{connector}/{point}")
        return None if body is None else thing_from(Touch, body)

    def prior_of(self, plan_id: str, point: str) -> Value | None:
        """What a point showed before a plan first wrote to it; None when it did not, or undid it."""
        receipts = [step for step in self.steps(plan_id) if step.touched and step.receipt is not None]
        return next((step.prior for step in receipts if step.receipt and step.receipt.point == point), None)

    def view(self, plan_id: str) -> PlanView:
        """A plan with all that is known of it."""
        return PlanView(
            plan=self.plan(plan_id),
            record=self.record(plan_id),
            steps=tuple(self.steps(plan_id)),
            approvals=tuple(self.approvals(plan_id)),
        )

    def time_for(self, plan_id: str, now: datetime) -> datetime:
        """The moment as a plan must take it: never before what the log has seen since it was proposed.

        So a clock that is set back makes nothing of it valid again; plans made after that are not touched.
        """
        seen = self.ledger.latest_since("proposed", plan_id)
        return now if seen is None else max(now, seen)

    def commit(self, change: Change) -> PlanRecord:
        """Makes one change with its audit row; see ``PlanJournal``."""
        backwards = change.state in _BACKWARDS or change.event.startswith(("revert", "release"))
        record = self._fitting(lambda: self._commit(change), urgent=backwards)
        if change.state is not None:
            with suppress(*((OutsideWorldError,) if backwards else ())):
                self._checkpoint()
        return record

    def _commit(self, change: Change) -> PlanRecord:
        payload: dict[str, object] = {
            "state": change.state,
            "reason": change.reason,
            "steps": {step.action_id: step.state for step in change.steps},
            "epoch": change.epoch,
            "evidence": change.evidence,
        }
        with self.ledger.transaction(change.actor, change.event, change.plan_id, payload) as t:
            self.require_epoch(t, change.epoch)
            body = t.get("plan", change.plan_id)
            if body is None:
                message = f"plan {change.plan_id!r} is not in the store"
                raise BadInputError(message)
            record = next_record(thing_from(PlanRecord, body), change, self._clock.now())
            self._require_no_stop(t, change)
            t.put("plan", change.plan_id, record)
            for step in change.steps:
                key = _step_key(change.plan_id, step.position)
                t.put("step", key, next_step(thing_from(StepRecord, t.get("step", key)), step))
            for target in change.touches:
                before = t.get("touch", target)
                known = None if before is None else thing_from(Touch, before)
                t.put("touch", target, next_touch(known, change.plan_id, self._clock.now()))
        return record

    @staticmethod
    def _require_no_stop(t: Transaction, change: Change) -> None:
        """No write and no good end after a stop; a confirmed plan holds its values, so only a pause may pass it."""
        ends = change.state in {PlanState.PUSHED, PlanState.CONFIRMED}
        if not ends and not any(_is_new_write(t, change.plan_id, step) for step in change.steps):
            return
        body = t.get("stop", change.plan_id)
        stop = None if body is None else thing_from(StopRecord, body)
        if stop is not None and stop.active and (stop.stops or change.state is not PlanState.CONFIRMED):
            message = f"plan {change.plan_id[:12]}: {stop.actor} asked to stop: {stop.reason}"
            raise StoppedError(message)

    def add_approval(self, approval: Approval, version: int, state: PlanState | None, reason: str) -> PlanRecord:
        """Stores a signed word and, when it decides the plan, its new state in the same transaction."""
        plan_id, now = approval.plan_id, self._clock.now()
        payload = {"decision": approval.decision, "reason": approval.reason, "state": state, "why": reason}
        with self.ledger.transaction(approval.approver, approval.decision, plan_id, payload) as t:
            before = thing_from(PlanRecord, t.get("plan", plan_id))
            change = Change(
                plan_id=plan_id,
                actor=approval.approver,
                event=approval.decision,
                version=version,
                state=state,
                reason=reason,
                deadline=before.deadline,
            )
            record = next_record(before, change, now)
            t.put("plan", plan_id, record)
            t.put("approval", f"{plan_id}/{record.version:05d}", approval)
        self._checkpoint()
        return record

    def add_verification(self, report: Verification, actor: str) -> Verification:
        """Stores a report of realised savings; one more on the same plan and meter is a new version, never an edit."""
        prefix = f"{report.plan_id}/{report.meter}/"
        before = [thing_from(Verification, body) for body in self.ledger.all("verification", prefix)]
        if before:
            report = replace(report, version=len(before) + 1, supersedes=digest(before[-1]))
        payload = {"verdict": report.verdict, "saving_pct": plain(report.saving_pct), "version": report.version}
        with self.ledger.transaction(actor, "savings verified", report.plan_id, payload) as t:
            t.put("verification", f"{prefix}{report.version:04d}", report)
        return report

    def verifications(self, plan_id: str) -> Sequence[Verification]:
        """All reports of realised savings of a plan, by meter and version."""
        return [thing_from(Verification, body) for body in self.ledger.all("verification", f"{plan_id}/")]

    def request_stop(self, plan_id: str, actor: str, reason: str, *, hold: bool) -> StopRecord:
        """Raises the stop flag of a plan without a lease: no intent is journaled after it.

        Raises:
            RefusedError: the plan is final.
        """
        return self._fitting(lambda: self._request_stop(plan_id, actor, reason, hold=hold), urgent=True)

    def _request_stop(self, plan_id: str, actor: str, reason: str, *, hold: bool) -> StopRecord:
        event = "pause asked" if hold else "stop asked"
        with self.ledger.transaction(actor, event, plan_id, {"reason": reason}) as t:
            state = thing_from(PlanRecord, t.get("plan", plan_id)).state
            if state not in NEXT:
                message = f"plan {plan_id[:12]} is {state}, which is final; there is nothing to stop"
                raise RefusedError(message)
            before = t.get("stop", plan_id)
            stronger = before is not None and thing_from(StopRecord, before).stops
            stop = StopRecord(plan_id=plan_id, actor=actor, reason=reason or event, hold=hold and not stronger)
            t.put("stop", plan_id, stop)
        return stop

    def postpone(self, record: PlanRecord, actor: str, deadline: datetime) -> PlanRecord:
        """Sets the next alarm of a plan that a person must look at."""
        after = replace(record, version=record.version + 1, deadline=deadline)
        with self.ledger.transaction(actor, "postponed", record.plan_id, {"deadline": deadline}) as t:
            if thing_from(PlanRecord, t.get("plan", record.plan_id)).version != record.version:
                message = f"plan {record.plan_id[:12]}: someone changed it"
                raise StaleVersionError(message)
            t.put("plan", record.plan_id, after)
        return after

    def clear_stop(self, plan_id: str, actor: str) -> None:
        """Takes a pause back, when a plan is resumed.

        Raises:
            StoppedError: it is no pause but a stop, perhaps of a moment ago: the way back is the only one.
        """
        with self.ledger.transaction(actor, "stop cleared", plan_id, {}) as t:
            body = t.get("stop", plan_id)
            if body is not None and (stop := thing_from(StopRecord, body)).stops:
                message = f"plan {plan_id[:12]}: {stop.actor} asked to stop: {stop.reason}; it is not resumed"
                raise StoppedError(message)
            t.put("stop", plan_id, StopRecord(plan_id=plan_id, actor=actor, reason="", hold=False, active=False))

    def stop(self, plan_id: str) -> StopRecord | None:
        """The stop flag of a plan while it is raised."""
        body = self.ledger.get("stop", plan_id)
        found = None if body is None else thing_from(StopRecord, body)
        return found if found is not None and found.active else None

    def note(self, actor: str, event: str, subject: str, evidence: Mapping[str, object]) -> None:
        """An audit row of its own: a refusal, an alarm, a finding."""
        with self.ledger.transaction(actor, event, subject, {"evidence": evidence}):
            pass

    def audit(self, since: int = 0) -> Sequence[AuditRow]:
        """Rows of the log after a sequence number."""
        return self.ledger.audit(since)

    # ---- proof -------------------------------------------------------------------------------------------------

    def _checkpoint(self) -> None:
        if self._checkpoints is not None:
            seq, digest = self.ledger.head()
            self._checkpoints.add(seq, digest, self._clock.now())

    def checkpoint(self) -> int:
        """Signs where the log stands now; the row."""
        self._checkpoint()
        return self.ledger.head()[0]

    def verify(self) -> list[Finding]:
        """Findings of a full proof of log and records (without the checkpoints outside)."""
        return self.ledger.verify()
