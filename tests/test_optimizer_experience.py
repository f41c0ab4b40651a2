"""What the telemetry has shown bounds what a plan may set."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimizer.experience import experience, strangers
from twin.building.program import Recorded
from twin.policy import OperatingHours, Policy, Setpoint
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
        ("ahu/hours_mon_start_h", (6.0, 6.0)),
        ("ahu/hours_tue_stop_h", (22.0, 22.0)),
        ("ahu/supply_air_max_c", (12.8, 15.0)),
    ],
)
def test_the_range_of_a_point_is_what_was_in_force(point: str, seen: tuple[float, float]) -> None:
    assert experience(SITE, two_days())[point] == pytest.approx(seen)


def test_a_point_that_no_telemetry_shows_is_absent() -> None:
    assert "z/heating_setpoint_occupied_c" not in experience(SITE, two_days())


def test_values_outside_experience_are_strangers() -> None:
    policy = Policy(cooling_setpoint_c=Setpoint(occupied=25.5, unoccupied=27.0))
    assert strangers(SITE, policy, experience(SITE, two_days())) == ("z/cooling_setpoint_occupied_c",)
