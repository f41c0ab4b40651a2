"""Policies become control programs: local time, windows, points and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_site import two_zone_site

from twin.building.control import Commands, Controller
from twin.building.program import compile_points, compile_program, policy_from_points, program_points
from twin.errors import BadInputError
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
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
OFFICE = Policy(operating_hours=OperatingHours(windows=dict.fromkeys(WORKDAYS, (6.0, 22.0))))
MONDAY = datetime(2023, 1, 9, tzinfo=UTC)


def orders(policy: Policy, start: datetime, days: int, site=SITE) -> list[Commands]:
    """What the controller orders for comfortable, empty zones."""
    controller = Controller(compile_program(site, policy, start, days * 96))
    return [controller.step(i, np.full(2, 22.0), np.zeros(2)) for i in range(days * 96)]


def hours_on(policy: Policy, start: datetime, days: int, site=SITE) -> np.ndarray:
    """Hours of operation of the first unit on each day of a run that starts at local midnight."""
    on = np.array([order.fan_on[0] for order in orders(policy, start, days, site)])
    return on.reshape(days, 96).sum(axis=1) / 4


def test_the_unit_runs_from_start_to_stop_on_named_days_only() -> None:
    np.testing.assert_array_equal(hours_on(OFFICE, MONDAY, 7), [16, 16, 16, 16, 16, 0, 0])


def test_a_holiday_without_hours_of_its_own_is_like_a_sunday() -> None:
    site = replace(SITE, holidays=frozenset({date(2023, 1, 10)}))
    np.testing.assert_array_equal(hours_on(OFFICE, MONDAY, 3, site), [16, 0, 16])


def test_hours_across_midnight_end_on_the_next_day() -> None:
    night = Policy(operating_hours=OperatingHours(windows={"mon": (22.0, 2.0)}))
    np.testing.assert_array_equal(hours_on(night, MONDAY, 3), [2, 2, 0])


def test_hours_follow_the_wall_clock_through_daylight_saving() -> None:
    """In Chicago 06:00 is 12:00 UTC in winter and 11:00 UTC from 12 March 2023 on."""
    site = replace(SITE, time_zone=ZoneInfo("America/Chicago"))
    on = [order.fan_on[0] for order in orders(OFFICE, datetime(2023, 3, 10, tzinfo=UTC), 4, site)]
    begins = np.flatnonzero(np.diff(on) == 1) + 1
    np.testing.assert_array_equal(begins / 4, [12, 3 * 24 + 11])


def test_outdoor_air_opens_after_its_delay_and_not_before_the_latest_start() -> None:
    delayed = OFFICE.merge(Policy(outdoor_air=OutdoorAir(start_delay_h=1.0)))
    late = delayed.merge(Policy(optimal_start=OptimalStart(latest_h=8.5, warm_up_k_per_h=4)))
    firsts = []
    for policy in (delayed, late):
        shares = [order.minimum_outdoor_air[0] for order in orders(policy, MONDAY, 1)]
        firsts.append(np.flatnonzero(shares)[0] / 4)
    assert firsts == [7.0, 8.5]


setpoints = st.builds(Setpoint, occupied=st.floats(15, 30), unoccupied=st.floats(10, 32))
hour = st.floats(0, 24, exclude_max=True)
policies = st.builds(
    Policy,
    heating_setpoint_c=setpoints,
    zone_cooling_setpoint_c=st.dictionaries(st.sampled_from(["core", "south"]), setpoints),
    operating_hours=st.builds(
        OperatingHours,
        windows=st.dictionaries(
            st.sampled_from([*WORKDAYS, "holidays"]), st.tuples(st.floats(0, 11), st.floats(12, 24)) | st.none()
        ),
        called_by_occupancy=st.none() | st.integers(1, 50),
    ),
    optimal_start=st.just("off") | st.builds(OptimalStart, latest_h=hour, warm_up_k_per_h=st.floats(0.5, 8)),
    empty_zone_setback=st.just("off")
    | st.builds(EmptyZoneSetback, delta_k=st.floats(0.5, 4), after_min=st.floats(0, 120), from_h=st.none() | hour),
    supply_air_temperature_c=st.builds(SupplyAirReset, min_c=st.floats(10, 14), max_c=st.floats(14, 20)),
    outdoor_air=st.builds(
        OutdoorAir, start_delay_h=st.floats(0, 3), demand_controlled_min_fraction=st.none() | st.floats(0, 0.9)
    ),
    economizer=st.sampled_from(["differential_dry_bulb", "off"]),
    night_cycle=st.just("off") | st.builds(NightCycle, tolerance_k=st.floats(0, 3), run_min=st.floats(1, 120)),
    precool=st.just("off")
    | st.builds(Precool, from_h=st.floats(0, 11), to_h=st.floats(12, 24), setpoint_c=st.floats(18, 24)),
)


@settings(deadline=None)
@given(policy=policies)
def test_points_become_a_policy_with_the_same_points(policy: Policy) -> None:
    points = program_points(SITE, policy)
    assert program_points(SITE, policy_from_points(SITE, points)) == points


def test_points_that_differ_between_units_are_no_policy() -> None:
    site = two_zone_site(units=2)
    points = program_points(site, OFFICE) | {"unit-2/supply_air_max_c": 17.0}
    with pytest.raises(BadInputError, match="supply_air_max_c"):
        policy_from_points(site, points)
    arrays = compile_points(site, points, MONDAY, 4).arrays
    np.testing.assert_array_equal(arrays.supply[:, 1], [12.8, 17.0])
