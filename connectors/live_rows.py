"""Readings as rows of telemetry."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from twin.plan import Quality, Reading


def rows_of(readings: Iterable[Reading]) -> pd.DataFrame:
    """Rows ``timestamp`` (UTC), ``point``, ``value`` of the good readings with a number."""
    good = [reading for reading in readings if reading.quality is Quality.GOOD and isinstance(reading.value, float)]
    return pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex([reading.at for reading in good], tz="UTC").as_unit("ns"),
            "point": pd.Series([reading.point for reading in good], dtype=object),
            "value": pd.Series([float(reading.value or 0.0) for reading in good], dtype=float),
        }
    )
