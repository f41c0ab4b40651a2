"""What measured air flows tell without a simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_calibrate import STEPS, TRUTH, office, record, world

from twin.building.program import Recorded
from twin.calibration.air_side import air_side
from twin.policy import NightCycle, Policy
from twin.run import simulate
from twin.site import Site
from twin.telemetry import CalibrationData
from twin.vocab import EndUse, PointKind

ROWS = np.arange(STEPS)


def with_flows(site: Site, values: dict[str, float]) -> CalibrationData:
    """Six weeks of a known twin with its flows and its fan meter."""
    policy = site.operation.merge(Policy(night_cycle=NightCycle(tolerance_k=1.0, run_min=30.0)))
    run = simulate(site, TRUTH.replacing(values), world(), policy).building
    hours = ((np.arange(STEPS) / 4 % 24 >= 6) & (np.arange(STEPS) / 4 % 24 < 20)).astype(float)
    return replace(
        record(()),
        recorded=Recorded(fan_schedule_on=np.repeat(hours[:, None], 2, axis=1)),
        zone_supply_flow_kg_s=run.supply_flow_kg_s,
        unit_supply_flow_kg_s=run.supply_flow_kg_s,
        unit_outdoor_air_fraction=run.outdoor_air_fraction,
        meters_w={PointKind.FAN_POWER: run.power_w[EndUse.FAN]},
    )


@pytest.mark.parametrize("cycles", [0.0, 1.0])
def test_a_fan_that_cycles_at_night_shows_in_its_flow(cycles: float) -> None:
    known = air_side(office(), with_flows(office(), {"night_fan_cycles": cycles}), ROWS)
    assert known["unit-core/night_fan_cycles"] == known["unit-south/night_fan_cycles"] == cycles


def test_fans_keep_the_proportion_of_their_nameplates_and_meet_their_common_meter() -> None:
    """Pressures of 1,200 and 600 Pa stated, both fans worn by a fifth."""
    core, south = office().air_handlers
    pressures = (replace(core, fan_pressure_pa=1200.0), replace(south, fan_pressure_pa=600.0))
    site = replace(office(), air_handlers=pressures)
    worn = {f"{u.id}/fan_w_kg_s": 1.2 * float(u.fan_pressure_pa or 0.0) / 1.204 / 0.6 for u in pressures}
    known = air_side(site, with_flows(site, worn), ROWS)
    for key, value in worn.items():
        assert known[key] == pytest.approx(value, rel=0.02)


def test_outdoor_air_of_a_unit_without_economizer_is_read_in_mild_weather_and_without_people() -> None:
    """A store room that nobody is meant to stay in gets 0.3 L/s per m2 as its usual outdoor air."""
    core, south = office().zones
    site = replace(office(), zones=(replace(core, design_people=0.0), south))
    known = air_side(site, with_flows(site, {"unit-core/outdoor_air": 2.0, "unit-south/outdoor_air": 1.5}), ROWS)
    assert known["unit-core/outdoor_air"] == pytest.approx(2.0, rel=0.02)
    assert known["unit-south/outdoor_air"] == pytest.approx(1.5, rel=0.02)
