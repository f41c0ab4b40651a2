"""The error of an end use from unseen hours: what else a meter holds does not make it smaller."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.building.plant import COOLING, FAN
from twin.calibration.bench import Simulated
from twin.calibration.metrics import SHARED_METER, discomfort_error, structural_error
from twin.calibration.targets import Target, Targets
from twin.site import ComfortBand
from twin.vocab import EndUse, PointKind

Array = NDArray[np.float64]
HOURS = 28 * 24
DAYS = np.arange(HOURS) // 24


def run(power_w: Array) -> Simulated:
    """A run of the twin that shows nothing but power."""
    nothing = np.zeros((HOURS, 1))
    series = {"zone_c": nothing, "zone_flow": nothing, "flow": nothing, "outdoor_share": nothing}
    return Simulated(**series, supply_c=nothing, co2_ppm=nothing, power_w=power_w)


def errors(rest_w: float, columns: tuple[int, ...] = (COOLING,), *, floating: bool = True) -> dict[str, float]:
    """Of a twin that is right on half of all days, 20 % low on a quarter of them and as much high on the rest."""
    power = np.zeros((HOURS, 4))
    power[:, COOLING] = 1_000.0
    factor = np.array([1.0, 0.8, 1.0, 1.2])[DAYS % 4]
    measured = power[:, COOLING] * factor + rest_w
    kind = PointKind.ELECTRIC_POWER
    meter = Target(kind=kind, columns=columns, measured_w=measured, scale_w=1_000.0, floating=floating)
    unseen = np.ones(HOURS, dtype=np.bool_)
    nothing = np.full((HOURS, 1), np.nan)
    goal = Targets(zone_c=nothing, flow=nothing, meters=(meter,), per_hour=1, day=DAYS)
    return structural_error(goal, run(power), unseen)


def test_the_error_is_that_of_days_over_their_mean() -> None:
    assert errors(0.0, floating=False)[EndUse.COOLING] == pytest.approx(np.sqrt(0.5) * 0.2)


@pytest.mark.parametrize("rest_w", [0.0, 5_000.0])
def test_other_loads_of_a_meter_leave_the_error_as_it_is(rest_w: float) -> None:
    assert errors(rest_w)[EndUse.COOLING] == pytest.approx(np.sqrt(0.5) * 0.2)


def test_end_uses_that_share_a_meter_are_less_certain() -> None:
    assert errors(0.0, (FAN, COOLING))[EndUse.FAN] == pytest.approx(SHARED_METER * np.sqrt(0.5) * 0.2)


@pytest.mark.parametrize(("foreseen_k", "share"), [(1.0, 2.0), (3.0, 0.1), (6.0, 0.5)])
def test_the_error_of_discomfort_is_a_share_of_what_was_foreseen(foreseen_k: float, share: float) -> None:
    """Measured 3 K too warm all the time; no forecast counts as better than a tenth."""
    power = np.zeros((HOURS, 4))
    simulated = replace(run(power), zone_c=np.full((HOURS, 1), 26.0 + foreseen_k))
    measured = np.full((HOURS, 1), 29.0)
    goal = Targets(zone_c=measured, flow=measured, meters=(), per_hour=1, day=DAYS)
    everything = np.ones(HOURS, dtype=np.bool_)
    found = discomfort_error(goal, simulated, everything, everything[:, None], ComfortBand())
    assert found["discomfort"] == pytest.approx(share)
    assert found["discomfort/week"] == pytest.approx(abs(foreseen_k - 3.0) * 168)
