"""Clocks that look wrong: stamps off the grid, one series later than its neighbours, irradiance off the sun's path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from twin.health.finding import Finding, FindingKind
from twin.health.series import Series
from twin.site import Site
from twin.telemetry.irradiance import clear_sky_global_w_m2, sine_of_altitude
from twin.units import SECONDS_PER_DAY, SECONDS_PER_HOUR
from twin.vocab import PointKind

Array = NDArray[np.float64]
MAX_LAG_STEPS = 8
MIN_CORRELATION = 0.3
MIN_GAIN = 0.1
SUN_TOLERANCE_MIN = 25.0
DRIFT_S_PER_H = 0.2


def off_grid(series: Series) -> Iterator[Finding]:
    """Stamps between the steps: a constant offset, or one that grows."""
    if len(series.times_s) < 48:
        return
    offset = (series.times_s + series.step_s / 2) % series.step_s - series.step_s / 2
    if np.count_nonzero(np.abs(offset) > 1.0) < 0.8 * len(offset):
        return
    hours = (series.times_s - series.times_s[0]) / SECONDS_PER_HOUR
    turned = np.unwrap(offset, period=series.step_s)
    slope, _ = np.polyfit(hours, turned, 1)
    last = len(offset) - 1
    if abs(slope) > DRIFT_S_PER_H:
        total = float(slope * hours[-1])
        sentence = f"the clock of its source drifts by {slope:+.2f} s per hour, {total / 60:+.0f} min over the series"
        excluded = abs(total) > series.step_s
        yield series.finding(
            FindingKind.CLOCK, 0, last, sentence, excluded=excluded, drift_s_per_h=float(slope), total_s=total
        )
        return
    shift = float(np.median(offset))
    if float(np.median(np.abs(offset - shift))) <= 5.0:
        sentence = (
            f"all stamps stand {shift / 60:+.1f} min off the grid; its source's clock is off, or label is not start"
        )
        yield series.finding(FindingKind.CLOCK, 0, last, sentence, excluded=False, skew_s=shift)


def lagging(group: Sequence[Series], tables: Array) -> Iterator[Finding]:
    """Series of one kind that run later or earlier than the others.

    Args:
        group: series of one kind.
        tables: their values on a common grid, NaN where unknown, shape (steps, series).
    """
    if len(group) < 3 or len(tables) < 4 * 96:
        return
    changes = np.nan_to_num(np.diff(tables, axis=0))
    scale = changes.std(axis=0)
    changes = (changes - changes.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    for i, series in enumerate(group):
        if scale[i] > 0:
            others = np.median(np.delete(changes, i, axis=1), axis=1)
            yield from _lag(series, changes[:, i], others)


def _lag(series: Series, own: Array, others: Array) -> Iterator[Finding]:
    lags = np.arange(-MAX_LAG_STEPS, MAX_LAG_STEPS + 1)
    width = len(own) - 2 * MAX_LAG_STEPS
    base = others[MAX_LAG_STEPS : MAX_LAG_STEPS + width]
    fits = np.array([_correlation(own[MAX_LAG_STEPS + lag : MAX_LAG_STEPS + lag + width], base) for lag in lags])
    best = int(np.argmax(fits))
    if abs(int(lags[best])) < 2 or fits[best] < MIN_CORRELATION or fits[best] < fits[MAX_LAG_STEPS] + MIN_GAIN:
        return
    minutes = float(lags[best]) * series.step_s / 60.0
    sentence = (
        f"follows its neighbours {minutes:+.0f} min late (correlation {fits[best]:.2f} there, "
        f"{fits[MAX_LAG_STEPS]:.2f} without shift); its source's clock is off by about that"
    )
    yield series.finding(
        FindingKind.CLOCK,
        0,
        len(series.times_s) - 1,
        sentence,
        excluded=True,
        skew_s=minutes * 60.0,
        correlation=fits[best],
    )


def _correlation(one: Array, other: Array) -> float:
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread > 0 else 0.0


def sun_clock(series: Series, site: Site) -> Iterator[Finding]:
    """Irradiance whose middle of the day is not where the sun's is: a wrong zone, label or DST rule."""
    if series.point.kind is not PointKind.GLOBAL_HORIZONTAL_IRRADIANCE or len(series.times_s) < 96:
        return
    first = datetime.fromtimestamp(float(series.times_s[0]), tz=UTC)
    steps = round(float(series.times_s[-1] - series.times_s[0]) / series.step_s) + 1
    sky = clear_sky_global_w_m2(sine_of_altitude(first, steps, series.step_s, site.location))
    place = np.round((series.times_s - series.times_s[0]) / series.step_s).astype(np.int64)
    measured = np.zeros(steps)
    measured[place] = np.maximum(np.nan_to_num(series.values), 0.0)
    day, late = _daily_shift(measured, sky, float(series.times_s[0]), series.step_s, site.location.longitude_deg)
    if len(late) < 5:
        return
    summer = np.array([_is_summer(site, when) for when in day])
    parts = {"summer": late[summer], "winter": late[~summer]}
    shift = {name: float(np.median(part)) for name, part in parts.items() if len(part) >= 5}
    off = {name: value for name, value in shift.items() if abs(value) > SUN_TOLERANCE_MIN}
    last = len(series.times_s) - 1
    if len(off) == len(shift) == 2 or (len(shift) == 1 and off):
        middle = float(np.median(late))
        sentence = (
            f"its days lie {middle:+.0f} min from the sun's path at this longitude; check time_zone and label of the "
            "source and the location of the site"
        )
        yield series.finding(FindingKind.CLOCK, 0, last, sentence, excluded=False, skew_s=middle * 60.0)
    elif off:
        name, value = next(iter(off.items()))
        sentence = (
            f"its days lie {value:+.0f} min from the sun's path in {name} time only; the source's clock does not "
            "follow daylight saving as declared"
        )
        yield series.finding(FindingKind.DST, 0, last, sentence, excluded=False, skew_s=value * 60.0)


def _daily_shift(
    measured: Array, sky: Array, begin_s: float, step_s: float, longitude_deg: float
) -> tuple[list[datetime], Array]:
    """Days (local solar) and how far the middle of the measured light is from that of a clear sky. [min]"""
    times = begin_s + np.arange(len(sky)) * step_s
    solar = times + longitude_deg / 360.0 * SECONDS_PER_DAY
    index = np.floor(solar / SECONDS_PER_DAY).astype(np.int64)
    index -= index[0]
    within = solar % SECONDS_PER_DAY
    light = np.bincount(index, weights=measured)
    bright = np.bincount(index, weights=sky)
    complete = (np.bincount(index) * step_s >= SECONDS_PER_DAY - step_s) & (light > 0.45 * bright) & (bright > 0)
    own = np.bincount(index, weights=measured * within) / np.maximum(light, 1e-9)
    due = np.bincount(index, weights=sky * within) / np.maximum(bright, 1e-9)
    noon = datetime.fromtimestamp(begin_s, tz=UTC)
    days = [noon + timedelta(days=int(i)) for i in np.flatnonzero(complete)]
    return days, (own - due)[complete] / 60.0


def _is_summer(site: Site, when: datetime) -> bool:
    saving = when.astimezone(site.time_zone).dst()
    return bool(saving)
