"""What a single series shows: gaps, conflicting values, impossible values, spikes, long constant runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from twin.health.finding import Finding, FindingKind
from twin.site import Point
from twin.units import SECONDS_PER_DAY, SECONDS_PER_HOUR
from twin.vocab import KIND_FACTS, KindFacts, PointKind

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
HELD_STEPS = 2
LISTED = 20
"""Findings of one kind that are listed singly per point; the rest is summed up."""
STUCK_H = 6.0
AT_SETPOINT_K = 0.06
FRESH_AIR_PPM = 10.0
ALONE_FACTOR = 1.5
"""A sensor without neighbours counts as stuck that much later."""
DEAD_H = 36.0
USUAL_SHARE = 0.01
SPIKE_RATIO = 6.0
BURST_RATIO = 3.0
NOISY_SHARE = 0.01
"""Share of isolated outliers above which the series counts as noisy as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One point's rows, sorted by time."""

    point: Point
    times_s: Array
    """Unix time. [s]"""
    values: Array
    step_s: float
    """Time that a value covers. [s]"""

    @property
    def facts(self) -> KindFacts:
        """Unit, range and rate of the kind."""
        return KIND_FACTS[self.point.kind]

    def moment(self, index: int) -> datetime:
        """Time of a row."""
        return datetime.fromtimestamp(float(self.times_s[index]), tz=UTC)

    def finding(
        self, kind: FindingKind, first: int, last: int, sentence: str, *, excluded: bool, **numbers: float
    ) -> Finding:
        """A finding about the rows from ``first`` to ``last``."""
        end = datetime.fromtimestamp(float(self.times_s[last]) + self.step_s, tz=UTC)
        return Finding(
            kind=kind,
            point=self.point.id,
            sentence=f"{self.point.id}: {sentence}",
            start=self.moment(first),
            end=end,
            numbers=numbers,
            excluded=excluded,
        )


def possible(series: Series) -> Flags:
    """Rows with a value that such a sensor can have."""
    facts = series.facts
    result: Flags = np.isfinite(series.values) & (series.values >= facts.low) & (series.values <= facts.high)
    return result


def gaps(series: Series) -> Iterator[Finding]:
    """Missing rows: up to two steps are held on the grid, longer gaps stay unknown."""
    steps = np.round(np.diff(series.times_s) / series.step_s).astype(np.int64) - 1
    short = steps[(steps > 0) & (steps <= HELD_STEPS)]
    if len(short):
        total = int(short.sum())
        sentence = (
            f"{total} steps are missing in {len(short)} gaps of up to {HELD_STEPS} steps; they hold the last value"
        )
        yield series.finding(
            FindingKind.GAP, 0, -1, sentence, excluded=False, gaps=float(len(short)), steps=float(total)
        )
    long = np.flatnonzero(steps > HELD_STEPS)
    for index in long[:LISTED]:
        begin, end = series.times_s[index] + series.step_s, series.times_s[index + 1]
        hours = (end - begin) / SECONDS_PER_HOUR
        missing = int(steps[index])
        start = datetime.fromtimestamp(float(begin), tz=UTC)
        yield Finding(
            kind=FindingKind.GAP,
            point=series.point.id,
            sentence=f"{series.point.id}: {missing} steps ({hours:.1f} h) are missing from {start:%Y-%m-%d %H:%M} UTC; "
            "left unknown, not interpolated",
            start=start,
            end=datetime.fromtimestamp(float(end), tz=UTC),
            numbers={"steps": float(missing), "hours": float(hours)},
        )
    if len(long) > LISTED:
        rest = int(steps[long[LISTED:]].sum())
        sentence = f"{len(long) - LISTED} more gaps of together {rest} steps"
        yield series.finding(
            FindingKind.GAP, int(long[LISTED]), -1, sentence, excluded=False, gaps=float(len(long) - LISTED), steps=rest
        )


def conflicts(series: Series) -> Iterator[Finding]:
    """Times at which the point has two values."""
    same = np.flatnonzero(np.diff(series.times_s) == 0)
    if len(same):
        first = int(same[0])
        sentence = (
            f"{len(same)} times have two different values, first {series.moment(first):%Y-%m-%d %H:%M} UTC "
            f"({series.values[first]:g} and {series.values[first + 1]:g}); both are kept out of calibration"
        )
        yield series.finding(
            FindingKind.CONFLICTING_DUPLICATE, first, int(same[-1]), sentence, excluded=False, count=float(len(same))
        )


def impossible(series: Series) -> Iterator[Finding]:
    """Values that cannot be, such as negative energy or the reset value of a sensor."""
    bad = np.flatnonzero(~possible(series))
    if len(bad):
        facts, first = series.facts, int(bad[0])
        sentence = (
            f"{len(bad)} values are impossible (outside {facts.low:g} to {facts.high:g} {facts.unit}), first "
            f"{series.values[first]:g} at {series.moment(first):%Y-%m-%d %H:%M} UTC; they are left out"
        )
        yield series.finding(
            FindingKind.IMPOSSIBLE, first, int(bad[-1]), sentence, excluded=False, count=float(len(bad))
        )


def spikes(series: Series) -> Iterator[Finding]:
    """Isolated values that jump away and come back; a step that stays is not one of them."""
    usable = np.flatnonzero(possible(series))
    if len(usable) < 8:
        return
    times, values = series.times_s[usable], series.values[usable]
    out = _isolated(series, times, values)
    count = int(out.sum())
    if not count:
        return
    share = count / len(values)
    rows = usable[out]
    if share > NOISY_SHARE:
        sentence = f"{share:.1%} of the values jump away and come back; the sensor or its wiring is noisy"
        yield series.finding(
            FindingKind.NOISE, int(rows[0]), int(rows[-1]), sentence, excluded=True, share=share, count=float(count)
        )
        return
    for row in rows[:LISTED]:
        sentence = (
            f"spike of {series.values[row]:g} {series.facts.unit} at {series.moment(row):%Y-%m-%d %H:%M} UTC; left out"
        )
        yield series.finding(FindingKind.SPIKE, int(row), int(row), sentence, excluded=True, value=series.values[row])


def _isolated(series: Series, times: Array, values: Array) -> Flags:
    """Values that differ from both neighbours by more than the kind allows, in the same direction."""
    before, after = np.empty_like(values), np.empty_like(values)
    before[1:], before[0] = np.diff(values), 0.0
    after[:-1], after[-1] = -np.diff(values), 0.0
    same_side = (before * after) > 0
    rate = series.facts.max_rate_per_h
    if rate is not None:
        hours = np.diff(times, prepend=times[0] - series.step_s) / SECONDS_PER_HOUR
        limit = rate * np.maximum(np.maximum(hours, np.append(hours[1:], hours[-1])), series.step_s / SECONDS_PER_HOUR)
        limit = np.maximum(limit, 3.0 * np.median(np.abs(np.diff(values))))
        return np.asarray(same_side & (np.abs(before) > limit) & (np.abs(after) > limit), dtype=np.bool_)
    if series.facts.unit != "W":
        return np.zeros(len(values), dtype=np.bool_)
    near = np.maximum(np.append(values[1:], values[-1]), np.insert(values[:-1], 0, values[0]))
    usual = float(np.quantile(values, 0.9))
    alone = same_side & (values > SPIKE_RATIO * near) & (values > 2.0 * usual)
    return np.asarray(alone | _far_above(values), dtype=np.bool_)


def _far_above(values: Array) -> Flags:
    """Short bursts of a meter far above everything else it shows; meters that rest most of the time have none."""
    peak = float(np.quantile(values, 0.998))
    burst: Flags = np.asarray(values > BURST_RATIO * peak)
    return burst if float((values > 0).mean()) > 0.5 else np.zeros(len(values), dtype=np.bool_)


def runs(values: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last index of every run of equal values."""
    ends = np.flatnonzero(np.diff(values) != 0)
    first = np.concatenate(([0], ends + 1))
    last = np.concatenate((ends, [len(values) - 1]))
    return first, last


def stuck(series: Series, neighbours: Array | None, targets: Array | None) -> Iterator[Finding]:
    """Runs of one value that are too long for a living sensor.

    Args:
        series: the series.
        neighbours: mean of other points of the same kind at the same rows, None where there is none; a sensor counts
            as stuck only while they move.
        targets: setpoints at the same rows, shape (rows, setpoints), None where there are none; a value that stands at
            its setpoint is under control, not stuck.
    """
    if len(series.values) < 8:
        return
    first, last = runs(series.values)
    hours = (series.times_s[last] - series.times_s[first]) / SECONDS_PER_HOUR
    limit = _stuck_limit_h(series, hours)
    if limit is None:
        return
    limit *= 1.0 if neighbours is not None or not series.facts.moves else ALONE_FACTOR
    usual = float(np.nanstd(neighbours)) if neighbours is not None and np.isfinite(neighbours).any() else 0.0
    found = 0
    for begin, end in zip(first[hours >= limit], last[hours >= limit], strict=True):
        rows = slice(int(begin), int(end) + 1)
        still = neighbours is not None and not _moves(neighbours[rows], usual)
        if still or _controlled(series, rows, targets) or not _faulty(series, begin, end):
            continue
        length = float(series.times_s[end] - series.times_s[begin]) / SECONDS_PER_HOUR
        sentence = (
            f"stands at exactly {series.values[begin]:g} {series.facts.unit} for {length:.1f} h from "
            f"{series.moment(begin):%Y-%m-%d %H:%M} UTC while it should move; kept out of calibration and of guards"
        )
        value = float(series.values[begin])
        yield series.finding(FindingKind.STUCK, begin, end, sentence, excluded=True, hours=length, value=value)
        found += 1
        if found == LISTED:
            return


def _stuck_limit_h(series: Series, hours: Array) -> float | None:
    """Longest run that is still normal. [h]

    6 h for what moves and 36 h for meters; more where runs of that length are usual, as with coarse digits or perfect
    control: 1.25 times the longest run that is seen in one of ten weeks.
    """
    if series.facts.moves:
        least = STUCK_H - 1.5 * series.step_s / SECONDS_PER_HOUR
    elif series.facts.unit == "W":
        least = DEAD_H
    else:
        return None
    weeks = (series.times_s[-1] - series.times_s[0]) / SECONDS_PER_DAY / 7.0
    rank = 3 + int(weeks / 10.0)
    longest = np.sort(hours)[::-1]
    return max(least, 1.25 * float(longest[rank])) if len(longest) > rank else least


def _moves(line: Array, usual: float) -> bool:
    """Whether neighbours show a fifth of their usual spread."""
    known = line[np.isfinite(line)]
    return bool(len(known)) and float(known.std()) > 0.2 * usual


def _controlled(series: Series, rows: slice, targets: Array | None) -> bool:
    """Whether a constant value is a setpoint that is held, or the fresh-air level of carbon dioxide."""
    value = float(series.values[rows][0])
    if series.point.kind is PointKind.ZONE_CO2:
        return value <= float(series.values[possible(series)].min(initial=value)) + FRESH_AIR_PPM
    if targets is None:
        return False
    near = (np.abs(targets[rows] - value) < AT_SETPOINT_K).any(axis=1)
    return float(near.mean()) > 0.5


def _faulty(series: Series, begin: int, end: int) -> bool:
    return series.facts.moves or _dead(series, begin, end)


def _dead(series: Series, begin: int, end: int) -> bool:
    """Whether a constant run of a meter is a fault: not when its value is usual elsewhere, as a base load is."""
    outside = np.concatenate((series.values[:begin], series.values[end + 1 :]))
    return len(outside) > 0 and float((outside == series.values[begin]).mean()) < USUAL_SHARE
