"""A store and a change control to try connectors with: approved plans on real time, behind a gate that asks nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from connectors.change_control import ChangeControl, FileLock, PushSettings, SystemClock
from connectors.plan_store import StoreFolder
from connectors.simulated.trial_site import OpenGate, trial_plan, word_for
from twin.plan import PlanState, StepState
from twin.plans.document import Plan, Step
from twin.plans.records import PlanRecord
from twin.ports import Connector


class TrialDesk:
    """The desk of one process; several on one folder are as several processes."""

    def __init__(self, folder: Path, connectors: Mapping[str, Connector], settings: PushSettings | None = None) -> None:
        self.clock = SystemClock()
        self.folder = StoreFolder(folder)
        self.store = self.folder.open("office", self.clock)
        lock = FileLock(self.folder.lock_file)
        self.control = ChangeControl(self.store, connectors, self.clock, OpenGate(), lock, settings)

    def plan(self, steps: Sequence[Step], **changes: object) -> Plan:
        """A plan of now, without guards and without time to settle unless told otherwise."""
        return trial_plan(steps, **{"created_at": self.clock.now(), "guards": [], "settle_s": 0.0, **changes})

    def approved(self, steps: Sequence[Step], **changes: object) -> str:
        """The id of such a plan that may be pushed."""
        plan = self.plan(steps, **changes)
        record = self.store.add(plan)
        word = word_for(plan, record, self.clock.now())
        self.store.add_approval(word, record.version, PlanState.APPROVED, "")
        return plan.id

    def push(self, plan_id: str) -> PlanRecord:
        """The record after a push."""
        return self.control.push(plan_id, "olga")

    def states(self, plan_id: str) -> list[StepState]:
        """Where the steps of a plan stand, in the order of the push."""
        return [step.state for step in self.store.steps(plan_id)]
