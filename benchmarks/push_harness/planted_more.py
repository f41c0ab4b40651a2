"""Planted bugs of the engine's own machinery: lease, stop, waves, deadlines, takeovers, the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import connectors.change_control.caretaker as caretaker_module
import connectors.plan_store.store as store_module
import twin.plans.guardrails as guardrails_module
import twin.plans.waves as waves_module
from connectors.change_control.caretaker import Caretaker
from connectors.change_control.control import ChangeControl
from connectors.change_control.desk import Desk
from connectors.change_control.lease import Lease
from connectors.change_control.pusher import Pusher
from connectors.change_control.rollback import Rollback
from connectors.change_control.session import Session
from connectors.plan_store import PlanStore
from twin.plan import Action, PlanState, Reading, StepState
from twin.plans.document import Step
from twin.plans.judge import Verdict
from twin.plans.records import Change, PlanRecord, StepRecord, StopRecord

Patches = tuple[tuple[Any, str, Any], ...]


def _no_wait_for_stray_writes() -> Patches:
    return ((Lease, "_pass", lambda *_: None),)


def _claims_before_strays_have_landed() -> Patches:
    """Slots are given back at once, which is right, and called free in the same breath, which is not."""

    def at_once(self: Rollback) -> None:
        if self._s.lease.may_stray:
            self.release_slots()

    return ((Rollback, "give_back_at_once", at_once),)


def _one_big_wave() -> Patches:
    return (
        (waves_module, "ROOM_SHARE", 1.0),
        (guardrails_module, "wave_faults", lambda *_: []),
    )


def _pause_without_deadline() -> Patches:
    real = Caretaker._enforce

    def enforce(self: Caretaker, record: PlanRecord, now: datetime) -> PlanRecord | None:
        return None if record.state is PlanState.PAUSED else real(self, record, now)

    return ((Caretaker, "_enforce", enforce),)


def _pause_weakens_stop() -> Patches:
    def request(self: PlanStore, plan_id: str, actor: str, reason: str, *, hold: bool) -> StopRecord:
        stop = StopRecord(plan_id=plan_id, actor=actor, reason=reason, hold=hold)
        with self.ledger.transaction(actor, "stop asked", plan_id, {}) as t:
            t.put("stop", plan_id, stop)
        return stop

    return ((PlanStore, "request_stop", request),)


def _deaf_while_settling() -> Patches:
    def settle(self: Pusher, settle_s: float) -> None:
        self._require_road()
        until = self._s.clock.monotonic() + settle_s
        while (left := until - self._s.clock.monotonic()) > 0:
            self._s.clock.wait(min(left, self._s.settings.poll_s))
            self._s.lease.keep()
            self._require_no_breach()
        self._require_road()

    return ((Pusher, "_settle", settle),)


def _blind_while_settling() -> Patches:
    return ((Pusher, "_require_no_breach", lambda _: None),)


def _no_settling_after_a_second_write() -> Patches:
    def hold(self: Pusher, steps: list[Step], _: float) -> None:
        self._reread(steps)

    return ((Pusher, "_hold", hold),)


def _undone_in_the_order_of_the_push() -> Patches:
    def run(self: Rollback) -> PlanRecord:
        for record in [step for step in self._s.steps().values() if step.touched and step.action_id in self._actions]:
            self._undo(record)
        self._let_stray_writes_land()
        return self._finish()

    return ((Rollback, "run", run),)


def _no_bound_of_retries() -> Patches:
    real = Desk._session_of

    def session(self: Desk, *args: Any, **named: Any) -> Session:
        found = real(self, *args, **named)
        found.settings = replace(found.settings, tries=60, backoff_s=0.0)
        return found

    return ((Desk, "_session_of", session),)


def _attempts_are_not_counted() -> Patches:
    real = store_module.next_record

    def following(before: PlanRecord, change: Change, now: datetime) -> PlanRecord:
        return real(before, replace(change, attempts=None), now)

    def take_up(self: Caretaker, session: Session) -> PlanRecord:
        session.commit("taken up")
        if session.record().state is PlanState.PUSHING and not session.salvaged:
            return Pusher(session).run()
        return self._roll_back(session, "again")

    return ((store_module, "next_record", following), (Caretaker, "_take_up", take_up))


def _confirmed_unseen() -> Patches:
    return ((caretaker_module, "worst", lambda _: Verdict.PASS),)


def _held_for_ever() -> Patches:
    return ((Caretaker, "_release_expired", lambda *_: []),)


def _override_is_verified() -> Patches:
    import connectors.change_control.pusher as pusher_module

    def verified(self: Pusher, _: Action, record: StepRecord, reading: Reading) -> None:
        self._mark(record, StepState.VERIFIED, f"shows {reading.value}")

    outcomes = {**pusher_module._OUTCOMES, pusher_module.Sight.OVERRIDDEN: verified}
    return ((pusher_module, "_OUTCOMES", outcomes),)


def _nonce_survives() -> Patches:
    real = store_module.next_record

    def following(before: PlanRecord, change: Change, now: datetime) -> PlanRecord:
        return real(before, replace(change, consume_nonce=None), now)

    return ((store_module, "next_record", following),)


def _late_writes_stay() -> Patches:
    return (
        (Rollback, "_let_stray_writes_land", lambda _: None),
        (Caretaker, "_sweep", lambda *_: []),
    )


def _jumps_are_not_seen() -> Patches:
    return ((Pusher, "_drift", lambda _: 0.0),)


def _expiry_is_not_asked_again() -> Patches:
    from connectors.governance.gate import GovernedGate

    real = GovernedGate.plan_refusals

    def refusals(self: GovernedGate, view: Any, now: datetime) -> Sequence[str]:
        return real(self, view, min(now, view.plan.created_at))

    return ((GovernedGate, "plan_refusals", refusals), (Pusher, "_drift", lambda _: 0.0))


def _stop_loses_against_confirm() -> Patches:
    return (
        (PlanStore, "_require_no_stop", staticmethod(lambda *_: None)),
        (Caretaker, "_is_left_behind", lambda _, r: r.state in {PlanState.PUSHING, PlanState.ROLLING_BACK}),
    )


def _unread_after_an_unanswered_write() -> Patches:
    def look(self: Rollback, before: StepRecord) -> None:
        action = self._actions[before.action_id]
        if self._is_undone(action, before, self._s.look(action)) is False:
            self._undo(self._s.step(before.action_id))

    return ((Rollback, "_look_once_more", look),)


def _stuck_is_called_rolled_back() -> Patches:
    def finish(self: Rollback) -> PlanRecord:
        return self._s.commit("rolled back", state=PlanState.ROLLED_BACK, reason="done what could be done")

    return ((Rollback, "_finish", finish),)


def _no_preflight() -> Patches:
    import connectors.change_control.pusher as pusher_module

    def changed(self: Pusher, action: Action, record: StepRecord, reading: Reading) -> None:
        del record, reading
        self._write(action, self._s.step(action.id), self._s.look(action))

    outcomes = {**pusher_module._OUTCOMES, pusher_module.Sight.CHANGED: changed}
    return ((ChangeControl, "_require_fresh", lambda *_: None), (pusher_module, "_OUTCOMES", outcomes))


MORE: Mapping[str, Callable[[], Patches]] = {
    "no wait for stray writes of the holder before": _no_wait_for_stray_writes,
    "called free before late writes have landed": _claims_before_strays_have_landed,
    "all rooms in one wave": _one_big_wave,
    "a pause has no deadline": _pause_without_deadline,
    "a pause takes a stop back": _pause_weakens_stop,
    "a stop is not heard while a wave settles": _deaf_while_settling,
    "guards are not asked while a wave settles": _blind_while_settling,
    "no settling after a second write": _no_settling_after_a_second_write,
    "undone in the order of the push": _undone_in_the_order_of_the_push,
    "retries without a bound": _no_bound_of_retries,
    "takings-up are not counted": _attempts_are_not_counted,
    "confirmed without asking the guards": _confirmed_unseen,
    "values are held for ever": _held_for_ever,
    "an override counts as verified": _override_is_verified,
    "the nonce is not consumed": _nonce_survives,
    "late writes stay after a rollback": _late_writes_stay,
    "a jump of the calendar is not seen": _jumps_are_not_seen,
    "expiry is not asked at the next wave": _expiry_is_not_asked_again,
    "a stop is lost at the end of the soak time": _stop_loses_against_confirm,
    "a failed look after an unanswered write is good enough": _unread_after_an_unanswered_write,
    "what is not undone is called rolled back": _stuck_is_called_rolled_back,
    "written over whatever the world shows first": _no_preflight,
}
