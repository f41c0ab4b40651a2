"""A world in virtual time for the push: seeded faults at every step, in any process, at any seam.

One process at a time runs; a crash is an exception that nothing catches, and a paused process is one inside whose call
another runs to its end. So every interleaving is decided by the seed, and the seed replays it.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from connectors.audit.ledger import Ledger
from connectors.change_control import ChangeControl, ManualClock, PushSettings
from connectors.governance import Approvals, GovernedGate, Identity, Principal, Role, propose
from connectors.plan_store import PlanStore
from connectors.simulated import Fault, FaultyConnector, SimulatedBuilding, SimulatedHosts
from connectors.simulated.trial_site import (
    EVIDENCE,
    ROOMS,
    START,
    migrate,
    power_off,
    room_step,
    setpoint,
    temperature,
    trial_building,
    trial_hosts,
    trial_plan,
)
from push_harness.fate import Crash, Event, Fate, HookedConnection
from push_harness.witness import POLL_S, SETTLE_S, WRITE_TIMEOUT_S, Sender, Witness
from twin.errors import BadInputError, UnderstudyError
from twin.plan import Action, PlanState
from twin.plans.document import Guard, Plan
from twin.plans.records import StepRecord

WORD = "correct horse battery"
SETTINGS = PushSettings(poll_s=POLL_S, write_timeout_s=WRITE_TIMEOUT_S, lease_s=300.0)
WORLD_FAULTS = (
    Fault.LOST_REPLY,
    Fault.LOST_REQUEST,
    Fault.LIE,
    Fault.LATE,
    Fault.DOUBLED,
    Fault.OFFLINE,
    Fault.BAD_READING,
)
OUTAGES_S = (60.0, 600.0, 4000.0, 1e9)


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

    digest = EVIDENCE.policy_digest

    def refusal(self, *_: object) -> str:
        """Nothing to say."""
        return ""


class MemoryLock:
    """The site lock of a world: freed when its holder dies."""

    def __init__(self, world: World, owner: str) -> None:
        self._world, self._owner = world, owner

    def take(self) -> bool:
        """Takes it if it is free."""
        self._world.fate.at("lock")
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


class World:
    """Building, hosts, journal, processes and their witness, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = ManualClock(START, advance=self._advance)
        self.witness = Witness(self)
        self.fate = Fate(act=self._happen, state=self._state_name, begun=self.witness.begin, told=self.witness.event)
        self.fault_rate = self.random.choice((0.0, 0.0, 0.03, 0.1, 0.3))
        self.fault_kinds = self.random.sample(WORLD_FAULTS, self.random.randint(1, 3))
        self.healed = False
        self.away_until_s: dict[str, float] = {}
        self.lying_until_s: dict[str, float] = {}
        self.deadly = 0
        self.lock_owner: str | None = None
        self.process = "p0"
        self.processes = 0
        self.running = False
        self.extra_takeovers = 0
        """Takings-up that crashes of fate and retries by hand explain."""
        self.held: dict[str, object] = {}
        self.plan: Plan | None = None
        self.approvers: set[str] = set()
        self.building: SimulatedBuilding = trial_building(self.clock)
        self.hosts: SimulatedHosts = trial_hosts(self.clock)
        self.faulty = {c.name: self._with_faults(c) for c in (self.building, self.hosts)}
        self.senders = {name: Sender(faulty, self) for name, faulty in self.faulty.items()}
        source, self.principals = people()
        self.raw = sqlite3.connect(":memory:", isolation_level=None)
        source.backup(self.raw)
        self.database = HookedConnection(self.raw, self.fate)

    def _with_faults(self, device: SimulatedBuilding | SimulatedHosts) -> FaultyConnector:
        def decide(operation: str, _: str) -> Fault:
            return self._decide(device.name, operation)

        return FaultyConnector(device, self.clock, decide, late_s=5.0)

    def device_of(self, point: str) -> SimulatedBuilding | SimulatedHosts:
        """The device that has a point."""
        return self.hosts if point.startswith(("vm/", "host/")) else self.building

    def action(self, step: StepRecord) -> Action:
        """What a step does."""
        assert self.plan is not None
        return next(s.action for s in self.plan.steps() if s.action.id == step.action_id)

    def _advance(self, _: float) -> None:
        for faulty in self.faulty.values():
            faulty.deliver()
        self.witness.after_write()
        self.fate.at("wait")

    def _decide(self, device: str, operation: str) -> Fault:
        if self.healed:
            return Fault.NONE
        if self.clock.monotonic() < self.away_until_s.get(device, 0.0):
            self.fate.cover(f"outage at {operation}")
            return Fault.OFFLINE
        if operation == "apply" and self.clock.monotonic() < self.lying_until_s.get(device, 0.0):
            self.fate.cover("lasting lie at apply")
            return Fault.LIE
        if self.random.random() >= self.fault_rate:
            return Fault.NONE
        fault = self.random.choice(self.fault_kinds)
        self.fate.cover(f"{fault.value} at {operation}")
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

    def _happen(self, event: Event) -> None:
        doings: dict[str, Callable[[], object]] = {
            "crash": self._crash,
            "second pusher": self._second,
            "operator": lambda: self._operate(event.room),
            "operator at hosts": self._operate_host,
            "program": lambda: self._program(event.room),
            "drop": lambda: self._drop(event.room),
            "clock forward": lambda: self._jump(86_400.0),
            "clock back": lambda: self._jump(-3600.0),
            "clock a little forward": lambda: self._jump(400.0),
            "outage of the building": lambda: self._away("building"),
            "outage of the hosts": lambda: self._away("hosts"),
            "deadly step": self._poison,
            "building that lies": lambda: self._lie("building"),
            "stop": lambda: self._stop(hold=False),
            "stop, then pause": lambda: (self._stop(hold=False), self._stop(hold=True)),
            "pause": lambda: self._stop(hold=True),
            "revoke": self._revoke,
            "guard breach": lambda: self.building.program(temperature(ROOMS[0]), 29.5),
            "guard silent": lambda: self.building._slots.pop(temperature(ROOMS[0]), None),
            "tamper": self._tamper,
        }
        doings[event.kind]()

    def _jump(self, seconds: float) -> None:
        self.clock.jump(seconds)
        self.witness.jumped = self.witness.jumped or self.witness.sends > 0

    def _away(self, device: str) -> None:
        self.away_until_s[device] = self.clock.monotonic() + self.random.choice(OUTAGES_S)

    def _lie(self, device: str) -> None:
        self.lying_until_s[device] = self.clock.monotonic() + self.random.choice(OUTAGES_S)

    def _poison(self) -> None:
        """From now on this and all processes to come die at their next steps."""
        self.deadly = 10

    def die_of_poison(self) -> None:
        """The step that kills whoever takes it."""
        if self.deadly and not self.healed:
            self.deadly -= 1
            self.fate.cover("deadly step taken")
            self._end_process()

    def _crash(self) -> None:
        self.extra_takeovers += 1
        self._end_process()

    def _end_process(self) -> None:
        self.witness.stopped_s = None
        self.lock_owner = None if self.lock_owner == self.process else self.lock_owner
        raise Crash

    def _second(self) -> None:
        """The running process is stopped here; another comes, waits out its lease, and pushes or takes up the plan."""
        mine, self.witness.stopped_s = self.process, None
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
            self.witness.slept()

    def _operate(self, room: str) -> None:
        self.building.operate(setpoint(room), 21.5)
        self.held[setpoint(room)] = 21.5

    def _operate_host(self) -> None:
        point, value = ("vm/v2/host", "h2")
        if self.hosts.is_on("h2"):
            self.hosts.operate(point, value)
            self.held[point] = value

    def take_over(self) -> None:
        """Operators take over a room and a VM by hand, at an hour of their own."""
        self._operate(self.random.choice(ROOMS[:4]))
        self._operate_host()

    def _program(self, room: str) -> None:
        self.building.program(setpoint(room), 23.0)

    def _drop(self, room: str) -> None:
        self.building.drop(setpoint(room))

    def ask_to_stop(self) -> None:
        """Somebody asks for a stop while no process runs."""
        self._stop(hold=False)

    def _stop(self, *, hold: bool) -> None:
        if self.plan is None or self.raw.in_transaction:
            return
        try:
            self.peek().request_stop(self.plan_id, "gina", "smells odd", hold=hold)
        except UnderstudyError:
            return
        self.witness.stop_asked = self.witness.stop_asked or not hold
        if self.running and not hold and self._state_name() == PlanState.PUSHING:
            self.witness.stopped_s = self.clock.monotonic()

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

    # ---- plans -----------------------------------------------------------------------------------------------------

    @property
    def plan_id(self) -> str:
        """The plan of this world."""
        return self._plan_id

    def make(self, rooms: int | None = None) -> Plan:
        """A plan of a few rooms and perhaps a host, with a guard that may be unusable."""
        count = self.random.randint(1, 6) if rooms is None else rooms
        steps = [room_step(room) for room in ROOMS[:count]]
        if count and self.random.random() < 0.4:
            steps += [migrate("v2", "h1", "h0"), migrate("v3", "h1", "h0"), power_off("h1")]
        where = "nowhere" if self.random.random() < 0.05 else "building"
        guard = Guard(name="air", connector=where, point=temperature(ROOMS[0]), high=28.0)
        return trial_plan(steps, settle_s=SETTLE_S, guards=[guard])

    def refuse_empty(self) -> None:
        """A selector that matched nothing must never become a plan for all."""
        try:
            self.make(rooms=0)
        except BadInputError:
            return
        self.witness.violate("an empty target set became a plan")

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
