"""Who looks over the shoulder of every process: what must never be sent, journaled or claimed.

The witness reads journal and world past all seams and faults. It trusts no judgement of the product: wave size, settle
time, guard limit and the rest are counted anew here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.plan_store import PlanStore
from connectors.simulated.trial_site import ROOMS
from twin.errors import OutsideWorldError
from twin.plan import Action, ActionKind, Capability, Check, Quality, Reading, Receipt, StepState
from twin.plan import PlanState as S
from twin.plans.guardrails import approvers_needed, is_undone
from twin.plans.records import StepRecord

if TYPE_CHECKING:
    from connectors.simulated import FaultyConnector
    from push_harness.world import World

SETTLE_S = 300.0
POLL_S = 100.0
WRITE_TIMEOUT_S = 10.0
MOST_TAKEOVERS = 7
TRIES = 3
_DONE = frozenset({StepState.VERIFIED, StepState.ALREADY_DONE, StepState.OVERRIDDEN})
_HASTE_S = 1e-6


@dataclass
class Since:
    """Writes that were sent although something forbids them: one may have been on its way, a second is a fault."""

    sends: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, forbidden: bool) -> bool:
        """Whether this is the second send in a row under the same ban."""
        self.sends[what] = self.sends.get(what, 0) + 1 if forbidden else 0
        return self.sends[what] > 1


class Witness:
    """Notes each violation once it can be seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[str] = []
        self.looked_s: dict[str, float] = {}
        self.shown: dict[str, Reading] = {}
        self.good_look: dict[str, tuple[int, Reading]] = {}
        self.last_send: dict[str, int] = {}
        self.given_back: set[str] = set()
        """Actions whose release was sent after their last forward write."""
        self.last_apply_s = 0.0
        self.unanswered_s: dict[str, float] = {}
        self.stray: dict[str, int] = {}
        self.since = Since()
        self.wave_rooms: set[str] = set()
        self.clean_before = True
        self.quiet_until_s = 0.0
        self.quiet_for = ""
        """The process whose taking set it; its transaction may still fail, and then it binds nobody else."""
        self.stopped_s: float | None = None
        self.stop_asked = False
        self.asked_s = 0.0
        self.guard_gap_s = 0.0
        self.jumped = False
        self.sends = 0
        """Forward writes since the running process took its baseline of the clocks."""
        self.ticks = 0

    def violate(self, sentence: str) -> None:
        """Notes what must never happen."""
        self.violations.append(sentence)

    def tick(self) -> int:
        """A counter that orders what happens."""
        self.ticks += 1
        return self.ticks

    def now_s(self) -> float:
        """Virtual seconds."""
        return self.world.clock.monotonic()

    # ---- what is read -------------------------------------------------------------------------------------------

    def look(self, readings: Sequence[Reading]) -> None:
        """A process was shown this."""
        bound = self.world.process == self.quiet_for and self.owns_lease()
        if bound and self.now_s() < self.quiet_until_s - _HASTE_S:
            self.violate("looked before a stray write of the holder before had landed")
        for reading in readings:
            if self._is_guard(reading.point):
                self.guard_gap_s = max(self.guard_gap_s, self.now_s() - max(self.asked_s, self.last_apply_s))
                self.asked_s = self.now_s()
            self.shown[reading.point] = reading
            self.looked_s[reading.point] = self.now_s()
            if reading.quality is Quality.GOOD:
                self.good_look[reading.point] = (self.tick(), reading)

    def slept(self) -> None:
        """The running process was paused by fate; nobody could look meanwhile."""
        self.asked_s, self.guard_gap_s = self.now_s(), 0.0

    # ---- what is sent -------------------------------------------------------------------------------------------

    def owns_lease(self) -> bool:
        """Whether the running process holds the site."""
        lease = self.world.peek().lease()
        return lease is not None and lease.holder == self.world.process

    def count_stray(self, point: str) -> None:
        """A process that lost the site may have one write under way, never two."""
        process = self.world.process
        self.stray[process] = self.stray.get(process, 0) + 1
        if self.stray[process] > 1:
            self.violate(f"a fenced process wrote twice ({point})")

    def apply(self, action: Action) -> None:
        """Asks of each forward write whether it may be sent."""
        plan = self.world.plan
        if plan is None:
            return
        self.last_apply_s, self.guard_gap_s = self.now_s(), 0.0
        self.last_send[action.point] = self.tick()
        self.given_back.discard(action.id)
        if action not in [step.action for step in plan.steps()]:
            self.violate(f"sent what nobody approved: {action.point} = {action.value}")
            return
        if not self.owns_lease():
            self.count_stray(action.point)
            return
        store = self.world.peek()
        record = store.record(plan.id)
        step = next(s for s in store.steps(plan.id) if s.action_id == action.id)
        if record.state is not S.PUSHING:
            self.violate(f"forward write in state {record.state}")
        if step.state is not StepState.INTENT or not step.prior_known:
            self.violate(f"forward write without a durable intent ({step.state})")
        if not record.consumed:
            self.violate("forward write before the nonce was consumed")
        if step.writes > 2 * TRIES * max(1, record.attempts + 1):
            self.violate(f"{action.point} was written {step.writes} times: retries have no bound")
        self._permission(store, action)
        if step.writes == 1:
            self._blast_radius(action)

    def _permission(self, store: PlanStore, action: Action) -> None:
        plan = self.world.plan
        assert plan is not None
        needed = approvers_needed(plan.risk_class)
        wave = next(w for w in plan.waves if any(s.action is action or s.action == action for s in w.steps))
        begun = any(step.writes > 1 or step.state in _DONE for step in store.steps(plan.id) if step.wave == wave.index)
        for what, forbidden in (
            ("after a stop", store.stop(plan.id) is not None),
            ("without enough people who approve", len(self.world.approvers) < needed),
            ("after the calendar jumped", self.jumped),
            ("of a wave that began after the plan expired", self.world.clock.now() > plan.expires_at and not begun),
        ):
            if self.since.count(what, forbidden):
                self.violate(f"forward write {what}")
        self.sends += 1

    def _blast_radius(self, action: Action) -> None:
        if action.kind is ActionKind.SET_POINT:
            self.wave_rooms.add(action.point)
        if len(self.wave_rooms) > 0.2 * len(ROOMS):
            self.violate(f"{len(self.wave_rooms)} of {len(ROOMS)} rooms were changed before anything was judged")

    def release(self, receipt: Receipt) -> None:
        """Asks of each backward write whether it may be sent."""
        self.last_send[receipt.point] = self.tick()
        if not self.owns_lease():
            self.count_stray(receipt.point)
            return
        plan = self.world.plan
        assert plan is not None
        steps = self.world.peek().steps(plan.id)
        mine = next((s for s in steps if s.action_id == receipt.action_id), None)
        later = [s for s in steps if mine and s.position > mine.position and s.touched]
        sent = {s.action_id for s in later if s.state is StepState.REVERT_INTENT} & self.given_back
        if any(s.state is not StepState.REVERT_FAILED and s.action_id not in sent for s in later):
            self.violate(f"{receipt.point} was undone before what came after it")
        self.given_back.add(receipt.action_id)

    def after_write(self) -> None:
        """People win: what an operator holds never changes by us."""
        for point, value in self.world.held.items():
            shown = self.world.device_of(point).read([point])[0].value
            if shown != value:
                self.violate(f"{point}: the operator's {value} became {shown}")

    # ---- what is journaled --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A transaction is about to begin: how the last holder left is seen before it is overwritten."""
        lease = self.world.peek().lease()
        self.clean_before = lease is None or lease.clean

    def event(self, event: str, payload: str) -> None:
        """A row was written to the log."""
        if event == "lease taken" and not self.clean_before:
            self.quiet_until_s, self.quiet_for = self.now_s() + WRITE_TIMEOUT_S, self.world.process
        if event == "lease taken":
            self.stopped_s = None
        if self.world.plan is None:
            return
        if event in {"push started", "resumed", "taken up"}:
            self.jumped, self.sends = False, 0
            self.wave_rooms.clear()
            self.asked_s, self.guard_gap_s = self.now_s(), 0.0
        if event == "stop cleared" and self.stop_asked:
            self.violate("a stop was taken back")
        if event in _AT_EVENT:
            _AT_EVENT[event](self, json.loads(payload))

    def verified(self, payload: dict[str, object]) -> None:
        """What counts as verified was shown."""
        steps = payload["steps"]
        assert isinstance(steps, dict)
        for step in self._steps():
            if step.action_id in steps:
                self._verified(step, "verified", settled=False)

    def wave_passed(self, payload: dict[str, object]) -> None:
        """Its evidence must be there."""
        self.wave_rooms.clear()
        self._guard("a wave passed", self.last_apply_s + SETTLE_S if self.last_apply_s else -1e9)
        if self.last_apply_s and self.now_s() - self.last_apply_s < SETTLE_S - _HASTE_S:
            self.violate("a wave passed before it had settled")
        if self.guard_gap_s > 2 * POLL_S:
            self.violate(f"a guard was not asked for {self.guard_gap_s:.0f} s while a wave settled")
        evidence = payload["evidence"]
        assert isinstance(evidence, dict)
        for step in self._steps():
            if step.state is StepState.VERIFIED and step.wave == evidence.get("wave"):
                self._verified(step, "wave passed", settled=True)

    def pushed(self, _: dict[str, object]) -> None:
        """All steps are done, and shown to be."""
        for step in self._steps():
            if step.state is StepState.VERIFIED:
                self._verified(step, "pushed", settled=False)
            if step.state not in _DONE:
                self.violate(f"pushed with a step {step.state}")

    def rolling_back(self, _: dict[str, object]) -> None:
        """A stop is obeyed while waiting, too."""
        if self.stopped_s is not None and self.now_s() - self.stopped_s > POLL_S + WRITE_TIMEOUT_S:
            self.violate(f"a stop was obeyed after {self.now_s() - self.stopped_s:.0f} s")
        self.stopped_s = None

    def confirmed(self, _: dict[str, object]) -> None:
        """The guard was asked and holds, and nobody asked to stop."""
        self._guard("confirmed", self.now_s())
        if self.stop_asked:
            self.violate("confirmed although somebody asked to stop it")

    def rolled_back(self, _: dict[str, object]) -> None:
        """Every touched target was seen to be undone after the last write that was sent to it."""
        for step in self._steps():
            action = self.world.action(step)
            if not step.prior_known:
                continue
            tick, reading = self.good_look.get(action.point, (-1, None))
            if reading is None or tick < self.last_send.get(action.point, 0):
                self.violate(f"rolled back, but nobody saw {action.point} after the last write to it")
            elif not is_undone(action, reading, step.prior, slotted=action.kind is ActionKind.SET_POINT):
                self.violate(f"rolled back, but {action.point} last showed {reading.value}")
            elif self.now_s() - self.unanswered_s.get(action.point, -1e9) < WRITE_TIMEOUT_S - _HASTE_S:
                self.violate(f"rolled back while a write to {action.point} may still be on its way")
            elif step.unanswered and self.shown[action.point].quality is not Quality.GOOD:
                self.violate(f"rolled back, but {action.point} could not be read after a write without a reply")

    def taken_up(self, payload: dict[str, object]) -> None:
        """Crashes come to an end."""
        rows = [row for row in self.world.peek().audit() if row.event == "taken up"]
        if len(rows) > MOST_TAKEOVERS + self.world.extra_takeovers:
            self.violate(f"taken up {len(rows)} times: crashes have no end")

    def _steps(self) -> Sequence[StepRecord]:
        return self.world.peek().steps(self.world.plan_id)

    def _is_guard(self, point: str) -> bool:
        plan = self.world.plan
        return plan is not None and any(guard.point == point for guard in plan.guards)

    def _guard(self, what: str, fresh_s: float) -> None:
        plan = self.world.plan
        guard = plan.guards[0] if plan and plan.guards else None
        if guard is None:
            return
        shown = self.shown.get(guard.point)
        fresh = self.looked_s.get(guard.point, -1e9) >= fresh_s - _HASTE_S
        if guard.connector not in self.world.senders:
            self.violate(f"{what} although its guard cannot be asked")
        elif shown is None or not isinstance(shown.value, float) or shown.quality is not Quality.GOOD:
            self.violate(f"{what} although its guard is silent")
        elif shown.value > 28.0 or not fresh:
            self.violate(f"{what} although its guard is breached or was not asked anew")

    def _verified(self, step: StepRecord, event: str, *, settled: bool) -> None:
        action = self.world.action(step)
        shown = self.shown.get(action.point)
        if shown is None or shown.value != action.value:
            self.violate(f"{event}: {action.point} counts as verified, but what was read is {shown and shown.value}")
        settled_s = self.last_apply_s + SETTLE_S - _HASTE_S
        if settled and self.last_apply_s and self.looked_s.get(action.point, -1e9) < settled_s:
            self.violate(f"{action.point} was not looked at after settling")


_AT_EVENT = {
    "verified": Witness.verified,
    "wave passed": Witness.wave_passed,
    "pushed": Witness.pushed,
    "rolling_back": Witness.rolling_back,
    "rolled back": Witness.rolled_back,
    "confirmed": Witness.confirmed,
    "taken up": Witness.taken_up,
}


class Sender:
    """Where a process talks to a device: the witness looks over its shoulder."""

    def __init__(self, inner: FaultyConnector, world: World) -> None:
        self.name = inner.name
        self.capabilities: frozenset[Capability] = inner.capabilities
        self._inner, self._world = inner, world

    def read(self, points: Sequence[str]) -> Sequence[Reading]:
        """Reads; the witness notes what was shown."""
        self._world.fate.at("read")
        now = self._world.clock.now()
        try:
            readings = self._inner.read(points)
        except OutsideWorldError:
            self._world.witness.look([Reading(point=p, value=None, at=now, quality=Quality.BAD) for p in points])
            raise
        self._world.witness.look(readings)
        return readings

    def check(self, action: Action) -> Check:
        """Checks."""
        self._world.fate.at("check")
        return self._inner.check(action)

    def apply(self, action: Action) -> Receipt:
        """Writes forward; the witness asks whether it may."""
        self._world.fate.at("before apply")
        self._world.witness.apply(action)
        self._world.die_of_poison()
        try:
            return self._inner.apply(action)
        except OutsideWorldError:
            self._world.witness.unanswered_s[action.point] = self._world.clock.monotonic()
            raise
        finally:
            self._world.witness.after_write()
            self._world.fate.at("after apply")

    def release(self, receipt: Receipt) -> None:
        """Writes backward."""
        self._world.fate.at("before release")
        self._world.witness.release(receipt)
        self._world.die_of_poison()
        try:
            self._inner.release(receipt)
        finally:
            self._world.witness.after_write()
            self._world.fate.at("after release")
