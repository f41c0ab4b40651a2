"""The twin of another site is refused, and rooms that carry each other's temperature are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_calibrate import TRUTH, office, record

from twin.calibration.swapped import Swap, find_swaps, swaps
from twin.model import Model
from twin.site import Point, Site
from twin.site_match import mismatches, topology_digest, units_digest
from twin.telemetry import CalibrationData
from twin.vocab import PointKind

METERS = (PointKind.HVAC_ELECTRIC_POWER,)


def swapped(data: CalibrationData) -> CalibrationData:
    return replace(data, zone_temperature_c=data.zone_temperature_c[:, ::-1].copy())


def test_rooms_on_their_own_sensors_are_no_swap() -> None:
    assert find_swaps(office(), TRUTH, record(METERS)) == ()


def test_swapped_sensors_of_two_rooms_are_found_and_named() -> None:
    found = find_swaps(office(), TRUTH, swapped(record(METERS)))
    assert [(swap.a, swap.b) for swap in found] == [("core", "south")]
    assert "the temperatures of core and south look swapped" in found[0].sentence()
    assert found[0].rmse_swapped_k < 0.5 < found[0].rmse_k


def test_a_twin_that_errs_by_noise_and_offset_calls_no_swap() -> None:
    data = record(METERS)
    noise = np.random.default_rng(3).normal(0.0, 0.5, data.zone_temperature_c.shape)
    assert find_swaps(office(), TRUTH, replace(data, zone_temperature_c=data.zone_temperature_c + noise + 0.4)) == ()


def test_one_exchanged_day_of_many_is_no_swap() -> None:
    own = np.tile([[20.0, 25.0]], (10 * 24, 1))
    measured = own.copy()
    measured[:24] = measured[:24, ::-1]
    assert swaps(measured, own, ["a", "b"], 24) == ()


def test_rooms_that_cannot_be_told_apart_are_no_swap() -> None:
    alike = np.full((10 * 24, 2), 21.0)
    assert swaps(alike + 1.0, alike, ["a", "b"], 24) == ()


def test_a_room_that_is_silent_is_no_swap() -> None:
    own = np.tile([[20.0, 25.0]], (10 * 24, 1))
    measured = own[:, ::-1].copy()
    measured[:, 0] = np.nan
    assert swaps(measured, own, ["a", "b"], 24) == ()
    assert swaps(own[:, ::-1], own, ["a", "b"], 24) == (Swap(a="a", b="b", rmse_k=5.0, rmse_swapped_k=0.0),)


def site_with(point: Point) -> Site:
    return replace(office(), points=(point,))


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(office(), name="two shops"), "the site's name"),
        (replace(office(), zones=office().zones[::-1]), "zones, walls and air handlers"),
        (site_with(Point(id="core/t", kind=PointKind.ZONE_CO2, of="core")), "points and their kinds and units"),
    ],
)
def test_a_twin_of_another_site_topology_or_unit_does_not_match(other: Site, named: str) -> None:
    site = office()
    model = Model.__new__(Model)
    facts = {"site": site.name, "topology_digest": topology_digest(site), "units_digest": units_digest(site)}
    for name, value in facts.items():
        object.__setattr__(model, name, value)
    assert mismatches(model, site) == ()
    assert [fault.partition(":")[0] for fault in mismatches(model, other)] == [named]
