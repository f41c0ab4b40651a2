"""A meter that drifts away from the meters of its parts: the whole must stay the sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from twin.health.finding import Finding, FindingKind
from twin.health.series import Series
from twin.units import SECONDS_PER_DAY
from twin.vocab import PointKind

Array = NDArray[np.float64]
WHOLE = PointKind.HVAC_ELECTRIC_POWER
PARTS = (PointKind.FAN_POWER, PointKind.COOLING_POWER, PointKind.HEATING_ELECTRIC_POWER)
LEAST_WEEKS = 2
DRIFT = 0.05
"""Share of itself by which a meter may drift over the record."""
EXPLAINED = 0.8
"""Share of the imbalance that a drift of one meter must explain to be blamed."""


def drifting(by_kind: Mapping[PointKind, Sequence[Series]]) -> Iterator[Finding]:
    """Findings about HVAC meters whose sum changes over the record.

    The meter is blamed whose own reading, times a factor that grows with time, explains the imbalance best; where none
    does, all of them are.

    Args:
        by_kind: series by kind; nothing is checked unless the whole and all parts have one each.
    """
    meters = [by_kind.get(kind, ()) for kind in (WHOLE, *PARTS)]
    if any(len(one) != 1 for one in meters):
        return
    group = [one[0] for one in meters]
    times, table = _common(group)
    days = (times - times[0]) / SECONDS_PER_DAY if len(times) else times
    if not len(times) or days[-1] < 7 * LEAST_WEEKS:
        return
    open_w = table[:, 0] - table[:, 1:].sum(axis=1)
    found = [_drift(open_w, table[:, k], days) for k in range(len(group))]
    blamed = [k for k, (explained, change) in enumerate(found) if explained > EXPLAINED and abs(change) > DRIFT]
    early, late = (open_w[rows].sum() / max(table[rows, 0].sum(), 1e-9) for rows in (days < 7, days > days[-1] - 7))
    if not blamed and abs(late - early) < DRIFT:
        return
    best = max(blamed, key=lambda k: found[k][0]) if blamed else 0
    sure = bool(blamed)
    blame = "a drift of this meter explains that" if sure else "one of them drifts, it does not show which"
    for series in [group[best]] if sure else group:
        sentence = (
            f"the sum of {', '.join(PARTS)} leaves {100 * early:+.0f} % of {WHOLE} open in the first week and "
            f"{100 * late:+.0f} % in the last; {blame}; kept out of calibration, check the meter"
        )
        last = len(series.times_s) - 1
        yield series.finding(
            FindingKind.METER_DRIFT, 0, last, sentence, excluded=True, first_share=float(early), last_share=float(late)
        )


def _common(group: Sequence[Series]) -> tuple[Array, Array]:
    """Times that all have, and their values there, shape (times, series)."""
    times = group[0].times_s
    for one in group[1:]:
        times = np.intersect1d(times, one.times_s)
    table = np.stack([one.values[np.searchsorted(one.times_s, times)] for one in group], axis=1)
    known = np.isfinite(table).all(axis=1)
    return times[known], table[known]


def _drift(open_w: Array, meter: Array, days: Array) -> tuple[float, float]:
    """Share of the imbalance's squares that a linearly changing factor of the meter explains, and its whole change."""
    shape = np.stack([meter, meter * days], axis=1)
    factors, *_ = np.linalg.lstsq(shape, open_w, rcond=None)
    left = float(((open_w - shape @ factors) ** 2).sum())
    return 1.0 - left / max(float((open_w**2).sum()), 1e-9), float(factors[1] * days[-1])
