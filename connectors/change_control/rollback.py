"""The way back: release what is ours, last first, and never claim it while one target is unknown.

Neither policy nor expiry nor budget can block it; it needs its recipe and the lease. A point with slots is given back
to its own program; one without gets its prior value, and only while it still shows ours.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from connectors.change_control.session import Session
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, PlanState, Reading, StepState
from twin.plans.guardrails import is_undone, same
from twin.plans.records import PlanRecord, StepRecord


class Rollback:
    """Undoes every touched step of one plan."""

    def __init__(self, session: Session) -> None:
        self._s = session
        self._actions = {step.action.id: step.action for step in session.plan.steps()}

    def run(self) -> PlanRecord:
        """The record after the way back: rolled back, or stuck with the list of what is not known to be undone."""
        self.give_back_at_once()
        for record in reversed(self._touched()):
            self._undo(record)
        self._let_stray_writes_land()
        return self._finish()

    def give_back_at_once(self) -> None:
        """Relinquishes our slots while a write of a dead process may still be on its way, and lets it land after that.

        An empty slot takes nothing from anybody, so people need not wait for it. What is claimed waits: every target is
        looked at when nothing can come any more, and what came late is released then.
        """
        if self._s.lease.may_stray:
            self.release_slots()
            self._s.lease.let_strays_land()

    def release_slots(self) -> None:
        """One release for every slot that may be ours, last first; nothing is claimed by it.

        It ends at the first target without a slot: what came before that is undone after it, and it has to wait.
        """
        for record in reversed(self._touched()):
            if not self._s.is_slotted(action := self._actions[record.action_id]):
                return
            self._release(action, record)

    def _touched(self) -> list[StepRecord]:
        return [step for step in self._s.steps().values() if step.touched and step.action_id in self._actions]

    def _let_stray_writes_land(self) -> None:
        """Waits out writes without a reply, then looks again at every target that any process ever wrote to."""
        written = [step for step in self._s.steps().values() if step.prior_known and step.action_id in self._actions]
        if any(step.unanswered or step.state is StepState.INTENT for step in written):
            self._s.pass_time(self._s.settings.write_timeout_s)
        for record in reversed(written):
            self._look_once_more(record)

    def release_only(self, reason: str) -> list[str]:
        """Releases what a final plan still holds; points that are not known to be free."""
        self.give_back_at_once()
        for record in reversed(self._touched()):
            self._undo(record)
        left = [self._name(step) for step in self._s.steps().values() if step.touched]
        self._s.commit("released", evidence={"reason": reason, "left": left})
        return left

    def _name(self, record: StepRecord) -> str:
        action = self._actions.get(record.action_id)
        return record.action_id if action is None else action.point

    def strays(self) -> list[StepRecord]:
        """Steps whose slot holds our value although the plan was undone: a write of a process that woke up late."""
        found = []
        for record in self._s.steps().values():
            if record.action_id not in self._actions:
                continue
            action = self._actions[record.action_id]
            if record.prior_known and self._s.is_slotted(action):
                own = self._s.look(action).own_value
                if own is not None and same(own, action.value, action.tolerance):
                    found.append(record)
        return found

    def target(self, record: StepRecord) -> tuple[str, str]:
        """Connector and point of a step."""
        action = self._actions[record.action_id]
        return action.connector, action.point

    def release_strays(self, strays: list[StepRecord]) -> None:
        """Gives such slots back."""
        for record in strays:
            self._undo(record)
        self._s.commit("stray writes released", evidence={"steps": [record.action_id for record in strays]})

    def _finish(self) -> PlanRecord:
        left = [step for step in self._s.steps().values() if step.touched]
        states = {step.action_id: step.state.value for step in self._s.steps().values()}
        if not left:
            reason = "every touched target was released or restored"
            return self._s.commit("rolled back", state=PlanState.ROLLED_BACK, reason=reason, evidence={"steps": states})
        points = ", ".join(self._name(step) for step in left)
        reason = f"not known to be undone: {points}. Look at them, then retry the rollback or close the plan by hand"
        deadline = self._s.clock.now() + timedelta(seconds=self._s.plan.deadlines.stuck_s)
        return self._s.commit(
            "stuck", state=PlanState.STUCK, reason=reason, deadline=deadline, evidence={"steps": states}
        )

    def _undone(self, action: Action, record: StepRecord) -> bool | None:
        return self._is_undone(action, record, self._s.look(action))

    def _is_undone(self, action: Action, record: StepRecord, reading: Reading) -> bool | None:
        return is_undone(action, reading, record.prior, slotted=self._s.is_slotted(action))

    def _undo(self, record: StepRecord) -> None:
        action = self._actions[record.action_id]
        for attempt in range(self._s.settings.tries):
            if attempt:
                self._s.pass_time(self._s.settings.backoff_s * 2.0**attempt)
            undone = self._undone(action, record)
            if undone:
                self._mark_undone(action, record)
                return
            if undone is None and not self._s.is_slotted(action):
                continue
            self._release(action, record)
            if self._undone(action, record):
                self._mark_undone(action, record)
                return
        self._mark(record, StepState.REVERT_FAILED, "not known to be undone after all tries")

    def _release(self, action: Action, record: StepRecord) -> None:
        if self._s.is_open(action.connector):
            return
        intent = replace(record, reverts=record.reverts + 1)
        self._mark(intent, StepState.REVERT_INTENT, "")
        self._s.lease.require_time_for_a_write()
        try:
            self._s.connector(action.connector).release(self._s.receipt(action, record))
        except (OutsideWorldError, RefusedError) as error:
            self._s.failed(action.connector)
            present = self._s.step(record.action_id)
            unsure = replace(present, unanswered=present.unanswered + 1, note=str(error))
            self._s.commit("revert: no good reply", steps=(unsure,))

    def _look_once_more(self, before: StepRecord) -> None:
        """A write that was still on its way may have landed after the release; a look that fails says nothing."""
        action = self._actions[before.action_id]
        undone = self._is_undone(action, before, self._s.look(action))
        if undone is False or (undone is None and (before.unanswered or before.state is StepState.INTENT)):
            self._undo(self._s.step(before.action_id))

    def _mark_undone(self, action: Action, record: StepRecord) -> None:
        state = StepState.RELEASED if self._s.is_slotted(action) else StepState.REVERTED
        self._mark(record, state, "nothing of ours is in force")

    def _mark(self, record: StepRecord, state: StepState, note: str) -> None:
        present = self._s.step(record.action_id)
        reverts = max(present.reverts, record.reverts)
        self._s.commit(f"revert: {state}", steps=(replace(present, state=state, reverts=reverts, note=note),))
