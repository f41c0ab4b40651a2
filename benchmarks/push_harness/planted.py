"""Bugs that are planted one at a time, so that the harness itself is tested: each must make some seed fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import connectors.change_control.lease as lease_module
import connectors.change_control.rollback as rollback_module
import connectors.change_control.session as session_module
import connectors.governance.approvals as approvals_module
import connectors.plan_store.store as store_module
import twin.plans.waves as waves_module
from connectors.audit.ledger import Ledger, Transaction
from connectors.change_control.control import ChangeControl
from connectors.change_control.pusher import Pusher
from connectors.plan_store import PlanStore
from connectors.simulated import SimulatedHosts
from connectors.simulated.trial_site import ROOMS, room_step
from push_harness.planted_more import MORE, Patches
from twin.errors import OutsideWorldError
from twin.plan import Action, PlanState, Quality, Reading, StepState
from twin.plans.document import Plan, Step, Wave
from twin.plans.judge import Judgement, Verdict
from twin.plans.records import PlanRecord, StepRecord


def _trust_the_reply() -> Patches:
    def read_back(self: Pusher, action: Action) -> Reading:
        return Reading(point=action.point, value=action.value, at=self._s.clock.now(), own_value=action.value)

    return ((Pusher, "_read_back", read_back),)


def _prior_after_the_write() -> Patches:
    real = Pusher._keep_receipt

    def keep(self: Pusher, intent: StepRecord, receipt: Any) -> None:
        action = next(s.action for s in self._plan.steps() if s.action.id == intent.action_id)
        real(self, replace(intent, prior=self._s.look(action).value), receipt)

    return ((store_module, "next_step", lambda _before, change: change), (Pusher, "_keep_receipt", keep))


def _no_epoch_check() -> Patches:
    return (
        (PlanStore, "require_epoch", lambda *_: None),
        (lease_module.Lease, "require_time_for_a_write", lambda _: None),
    )


def _relative_retry() -> Patches:
    real = Pusher._write

    def write(self: Pusher, action: Action, record: StepRecord, reading: Reading) -> bool:
        if record.writes and isinstance(action.value, float) and isinstance(action.expected, float):
            action = replace(action, value=action.value + (action.value - action.expected))
        return real(self, action, record, reading)

    return ((Pusher, "_write", write),)


def _missing_metric_is_zero() -> Patches:
    real = session_module.judge_guard

    def judge(guard: Any, reading: Reading | None, now: datetime) -> Judgement:
        if reading is None or reading.value is None:
            reading = Reading(point=guard.point, value=0.0, at=now)
        return real(guard, reading, now)

    return ((session_module, "judge_guard", judge),)


def _swallowed_guard() -> Patches:
    real = Pusher._guards

    def guards(self: Pusher) -> list[Judgement]:
        try:
            return real(self)
        except Exception:
            return [Judgement(verdict=Verdict.PASS, name="guards", reason="")]

    return ((Pusher, "_guards", guards),)


def _approval_by_id() -> Patches:
    def plan(self: PlanStore, plan_id: str) -> Plan:
        return Plan.from_json(json.loads(self.ledger.text("document", plan_id) or "{}"))

    return ((PlanStore, "plan", plan), (ChangeControl, "_require_sound_log", lambda _: None))


def _count_approvals() -> Patches:
    def counted(view: Any, *_: Any, **__: Any) -> tuple[list[str], list[str]]:
        return [approval.approver for approval in view.approvals], []

    import connectors.governance.gate as gate_module

    def may(*_: Any) -> None:
        return None

    return (
        (approvals_module, "counted", counted),
        (gate_module, "counted", counted),
        (approvals_module.Approvals, "_require_may_approve", may),
    )


def _prior_over_operator() -> Patches:
    def release(self: SimulatedHosts, receipt: Any) -> None:
        self._state[receipt.point] = receipt.prior

    def undone(action: Action, reading: Reading, prior: Any, *, slotted: bool) -> bool | None:
        if slotted:
            return reading.own_value is None if reading.quality is Quality.GOOD else None
        return reading.value == prior

    return ((SimulatedHosts, "release", release), (rollback_module, "is_undone", undone))


def _no_compare_and_set() -> Patches:
    def following(before: PlanRecord, change: Any, now: datetime) -> PlanRecord:
        after = replace(before, version=before.version + 1)
        if change.waves_passed is not None:
            after = replace(after, waves_passed=change.waves_passed)
        if change.state is not None:
            after = replace(after, state=change.state, since=now, reason=change.reason, deadline=change.deadline)
        return replace(after, consumed=after.consumed or change.actor)

    def push(self: ChangeControl, plan_id: str, actor: str) -> PlanRecord:
        seen = self._store.record(plan_id)
        if seen.state is not PlanState.APPROVED:
            return seen
        with self._leased() as lease:
            session = self._session(lease, plan_id, actor)
            self._start(session)
            return Pusher(session).run()

    return ((store_module, "next_record", following), (ChangeControl, "push", push))


def _audit_in_a_second_transaction() -> Patches:
    @contextmanager
    def transaction(
        self: Ledger, actor: str, event: str, subject: str, payload: Mapping[str, object], **_: Any
    ) -> Iterator[Transaction]:
        with self._begin() as t:
            yield t
        with self._begin():
            self._append(actor, event, subject, {**payload, "rows": t.written})

    return ((Ledger, "transaction", transaction),)


def _empty_means_all() -> Patches:
    real = waves_module.build_waves

    def build(steps: Sequence[Step], **named: Any) -> tuple[Wave, ...]:
        return real(steps or [room_step(room) for room in ROOMS], **named)

    return ((waves_module, "build_waves", build),)


def _own_clock() -> Patches:
    real = store_module.next_record

    def following(before: PlanRecord, change: Any, _: datetime) -> PlanRecord:
        return real(before, change, datetime.now(UTC))

    return ((store_module, "next_record", following),)


def _wall_clock_settle() -> Patches:
    def settle(self: Pusher, settle_s: float) -> None:
        until = self._s.clock.now().timestamp() + settle_s
        while self._s.clock.now().timestamp() < until:
            if (turn := self._stop_turn()) is not None:
                raise turn
            self._s.clock.wait(self._s.settings.poll_s)
            self._s.lease.keep()

    return ((Pusher, "_settle", settle), (Pusher, "_drift", lambda _: 0.0))


def _verified_at_once() -> Patches:
    return ((Pusher, "_reread", lambda *_: False),)


def _unreadable_is_undone() -> Patches:
    real = rollback_module.is_undone

    def undone(*args: Any, **named: Any) -> bool | None:
        found = real(*args, **named)
        return True if found is None else found

    return ((rollback_module, "is_undone", undone),)


def _blind_retry() -> Patches:
    def settled(self: Pusher, action: Action, record: StepRecord, reading: Reading) -> bool:
        if reading.held_by == "operator":
            self._mark(record, StepState.OVERRIDDEN, "held")
            return True
        if reading.value == action.value and record.prior_known:
            self._mark(record, StepState.VERIFIED, "shows it")
            return True
        return False

    return ((Pusher, "_settled_by_look", settled),)


def _stop_is_not_asked() -> Patches:
    return (
        (Pusher, "_stop_turn", lambda _: None),
        (PlanStore, "_require_no_stop", staticmethod(lambda *_: None)),
    )


def _roles_are_not_asked_again() -> Patches:
    from connectors.governance.gate import GovernedGate

    return (
        (GovernedGate, "step_refusals", lambda *_: []),
        (GovernedGate, "plan_refusals", lambda *_: []),
    )


def _journal_after_the_act() -> Patches:
    def write(self: Pusher, action: Action, record: StepRecord, reading: Reading) -> bool:
        try:
            self._s.connector(action.connector).apply(action)
        except OutsideWorldError:
            return False
        done = replace(record, state=StepState.INTENT, prior_known=True, prior=reading.value, writes=record.writes + 1)
        self._s.commit("intent", steps=(done,))
        return True

    return ((Pusher, "_write", write),)


PLANTED: Mapping[str, Callable[[], Patches]] = {
    "trust the reply instead of the read-back": _trust_the_reply,
    "record the prior value after the write": _prior_after_the_write,
    "no epoch check before the write": _no_epoch_check,
    "retry a relative action": _relative_retry,
    "treat a missing metric as 0": _missing_metric_is_zero,
    "swallow the exception of a guard": _swallowed_guard,
    "accept an approval by plan id instead of digest": _approval_by_id,
    "count approvals, not people": _count_approvals,
    "rollback writes the prior value over an operator's": _prior_over_operator,
    "select then update without compare-and-set": _no_compare_and_set,
    "audit row in a second transaction": _audit_in_a_second_transaction,
    "empty target list means all": _empty_means_all,
    "the machine's clock inside domain code": _own_clock,
    "deadline by wall clock": _wall_clock_settle,
    "verify once instead of after the settle time": _verified_at_once,
    "an unreadable target counts as undone": _unreadable_is_undone,
    "retry over whatever the world shows": _blind_retry,
    "the stop flag is not asked before a write": _stop_is_not_asked,
    "roles are not asked again": _roles_are_not_asked_again,
    "journal after the act": _journal_after_the_act,
    **MORE,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The product with one bug in it."""
    with ExitStack() as stack:
        for owner, attribute, bug in PLANTED[name]():
            stack.enter_context(patch.object(owner, attribute, bug))
        yield
