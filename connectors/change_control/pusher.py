"""The way forward: waves of look, intent, act, read back, settle, read again, judge.

The reply of a device is a hint; only what the world shows afterwards counts. Every write is preceded by a durable
intent with the prior value, and every turn of the road is a state with a reason in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from connectors.change_control.rollback import Rollback
from connectors.change_control.session import Leave, Session
from connectors.plan_store import FencedError, StaleVersionError
from twin.errors import OutsideWorldError, RefusedError, StoppedError
from twin.plan import Action, CheckVerdict, PlanState, Reading, Receipt, StepState
from twin.plans.document import Step, Wave
from twin.plans.guardrails import Sight, sight
from twin.plans.judge import Judgement, Verdict, judge_rooms, worst
from twin.plans.records import PlanRecord, StepRecord
from twin.streams import stream
from twin.text.canonical import plain

_DONE = frozenset({StepState.VERIFIED, StepState.ALREADY_DONE, StepState.OVERRIDDEN})
RoomReadings: TypeAlias = dict[str, float]


class Pusher:
    """Pushes one plan under one lease until it is pushed, paused or rolled back."""

    def __init__(self, session: Session) -> None:
        self._s = session
        self._plan = session.plan
        self._wall_minus_monotonic = self._drift()
        self._began_s = session.clock.monotonic()
        self._jitter = stream(session.plan.evidence.seed, "backoff", session.plan_id)

    def run(self) -> PlanRecord:
        """The record after the push, wherever it ended.

        Raises:
            FencedError: another process took the site over; it has the plan now.
            OutsideWorldError: the journal failed; nothing more is written until it is opened anew.
        """
        try:
            for wave in self._open_waves():
                self._push_wave(wave)
            self._hold([step for wave in self._plan.waves for step in wave.steps], self._plan.waves[-1].settle_s)
            return self._pushed()
        except Leave as leave:
            return self._leave(leave)
        except StoppedError as stop:
            return self._leave(self._stop_turn() or Leave(PlanState.ROLLING_BACK, str(stop)))
        except (FencedError, StaleVersionError, OutsideWorldError):
            raise
        except Exception as error:
            return self._leave(Leave(PlanState.ROLLING_BACK, f"the push failed: {type(error).__name__}: {error}"))

    def _open_waves(self) -> list[Wave]:
        passed, steps = self._s.record().waves_passed, self._s.steps()
        return [
            wave
            for wave in self._plan.waves
            if wave.index >= passed or any(steps[step.action.id].state not in _DONE for step in wave.steps)
        ]

    def _pushed(self) -> PlanRecord:
        deadline = self._s.clock.now() + timedelta(seconds=self._plan.deadlines.soak_s)
        reason = "every step is in force or held by someone with a higher right"
        return self._s.commit("pushed", state=PlanState.PUSHED, reason=reason, deadline=deadline)

    def _leave(self, leave: Leave) -> PlanRecord:
        limits = self._plan.deadlines
        back = leave.state is PlanState.ROLLING_BACK
        deadline = self._s.clock.now() + timedelta(seconds=limits.rolling_back_s if back else limits.paused_s)
        record = self._s.commit(leave.state.value, state=leave.state, reason=leave.reason, deadline=deadline)
        return Rollback(self._s).run() if back else record

    # ---- one wave ----------------------------------------------------------------------------------------------

    def _push_wave(self, wave: Wave) -> None:
        refusals = self._s.gate.plan_refusals(self._s.store.view(self._s.plan_id), self._s.clock.now())
        if refusals:
            raise Leave(PlanState.PAUSED, "; ".join(refusals))
        before = self._rooms()
        for step in wave.steps:
            self._push_step(wave, step)
        self._settle(wave.settle_s)
        self._hold(list(wave.steps), wave.settle_s)
        judgements = self._judge(wave, before)
        evidence = {"wave": wave.index, "judgements": plain(judgements)}
        verdict = worst(judgements)
        reasons = "; ".join(f"{j.name}: {j.reason}" for j in judgements if j.verdict is verdict)
        if verdict is Verdict.FAIL:
            self._s.commit("wave failed", evidence=evidence)
            raise Leave(PlanState.ROLLING_BACK, reasons)
        if verdict is Verdict.INCONCLUSIVE:
            self._s.commit("wave inconclusive", evidence=evidence)
            raise Leave(PlanState.PAUSED, reasons)
        self._s.commit(
            "wave passed", evidence=evidence, waves_passed=max(wave.index + 1, self._s.record().waves_passed)
        )

    def _settle(self, settle_s: float) -> None:
        until = self._s.clock.monotonic() + settle_s
        next_guard_s = self._s.clock.monotonic() + self._s.settings.guard_every_s
        while (left := until - self._s.clock.monotonic()) > 0:
            self._require_road()
            if self._s.clock.monotonic() >= next_guard_s:
                next_guard_s += self._s.settings.guard_every_s
                self._require_no_breach()
            self._s.clock.wait(min(left, self._s.settings.poll_s))
            self._s.lease.keep()
        self._require_road()

    def _guards(self) -> list[Judgement]:
        return self._s.judge_guards()

    def _require_no_breach(self) -> None:
        """A breach need not wait for the end of the settle time; silence may."""
        breached = [found for found in self._guards() if found.verdict is Verdict.FAIL]
        if breached:
            self._s.commit("guard breached", evidence={"judgements": plain(breached)})
            raise Leave(PlanState.ROLLING_BACK, "; ".join(f"{found.name}: {found.reason}" for found in breached))

    def _judge(self, wave: Wave, before: RoomReadings) -> list[Judgement]:
        found = self._guards()
        if self._plan.room_test is not None and wave.rooms:
            found.append(judge_rooms(self._plan.room_test, before, self._rooms(), wave.rooms))
        return found

    def _rooms(self) -> RoomReadings:
        test = self._plan.room_test
        if test is None:
            return {}
        readings, doubts = self._s.look_at(test.connector, list(test.points.values())), self._s.doubts()
        return {
            room: reading.value
            for room, reading in zip(test.points, readings, strict=True)
            if isinstance(reading.value, float) and reading.point not in doubts
        }

    # ---- may we go on? -----------------------------------------------------------------------------------------

    def _drift(self) -> float:
        return self._s.clock.now().timestamp() - self._s.clock.monotonic()

    def _stop_turn(self) -> Leave | None:
        stop = self._s.store.stop(self._s.plan_id)
        if stop is None:
            return None
        state = PlanState.PAUSED if stop.hold else PlanState.ROLLING_BACK
        return Leave(state, f"{stop.actor}: {stop.reason}")

    def _require_road(self) -> None:
        if (turn := self._stop_turn()) is not None:
            raise turn
        jump = self._drift() - self._wall_minus_monotonic
        if abs(jump) > self._s.settings.clock_jump_s:
            raise Leave(PlanState.PAUSED, f"the calendar jumped by {jump:+.0f} s; look at the clock, then resume")
        if self._s.clock.monotonic() - self._began_s > self._plan.deadlines.pushing_s:
            raise Leave(PlanState.ROLLING_BACK, f"not done within {self._plan.deadlines.pushing_s:.0f} s")

    def _require_write(self, wave: Wave, step: Step) -> None:
        self._require_road()
        view = self._s.view()
        if view.record.state is not PlanState.PUSHING:
            raise Leave(PlanState.PAUSED, f"the plan is {view.record.state}")
        refusals = list(self._s.gate.step_refusals(view, wave, step, self._s.clock.now()))
        if (finding := self._s.doubts().get(step.action.point)) is not None:
            refusals.append(f"reading {step.action.point} back would prove nothing while it is flagged: {finding}")
        if refusals:
            raise Leave(PlanState.PAUSED, "; ".join(refusals))

    # ---- one step ----------------------------------------------------------------------------------------------

    def _push_step(self, wave: Wave, step: Step) -> None:
        action = step.action
        for attempt in range(self._s.settings.tries):
            record = self._s.step(action.id)
            if record.state in _DONE:
                return
            self._require_write(wave, step)
            reading = self._s.look(action)
            if self._settled_by_look(action, record, reading):
                return
            replied = self._write(action, record, reading)
            if self._settled_by_look(action, self._s.step(action.id), self._read_back(action)):
                return
            self._back_off(attempt)
        state = StepState.MISMATCH if replied else StepState.FAILED
        said = "the device said ok, but its point does not show it" if replied else "the device did not take it"
        self._mark(self._s.step(action.id), state, said)
        raise Leave(PlanState.ROLLING_BACK, f"{action.point}: {said} after {self._s.settings.tries} tries")

    def _settled_by_look(self, action: Action, record: StepRecord, reading: Reading) -> bool:
        """Whether a look ends the step; True: it is done, False: it shows the expected prior, so writing is next."""
        seen = sight(action, reading)
        if seen is Sight.EXPECTED:
            return False
        _OUTCOMES[seen](self, action, record, reading)
        return True

    def _is_wanted(self, _: Action, record: StepRecord, reading: Reading) -> None:
        state = StepState.VERIFIED if record.prior_known else StepState.ALREADY_DONE
        self._mark(record, state, f"shows {reading.value}")

    def _is_overridden(self, _: Action, record: StepRecord, reading: Reading) -> None:
        self._mark(record, StepState.OVERRIDDEN, f"held by {reading.held_by} at {reading.value}")

    def _is_unreadable(self, action: Action, record: StepRecord, _: Reading) -> None:
        if record.prior_known:
            self._mark(record, StepState.UNKNOWN, "cannot be read after a write")
        raise Leave(PlanState.PAUSED, f"{action.point} cannot be read; unknown is not good")

    def _is_changed(self, action: Action, record: StepRecord, reading: Reading) -> None:
        if record.prior_known:
            self._mark(record, StepState.MISMATCH, f"shows {reading.value}, wanted {action.value}")
            raise Leave(PlanState.ROLLING_BACK, f"{action.point} shows {reading.value}, not {action.value}")
        reason = f"{action.point} shows {reading.value}, the plan expected {action.expected}: the plan is stale"
        raise Leave(PlanState.PAUSED, reason)

    def _require_ready(self, action: Action) -> None:
        try:
            check = self._s.connector(action.connector).check(action)
        except OutsideWorldError as error:
            self._s.failed(action.connector)
            raise Leave(PlanState.PAUSED, f"{action.point}: cannot be checked: {error}") from error
        if check.verdict is CheckVerdict.REFUSED:
            raise Leave(PlanState.PAUSED, f"{action.point}: {check.reason}")

    def _write(self, action: Action, record: StepRecord, reading: Reading) -> bool:
        """Intent, then the write; whether the device said ok."""
        self._require_ready(action)
        intent = replace(
            record,
            state=StepState.INTENT,
            prior_known=True,
            prior=reading.value,
            prior_held_by=reading.held_by,
            writes=record.writes + 1,
            note="",
        )
        intent = replace(intent, receipt=self._s.receipt(action, intent))
        self._s.commit("intent", steps=(intent,), touches=(f"{action.connector}/{action.point}",))
        self._s.lease.require_time_for_a_write()
        try:
            receipt = self._s.connector(action.connector).apply(action)
        except OutsideWorldError as error:
            self._s.failed(action.connector)
            unsure = replace(intent, unanswered=intent.unanswered + 1)
            self._mark(unsure, StepState.INTENT, f"no good reply: {error}")
            return False
        except RefusedError as error:
            if sight(action, self._s.look(action)) is not Sight.EXPECTED:
                return False
            self._mark(intent, StepState.FAILED, f"refused: {error}")
            raise Leave(PlanState.ROLLING_BACK, f"{action.point}: the device refused: {error}") from error
        self._keep_receipt(intent, receipt)
        return True

    def _keep_receipt(self, intent: StepRecord, receipt: Receipt) -> None:
        known = replace(receipt, prior=intent.prior, prior_held_by=intent.prior_held_by)
        stored = self._s.step(intent.action_id)
        known = replace(known, prior=stored.prior, prior_held_by=stored.prior_held_by)
        self._mark(replace(intent, receipt=known), StepState.INTENT, "the device said ok")

    def _read_back(self, action: Action) -> Reading:
        reading = self._s.look(action)
        for attempt in range(self._s.settings.tries - 1):
            if sight(action, reading) is not Sight.UNREADABLE:
                break
            self._back_off(attempt)
            reading = self._s.look(action)
        return reading

    def write_lost(self, action: Action) -> None:
        """Writes what a device has lost since; who calls it holds the site and has put it on the record.

        Raises:
            OutsideWorldError: no good reply.
            RefusedError: the device refuses, or the lease is too short for a write.
        """
        self._s.lease.require_time_for_a_write()
        self._s.connector(action.connector).apply(action)

    def _back_off(self, attempt: int) -> None:
        """Waits before the next try; a stop ends the wait, and the way back settles what was begun."""
        self._wait(self._s.settings.backoff_s * 2.0**attempt * (1.0 + float(self._jitter.random())))

    def _wait(self, seconds: float) -> None:
        until = self._s.clock.monotonic() + seconds
        while (left := until - self._s.clock.monotonic()) > 0:
            self._require_road()
            self._s.clock.wait(min(left, self._s.settings.poll_s))
            self._s.lease.keep()

    def _mark(self, record: StepRecord, state: StepState, note: str) -> None:
        self._s.commit(state.value, steps=(replace(record, state=state, note=note),))

    # ---- look again --------------------------------------------------------------------------------------------

    def _hold(self, steps: list[Step], settle_s: float) -> None:
        """Looks at targets until a look finds nothing to apply once more; each re-apply settles anew."""
        while self._reread(steps):
            self._settle(settle_s)

    def _reread(self, steps: list[Step]) -> bool:
        """Looks at what was verified a moment ago and may have been changed since; whether anything was re-applied."""
        applied = False
        for step in steps:
            record = self._s.step(step.action.id)
            if record.state is StepState.VERIFIED:
                applied = self._look_again(step.action, record) or applied
        return applied

    def _look_again(self, action: Action, record: StepRecord) -> bool:
        reading = self._read_back(action)
        seen = sight(action, reading)
        if seen is Sight.WANTED:
            return False
        if seen is Sight.UNREADABLE:
            self._is_unreadable(action, record, reading)
        lost = seen is not Sight.OVERRIDDEN and self._s.is_slotted(action) and reading.own_value is None
        if lost and record.writes < 2:
            self._once_more(action, record)
            return True
        self._mark(record, StepState.OVERRIDDEN, f"changed to {reading.value} by {reading.held_by or 'someone else'}")
        return False

    def _once_more(self, action: Action, record: StepRecord) -> None:
        """One re-apply of a value that the device dropped, then hands off."""
        step = next(s for s in self._plan.steps() if s.action.id == action.id)
        wave = next(w for w in self._plan.waves if step in w.steps)
        self._require_write(wave, step)
        self._mark(record, StepState.PENDING, "the device dropped the value; applied once more")
        self._push_step(wave, step)


_OUTCOMES: dict[Sight, Callable[[Pusher, Action, StepRecord, Reading], None]] = {
    Sight.WANTED: Pusher._is_wanted,
    Sight.OVERRIDDEN: Pusher._is_overridden,
    Sight.UNREADABLE: Pusher._is_unreadable,
    Sight.CHANGED: Pusher._is_changed,
}
