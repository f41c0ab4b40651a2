"""Two rooms whose temperature sensors were swapped: each follows the twin of the other better than its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from twin.building.parameters import Parameters
from twin.calibration.bench import Array, Bench
from twin.site import Site
from twin.telemetry import CalibrationData
from twin.units import SECONDS_PER_DAY

LEAST_DAYS = 3
CLEAR_RATIO = 0.5
"""Mean square error after swapping back, over that before, below which a day speaks for a swap."""
DAY_SHARE = 0.8
"""Share of the days that must speak for it, so that one odd day does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """Two rooms that seem to carry each other's temperature."""

    a: str
    b: str
    rmse_k: float
    """Of both rooms against their own twin. [K]"""
    rmse_swapped_k: float
    """Of both rooms against the twin of the other. [K]"""

    def sentence(self) -> str:
        """For people."""
        return (
            f"the temperatures of {self.a} and {self.b} look swapped: each follows the twin of the other to "
            f"{self.rmse_swapped_k:.1f} K, its own only to {self.rmse_k:.1f} K; check 'column' of both points in "
            "site.yaml against the sensors"
        )


def find_swaps(site: Site, parameters: Parameters, data: CalibrationData) -> tuple[Swap, ...]:
    """Swapped rooms in a record, by an open-loop run of the calibrated twin over it.

    Args:
        site: the building.
        parameters: of the accepted model, fitted to an earlier record.
        data: the record to look at.

    Raises:
        BadInputError: the record has no three days in a row with weather.
    """
    bench = Bench(site, data)
    simulated = bench.run(parameters).zone_c[bench.settled]
    measured = data.zone_temperature_c[bench.rows][bench.settled]
    per_day = round(SECONDS_PER_DAY / data.drivers.step_s)
    return swaps(measured, simulated, [zone.id for zone in site.zones], per_day)


def swaps(measured_c: Array, simulated_c: Array, zones: Sequence[str], per_day: int) -> tuple[Swap, ...]:
    """Pairs of rooms that nearly every day fit better when exchanged.

    Args:
        measured_c: shape (steps, zones), NaN where unknown. [degC]
        simulated_c: by the twin, shape (steps, zones). [degC]
        zones: their names.
        per_day: steps of a day.
    """
    days = len(measured_c) // per_day
    if days < LEAST_DAYS:
        return ()
    shape = (days, per_day, len(zones))
    measured, simulated = (series[: days * per_day].reshape(shape) for series in (measured_c, simulated_c))
    return tuple(
        found
        for i, j in combinations(range(len(zones)), 2)
        if (found := _swap(measured[..., [i, j]], simulated[..., [i, j]], zones[i], zones[j])) is not None
    )


def _swap(measured: Array, simulated: Array, a: str, b: str) -> Swap | None:
    own, other = _by_day(measured - simulated), _by_day(measured - simulated[..., ::-1])
    known = ~np.isnan(own + other).any(axis=1)
    if known.sum() < LEAST_DAYS:
        return None
    own, other = own[known], other[known]
    each_better = (other < own).all(axis=1)
    clear = each_better & (other.sum(axis=1) < CLEAR_RATIO * own.sum(axis=1))
    if clear.mean() < DAY_SHARE:
        return None
    return Swap(a=a, b=b, rmse_k=float(np.sqrt(own.mean())), rmse_swapped_k=float(np.sqrt(other.mean())))


def _by_day(error: Array) -> Array:
    """Mean square of each day and room, NaN for a day without a value, shape (days, 2)."""
    known = ~np.isnan(error)
    count = known.sum(axis=1)
    total = np.where(known, error, 0.0) ** 2
    result: Array = np.where(count > 0, total.sum(axis=1) / np.maximum(count, 1), np.nan)
    return result
