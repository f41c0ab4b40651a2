"""The plan store with its audit log: one SQLite file, one transaction per transition, a proof from outside."""

from __future__ import annotations

import fcntl
import json
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from connectors.audit.checkpoints import (
    CheckpointFile,
    check_checkpoints,
    load_or_make_key,
    load_public_key,
    read_checkpoints,
)
from connectors.audit.ledger import Ledger, Transaction
from twin.calm import Touch, next_touch
from twin.canonical import digest, plain, thing_from
from twin.errors import BadInputError, OutsideWorldError, RefusedError, StoppedError
from twin.plan import NEXT, PlanState, StepState, require_transition
from twin.plan_document import Plan
from twin.plan_records import Approval, AuditRow, Change, Finding, PlanRecord, PlanView, StepRecord, StopRecord
from twin.ports import Clock
from twin.verification import Verification

T = TypeVar("T")
_OPEN_FOR_PUSH = frozenset({PlanState.PROPOSED, PlanState.APPROVED})
_BACKWARDS = frozenset({PlanState.ROLLING_BACK, PlanState.ROLLED_BACK, PlanState.STUCK, PlanState.PAUSED})


class StaleVersionError(RefusedError):
    """Someone else changed the plan since it was read."""


class FencedError(RefusedError):
    """Another process has taken the site's lease over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """Who may push at the site."""

    epoch: int
    holder: str
    since: datetime
    beat: int
    clean: bool


def _step_key(plan_id: str, position: int) -> str:
    return f"{plan_id}/{position:05d}"


def next_record(before: PlanRecord, change: Change, now: datetime) -> PlanRecord:
    """The plan's record after a change, by the table of states.

    Raises:
        RefusedError: the version moved on, the nonce does not fit, or the table lacks the move.
    """
    if change.version != before.version:
        message = f"plan {before.plan_id[:12]} is at version {before.version}, not {change.version}: someone changed it"
        raise StaleVersionError(message)
    after = replace(before, version=before.version + 1)
    if change.consume_nonce is not None:
        if before.consumed or change.consume_nonce != before.nonce:
            message = f"plan {before.plan_id[:12]} was started before ({before.consumed or 'another nonce'})"
            raise RefusedError(message)
        after = replace(after, consumed=f"{change.actor} at {now.isoformat()}")
    if change.attempts is not None:
        after = replace(after, attempts=change.attempts)
    if change.waves_passed is not None:
        after = replace(after, waves_passed=change.waves_passed)
    if change.state is not None and change.state is not before.state:
        require_transition(before.state, change.state)
        after = replace(after, state=change.state, since=now, reason=change.reason, deadline=change.deadline)
    return after


def next_step(before: StepRecord, change: StepRecord) -> StepRecord:
    """A step's record after a change; the prior value is written once."""
    if not before.prior_known:
        return change
    return replace(change, prior_known=True, prior=before.prior, prior_held_by=before.prior_held_by)


class PlanStore:
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
        self._urgent = False
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

    def view(self, plan_id: str) -> PlanView:
        """A plan with all that is known of it."""
        return PlanView(
            plan=self.plan(plan_id),
            record=self.record(plan_id),
            steps=tuple(self.steps(plan_id)),
            approvals=tuple(self.approvals(plan_id)),
        )

    def commit(self, change: Change) -> PlanRecord:
        """Makes one change with its audit row; see ``PlanJournal``."""
        backwards = change.state in _BACKWARDS or change.event.startswith(("revert", "release"))
        record = self._fitting(lambda: self._commit(change), urgent=backwards)
        if change.state is not None:
            with suppress(*((OutsideWorldError,) if backwards else ())):
                self._checkpoint()
        return record

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """On the way back, the reserve may be used when the disk is full."""
        before, self._urgent = self._urgent, True
        try:
            yield
        finally:
            self._urgent = before

    def _fitting(self, act: Callable[[], T], *, urgent: bool = False) -> T:
        """Does it; on a full disk once more after the reserve was freed, if it is on the way back."""
        try:
            return act()
        except OutsideWorldError:
            if not (urgent or self._urgent) or not self.ledger.free_reserve():
                raise
        return act()

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
        if all(step.state is not StepState.INTENT for step in change.steps):
            return
        body = t.get("stop", change.plan_id)
        if body is not None and (stop := thing_from(StopRecord, body)).active:
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
        """Takes the flag back, when a plan is resumed."""
        with self.ledger.transaction(actor, "stop cleared", plan_id, {}) as t:
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

    # ---- lease -------------------------------------------------------------------------------------------------

    def lease(self) -> LeaseRow | None:
        """Who holds the site, or held it last."""
        row = self.ledger.row("SELECT epoch, holder, since, beat, clean FROM lease WHERE site = ?", (self.site,))
        if row is None:
            return None
        since = datetime.fromisoformat(row[2])
        return LeaseRow(epoch=row[0], holder=row[1], since=since, beat=row[3], clean=bool(row[4]))

    def take_lease(self, holder: str) -> int:
        """Raises the epoch in the holder's name; whoever held it before is fenced from now on."""
        return self._fitting(lambda: self._take_lease(holder))

    def _take_lease(self, holder: str) -> int:
        now = self._clock.now().isoformat()
        with self.ledger.transaction(holder, "lease taken", self.site, {"holder": holder}) as t:
            row = t.execute("SELECT epoch FROM lease WHERE site = ?", (self.site,)).fetchone()
            epoch = 1 if row is None else row[0] + 1
            t.execute("INSERT OR REPLACE INTO lease VALUES(?, ?, ?, ?, 0, 0)", (self.site, epoch, holder, now))
        return epoch

    def beat(self, epoch: int, *, clean: bool = False) -> None:
        """Shows that the holder lives, or that it leaves in good order.

        Raises:
            FencedError: another process took over.
        """
        self._fitting(lambda: self._beat(epoch, clean=clean))

    def _beat(self, epoch: int, *, clean: bool) -> None:
        with self.ledger.unaudited() as t:
            self.require_epoch(t, epoch)
            t.execute("UPDATE lease SET beat = beat + 1, clean = ? WHERE site = ?", (int(clean), self.site))

    def require_epoch(self, t: Transaction, epoch: int | None) -> None:
        """Nothing when the epoch is the present one or none is claimed."""
        if epoch is None:
            return
        row = t.execute("SELECT epoch, holder, since FROM lease WHERE site = ?", (self.site,)).fetchone()
        if row is None or row[0] != epoch:
            who = "nobody" if row is None else f"{row[1]} since {row[2]} (epoch {row[0]})"
            message = f"site {self.site}: the lease of epoch {epoch} is over; it is held by {who}"
            raise FencedError(message)

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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file for a short section; the kernel frees it when the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class StoreFolder:
    """The folder of a store: database, instance id, checkpoints and their key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "plans.sqlite"
        self.instance_file = folder / "instance.json"
        self.checkpoint_file = folder / "checkpoints.jsonl"
        self.key_file = folder / "keys" / "audit.pem"
        self.lock_file = folder / "site.lock"

    def open(self, site: str, clock: Clock) -> PlanStore:
        """The store of a site, made on first use.

        Raises:
            RefusedError: the database is not the one that this folder had: empty, swapped, or of another site.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key_file.parent.mkdir(mode=0o700, exist_ok=True)
        with locked(self.folder / "open.lock"):
            ledger = self._ledger(site, clock)
            key = load_or_make_key(self.key_file)
        ledger.keep_reserve()
        return PlanStore(ledger, clock, site, checkpoints=CheckpointFile(self.checkpoint_file, key, self.instance))

    def _ledger(self, site: str, clock: Clock) -> Ledger:
        if not self.instance_file.exists():
            if self.database.exists():
                message = f"{self.instance_file} is missing beside {self.database.name}; restore it, or move both away"
                raise RefusedError(message)
            self._write_instance(secrets.token_hex(16), site, ready=False)
        ledger = Ledger(self.database, clock)
        if not self._facts()["ready"]:
            ledger.write_meta("instance", self.instance)
            ledger.write_meta("site", site)
            self._write_instance(self.instance, site, ready=True)
        self._require_same(ledger, site)
        return ledger

    def _write_instance(self, instance: str, site: str, *, ready: bool) -> None:
        text = json.dumps({"instance": instance, "site": site, "ready": ready})
        fresh = self.instance_file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.instance_file)

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads(self.instance_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            message = f"{self.instance_file}: cannot be read: {error}; restore it"
            raise RefusedError(message) from error
        return facts

    @property
    def instance(self) -> str:
        """The id that the database must carry."""
        return str(self._facts()["instance"])

    def _require_same(self, ledger: Ledger, site: str) -> None:
        if ledger.meta("instance") != self.instance:
            message = (
                f"{self.database}: not the database that belongs here (instance {ledger.meta('instance')}, expected "
                f"{self.instance}); it was emptied or swapped. Restore the right file; nothing is pushed until then"
            )
            raise RefusedError(message)
        if ledger.meta("site") != site:
            message = f"{self.database} belongs to site {ledger.meta('site')!r}, not {site!r}"
            raise RefusedError(message)

    def verify(
        self, store: PlanStore, *, checkpoints: Path | None = None, public_key: Path | None = None
    ) -> list[Finding]:
        """The full proof: chain, records, and the checkpoints (or copies of them kept elsewhere)."""
        findings = store.verify()
        try:
            digests = {row.seq: row.digest for row in store.audit()}
        except (OutsideWorldError, TypeError, sqlite3.Error):
            return findings or [Finding(row="audit", sentence="the log cannot be read")]
        key = load_public_key(public_key or self.key_file.with_suffix(".pub"))
        points = read_checkpoints(checkpoints or self.checkpoint_file)
        if digests and not points and checkpoints is None:
            findings.append(Finding(row="checkpoints", sentence="the file of checkpoints is empty or gone"))
        return findings + check_checkpoints(points, digests, self.instance, key)
