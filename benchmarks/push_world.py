"""A world in virtual time for the push: seeded faults at every step, and a witness that knows what must never happen.

One process at a time runs; a crash is an exception that nothing catches, and a paused process is one inside whose call
another runs to its end. So every interleaving is decided by the seed, and the seed replays it.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from connectors.audit.ledger import Ledger
from connectors.change_control import ChangeControl, ManualClock, PushSettings
from connectors.governance import Approvals, GovernedGate, Identity, Principal, Role, propose
from connectors.plan_store import PlanStore
from connectors.simulated import Fault, FaultyConnector, SimulatedBuilding, SimulatedHosts
from twin.errors import BadInputError, UnderstudyError
from twin.plan import Action, ActionKind, Capability, Check, PlanState, Quality, Reading, Receipt, StepState
from twin.plans.document import Deadlines, Evidence, Guard, Plan, Rehearsal, Step, Target, TargetKind
from twin.plans.guardrails import approvers_needed
from twin.plans.records import PlanRecord
from twin.plans.waves import assemble_plan
from twin.site import Host, HostType, Vm

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ROOMS = tuple(f"room-{i}" for i in range(10))
WORD = "correct horse battery"
POLICY = "p" * 64
SETTLE_S = 300.0
TYPE = HostType(name="g1", cores=8, core_mips=1000.0, ram_mb=4096.0, power_w=tuple(100.0 + 10 * i for i in range(11)))
SETTINGS = PushSettings(poll_s=100.0, write_timeout_s=10.0, lease_s=300.0)
FINAL = frozenset(
    {
        PlanState.REJECTED,
        PlanState.SUPERSEDED,
        PlanState.CONFIRMED,
        PlanState.ROLLED_BACK,
        PlanState.CLOSED_BY_HAND,
    }
)
_DONE = frozenset({StepState.VERIFIED, StepState.ALREADY_DONE, StepState.OVERRIDDEN})
WORLD_FAULTS = (
    Fault.LOST_REPLY,
    Fault.LOST_REQUEST,
    Fault.LIE,
    Fault.LATE,
    Fault.DOUBLED,
    Fault.OFFLINE,
    Fault.BAD_READING,
)


class Crash(BaseException):
    """The process is gone, at this very step."""


def setpoint(room: str) -> str:
    """The point that a plan changes in a room."""
    return f"{room}/cooling_setpoint_occupied_c"


def temperature(room: str) -> str:
    """The point that a guard watches in a room."""
    return f"{room}/air_temperature"


# ---- people, made once --------------------------------------------------------------------------------------------


@cache
def people() -> tuple[sqlite3.Connection, dict[str, Principal]]:
    """A database with accounts, to be copied for each seed, and their unlocked keys."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    clock = ManualClock(START)
    store = PlanStore(Ledger(None, clock, connection=connection), clock, "office")
    identity = Identity(store, clock, cost=2)
    accounts = {"paula": Role.PROPOSER, "anna": Role.APPROVER, "ben": Role.APPROVER, "olga": Role.OPERATOR}
    for name, role in accounts.items():
        identity.add(name, WORD, [role])
    identity.add("anna2", WORD, [Role.APPROVER], person="anna")
    return connection, {name: identity.authenticate(name, WORD) for name in (*accounts, "anna2")}


class AnyRules:
    """Rules that permit everything; the policy text has tests of its own."""

    digest = POLICY

    def refusal(self, *_: object) -> str:
        """Nothing to say."""
        return ""


# ---- the seams where fate may strike ------------------------------------------------------------------------------


class HookedConnection:
    """A database connection that lets fate strike around each transaction."""

    def __init__(self, inner: sqlite3.Connection, fate: Fate) -> None:
        self._inner = inner
        self._fate = fate

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Runs a statement, with seams before a transaction, before its commit, and after it."""
        if statement == "BEGIN IMMEDIATE":
            self._fate.at("begin", "")
        if statement == "COMMIT":
            self._fate.at("before commit", "", inside=True)
        done = self._inner.execute(statement, *values)
        if statement.startswith("INSERT INTO audit"):
            self._fate.told(values[0][3], values[0][5])
        if statement == "COMMIT":
            self._fate.at("after commit", "")
        return done

    @property
    def text_factory(self) -> Any:
        """How texts are read."""
        return self._inner.text_factory

    @text_factory.setter
    def text_factory(self, factory: Any) -> None:
        self._inner.text_factory = factory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass
class Event:
    """Something that happens at the N-th seam."""

    kind: str
    at: int
    room: str = ROOMS[0]


@dataclass
class Fate:
    """Counts seams and lets events happen; what happened in which state is covered."""

    events: list[Event]
    act: Callable[[Event, str], None] = lambda _event, _seam: None
    seams: int = 0
    quiet: bool = False
    covered: set[tuple[str, str]] = field(default_factory=set)
    state: Callable[[], str] = lambda: ""
    told: Callable[[str, str], None] = lambda _event, _payload: None
    """Called with event and payload of every row that the log gets."""

    def at(self, seam: str, _: str, *, inside: bool = False) -> None:
        """A seam is passed; inside a transaction only a crash can strike."""
        if self.quiet:
            return
        self.seams += 1
        due = [e for e in self.events if e.at <= self.seams and (not inside or e.kind == "crash")]
        for event in due:
            if not any(event is left for left in self.events):
                continue  # it happened inside another event of this seam
            self.events = [left for left in self.events if left is not event]
            self.quiet = True
            self.covered.add((f"{event.kind} at {seam}", self.state()))
            self.quiet = False
            self.act(event, seam)


class MemoryLock:
    """The site lock of a world: freed when its holder dies."""

    def __init__(self, world: World, owner: str) -> None:
        self._world, self._owner = world, owner

    def take(self) -> bool:
        """Takes it if it is free."""
        self._world.fate.at("lock", "")
        if self._world.lock_owner not in {None, self._owner}:
            return False
        self._world.lock_owner = self._owner
        return True

    def break_in(self) -> None:
        """Makes way."""
        self._world.lock_owner = None

    def free(self) -> None:
        """Gives it back."""
        if self._world.lock_owner == self._owner:
            self._world.lock_owner = None


class Sender:
    """Where a process talks to a device: the witness looks over its shoulder."""

    def __init__(self, inner: FaultyConnector, world: World) -> None:
        self.name = inner.name
        self.capabilities: frozenset[Capability] = inner.capabilities
        self._inner, self._world = inner, world

    def read(self, points: Sequence[str]) -> Sequence[Reading]:
        """Reads; the witness notes which points were looked at when."""
        self._world.fate.at("read", points[0])
        readings = self._inner.read(points)
        for reading in readings:
            self._world.looked[reading.point] = self._world.tick()
            self._world.looked_s[reading.point] = self._world.clock.monotonic()
            self._world.shown[reading.point] = reading
        return readings

    def check(self, action: Action) -> Check:
        """Checks."""
        self._world.fate.at("check", action.point)
        return self._inner.check(action)

    def apply(self, action: Action) -> Receipt:
        """Writes forward; the witness asks whether it may."""
        self._world.fate.at("before apply", action.point)
        self._world.witness_apply(action)
        try:
            return self._inner.apply(action)
        finally:
            self._world.after_write()
            self._world.fate.at("after apply", action.point)

    def release(self, receipt: Receipt) -> None:
        """Writes backward."""
        self._world.fate.at("before release", receipt.point)
        self._world.witness_release(receipt)
        try:
            self._inner.release(receipt)
        finally:
            self._world.after_write()
            self._world.fate.at("after release", receipt.point)


# ---- the world ----------------------------------------------------------------------------------------------------


class World:
    """Building, hosts, journal, processes and their witness, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.violations: list[str] = []
        self.clock = ManualClock(START, advance=self._advance)
        self.fate = Fate(events=[], state=self._state_name)
        self.fault_rate = self.random.choice((0.0, 0.0, 0.03, 0.1, 0.3))
        self.fault_kinds = self.random.sample(WORLD_FAULTS, self.random.randint(1, 3))
        self.healed = False
        self.lock_owner: str | None = None
        self.process = "p0"
        self.processes = 0
        self.ticks = 0
        self.looked: dict[str, int] = {}
        self.looked_s: dict[str, float] = {}
        self.shown: dict[str, Reading] = {}
        self.disturbed: dict[str, int] = {}
        self.held: dict[str, object] = {}
        self.stray: dict[str, int] = {}
        self.stopped_sends = 0
        self.revoked_sends = 0
        self.last_apply_s = 0.0
        self.plan: Plan | None = None
        self.approvers: set[str] = set()
        self._devices()
        source, self.principals = people()
        raw = sqlite3.connect(":memory:", isolation_level=None)
        source.backup(raw)
        self.raw = raw
        self.database = HookedConnection(raw, self.fate)
        self.fate.act = self._happen
        self.fate.told = self.witness_event

    def _devices(self) -> None:
        points = {setpoint(room): 24.0 for room in ROOMS} | {temperature(room): 23.0 for room in ROOMS}
        self.building = SimulatedBuilding("building", points, self.clock)
        hosts = [Host(id=f"h{i}", type="g1") for i in range(3)]
        vms = [Vm(id=f"v{i}", vcpus=1, mips=1000.0, ram_mb=1024.0, host=f"h{i // 2}") for i in range(4)]
        self.hosts = SimulatedHosts("hosts", hosts, [TYPE], vms, self.clock)
        self.faulty = {
            "building": FaultyConnector(self.building, self.clock, self._decide, late_s=5.0),
            "hosts": FaultyConnector(self.hosts, self.clock, self._decide, late_s=5.0),
        }
        self.senders = {name: Sender(faulty, self) for name, faulty in self.faulty.items()}

    def tick(self) -> int:
        """A counter that orders what happens."""
        self.ticks += 1
        return self.ticks

    def _advance(self, _: float) -> None:
        for faulty in self.faulty.values():
            faulty.deliver()
        self.after_write()
        self.fate.at("wait", "")

    def _decide(self, operation: str, _: str) -> Fault:
        if self.healed or self.fate.quiet or self.random.random() >= self.fault_rate:
            return Fault.NONE
        fault = self.random.choice(self.fault_kinds)
        self.fate.quiet = True
        self.fate.covered.add((f"{fault.value} at {operation}", self._state_name()))
        self.fate.quiet = False
        return fault

    def store(self) -> PlanStore:
        """A store as a process opens it."""
        ledger = Ledger(None, self.clock, connection=self.database)  # type: ignore[arg-type]  # hooked on purpose
        return PlanStore(ledger, self.clock, "office", token=lambda: f"{self.random.getrandbits(64):016x}")

    def peek(self) -> PlanStore:
        """A store for the witness, past all seams."""
        ledger = Ledger(None, self.clock, connection=self.raw)
        return PlanStore(ledger, self.clock, "office")

    def control(self) -> ChangeControl:
        """A new process."""
        self.processes += 1
        self.process = f"p{self.processes}"
        store = self.store()
        gate = GovernedGate(
            store,
            Identity(store, self.clock, cost=2),
            AnyRules,  # type: ignore[arg-type]  # permits everything
            business_hours=lambda _: True,
        )
        lock = MemoryLock(self, self.process)
        return ChangeControl(store, self.senders, self.clock, gate, lock, SETTINGS, holder=self.process)

    def _state_name(self) -> str:
        if self.plan is None:
            return "no plan"
        row = self.raw.execute("SELECT body FROM record WHERE kind = 'plan'").fetchone()
        if row is None:
            return "no plan"
        return str(row[0]).split('"state":"', 1)[1].split('"', 1)[0]

    # ---- what fate does --------------------------------------------------------------------------------------------

    def _happen(self, event: Event, seam: str) -> None:
        doings: dict[str, Callable[[], None]] = {
            "crash": self._crash,
            "second pusher": self._second,
            "operator": lambda: self._operate(event.room),
            "operator at hosts": self._operate_host,
            "program": lambda: self._program(event.room),
            "drop": lambda: self._drop(event.room),
            "clock forward": lambda: self.clock.jump(86_400.0),
            "clock back": lambda: self.clock.jump(-3600.0),
            "stop": lambda: self._stop(hold=False),
            "pause": lambda: self._stop(hold=True),
            "revoke": self._revoke,
            "guard breach": lambda: self.building.program(temperature(ROOMS[0]), 29.5),
            "guard silent": lambda: self.building._slots.pop(temperature(ROOMS[0]), None),
            "tamper": self._tamper,
        }
        doings[event.kind]()

    def _crash(self) -> None:
        self.lock_owner = None if self.lock_owner == self.process else self.lock_owner
        raise Crash

    def _second(self) -> None:
        """The running process is stopped here; another comes, waits out its lease, and pushes or takes up the plan."""
        mine = self.process
        control = self.control()
        try:
            if self.peek().record(self.plan_id).state is PlanState.APPROVED:
                control.push(self.plan_id, "olga")
            control.recover()
        except (UnderstudyError, Crash):
            pass
        finally:
            self.lock_owner = None if self.lock_owner == self.process else self.lock_owner
            self.process = mine

    def _operate(self, room: str) -> None:
        self.building.operate(setpoint(room), 21.5)
        self.held[setpoint(room)] = 21.5
        self.disturbed[setpoint(room)] = self.tick()

    def _operate_host(self) -> None:
        point, value = ("vm/v2/host", "h2")
        if self.hosts.is_on("h2"):
            self.hosts.operate(point, value)
            self.held[point] = value
            self.disturbed[point] = self.tick()

    def take_over(self) -> None:
        """Operators take over a room and a VM by hand, at an hour of their own."""
        self._operate(self.random.choice(ROOMS[:4]))
        self._operate_host()

    def _program(self, room: str) -> None:
        self.building.program(setpoint(room), 23.0)
        self.disturbed[setpoint(room)] = self.tick()

    def _drop(self, room: str) -> None:
        self.building.drop(setpoint(room))
        self.disturbed[setpoint(room)] = self.tick()

    def _stop(self, *, hold: bool) -> None:
        if self.plan is None or self.raw.in_transaction:
            return
        try:
            self.peek().request_stop(self.plan_id, "gina", "smells odd", hold=hold)
        except UnderstudyError:
            return

    def _revoke(self) -> None:
        if not self.raw.in_transaction:
            store = self.peek()
            identity = Identity(store, self.clock, cost=2)
            for name in ("anna", "ben", "anna2"):
                user = identity.user(name)
                if user is not None:
                    identity._save(replace(user, disabled=True), None, "user disabled")
            self.approvers.clear()

    def _tamper(self) -> None:
        """Somebody edits the approved document in the database."""
        self.raw.execute(
            "UPDATE record SET body = replace(body, '\"value\":25', '\"value\":26') WHERE kind = 'document'"
        )

    # ---- what the witness sees -------------------------------------------------------------------------------------

    def violate(self, sentence: str) -> None:
        """Notes what must never happen."""
        self.violations.append(sentence)

    def _owns_lease(self) -> bool:
        lease = self.peek().lease()
        return lease is not None and lease.holder == self.process

    def witness_apply(self, action: Action) -> None:
        """Asks of each forward write whether it may be sent."""
        plan = self.plan
        if plan is None:
            return
        self.last_apply_s = self.clock.monotonic()
        if action not in [step.action for step in plan.steps()]:
            self.violate(f"sent what nobody approved: {action.point} = {action.value}")
            return
        if not self._owns_lease():
            self._count_stray(action.point)
            return
        store = self.peek()
        record = store.record(self.plan_id)
        step = next(s for s in store.steps(self.plan_id) if s.action_id == action.id)
        if record.state is not PlanState.PUSHING:
            self.violate(f"forward write in state {record.state}")
        if step.state is not StepState.INTENT or not step.prior_known:
            self.violate(f"forward write without a durable intent ({step.state})")
        self._witness_permission(store, record)

    def _witness_permission(self, store: PlanStore, record: PlanRecord) -> None:
        stop = store.stop(self.plan_id)
        self.stopped_sends = self.stopped_sends + 1 if stop is not None else 0
        if self.stopped_sends > 1:
            self.violate("forward write after a stop")
        needed = approvers_needed(self.plan.risk_class if self.plan else 0)
        self.revoked_sends = self.revoked_sends + 1 if len(self.approvers) < needed else 0
        if self.revoked_sends > 1:
            self.violate("forward write without enough people who approve")
        if not record.consumed:
            self.violate("forward write before the nonce was consumed")

    def witness_event(self, event: str, payload: str) -> None:
        """When the journal says that a wave passed, its evidence must be there."""
        if self.plan is None or event not in {"wave passed", "pushed"}:
            return
        store = self.peek()
        if event == "wave passed":
            self._witness_guard()
            if self.last_apply_s and self.clock.monotonic() - self.last_apply_s < SETTLE_S - 1e-6:
                self.violate("a wave passed before it had settled")
        index = json.loads(payload).get("evidence", {}).get("wave")
        for step in store.steps(self.plan_id):
            if step.state is StepState.VERIFIED and (event == "pushed" or step.wave == index):
                self._witness_verified(step.action_id, event)
            if event == "pushed" and step.state not in _DONE:
                self.violate(f"pushed with a step {step.state}")

    def _witness_guard(self) -> None:
        guard = self.plan.guards[0] if self.plan else None
        if guard is None:
            return
        shown = self.shown.get(guard.point)
        fresh = self.looked_s.get(guard.point, -1e9) >= self.last_apply_s + SETTLE_S - 1e-6
        if guard.connector not in self.senders:
            self.violate("a wave passed although its guard cannot be asked")
        elif shown is None or not isinstance(shown.value, float) or shown.quality is not Quality.GOOD:
            self.violate("a wave passed although its guard is silent")
        elif shown.value > 28.0 or (self.last_apply_s and not fresh):
            self.violate("a wave passed although its guard is breached or was not asked after settling")

    def _witness_verified(self, action_id: str, event: str) -> None:
        action = next(s.action for s in self.plan.steps() if s.action.id == action_id)  # type: ignore[union-attr]
        shown = self.shown.get(action.point)
        if shown is None or shown.value != action.value:
            self.violate(f"{event}: {action.point} counts as verified, but what was read is {shown and shown.value}")
        settled_s = self.last_apply_s + SETTLE_S - 1e-6
        if event == "wave passed" and self.last_apply_s and self.looked_s.get(action.point, -1e9) < settled_s:
            self.violate(f"{action.point} was not looked at after settling")

    def _count_stray(self, point: str) -> None:
        self.stray[self.process] = self.stray.get(self.process, 0) + 1
        if self.stray[self.process] > 1:
            self.violate(f"a fenced process wrote twice ({point})")

    def witness_release(self, receipt: Receipt) -> None:
        """Asks of each backward write whether it may be sent."""
        if not self._owns_lease():
            self._count_stray(receipt.point)

    def after_write(self) -> None:
        """People win: what an operator holds never changes by us."""
        for point, value in self.held.items():
            device = self.building if point in self.building._slots else self.hosts
            shown = device.read([point])[0].value
            if shown != value:
                self.violate(f"{point}: the operator's {value} became {shown}")

    # ---- plans -----------------------------------------------------------------------------------------------------

    @property
    def plan_id(self) -> str:
        """The plan of this world."""
        return self._plan_id

    def make(self) -> Plan:
        """A plan of a few rooms and perhaps a host, with a guard that may be unusable."""
        count = self.random.randint(1, 6)
        steps = [self._room_step(room) for room in ROOMS[:count]]
        if self.random.random() < 0.4:
            steps += [_migrate("v2", "h1", "h0"), _migrate("v3", "h1", "h0"), _power_off("h1")]
        elsewhere = self.random.random() < 0.05
        guard = Guard(
            name="air", connector="nowhere" if elsewhere else "building", point=temperature(ROOMS[0]), high=28.0
        )
        return assemble_plan(
            site="office",
            title="Warmer rooms",
            question="less cooling",
            proposer="paula",
            created_at=START,
            not_before=START,
            expires_at=START + timedelta(hours=12),
            hold_until=START + timedelta(days=7),
            steps=steps,
            rooms_in_site=len(ROOMS),
            settle_s=SETTLE_S,
            guards=[guard],
            kpis=[],
            evidence=Evidence(
                scenario="warm",
                seed=1,
                model_id="m",
                data_digest="d",
                site_digest="s",
                policy_digest=POLICY,
                code_version="1",
            ),
            rehearsal=Rehearsal(ok=True, summary="run in the twin"),
            deadlines=Deadlines(pushing_s=6 * 3600.0),
        )

    @staticmethod
    def _room_step(room: str) -> Step:
        action = Action(
            id=f"set-{room}",
            kind=ActionKind.SET_POINT,
            connector="building",
            point=setpoint(room),
            value=25.0,
            expected=24.0,
            unit="degC",
        )
        return Step(action=action, target=Target(kind=TargetKind.ZONE, id=room, rooms=(room,)))

    def refuse_empty(self) -> None:
        """A selector that matched nothing must never become a plan for all."""
        try:
            assemble_plan(**{**_fields(self.make()), "steps": []})
        except BadInputError:
            return
        self.violate("an empty target set became a plan")

    def approve(self, plan: Plan) -> None:
        """Proposes and approves; in some worlds one person tries to be two."""
        store = self.store()
        self.plan, self._plan_id = plan, plan.id
        propose(store, plan, self.principals["paula"])
        identity = Identity(store, self.clock, cost=2)
        approvals = Approvals(store, identity, self.clock)
        two_faced = self.random.random() < 0.1
        for name in ("anna", "anna2" if two_faced else "ben"):
            try:
                if store.record(self.plan_id).state is PlanState.PROPOSED:
                    approvals.approve(self.plan_id, self.principals[name], "fine")
                    self.approvers.add(self.principals[name].person)
            except UnderstudyError:
                continue


def _fields(plan: Plan) -> dict[str, Any]:
    names = (
        "site title question proposer created_at not_before expires_at hold_until rooms_in_site guards kpis evidence "
        "rehearsal"
    )
    return {name: getattr(plan, name) for name in names.split()} | {"settle_s": SETTLE_S}


def _migrate(vm: str, source: str, to: str) -> Step:
    action = Action(
        id=f"move-{vm}",
        kind=ActionKind.LIVE_MIGRATE,
        connector="hosts",
        point=f"vm/{vm}/host",
        value=to,
        expected=source,
    )
    return Step(action=action, target=Target(kind=TargetKind.VM, id=vm, group=source))


def _power_off(host: str) -> Step:
    action = Action(
        id=f"off-{host}",
        kind=ActionKind.POWER_OFF_HOST,
        connector="hosts",
        point=f"host/{host}/power",
        value="off",
        expected="on",
    )
    return Step(action=action, target=Target(kind=TargetKind.HOST, id=host, group=host))
