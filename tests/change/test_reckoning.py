"""Meters beside the twin: which meter shows which KPI, and what a rest that the twin does not know does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from twin.plans.reckoning import Compared, compared
from twin.site import Meter, Site
from twin.telemetry import CalibrationData
from twin.vocab import EndUse, PointKind

STEPS = 8
MODELLED = {use: np.full(STEPS, 1000.0) for use in EndUse if use is not EndUse.OTHER}


def of(meters_w: dict[PointKind, float], *meters: Meter, **more: object) -> dict[str, Compared]:
    """Constant meters over two hours beside a twin that says 1 kW for each end use."""
    site = cast("Site", SimpleNamespace(meters=meters))
    drivers = SimpleNamespace(step_s=900.0)
    series = {kind: np.full(STEPS, watts) for kind, watts in meters_w.items()}
    data = cast("CalibrationData", SimpleNamespace(drivers=drivers, meters_w=series))
    return compared(site, data, MODELLED, **more)  # type: ignore[arg-type]


def test_a_meter_of_one_end_use_shows_its_kpi() -> None:
    found = of({PointKind.COOLING_POWER: 2500.0})
    np.testing.assert_allclose(found["cooling_kwh"].measured_kwh, [2.5, 2.5])
    np.testing.assert_allclose(found["cooling_kwh"].modelled_kwh, [1.0, 1.0])


def test_a_total_is_held_against_all_that_it_is_said_to_cover() -> None:
    """Fan, lights, plugs and hosts of 1 kW each; outdoor lights are a rest that the twin does not know."""
    covers = (EndUse.FAN, EndUse.LIGHTS, EndUse.PLUGS, EndUse.IT, EndUse.OTHER)
    found = of({PointKind.ELECTRIC_POWER: 5000.0}, Meter(kind=PointKind.ELECTRIC_POWER, covers=covers))
    np.testing.assert_allclose(found["electricity_kwh"].residuals_kwh, [1.0, 1.0])


def test_a_meter_that_covers_more_than_the_kpi_does_not_show_it() -> None:
    covers = (EndUse.FAN, EndUse.COOLING, EndUse.LIGHTS)
    assert not of({PointKind.HVAC_ELECTRIC_POWER: 1.0}, Meter(kind=PointKind.HVAC_ELECTRIC_POWER, covers=covers))


def test_a_total_that_nobody_explained_shows_nothing() -> None:
    assert not of({PointKind.ELECTRIC_POWER: 5000.0})


@pytest.mark.parametrize(("missing", "hours"), [(0, 2), (1, 1)])
def test_an_hour_with_a_missing_step_of_a_host_is_not_counted(missing: int, hours: int) -> None:
    hosts = np.full(STEPS, 600.0)
    hosts[:missing] = np.nan
    assert len(of({}, hosts_w=hosts)["it_kwh"].residuals_kwh) == hours


def test_errors_of_a_winter_are_scaled_to_a_mild_week() -> None:
    """2.5 kWh where the twin said 1 kWh: 1.5 kWh too low, so 0.15 kWh where it says 0.1 kWh."""
    found = of({PointKind.COOLING_POWER: 2500.0})["cooling_kwh"]
    np.testing.assert_allclose(found.residuals_at(0.1), [0.15, 0.15])
