"""A small office to try a push on: ten rooms, three hosts, four VMs, and plans on them.

Tests, benchmarks and the writer of a new connector need the same few things: points that look like real ones, steps
on them, and a complete plan whose every field can be replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.simulated.building import SimulatedBuilding
from connectors.simulated.hosts import SimulatedHosts
from twin.plan import Action, ActionKind
from twin.plans.document import Evidence, Guard, Plan, Rehearsal, Step, Target, TargetKind, Wave
from twin.plans.records import Approval, PlanRecord, PlanView
from twin.plans.waves import assemble_plan
from twin.ports import Clock
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
    ensemble_saving_pct=(9.0, 10.0, 11.0),
)
REHEARSED = Rehearsal(ok=True, summary="the rollback was run in the twin")
_TYPE = HostType(
    name="g1", cores=8, core_mips=1000.0, ram_mb=4096.0, power_w=tuple(100.0 + 10.0 * i for i in range(11))
)


def setpoint(room: str) -> str:
    """The point that a plan changes in a room."""
    return f"{room}/cooling_setpoint_occupied_c"


def temperature(room: str) -> str:
    """The point that a guard watches in a room."""
    return f"{room}/air_temperature"


def trial_building(clock: Clock, rooms: Sequence[str] = ROOMS, *, state_file: Path | None = None) -> SimulatedBuilding:
    """Rooms at 23 °C whose cooling setpoint is 24 °C."""
    points = {setpoint(room): 24.0 for room in rooms} | {temperature(room): 23.0 for room in rooms}
    return SimulatedBuilding("building", points, clock, state_file=state_file)


def trial_hosts(clock: Clock) -> SimulatedHosts:
    """Three hosts; v0 and v1 run on h0, v2 and v3 on h1."""
    hosts = [Host(id=f"h{i}", type="g1") for i in range(3)]
    vms = [Vm(id=f"v{i}", vcpus=1, mips=1000.0, ram_mb=1024.0, host=f"h{i // 2}") for i in range(4)]
    return SimulatedHosts("hosts", hosts, [_TYPE], vms, clock)


def room_step(room: str, value: float = 25.0, expected: float = 24.0, hold: datetime | None = None) -> Step:
    """A room whose cooling setpoint changes. [°C]"""
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
    return Step(
        action=action,
        target=Target(kind=TargetKind.ZONE, id=room, rooms=(room,), people=4.0),
        inside_calibrated_range=True,
    )


def migrate(vm: str, source: str, to: str) -> Step:
    """A VM that moves."""
    action = Action(
        id=f"move-{vm}",
        kind=ActionKind.LIVE_MIGRATE,
        connector="hosts",
        point=f"vm/{vm}/host",
        value=to,
        expected=source,
    )
    return Step(action=action, target=Target(kind=TargetKind.VM, id=vm, group=source), inside_calibrated_range=True)


def power_off(host: str) -> Step:
    """A host that is switched off."""
    action = Action(
        id=f"off-{host}",
        kind=ActionKind.POWER_OFF_HOST,
        connector="hosts",
        point=f"host/{host}/power",
        value="off",
        expected="on",
    )
    return Step(action=action, target=Target(kind=TargetKind.HOST, id=host, group=host), inside_calibrated_range=True)


def trial_plan(steps: Sequence[Step], **changes: object) -> Plan:
    """A complete plan on these steps; any field of ``assemble_plan`` may be given instead of its default."""
    moment = changes.get("created_at", START)
    assert isinstance(moment, datetime)
    fields: dict[str, object] = {
        "site": "office",
        "title": "Warmer rooms, fewer hosts",
        "question": "less cooling at equal comfort",
        "proposer": "paula",
        "created_at": moment,
        "not_before": moment,
        "expires_at": moment + timedelta(hours=12),
        "hold_until": moment + timedelta(days=7),
        "steps": steps,
        "rooms_in_site": len(ROOMS),
        "settle_s": 600.0,
        "guards": [Guard(name="room-0 air", connector="building", point=temperature("room-0"), unit="degC", high=28.0)],
        "kpis": [],
        "evidence": EVIDENCE,
        "rehearsal": REHEARSED,
    }
    return assemble_plan(**{**fields, **changes})  # type: ignore[arg-type]  # a table of defaults


def word_for(plan: Plan, record: PlanRecord, at: datetime) -> Approval:
    """An unsigned word of approval: enough for a gate that asks nothing, for no other."""
    return Approval(
        plan_id=plan.id,
        site=plan.site,
        decision="approve",
        nonce=record.nonce,
        expires_at=plan.expires_at,
        approver="anna",
        person="anna",
        reason="fine",
        at=at,
    )


class OpenGate:
    """Lets everything through unless told otherwise: for trials of the engine alone."""

    def __init__(self) -> None:
        self.plan_says: list[str] = []
        self.step_says: list[str] = []

    def plan_refusals(self, view: PlanView, now: datetime) -> Sequence[str]:
        """What it was told to say of plans."""
        return list(self.plan_says)

    def step_refusals(self, view: PlanView, wave: Wave, step: Step, now: datetime) -> Sequence[str]:
        """What it was told to say of steps."""
        return list(self.step_says)
