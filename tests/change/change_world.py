"""A small world for the tests of change control: a building of ten rooms, a cluster of three hosts, one clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from connectors.change_control import ChangeControl, FileLock, ManualClock, PushSettings
from connectors.governance import (
    Approvals,
    GovernedGate,
    Identity,
    PolicyBundle,
    PolicyFolder,
    Principal,
    Role,
    Standing,
    write_defaults,
)
from connectors.plan_store import PlanStore, StoreFolder
from connectors.simulated import Fault, FaultyConnector
from connectors.simulated.trial_site import (
    EVIDENCE,
    ROOMS,
    START,
    OpenGate,
    migrate,
    power_off,
    room_step,
    setpoint,
    temperature,
    trial_building,
    trial_hosts,
    word_for,
)
from connectors.simulated.trial_site import trial_plan as make_plan
from twin.plan import PlanState, StepState
from twin.plans.document import Plan, Step
from twin.plans.records import PlanRecord


class World:
    """Building, hosts, clock, store and change control, with a switch for faults."""

    def __init__(self, folder: Path, settings: PushSettings | None = None) -> None:
        self.folder = folder
        self.clock = ManualClock(START)
        self.building = trial_building(self.clock)
        self.hosts = trial_hosts(self.clock)
        self.faults: dict[tuple[str, str], list[Fault]] = {}
        self.calls: list[tuple[str, str]] = []
        self.gate = OpenGate()
        self.settings = settings or PushSettings(poll_s=60.0)
        self.store_folder = StoreFolder(folder / "plans")
        self.store = self.open_store()
        self.control = self.new_control("p1")

    def open_store(self) -> PlanStore:
        return self.store_folder.open("office", self.clock)

    def new_control(self, holder: str) -> ChangeControl:
        connectors = {c.name: FaultyConnector(c, self.clock, self._decide) for c in (self.building, self.hosts)}
        lock = FileLock(self.store_folder.lock_file)
        store = self.store if holder == "p1" else self.open_store()
        return ChangeControl(store, connectors, self.clock, self.gate, lock, self.settings, holder=holder)

    def _decide(self, operation: str, point: str) -> Fault:
        self.calls.append((operation, point))
        queue = self.faults.get((operation, point), [])
        return queue.pop(0) if queue else Fault.NONE

    def fail(self, operation: str, point: str, *faults: Fault) -> None:
        self.faults[operation, point] = list(faults)

    def writes(self) -> list[tuple[str, str]]:
        return [(operation, point) for operation, point in self.calls if operation in {"apply", "release"}]

    def approved(self, plan: Plan) -> str:
        record = self.store.add(plan)
        approval = word_for(plan, record, self.clock.now())
        self.store.add_approval(approval, record.version, PlanState.APPROVED, "quorum")
        return plan.id

    def push(self, plan_id: str) -> PlanRecord:
        return self.control.push(plan_id, "olga")

    def states(self, plan_id: str) -> dict[str, StepState]:
        return {step.action_id: step.state for step in self.store.steps(plan_id)}

    def own(self) -> dict[str, object]:
        readings = self.building.read(self.building.points())
        return {r.point: r.own_value for r in readings if r.own_value is not None}


__all__ = [
    "EVIDENCE",
    "ROOMS",
    "START",
    "GovernedWorld",
    "OpenGate",
    "World",
    "make_plan",
    "migrate",
    "power_off",
    "room_step",
    "rooms",
    "setpoint",
    "temperature",
]
PASSWORD = "correct horse battery"


def rooms(n: int) -> list[Step]:
    return [room_step(room) for room in ROOMS[:n]]


class GovernedWorld(World):
    """The same world behind the real gate, with accounts and the default rules."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.policy_file = folder / "policies" / "understudy.cedar"
        write_defaults(self.policy_file.parent)
        self.policies = PolicyFolder(self.policy_file.parent)
        self.identity = Identity(self.store, self.clock, cost=2)
        self.approvals = Approvals(self.store, self.identity, self.clock)
        self.standing = Standing(self.store, self.identity)
        self._logins: dict[str, Principal] = {}
        self._hooks: dict[tuple[str, str], Callable[[], object]] = {}
        self.identity.add("root", PASSWORD, [Role.ADMIN])
        for name, role in (
            ("paula", Role.PROPOSER),
            ("anna", Role.APPROVER),
            ("ben", Role.APPROVER),
            ("olga", Role.OPERATOR),
        ):
            self.identity.add(name, PASSWORD, [role], by=self.login("root"))
        self.identity.add("robot", PASSWORD, [Role.APPROVER], service=True, by=self.login("root"))
        self.identity.set_roles("paula", [Role.PROPOSER, Role.APPROVER], self.login("root"))
        self.governed = GovernedGate(self.store, self.identity, self.bundle, business_hours=lambda _: True)
        connectors = {c.name: FaultyConnector(c, self.clock, self._decide) for c in (self.building, self.hosts)}
        lock = FileLock(self.store_folder.lock_file)
        self.control = ChangeControl(self.store, connectors, self.clock, self.governed, lock, self.settings)

    def bundle(self) -> PolicyBundle:
        return self.policies.bundle()

    def plan(self, steps: Sequence[Step], **changes: object) -> Plan:
        return make_plan(steps, evidence=replace(EVIDENCE, policy_digest=self.bundle().digest), **changes)

    def login(self, name: str) -> Principal:
        return self.identity.authenticate(name, PASSWORD)

    def on_call(self, operation: str, point: str, hook: Callable[[], object]) -> None:
        self._hooks[operation, point] = hook

    def _decide(self, operation: str, point: str) -> Fault:
        if (hook := self._hooks.pop((operation, point), None)) is not None:
            hook()
        return super()._decide(operation, point)
