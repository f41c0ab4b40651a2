"""A small world for the tests of change control: a building of ten rooms, a cluster of three hosts, one clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
from connectors.simulated import Fault, FaultyConnector, SimulatedBuilding, SimulatedHosts
from twin.plan import Action, ActionKind, PlanState, StepState
from twin.plans.document import Evidence, Guard, Plan, Rehearsal, Step, Target, TargetKind, Wave
from twin.plans.records import Approval, PlanRecord, PlanView
from twin.plans.waves import assemble_plan
from twin.site import Host, HostType, Vm

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ROOMS = tuple(f"room-{i}" for i in range(10))
EVIDENCE = Evidence(
    scenario="warm-week",
    seed=7,
    model_id="m" * 64,
    data_digest="d" * 64,
    site_digest="s" * 64,
    policy_digest="p" * 64,
    code_version="0.1.0",
)
REHEARSED = Rehearsal(ok=True, summary="the rollback was run in the twin")
TYPE = HostType(name="g1", cores=8, core_mips=1000.0, ram_mb=4096.0, power_w=tuple(100.0 + 10.0 * i for i in range(11)))


def setpoint(room: str) -> str:
    return f"{room}/cooling_setpoint_occupied_c"


def temperature(room: str) -> str:
    return f"{room}/air_temperature"


def room_step(room: str, value: float = 25.0, expected: float = 24.0, hold: datetime | None = None) -> Step:
    action = Action(
        id=f"set-{room}",
        kind=ActionKind.SET_POINT,
        connector="building",
        point=setpoint(room),
        value=value,
        expected=expected,
        unit="degC",
        expires_at=hold,
        why="warmer in summer",
    )
    return Step(action=action, target=Target(kind=TargetKind.ZONE, id=room, rooms=(room,), people=4.0))


def migrate(vm: str, source: str, to: str) -> Step:
    action = Action(
        id=f"move-{vm}",
        kind=ActionKind.LIVE_MIGRATE,
        connector="hosts",
        point=f"vm/{vm}/host",
        value=to,
        expected=source,
    )
    return Step(action=action, target=Target(kind=TargetKind.VM, id=vm, group=source))


def power_off(host: str) -> Step:
    action = Action(
        id=f"off-{host}",
        kind=ActionKind.POWER_OFF_HOST,
        connector="hosts",
        point=f"host/{host}/power",
        value="off",
        expected="on",
    )
    return Step(action=action, target=Target(kind=TargetKind.HOST, id=host, group=host))


def make_plan(steps: Sequence[Step], **changes: object) -> Plan:
    fields: dict[str, object] = {
        "site": "office",
        "title": "Warmer rooms, fewer hosts",
        "question": "less cooling at equal comfort",
        "proposer": "paula",
        "created_at": START,
        "not_before": START,
        "expires_at": START + timedelta(hours=12),
        "hold_until": START + timedelta(days=7),
        "steps": steps,
        "rooms_in_site": len(ROOMS),
        "settle_s": 600.0,
        "guards": [Guard(name="room-0 air", connector="building", point=temperature("room-0"), unit="degC", high=28.0)],
        "kpis": [],
        "evidence": EVIDENCE,
        "rehearsal": REHEARSED,
    }
    return assemble_plan(**{**fields, **changes})  # type: ignore[arg-type]  # a table of defaults


class OpenGate:
    """Lets everything through unless told otherwise, for tests of the engine alone."""

    def __init__(self) -> None:
        self.plan_says: list[str] = []
        self.step_says: list[str] = []

    def plan_refusals(self, view: PlanView, now: datetime) -> Sequence[str]:
        return list(self.plan_says)

    def step_refusals(self, view: PlanView, wave: Wave, step: Step, now: datetime) -> Sequence[str]:
        return list(self.step_says)


class World:
    """Building, hosts, clock, store and change control, with a switch for faults."""

    def __init__(self, folder: Path, settings: PushSettings | None = None) -> None:
        self.folder = folder
        self.clock = ManualClock(START)
        points = {setpoint(room): 24.0 for room in ROOMS} | {temperature(room): 23.0 for room in ROOMS}
        self.building = SimulatedBuilding("building", points, self.clock)
        hosts = [Host(id=f"h{i}", type="g1") for i in range(3)]
        vms = [Vm(id=f"v{i}", vcpus=1, mips=1000.0, ram_mb=1024.0, host=f"h{i // 2}") for i in range(4)]
        self.hosts = SimulatedHosts("hosts", hosts, [TYPE], vms, self.clock)
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
        approval = Approval(
            plan_id=plan.id,
            site="office",
            decision="approve",
            nonce=record.nonce,
            expires_at=plan.expires_at,
            approver="anna",
            person="anna",
            reason="fine",
            at=self.clock.now(),
        )
        self.store.add_approval(approval, record.version, PlanState.APPROVED, "quorum")
        return plan.id

    def push(self, plan_id: str) -> PlanRecord:
        return self.control.push(plan_id, "olga")

    def states(self, plan_id: str) -> dict[str, StepState]:
        return {step.action_id: step.state for step in self.store.steps(plan_id)}

    def own(self) -> dict[str, object]:
        readings = self.building.read(self.building.points())
        return {r.point: r.own_value for r in readings if r.own_value is not None}


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
