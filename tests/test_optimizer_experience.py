"""What the telemetry has shown bounds what a plan may set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimizer.experience import experience, recorded_ranges, strangers, unseen
from twin.building.program import Recorded
from twin.health.finding import FindingKind
from twin.policy import EmptyZoneSetback, OperatingHours, OutdoorAir, Policy, Setpoint
from twin.site import AirHandler, Location, Site, Zone
from twin.telemetry import CalibrationData
from twin.vocab import SystemType

SITE = Site(
    name="office",
    time_zone=ZoneInfo("UTC"),
    location=Location(latitude_deg=42.0, longitude_deg=-88.0),
    zones=(Zone(id="z", floor=0, floor_area_m2=100.0, volume_m3=300.0, air_handler="ahu", design_people=10.0),),
    air_handlers=(AirHandler(id="ahu", system=SystemType.VAV_REHEAT, zones=("z",)),),
    operation=Policy(operating_hours=OperatingHours(windows={"mon": (7.0, 20.0), "tue": (7.0, 20.0)})),
)


def two_days() -> CalibrationData:
    """A Monday from 6 to 20 h and a Tuesday from 7 to 22 h; 24 °C and 25 °C while the unit runs, else 27 °C."""
    hour = np.arange(0, 48, 0.25)
    on = ((hour >= 6) & (hour < 20)) | ((hour >= 31) & (hour < 46))
    cooling = np.where(on, np.where(hour < 24, 24.0, 25.0), 27.0)
    recorded = Recorded(
        cooling_setpoint_c=cooling[:, None],
        fan_schedule_on=on[:, None].astype(float),
        supply_setpoint_c=np.where(hour < 24, 12.8, 15.0)[:, None],
    )
    drivers = SimpleNamespace(start=datetime(2023, 3, 6, tzinfo=UTC), steps=len(hour), step_s=900.0)
    return cast("CalibrationData", cast("Any", SimpleNamespace(recorded=recorded, drivers=drivers)))


@pytest.mark.parametrize(
    ("point", "seen"),
    [
        ("z/cooling_setpoint_occupied_c", (24.0, 25.0)),
        ("z/cooling_setpoint_unoccupied_c", (27.0, 27.0)),
        ("ahu/hours_mon_stop_h", (20.0, 20.0)),
        ("ahu/hours_tue_start_h", (7.0, 7.0)),
        ("ahu/hours_tue_stop_h", (22.0, 22.0)),
        ("ahu/supply_air_max_c", (12.8, 15.0)),
    ],
)
def test_the_range_of_a_point_is_what_was_in_force(point: str, seen: tuple[float, float]) -> None:
    assert recorded_ranges(SITE, two_days())[point] == pytest.approx(seen)


def test_what_the_site_file_has_in_force_is_experience_too() -> None:
    """26.7 degC at night by the controller's default, 27 as recorded."""
    assert experience(SITE, two_days())["z/cooling_setpoint_unoccupied_c"] == pytest.approx((26.7, 27.0))


def test_a_point_that_no_telemetry_shows_has_been_seen_at_the_site_files_value_only() -> None:
    assert experience(SITE, two_days())["z/heating_setpoint_occupied_c"] == (21.0, 21.0)


def test_under_another_site_file_than_at_calibration_such_a_point_is_unknown() -> None:
    seen = experience(SITE, two_days(), operated=False)
    assert "z/heating_setpoint_occupied_c" not in seen
    assert seen["z/cooling_setpoint_occupied_c"] == (24.0, 25.0)
    colder = Policy(heating_setpoint_c=Setpoint(occupied=20.5, unoccupied=15.6))
    assert strangers(SITE, colder, seen) == ("z/heating_setpoint_occupied_c",)


def test_values_outside_experience_are_strangers() -> None:
    policy = Policy(cooling_setpoint_c=Setpoint(occupied=25.5, unoccupied=27.0))
    assert strangers(SITE, policy, experience(SITE, two_days())) == ("z/cooling_setpoint_occupied_c",)


def test_a_value_that_nothing_ever_showed_is_a_stranger() -> None:
    """No heating setpoint is recorded: half a kelvin below the site file's 21 degC is outside, the rest is inside."""
    policy = Policy(
        heating_setpoint_c=Setpoint(occupied=20.5, unoccupied=15.6),
        cooling_setpoint_c=Setpoint(occupied=24.5, unoccupied=27.0),
    )
    assert strangers(SITE, policy, experience(SITE, two_days())) == ("z/heating_setpoint_occupied_c",)


def test_the_hours_of_a_day_off_are_no_hours_of_a_start() -> None:
    """Wednesday is off in the file and in the record: it may start as Monday or Tuesday did, not at 3 o'clock."""
    seen = experience(SITE, two_days())
    assert seen["ahu/hours_wed_start_h"] == (6.0, 7.0)
    early = Policy(operating_hours=OperatingHours(windows={"wed": (3.0, 20.0)}))
    assert strangers(SITE, early, seen) == ("ahu/hours_wed_start_h",)


@pytest.mark.parametrize(("delta_k", "inside"), [(2.0, True), (2.5, False)])
def test_a_setback_of_empty_zones_is_known_where_its_band_was_seen(delta_k: float, inside: bool) -> None:
    """Cooling was set to 24 to 27 degC, heating to 18 to 21: the band of 21 to 25 may widen by two kelvin."""
    record = two_days()
    heating = np.where(np.asarray(record.recorded.fan_schedule_on) > 0.5, 21.0, 18.0)
    known = replace(record.recorded, heating_setpoint_c=heating)
    data = cast("CalibrationData", cast("Any", SimpleNamespace(recorded=known, drivers=record.drivers)))
    policy = Policy(
        cooling_setpoint_c=Setpoint(occupied=25.0, unoccupied=27.0),
        empty_zone_setback=EmptyZoneSetback(delta_k=delta_k),
    )
    assert ("ahu/empty_setback_delta_k" not in strangers(SITE, policy, experience(SITE, data))) is inside


def test_a_call_by_occupancy_is_known_where_the_unit_was_seen_running_and_at_rest() -> None:
    called = Policy(operating_hours=OperatingHours(windows={}, called_by_occupancy=3))
    assert strangers(SITE, called, experience(SITE, two_days())) == ()
    always = replace(two_days().recorded, fan_schedule_on=np.ones((192, 1)))
    data = cast("CalibrationData", cast("Any", SimpleNamespace(recorded=always, drivers=two_days().drivers)))
    assert strangers(SITE, called, experience(SITE, data)) == ("ahu/called_by_occupancy",)


def test_without_a_recorded_schedule_the_site_files_hours_tell_when_a_setpoint_was_the_occupied_one() -> None:
    """By the file the unit runs from 7 to 20 h: 24 and 25 degC then, and up to 27 at night."""
    bare = replace(two_days().recorded, fan_schedule_on=None)
    data = cast("CalibrationData", cast("Any", SimpleNamespace(recorded=bare, drivers=two_days().drivers)))
    assert experience(SITE, data)["z/cooling_setpoint_occupied_c"] == (24.0, 25.0)
    assert "z/cooling_setpoint_occupied_c" not in experience(SITE, data, operated=False)


def test_the_share_of_outdoor_air_is_known_as_far_as_dampers_were_recorded() -> None:
    policy = Policy(outdoor_air=OutdoorAir(demand_controlled_min_fraction=0.3))
    assert strangers(SITE, policy, experience(SITE, two_days())) == ("ahu/outdoor_air_min_fraction",)
    shares = np.where(np.arange(192) % 8 < 4, 0.2, 1.0)[:, None]
    known = replace(two_days().recorded, minimum_outdoor_air=shares)
    data = cast("CalibrationData", cast("Any", SimpleNamespace(recorded=known, drivers=two_days().drivers)))
    assert strangers(SITE, policy, experience(SITE, data)) == ()


def test_points_that_telemetry_could_show_and_does_not_are_a_finding() -> None:
    (finding,) = unseen(SITE, recorded_ranges(SITE, two_days()))
    assert finding.kind is FindingKind.UNSEEN
    assert "no telemetry shows what was commanded at 3 points" in finding.sentence
    assert finding.numbers["heating_setpoint_occupied_c"] == 1.0
    assert "cooling_setpoint_occupied_c" not in finding.numbers
