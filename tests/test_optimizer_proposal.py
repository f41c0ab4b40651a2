"""A liked policy becomes steps: points of zones and units, moves that empty hosts, power-offs of empty hosts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimizer.packing import emptied, moves, repacked
from optimizer.proposal import (
    Ground,
    building_steps,
    machine_steps,
    require_worthwhile,
    saving_percent,
    unit_of,
)
from twin.building.points import program_points
from twin.errors import RefusedError
from twin.plan import ActionKind
from twin.plans.document import Interval
from twin.policy import Policy, Setpoint
from twin.site import AirHandler, Host, HostType, Location, Site, Vm, Zone
from twin.vocab import SystemType

TYPE = HostType(name="h", cores=4, core_mips=1000.0, ram_mb=16_000.0, power_w=tuple(100.0 + 10 * i for i in range(11)))
HOMES = ("h1", "h1", "h2", "h3")


def zone(name: str) -> Zone:
    return Zone(id=name, floor=0, floor_area_m2=100.0, volume_m3=300.0, air_handler="ahu", design_people=10.0)


SITE = Site(
    name="office",
    time_zone=ZoneInfo("UTC"),
    location=Location(latitude_deg=42.0, longitude_deg=-88.0),
    zones=(zone("north"), zone("south")),
    air_handlers=(AirHandler(id="ahu", system=SystemType.VAV_REHEAT, zones=("north", "south")),),
    operation=Policy(cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=26.7)),
    host_types=(TYPE,),
    hosts=tuple(Host(id=f"h{i}", type="h", zone="north") for i in (1, 2, 3)),
    vms=tuple(Vm(id=f"v{i}", vcpus=2, mips=1000.0, ram_mb=4000.0, host=home) for i, home in enumerate(HOMES)),
)
BUSY = np.full(4, 0.5)
GROUND = Ground(
    carriers=dict.fromkeys(program_points(SITE, SITE.operation), "building")
    | dict.fromkeys([f"vm/v{i}/host" for i in range(4)] + [f"host/h{i}/power" for i in (1, 2, 3)], "hosts"),
    present={**program_points(SITE, SITE.operation), "vm/v3/host": "h3", "host/h3/power": "on"},
    seen={"north/cooling_setpoint_occupied_c": (23.0, 24.5)},
    hold_until=datetime(2023, 7, 1, tzinfo=UTC),
)
WARMER = Policy(cooling_setpoint_c=Setpoint(occupied=25.0, unoccupied=26.7))


def test_one_step_per_point_that_differs_with_the_value_that_the_world_shows() -> None:
    steps = building_steps(SITE, WARMER, GROUND)
    changed = [(step.action.point, step.action.expected, step.action.value) for step in steps]
    assert changed == [(f"{name}/cooling_setpoint_occupied_c", 24.0, 25.0) for name in ("north", "south")]


def test_a_value_that_calibration_never_saw_is_marked() -> None:
    marks = {step.target.id: step.inside_calibrated_range for step in building_steps(SITE, WARMER, GROUND)}
    assert marks == {"north": False, "south": False}


def test_a_point_of_which_nothing_was_ever_seen_is_outside_too() -> None:
    """Unknown is not good: the ground tells of the north room alone."""
    mild = Policy(cooling_setpoint_c=Setpoint(occupied=24.5, unoccupied=26.7))
    marks = {step.target.id: step.inside_calibrated_range for step in building_steps(SITE, mild, GROUND)}
    assert marks == {"north": True, "south": False}


def test_a_policy_equal_to_operation_has_no_steps() -> None:
    assert building_steps(SITE, SITE.operation, GROUND) == ()


def test_packing_empties_the_hosts_that_have_least_and_keeps_the_headroom() -> None:
    """4 VMs of 500 MIPS: at 40 % headroom a host of 4,000 MIPS takes all four (2,000 of 2,400); 16 GB just fit."""
    packed = repacked(SITE, BUSY, headroom=0.4)
    assert emptied(packed) == ("h2", "h3")


@pytest.mark.parametrize(
    ("vms", "why"),
    [
        (tuple(replace(vm, pinned=True) for vm in SITE.vms), "pinned"),
        (tuple(replace(vm, anti_affinity="g") for vm in SITE.vms[1:]), "anti-affinity"),
        (tuple(replace(vm, ram_mb=8000.0) for vm in SITE.vms[1:]), "memory"),
    ],
)
def test_packing_keeps_every_rule(vms: tuple[Vm, ...], why: str) -> None:
    site = replace(SITE, vms=vms)
    packed = repacked(site, np.full(len(vms), 0.5), headroom=0.4)
    assert not (why == "pinned" and moves(site, packed))
    for host in site.hosts:
        there = [vm for vm in packed.vms if vm.host == host.id]
        assert sum(vm.ram_mb for vm in there) <= TYPE.ram_mb
        assert len([vm for vm in there if vm.anti_affinity]) <= 1


def test_a_host_is_powered_off_after_its_last_vm_has_left() -> None:
    steps = machine_steps(SITE, repacked(SITE, BUSY, headroom=0.4), GROUND)
    of_h3 = [step.action.kind for step in steps if step.target.group == "h3"]
    assert of_h3 == [ActionKind.LIVE_MIGRATE, ActionKind.POWER_OFF_HOST]


def test_a_host_that_idles_already_is_powered_off_first_and_one_that_is_off_is_left() -> None:
    idle = replace(SITE, vms=tuple(replace(vm, host="h1") for vm in SITE.vms))
    points = [step.action.point for step in machine_steps(idle, repacked(idle, BUSY, headroom=0.4), GROUND)]
    assert points == ["host/h2/power", "host/h3/power"]
    off = replace(GROUND, present={**GROUND.present, "host/h3/power": "off"})
    points = [step.action.point for step in machine_steps(idle, repacked(idle, BUSY, headroom=0.4), off)]
    assert points == ["host/h2/power"]


@pytest.mark.parametrize(
    ("point", "unit"),
    [("z/cooling_setpoint_occupied_c", "degC"), ("a/hours_mon_start_h", "h"), ("a/supply_air_rise_k", "K")],
)
def test_points_carry_their_unit(point: str, unit: str) -> None:
    assert unit_of(point) == unit


def test_every_program_point_has_a_unit() -> None:
    assert [point for point in program_points(SITE, SITE.operation) if not unit_of(point)] == []


def test_a_saving_sums_its_kpis() -> None:
    """100 + 100 kWh, minus 20 +- 3 and minus 10 +- 4: 15 % +- 2.5 points, since 3 and 4 make 5."""
    base = {name: {"value": 100.0, "low": 90.0, "high": 110.0, "unit": "kWh"} for name in ("hvac_kwh", "gas_kwh")}
    delta = {
        "hvac_kwh": {"value": -20.0, "low": -23.0, "high": -17.0, "unit": "kWh"},
        "gas_kwh": {"value": -10.0, "low": -14.0, "high": -6.0, "unit": "kWh"},
    }
    saving = saving_percent(base, delta, ("hvac_kwh", "gas_kwh"))
    assert (saving.value, saving.low, saving.high) == pytest.approx((15.0, 12.5, 17.5))


def test_a_saving_whose_lower_bound_does_not_pay_is_refused() -> None:
    with pytest.raises(RefusedError, match="lower bound"):
        require_worthwhile(Interval(value=3.0, low=-1.0, high=7.0, unit="%"), 0.5, "energy")
