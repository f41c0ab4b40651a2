"""How far rooms are from comfort while people are in them, counted without a table of the distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import exact

Array = NDArray[np.float64]


@exact
def _count(
    temperature_c: Array, co2_ppm: Array, people: Array, limits: tuple[float, float, float], outside: Array, over: Array
) -> None:  # pragma: no cover
    low, high, most = limits
    for i in range(len(people)):
        for z in range(len(outside)):
            if people[i, z] > 0.0:
                outside[z] += max(low - temperature_c[i, z], 0.0) + max(temperature_c[i, z] - high, 0.0)
                over[z] += 1.0 if co2_ppm[i, z] > most else 0.0


def distances(
    temperature_c: Array, co2_ppm: Array, people: Array, limits: tuple[float, float, float]
) -> tuple[float, float]:
    """Sums over zones and steps with people: kelvin outside the band, and steps above the CO₂ limit.

    Args:
        temperature_c: air temperature, shape (steps, zones). [°C]
        co2_ppm: carbon dioxide, shape (steps, zones).
        people: people in each zone, shape (steps, zones).
        limits: lowest and highest comfortable temperature [°C], highest CO₂. [ppm]
    """
    zones = people.shape[1]
    outside, over = np.zeros(zones), np.zeros(zones)
    temperature, co2, inside = (np.asarray(table, dtype=np.float64) for table in (temperature_c, co2_ppm, people))
    _count(temperature, co2, inside, limits, outside, over)
    return float(outside.sum()), float(over.sum())
