"""Cumulative meters to mean power, across batches and files."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from connectors.settings.mapping import MappedColumn
from twin.units import ENERGY_PER_STEP_J

Array = NDArray[np.float64]
Micros = NDArray[np.int64]
LONGEST_S = 4 * 3600.0
"""A difference over a longer time than this is a gap, not a mean power."""


@dataclass(slots=True)
class Counters:
    """Last reading of each counter, and what went backwards."""

    last: dict[str, tuple[int, float]] = field(default_factory=dict)
    resets: dict[str, int] = field(default_factory=dict)

    def power(self, point: str, column: MappedColumn, utc: Micros, readings: Array) -> tuple[Micros, Array]:
        """Begin and mean power of each interval between two readings. [µs, W]

        A counter that falls (reset, wrap, exchange) leaves one gap: no energy is made up for it.
        """
        order = np.argsort(utc, kind="stable")
        utc, readings = utc[order], readings[order] * column.scale + column.offset
        known = np.isfinite(readings)
        utc, readings = utc[known], readings[known]
        if point in self.last:
            begin, value = self.last[point]
            later = utc > begin
            utc = np.concatenate(([begin], utc[later]))
            readings = np.concatenate(([value], readings[later]))
        if not len(utc):
            return utc, readings
        self.last[point] = (int(utc[-1]), float(readings[-1]))
        seconds = np.diff(utc) / 1e6
        rise = np.diff(readings)
        fell = rise < 0
        if fell.any():
            self.resets[point] = self.resets.get(point, 0) + int(fell.sum())
        good = ~fell & (seconds > 0) & (seconds <= LONGEST_S)
        return utc[:-1][good], rise[good] * ENERGY_PER_STEP_J[column.unit] / seconds[good]
