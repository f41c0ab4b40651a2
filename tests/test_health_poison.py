"""Poisoned telemetry: a drifting meter, counts turned round, weeks copied over others; healthy series stay quiet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from test_health import DAYS, SITE, START, STEPS, frame_of, healthy

from twin.health import Finding, FindingKind
from twin.health.examine import examine
from twin.site import Point, Site
from twin.telemetry import calibration_data
from twin.vocab import PointKind

Array = NDArray[np.float64]
K = PointKind
METERS = (K.HVAC_ELECTRIC_POWER, K.FAN_POWER, K.COOLING_POWER, K.HEATING_ELECTRIC_POWER)


def office() -> Site:
    """The site of the other tests with people and plugs in one room, and HVAC meters."""
    points = [Point(id="a/zone_occupancy", kind=K.ZONE_OCCUPANCY, of="a")]
    points += [Point(id="a/zone_plug_power", kind=K.ZONE_PLUG_POWER, of="a")]
    points += [Point(id=str(kind), kind=kind, of="s") for kind in METERS]
    return replace(SITE, points=(*SITE.points, *points))


def series() -> dict[str, Array]:
    random = np.random.default_rng(11)
    hour, day = np.arange(STEPS) / 4.0 % 24, np.arange(STEPS) // 96
    here = (hour >= 7) & (hour < 17) & (day % 7 < 5)
    parts = {
        str(K.FAN_POWER): np.where(here, 2_000.0 + random.uniform(0, 400, STEPS), 0.0),
        str(K.COOLING_POWER): np.where(here, random.uniform(500, 4_000, STEPS), 0.0),
        str(K.HEATING_ELECTRIC_POWER): np.where(hour < 9, random.uniform(500, 3_000, STEPS), 0.0),
    }
    return {
        **healthy(),
        **parts,
        str(K.HVAC_ELECTRIC_POWER): np.sum(list(parts.values()), axis=0),
        "a/zone_occupancy": np.where(here, random.integers(6, 11, STEPS), 0).astype(float),
        "a/zone_plug_power": np.where(here, random.uniform(600, 900, STEPS), random.uniform(150, 200, STEPS)),
    }


def found(data: dict[str, Array], *kinds: FindingKind) -> Sequence[Finding]:
    return [one for one in examine(office(), frame_of(data)) if one.kind in kinds]


POISON = (FindingKind.METER_DRIFT, FindingKind.REPEATED, FindingKind.CONTRADICTION)


def test_healthy_meters_counts_and_rooms_raise_no_alarm() -> None:
    assert found(series(), *POISON) == []


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("rise", [0.3, -0.2])
def test_a_meter_that_drifts_is_named_by_the_meters_of_its_parts(meter: PointKind, rise: float) -> None:
    data = series()
    data[str(meter)] = data[str(meter)] * np.linspace(1.0, 1.0 + rise, STEPS)
    drift = found(data, *POISON)
    assert [(one.point, one.excluded) for one in drift] == [(str(meter), True)]
    assert "a drift of this meter explains that" in drift[0].sentence


def test_a_whole_that_never_was_the_sum_of_its_parts_is_no_drift() -> None:
    data = series()
    data[str(K.HVAC_ELECTRIC_POWER)] = 1.2 * data[str(K.HVAC_ELECTRIC_POWER)]
    assert found(data, *POISON) == []


def test_counts_that_are_turned_round_for_a_day_contradict_the_plugs() -> None:
    data = series()
    for day in (2, 12):  # a Wednesday and a Saturday of the site's clock, an hour ahead of UTC
        rows = slice(96 * day - 4, 96 * day + 92)
        data["a/zone_occupancy"][rows] = np.where(data["a/zone_occupancy"][rows] > 0, 0.0, 8.0)
    days = found(data, *POISON)
    assert [one.start for one in days] == [START + timedelta(days=day, hours=-1) for day in (2, 12)]
    assert {one.point for one in days} == {"a/zone_occupancy"}
    assert all(one.excluded and "contradict a/zone_plug_power" in one.sentence for one in days)


def test_a_day_off_is_no_contradiction() -> None:
    data = series()
    rows = slice(96 * 3 - 4, 96 * 3 + 92)
    data["a/zone_occupancy"][rows] = 0.0
    data["a/zone_plug_power"][rows] = 180.0
    assert found(data, *POISON) == []


def test_plugs_that_never_follow_people_show_nothing() -> None:
    data = series()
    data["a/zone_plug_power"] = np.roll(data["a/zone_plug_power"], 48)
    assert found(data, *POISON) == []


def test_a_week_copied_over_another_is_found_from_both_sides_and_both_are_kept_out() -> None:
    data, name = series(), "b/zone_air_temperature"
    good, bad = slice(96 * 3 + 20, 96 * 8 + 20), slice(96 * 13 + 20, 96 * 18 + 20)
    data[name][bad] = data[name][good]
    copies = found(data, *POISON)
    assert [(one.point, one.start) for one in copies] == [
        (name, START + timedelta(days=day, hours=5)) for day in (3, 13)
    ]
    assert all(one.numbers["days"] == 5.0 for one in copies)
    frame = frame_of(data)
    record = calibration_data(office(), frame, START, START + timedelta(days=DAYS), excluded=copies)
    unknown = np.isnan(record.zone_temperature_c[:, 1])
    assert unknown[good].all()
    assert unknown[bad].all()
    assert not unknown[: good.start].any()


def test_a_schedule_that_comes_again_every_week_is_no_copy() -> None:
    data = series()
    data["a/zone_plug_power"] = np.tile(data["a/zone_plug_power"][: 7 * 96], 3)
    assert found(data, *POISON) == []
