"""Days whose counts of people contradict what people leave behind: plugs, lights, carbon dioxide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin.health.finding import Finding, FindingKind
from twin.health.series import LISTED, Series
from twin.vocab import PointKind

Array = NDArray[np.float64]
TRACES = (PointKind.ZONE_PLUG_POWER, PointKind.ZONE_LIGHTING_POWER, PointKind.ZONE_CO2)
"""What shows people, the first that a zone has."""
AGAINST = 0.5
"""A day on which counts and trace differ by more than half of their range in the mean speaks against itself."""
USUAL = 0.25
"""A trace that differs more than this from the counts on the usual day follows something else, and shows nothing."""


def contradicted(series: Series, traces: Sequence[Series], time_zone: ZoneInfo) -> Iterator[Finding]:
    """Days on which a zone is empty while its plugs are busy, and full while they rest.

    Args:
        series: people of a zone.
        traces: what else is measured there.
        time_zone: of the site, for its days.
    """
    if series.point.kind is not PointKind.ZONE_OCCUPANCY or not traces or not np.any(series.values > 0):
        return
    trace = min(traces, key=lambda one: TRACES.index(one.point.kind))
    at = np.searchsorted(trace.times_s, series.times_s, side="right") - 1
    shown = np.where(at >= 0, trace.values[np.maximum(at, 0)], np.nan)
    apart = np.abs(_scaled(series.values, 0.0) - _scaled(shown, float(np.nanquantile(shown, 0.1))))
    day = _local_days(series.times_s, time_zone)
    known = np.isfinite(apart)
    mean = np.bincount(day, weights=np.where(known, apart, 0.0)) / np.maximum(np.bincount(day, weights=known), 1)
    if float(np.median(mean)) > USUAL:
        return
    for one in np.flatnonzero(mean > AGAINST)[:LISTED]:
        rows = np.flatnonzero(day == one)
        first, last = int(rows[0]), int(rows[-1])
        sentence = (
            f"counts of the day from {series.moment(first):%Y-%m-%d %H:%M} UTC contradict {trace.point.id}: people "
            "where it rests and nobody where it is busy; kept out of calibration"
        )
        yield series.finding(FindingKind.CONTRADICTION, first, last, sentence, excluded=True, apart=float(mean[one]))


def _local_days(times_s: Array, time_zone: ZoneInfo) -> NDArray[np.int64]:
    """Day of each row by the site's clock, from 0 on."""
    local = pd.to_datetime(times_s, unit="s", utc=True).tz_convert(time_zone).tz_localize(None)
    day: NDArray[np.int64] = local.to_numpy().astype("datetime64[D]").astype(np.int64)
    result: NDArray[np.int64] = day - day[0]
    return result


def _scaled(values: Array, rest: float) -> Array:
    """Values over their usual range: 0 at rest, 1 when busy."""
    busy = float(np.nanquantile(values, 0.95))
    return np.clip((values - rest) / max(busy - rest, 1e-9), 0.0, 1.0)
