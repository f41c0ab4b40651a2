"""The controller does what the policy says, one step late."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from small_site import two_zone_site

from twin.building.control import Commands, Controller
from twin.building.program import Recorded, compile_program
from twin.policy import (
    EmptyZoneSetback,
    NightCycle,
    OperatingHours,
    OptimalStart,
    OutdoorAir,
    Policy,
    Precool,
    Setpoint,
    SupplyAirReset,
)

SITE = two_zone_site()
OFFICE = Policy(
    heating_setpoint_c=Setpoint(occupied=21.0, unoccupied=15.6),
    cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=26.7),
    operating_hours=OperatingHours(windows={"mon": (6.0, 22.0)}),
)
MONDAY = datetime(2023, 1, 9, tzinfo=UTC)
COMFORTABLE = (22.0, 22.0)


def day(over: Policy, temps: object = COMFORTABLE, people: object = (0.0, 0.0), days: int = 1) -> list[Commands]:
    """Orders through whole days; temperatures and people constant, or a function of the step."""
    controller = Controller(compile_program(SITE, OFFICE.merge(over), MONDAY, 96 * days))

    def at(source: object, i: int) -> np.ndarray:
        return np.array(source(i) if callable(source) else source, dtype=float)

    return [controller.step(i, at(temps, i), at(people, i)) for i in range(96 * days)]


def at(orders: list[Commands], hour: float) -> Commands:
    return orders[int(hour * 4)]


def test_occupied_setpoints_hold_while_the_unit_runs_and_unoccupied_ones_otherwise() -> None:
    orders = day(Policy())
    assert [at(orders, h).heating_c[0] for h in (5.75, 6.0, 21.75, 22.0)] == [15.6, 21.0, 21.0, 15.6]
    assert [at(orders, h).cooling_c[1] for h in (5.75, 6.0, 21.75, 22.0)] == [26.7, 24.0, 24.0, 26.7]


def test_cooling_setpoint_keeps_one_kelvin_above_heating() -> None:
    orders = day(Policy(cooling_setpoint_c=Setpoint(occupied=21.2, unoccupied=26.7)))
    assert at(orders, 12).cooling_c[0] == 22.0


def test_people_inside_call_the_unit_outside_its_hours() -> None:
    called = Policy(operating_hours=OperatingHours(windows={}, called_by_occupancy=3))
    orders = day(called, people=lambda i: (2.0, 1.0) if i == 8 else (2.0, 0.0))
    assert [at(orders, h).fan_on[0] for h in (1.75, 2.0, 2.25)] == [0, 1, 0]
    assert at(orders, 2.0).heating_c[0] == 21.0


@pytest.mark.parametrize(("temperature", "start_h"), [(20.7, 8.0), (18.7, 7.5), (10.7, 6.0)])
def test_optimal_start_runs_when_the_neediest_zone_takes_the_rest_of_the_time(
    temperature: float, start_h: float
) -> None:
    """At 4 K/h a zone 2 K (beyond 0.3 K) below its band needs half an hour before the latest start at 8."""
    orders = day(
        Policy(optimal_start=OptimalStart(latest_h=8.0, warm_up_k_per_h=4), night_cycle="off"), (22.0, temperature)
    )
    assert next(i for i, order in enumerate(orders) if order.fan_on[0]) / 4 == start_h


def test_once_started_the_unit_stays_on_though_need_falls() -> None:
    policy = Policy(optimal_start=OptimalStart(latest_h=8.0, warm_up_k_per_h=4), night_cycle="off")
    orders = day(policy, lambda i: (22.0, 18.7 if i <= 30 else 21.0))
    assert all(order.fan_on[0] for order in orders[30:88])


def test_empty_zone_gets_a_wider_band_after_half_an_hour_past_five() -> None:
    setback = Policy(empty_zone_setback=EmptyZoneSetback(delta_k=2, after_min=30, from_h=17.0))
    orders = day(setback, people=lambda i: (1.0, 1.0) if i <= 72 else (1.0, 0.0))
    assert [at(orders, h).cooling_c[1] for h in (16, 18.25, 18.5)] == [24.0, 24.0, 26.0]
    assert at(orders, 18.5).heating_c[1] == 19.0
    assert at(orders, 18.5).heating_c[0] == 21.0


def test_supply_air_rises_while_all_zones_are_well_below_cooling_and_falls_else() -> None:
    reset = Policy(supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=14.0))
    orders = day(reset, lambda i: (22.0, 23.4 if i < 50 else 23.6))
    assert at(orders, 6).supply_c[0] == 14.0
    np.testing.assert_allclose([order.supply_c[0] for order in orders[49:54]], [14.0, 13.5, 13.0, 12.8, 12.8])


def test_outdoor_air_follows_people_within_its_limits_after_the_delay() -> None:
    air = Policy(outdoor_air=OutdoorAir(start_delay_h=1.0, demand_controlled_min_fraction=0.2))
    orders = day(air, people=lambda i: (9.0, 0.0) if i == 40 else (0.0, 1.0))
    shares = [at(orders, h).minimum_outdoor_air[0] for h in (6.75, 7.0, 10.0, 22.0)]
    np.testing.assert_allclose(shares, [0.0, 0.2, 9 / 15, 0.0])


def test_cold_zone_starts_the_stopped_unit_for_half_an_hour_with_night_setpoints() -> None:
    cycle = Policy(night_cycle=NightCycle(tolerance_k=1.0, run_min=30))
    orders = day(cycle, lambda i: (22.0, 14.5 if i == 8 else 15.0))
    assert [order.fan_on[0] for order in orders[7:11]] == [0, 1, 1, 0]
    assert orders[8].by_night_cycle[0] == 1
    assert orders[8].heating_c[1] == 15.6
    assert orders[8].minimum_outdoor_air[0] == 0


def test_a_zone_that_stays_cold_gets_runs_with_a_step_of_standstill_between() -> None:
    cycle = Policy(night_cycle=NightCycle(tolerance_k=1.0, run_min=30))
    orders = day(cycle, (22.0, 14.0))
    assert [order.fan_on[0] for order in orders[1:8]] == [1, 0, 1, 1, 0, 1, 1]


def test_precooling_lowers_the_cooling_setpoint_in_its_window() -> None:
    orders = day(Policy(precool=Precool(from_h=6.0, to_h=10.0, setpoint_c=22.5)))
    assert [at(orders, h).cooling_c[0] for h in (5.75, 6.0, 9.75, 10.0)] == [26.7, 22.5, 22.5, 24.0]


def test_recorded_commands_take_the_place_of_decisions_where_known() -> None:
    program = compile_program(SITE, OFFICE, MONDAY, 96)
    fan = np.full((96, 1), np.nan)
    fan[4] = 1.0
    controller = Controller(program.replaying(Recorded(fan_schedule_on=fan)))
    nobody = np.zeros(2)
    assert [controller.step(i, np.full(2, 22.0), nobody).fan_on[0] for i in range(3, 6)] == [0, 1, 0]
