"""What a pusher and a rollback share: the journal, the world, the clock, the lease, and one careful look at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from connectors.change_control.lease import Lease
from connectors.change_control.settings import PushSettings
from connectors.plan_store import PlanStore
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, Capability, PlanState, Quality, Reading, Receipt
from twin.plans.document import Plan, Step, Undo, Wave
from twin.plans.guardrails import OWN, age_s
from twin.plans.judge import Judgement, Verdict, judge_guard
from twin.plans.records import Change, PlanRecord, PlanView, StepRecord
from twin.ports import Clock, Connector, Settler


class Gate(Protocol):
    """Says why something may not be done now; silence means it may."""

    def plan_refusals(self, view: PlanView, now: datetime) -> Sequence[str]:
        """Before a push and at every wave: approvals with present roles, expiry, policy, hard envelope."""
        ...

    def step_refusals(self, view: PlanView, wave: Wave, step: Step, now: datetime) -> Sequence[str]:
        """Before every forward write: roles, policy, hard envelope, budget."""
        ...


class Leave(Exception):  # noqa: N818 - a turn of the road, not an error
    """The push leaves its road for another state."""

    def __init__(self, state: PlanState, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


@dataclass
class Session:
    """One process at work on one plan under one lease."""

    store: PlanStore
    connectors: Mapping[str, Connector]
    clock: Clock
    settings: PushSettings
    lease: Lease
    gate: Gate
    plan: Plan
    actor: str
    plan_id: str
    salvaged: bool = False
    """The document was changed: only the way back is open."""
    doubts: Callable[[], Mapping[str, str]] = dict
    """Points whose data are flagged now, with the finding: they prove nothing, neither as guard nor as read-back."""
    failures: dict[str, int] = field(default_factory=dict)
    _positions: dict[str, int] = field(init=False, repr=False)
    _undo: dict[str, Undo] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._positions = {step.action_id: step.position for step in self.store.steps(self.plan_id)}
        self._undo = {step.action_id: step.undo for step in self.plan.rollback}

    def record(self) -> PlanRecord:
        """Where the plan stands now."""
        return self.store.record(self.plan_id)

    def steps(self) -> dict[str, StepRecord]:
        """Its steps by action."""
        return {step.action_id: step for step in self.store.steps(self.plan_id)}

    def step(self, action_id: str) -> StepRecord:
        """One step as it stands now."""
        return self.store.step(self.plan_id, self._positions[action_id])

    def view(self) -> PlanView:
        """The plan with its approvals, as the gate asks for it before each write."""
        approvals = tuple(self.store.approvals(self.plan_id))
        return PlanView(plan=self.plan, record=self.record(), steps=(), approvals=approvals)

    def commit(
        self,
        event: str,
        *,
        state: PlanState | None = None,
        reason: str = "",
        deadline: datetime | None = None,
        steps: tuple[StepRecord, ...] = (),
        evidence: Mapping[str, object] | None = None,
        waves_passed: int | None = None,
        attempts: int | None = None,
        touches: tuple[str, ...] = (),
    ) -> PlanRecord:
        """One transaction under our epoch."""
        return self.store.commit(
            Change(
                plan_id=self.plan_id,
                actor=self.actor,
                event=event,
                version=self.record().version,
                state=state,
                reason=reason,
                deadline=deadline,
                steps=steps,
                evidence=evidence or {},
                epoch=self.lease.epoch,
                waves_passed=waves_passed,
                attempts=attempts,
                touches=touches,
            )
        )

    def connector(self, name: str) -> Connector:
        """The connector of an action.

        Raises:
            RefusedError: the site file has none of this name.
        """
        if name not in self.connectors:
            message = (
                f"connector {name!r} is not configured; configured: {', '.join(sorted(self.connectors)) or 'none'}"
            )
            raise RefusedError(message)
        return self.connectors[name]

    def is_slotted(self, action: Action) -> bool:
        """Whether the point has a slot of ours to relinquish, rather than one value for all."""
        return (
            self._undo[action.id] is Undo.RELEASE
            and Capability.RELEASE in self.connector(action.connector).capabilities
        )

    def look(self, action: Action) -> Reading:
        """What the world shows of an action's point now; unreadable is a reading too.

        Where our own write may have left what cannot be read as one state, it is settled first, on the record.
        """
        reading = self.look_at(action.connector, [action.point])[0]
        if reading.value is None and self.step(action.id).prior_known and self._settled(action):
            return self.look_at(action.connector, [action.point])[0]
        return reading

    def _settled(self, action: Action) -> bool:
        connector = self.connectors.get(action.connector)
        if not isinstance(connector, Settler) or self.is_open(action.connector):
            return False
        self.lease.require_time_for_a_write()
        try:
            done = connector.settle(action)
        except OutsideWorldError:
            self.failed(action.connector)
            return False
        if done:
            self.commit("settled", reason=f"{action.point}: {done}")
        return bool(done)

    def look_at(self, connector: str, points: Sequence[str]) -> Sequence[Reading]:
        """Readings of several points of one connector; a device whose circuit is open is not asked."""
        now = self.clock.now()
        nothing = [Reading(point=point, value=None, at=now, quality=Quality.BAD) for point in points]
        if self.is_open(connector):
            return nothing
        try:
            readings = self.connector(connector).read(points)
        except OutsideWorldError:
            self.failed(connector)
            return nothing
        self.failures[connector] = 0
        old = self.settings.read_max_age_s
        return [
            reading if age_s(reading, now) <= old else Reading(point=reading.point, value=None, at=reading.at)
            for reading in readings
        ]

    def judge_guards(self) -> list[Judgement]:
        """Each guard of the plan against a reading of now; a point whose data are flagged is no evidence."""
        now, doubts = self.clock.now(), self.doubts()
        found = []
        for guard in self.plan.guards:
            if (finding := doubts.get(guard.point)) is not None:
                reason = f"{guard.point} is no evidence while it is flagged: {finding}"
                found.append(Judgement(verdict=Verdict.INCONCLUSIVE, name=guard.name, reason=reason))
            else:
                found.append(judge_guard(guard, self.look_at(guard.connector, [guard.point])[0], now))
        return found

    def failed(self, connector: str) -> None:
        """Counts a failure of a device."""
        self.failures[connector] = self.failures.get(connector, 0) + 1

    def is_open(self, connector: str) -> bool:
        """Whether a device has failed so often in a row that it is left alone."""
        return self.failures.get(connector, 0) >= self.settings.circuit_failures * self.settings.tries

    def pass_time(self, seconds: float) -> None:
        """Waits by the monotonic clock, keeping the lease."""
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 0:
            self.clock.wait(min(left, self.settings.poll_s))
            self.lease.keep()

    def receipt(self, action: Action, step: StepRecord) -> Receipt:
        """What a release needs, from the journal when the device's own receipt was lost."""
        if step.receipt is not None:
            return step.receipt
        return Receipt(
            action_id=action.id,
            connector=action.connector,
            kind=action.kind,
            point=action.point,
            value=action.value,
            prior=step.prior,
            prior_held_by=step.prior_held_by,
            slot=OWN,
        )
