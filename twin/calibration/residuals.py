"""What a calibrated twin errs by, hour by hour: the series in which a drift of the building shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import Parameters
from twin.calibration.bench import Bench
from twin.calibration.targets import hourly, targets
from twin.site import Site
from twin.telemetry import CalibrationData

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HourlyErrors:
    """Errors of one measured series."""

    series: str
    """Id of the zone, or kind of the meter."""
    unit: str
    """``K`` of a zone's temperature, ``W`` of a meter."""
    level: float
    """Mean of a meter while it runs, the yardstick of its errors; 1 K of a temperature."""
    errors: Array
    """Measured less simulated, hourly means from the start of the record on, NaN where unknown, shape (hours,)."""


def hourly_errors(site: Site, parameters: Parameters, data: CalibrationData) -> tuple[HourlyErrors, ...]:
    """Errors of every zone temperature and meter over a record, from one open-loop run of the twin.

    The first day of each known stretch is left out, since the state before it is unknown.

    Args:
        site: the building.
        parameters: of the accepted model.
        data: the record.

    Raises:
        BadInputError: the record has no three days in a row with weather.
    """
    bench = Bench(site, data)
    goal, run = targets(site, bench), bench.run(parameters)
    hours = bench.rows[:: goal.per_hour] // goal.per_hour
    count = data.drivers.steps // goal.per_hour
    simulated_c = hourly(run.zone_c, goal.per_hour)
    zones = [
        HourlyErrors(
            series=zone.id,
            unit="K",
            level=1.0,
            errors=_placed(goal.zone_c[:, z] - simulated_c[:, z], hours, count),
        )
        for z, zone in enumerate(site.zones)
    ]
    meters = [
        HourlyErrors(
            series=meter.kind.value,
            unit="W",
            level=meter.scale_w,
            errors=_placed(meter.measured_w - meter.simulated_w(run, goal.per_hour), hours, count),
        )
        for meter in goal.meters
    ]
    return (*zones, *meters)


def _placed(errors: Array, hours: NDArray[np.int64], count: int) -> Array:
    """Errors at their hours of the record, NaN elsewhere."""
    series = np.full(count, np.nan)
    inside = hours < count
    series[hours[inside]] = errors[inside]
    return series
