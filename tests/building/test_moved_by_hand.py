"""Radiators and blinds as they were recorded: heat in, sun kept out, fitted from temperatures alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_site import two_zone_site
from test_building_run import OFFICE, STEPS, drivers

from twin.building.parameters import Parameters
from twin.policy import OperatingHours
from twin.run import simulate
from twin.vocab import SystemType

SITE = two_zone_site(1, SystemType.VAV_REHEAT)
OFF = replace(OFFICE, operating_hours=OperatingHours(windows={}))
HALF = np.full((STEPS, 2), 0.5)


def mean_c(parameters: Parameters, **recorded: np.ndarray) -> float:
    """Mean temperature of both zones with all units off."""
    world = replace(drivers(outdoor_c=0.0, swing_k=0.0, sun=400.0), **recorded)
    return float(simulate(SITE, parameters, world, OFF).building.zone_temperature_c.mean())


def test_open_radiator_valves_warm_the_rooms_and_more_so_at_a_larger_capacity() -> None:
    closed, half = mean_c(Parameters()), mean_c(Parameters(), radiator_valve=HALF)
    strong = mean_c(Parameters({"radiator_w_m2": 80.0}), radiator_valve=HALF)
    assert closed < half < strong
    assert mean_c(Parameters(), radiator_valve=0 * HALF) == pytest.approx(closed, abs=1e-9)


def test_blinds_that_are_down_keep_sun_out_and_those_that_are_up_none() -> None:
    up = mean_c(Parameters(), blind_open=2 * HALF)
    assert up == pytest.approx(mean_c(Parameters()), abs=1e-9)
    assert mean_c(Parameters(), blind_open=0 * HALF) < up


def test_weather_compensation_lowers_radiator_heat_as_it_gets_warm_outside() -> None:
    def warmed(outdoor_c: float, curve: float) -> float:
        world = replace(drivers(outdoor_c=outdoor_c, swing_k=0.0), radiator_valve=HALF)
        parameters = Parameters({"radiator_curve": curve})
        return float(simulate(SITE, parameters, world, OFF).building.zone_temperature_c.mean())

    assert warmed(0.0, 1.0) == pytest.approx(warmed(0.0, 0.0), abs=1e-9)
    assert warmed(15.0, 1.0) < warmed(15.0, 0.0)
