"""Long-form telemetry on the site's regular grid, NaN where nothing is known.

What is dropped on the way: values that are not finite or physically impossible for their kind, time stamps at which the
same point has two values, and spans that a finding excludes. Gaps of up to two steps hold the last value and are
flagged; longer ones stay NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin.clock import require_aware
from twin.errors import BadInputError
from twin.health.finding import Finding
from twin.site import Point, Site
from twin.vocab import KIND_FACTS, PointKind

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
COLUMNS = ("timestamp", "point", "value")
EXTENSIVE = frozenset({"W", "kg/s", "people", "bytes"})
"""Units whose values add up over several points of one subject."""
HELD_STEPS = 2
"""Longest gap that is bridged by the last value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Points on left-labelled steps."""

    site: Site
    start: datetime
    step_s: float
    steps: int
    values: Mapping[str, Array]
    """Point → shape (steps,); points without any row are absent."""
    held: Mapping[str, Flags]
    """Point → steps whose value is the one before, shape (steps,)."""

    def of(self, kind: PointKind, subjects: Sequence[str]) -> Array:
        """Values of a kind for each subject, shape (steps, subjects).

        Where a subject has several points of one kind, their sum for powers, flows and people, else their mean.
        """
        result = np.full((self.steps, len(subjects)), np.nan)
        for column, subject in enumerate(subjects):
            own = [self.values[p.id] for p in self.site.points_of(kind) if p.of == subject and p.id in self.values]
            if own:
                total: Array = np.sum(own, axis=0)
                result[:, column] = total if KIND_FACTS[kind].unit in EXTENSIVE else total / len(own)
        return result

    def of_site(self, kind: PointKind) -> Array:
        """Values of a site kind, the sum over units where only those are metered, shape (steps,)."""
        whole: Array = self.of(kind, [self.site.name])[:, 0]
        if not np.isnan(whole).all():
            return whole
        metered = [
            unit.id for unit in self.site.air_handlers if any(p.of == unit.id for p in self.site.points_of(kind))
        ]
        parts: Array = self.of(kind, metered).sum(axis=1) if metered else whole
        return parts


def grid_steps(start: datetime, end: datetime, step_s: float) -> int:
    """Number of steps from start to end.

    Raises:
        BadInputError: the end is not after the start.
    """
    seconds = (require_aware(end, "end") - require_aware(start, "start")).total_seconds()
    if seconds < step_s:
        message = f"the period {start.isoformat()} to {end.isoformat()} has no step of {step_s:g} s; choose a later end"
        raise BadInputError(message)
    return math.floor(seconds / step_s)


def regular_grid(
    site: Site, frame: pd.DataFrame, start: datetime, end: datetime, excluded: Iterable[Finding] = ()
) -> Grid:
    """The rows of a frame on the site's grid.

    Args:
        site: names the points and their kinds.
        frame: ``timestamp`` (aware), ``point``, ``value`` in the product's units, in any order.
        start: first step (aware).
        end: the moment after the last step (aware).
        excluded: findings; the spans of those that exclude are left out.
    """
    steps = grid_steps(start, end, site.step_s)
    spans: dict[str, list[Finding]] = {}
    for finding in excluded:
        if finding.excluded and finding.start is not None and finding.end is not None:
            spans.setdefault(finding.point, []).append(finding)
    known = {point.id: point for point in site.points}
    values: dict[str, Array] = {}
    held: dict[str, Flags] = {}
    begin = require_aware(start, "start").timestamp()
    for name, times, numbers in series_of(frame, known):
        kept = _kept(known[name], times, numbers, spans.get(name, []))
        line = _stepped(known[name], times[kept] - begin, numbers[kept], steps, site.step_s)
        values[name], held[name] = _bridged(line)
    return Grid(
        site=site, start=require_aware(start, "start"), step_s=site.step_s, steps=steps, values=values, held=held
    )


def series_of(frame: pd.DataFrame, points: Iterable[str]) -> Iterable[tuple[str, Array, Array]]:
    """Name, Unix times in s and values of each of the points in a frame, sorted by time (ties in the frame's order)."""
    wanted = set(points)
    stamps = pd.DatetimeIndex(frame["timestamp"])
    if stamps.tz is None:
        message = "telemetry frame: its timestamps have no time zone; convert them to UTC first"
        raise BadInputError(message)
    seconds = stamps.as_unit("us").asi8 / 1e6
    values = frame["value"].to_numpy(dtype=np.float64)
    codes, names = pd.factorize(frame["point"], sort=True)
    order = np.lexsort((seconds, codes))
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    for i, name in enumerate(names):
        if str(name) in wanted:
            rows = order[bounds[i] : bounds[i + 1]]
            yield str(name), seconds[rows], values[rows]


def _kept(point: Point, times: Array, numbers: Array, spans: Sequence[Finding]) -> Flags:
    """Rows of a sorted series that may be used."""
    facts = KIND_FACTS[point.kind]
    kept: Flags = np.isfinite(numbers) & (numbers >= facts.low) & (numbers <= facts.high)
    for finding in spans:
        if finding.start is not None and finding.end is not None:
            kept &= (times < finding.start.timestamp()) | (times >= finding.end.timestamp())
    same = np.flatnonzero(np.diff(times) == 0)
    conflicting = np.unique(times[same[numbers[same] != numbers[same + 1]]])
    kept &= ~np.isin(times, conflicting)
    return kept


def _stepped(point: Point, since_start_s: Array, numbers: Array, steps: int, step_s: float) -> Array:
    """Mean of the rows in each step; a value that covers several steps stands in each of them."""
    covers = max(1, round((point.step_s or step_s) / step_s))
    index = np.floor(since_start_s / step_s + 1e-9).astype(np.int64)
    inside = (index > -covers) & (index < steps)
    index, numbers = index[inside], numbers[inside]
    line = np.full(steps, np.nan)
    for shift in range(covers - 1, -1, -1):
        at = index + shift
        fits = (at >= 0) & (at < steps)
        total = np.bincount(at[fits], weights=numbers[fits], minlength=steps)
        count = np.bincount(at[fits], minlength=steps)
        filled = count > 0
        line[filled] = total[filled] / count[filled]
    return line


def _bridged(line: Array) -> tuple[Array, Flags]:
    """The line with gaps of up to two steps held, and which steps are held."""
    missing = np.isnan(line)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False])).astype(np.int8)))
    held = np.zeros(len(line), dtype=np.bool_)
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        if first > 0 and after - first <= HELD_STEPS:
            held[first:after] = True
            line[first:after] = line[first - 1]
    return line, held
