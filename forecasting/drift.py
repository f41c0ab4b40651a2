"""Has the process changed? CUSUM on hourly errors, its alarm limit set on the series' own autocorrelation.

Raw limits from tables hold for independent normal errors and cry wolf on real ones. Here the limit comes from blocks of
the reference errors themselves, so that a month without change raises at most the alarms that were asked for.
Sources: Page, Continuous inspection schemes, Biometrika 41 (1954); block bootstrap: Kuensch, Ann. Statist. 17 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInputError
from twin.streams import stream

Array = NDArray[np.float64]

SLACK = 0.5
LEAST_LIMIT = 8.0
CLIP = 4.0
"""A single error counts for at most so many standard deviations: a spike is not a drift."""
MONTH_H = 720
BLOCK_H = 48
RESAMPLES = 300
EPISODE_H = 168
"""Alarms in one direction that follow each other within a week are one: the change has been told already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A change that was noticed."""

    hour: int
    """Hours since the first error."""
    direction: int
    """+1 when errors rose, -1 when they fell."""
    since: int
    """Hour after which the sum grew without a break: the estimate of when the change came."""
    last: int
    """Last hour at which the limit was crossed; the change was there until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftDetector:
    """Two-sided CUSUM of standardised errors."""

    centre: float
    scale: float
    limit: float

    @classmethod
    def configured(cls, reference: Array, *, alarms_per_month: float = 0.3, seed: int = 0) -> DriftDetector:
        """A detector for errors like the reference ones.

        Args:
            reference: hourly errors of at least a week without change; NaN is left out.
            alarms_per_month: chance of a false alarm within a month of unchanged errors, 0.01 to 0.5.
            seed: of the resampling.

        Raises:
            BadInputError: the reference is shorter than a week.
        """
        known = reference[~np.isnan(reference)]
        if len(known) < 168:
            message = f"{len(known)} hours of errors are too few to judge drift; give at least a week (168)"
            raise BadInputError(message)
        centre = float(np.median(known))
        scale = float(np.std(known)) or 1.0
        errors = _standardised(known, centre, scale)
        own = _peaks(_resampled(errors, stream(seed, "drift", "blocks")))
        like = _peaks(_simulated(errors, stream(seed, "drift", "like")))
        limits = [float(np.quantile(peaks, 1.0 - alarms_per_month)) for peaks in (own, like)]
        return cls(centre=centre, scale=scale, limit=max(*limits, LEAST_LIMIT))

    def alarms(self, errors: Array) -> tuple[Alarm, ...]:
        """All alarms, one per episode; after each the sums start again from zero. NaN hours are skipped."""
        sums, begun = {1: 0.0, -1: 0.0}, {1: 0, -1: 0}
        found: list[Alarm] = []
        for hour, value in enumerate(_standardised(errors, self.centre, self.scale)):
            if np.isnan(value):
                continue
            for sign, total in tuple(sums.items()):
                begun[sign] = begun[sign] if total else hour
                sums[sign] = max(0.0, total + sign * float(value) - SLACK)
            sign = max(sums, key=lambda one: sums[one])
            if sums[sign] > self.limit:
                _tell(found, Alarm(hour=hour, direction=sign, since=begun[sign], last=hour))
                sums = {1: 0.0, -1: 0.0}
        return tuple(found)


def _tell(found: list[Alarm], alarm: Alarm) -> None:
    """Adds an alarm, or prolongs the one of the same direction that it follows within a week."""
    for place, before in enumerate(found):
        if before.direction == alarm.direction and alarm.hour - before.last <= EPISODE_H:
            found[place] = replace(before, last=alarm.hour)
            return
    found.append(alarm)


def _standardised(errors: Array, centre: float, scale: float) -> Array:
    return np.clip((errors - centre) / scale, -CLIP, CLIP)


def _resampled(errors: Array, rng: np.random.Generator) -> Array:
    """Months made of blocks of the errors themselves, shape (resamples, hours): their shape is kept."""
    blocks = -(-MONTH_H // BLOCK_H)
    block = min(BLOCK_H, len(errors))
    starts = rng.integers(0, len(errors) - block + 1, size=(RESAMPLES, blocks))
    months: Array = errors[(starts[:, :, None] + np.arange(block)).reshape(RESAMPLES, -1)[:, :MONTH_H]]
    return months


def _simulated(errors: Array, rng: np.random.Generator) -> Array:
    """Months of normal errors of the same autocorrelation, judged by a reference as short as ours.

    So the limit knows how badly centre and spread are known when errors forget slowly.
    """
    count = min(len(errors), 2 * MONTH_H)
    middle = errors - errors.mean()
    memory = float((middle[1:] * middle[:-1]).sum() / max(float((middle**2).sum()), 1e-12))
    memory = float(np.clip(memory + (1 + 3 * memory) / len(errors), 0.0, 0.995))  # bias of short records (Kendall 1954)
    shocks = rng.normal(size=(count + MONTH_H, RESAMPLES)) * np.sqrt(1 - memory**2)
    series = np.empty_like(shocks)
    series[0] = rng.normal(size=RESAMPLES)
    for hour in range(1, len(series)):
        series[hour] = memory * series[hour - 1] + shocks[hour]
    reference = series[:count]
    months = (series[count:] - np.median(reference, axis=0)) / reference.std(axis=0)
    clipped: Array = np.clip(months, -CLIP, CLIP).T
    return clipped


def _peaks(months: Array) -> Array:
    """Largest sum of each month, shape (months,)."""
    up, down, peaks = (np.zeros(len(months)) for _ in range(3))
    for hour in range(months.shape[1]):
        up = np.maximum(0.0, up + months[:, hour] - SLACK)
        down = np.maximum(0.0, down - months[:, hour] - SLACK)
        peaks = np.maximum(peaks, np.maximum(up, down))
    return peaks


def hourly_means(values: Array, per_hour: int) -> Array:
    """Means over whole hours, NaN where nothing is known in the hour."""
    whole = values[: len(values) // per_hour * per_hour].reshape(-1, per_hour)
    known = ~np.isnan(whole)
    count = known.sum(axis=1)
    total = np.where(known, whole, 0.0).sum(axis=1)
    means: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
