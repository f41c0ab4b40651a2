"""What residuals say about parameters near a place: slopes by differences, and what each week adds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import Parameters
from twin.calibration.scale import shifted, to_scale, value_of

Array = NDArray[np.float64]
Places = NDArray[np.int64]
STEP = 0.04


@dataclass(frozen=True, slots=True)
class Block:
    """Residuals of one thing that is measured."""

    name: str
    values: Array
    """Simulated minus measured over its yardstick, NaN where unknown."""
    weight: float
    """How many independent observations it counts for."""
    zone: int | None = None
    """The zone it belongs to, for slopes of parameters of zones."""
    week: Places | None = None
    """Week that each value lies in; None where each value stands for itself."""


Residuals = Callable[[Parameters], Sequence[Block]]


@dataclass(frozen=True, slots=True)
class Knob:
    """Like parameters whose slopes come from one run: all keys moved by the same, or each zone by its own."""

    keys: tuple[str, ...]
    spread: float
    """Standard deviation of the prior on the fitting scale."""
    per_zone: bool = False

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Keys that are moved by the same: each zone by its own, units that are alike all together."""
        return tuple((key,) for key in self.keys) if self.per_zone else (self.keys,)


@dataclass(frozen=True, slots=True)
class Information:
    """Gauss-Newton matrix and slope of the data term, week by week; their sums are those of the whole record."""

    weeks: tuple[int, ...]
    precision: Array
    """Shape (weeks, groups, groups)."""
    slope: Array
    """Shape (weeks, groups)."""

    @classmethod
    def none(cls, groups: int) -> Information:
        """Of no residuals."""
        return cls((), np.zeros((0, groups, groups)), np.zeros((0, groups)))


def information(
    residuals: Residuals, at: Parameters, knobs: Sequence[Knob], blocks: Sequence[Block], roots: Sequence[Array]
) -> Information:
    """What the residuals tell of each parameter.

    Args:
        residuals: blocks of residuals for parameters.
        at: where.
        knobs: what may move.
        blocks: residuals there.
        roots: square roots of the robust weights of each block, 0 where unknown.
    """
    columns: list[list[Array | None]] = []
    for knob in knobs:
        columns += _slopes(residuals, at, knob, blocks)
    groups, labels = len(columns), [_labels(block) for block in blocks]
    used = [label[root > 0] for label, root in zip(labels, roots, strict=True)]
    weeks = np.unique(np.concatenate(used)) if used else np.zeros(0, dtype=np.int64)
    precision, slope = np.zeros((len(weeks), groups, groups)), np.zeros((len(weeks), groups))
    for b, (block, label, root) in enumerate(zip(blocks, labels, roots, strict=True)):
        felt = [(k, column) for k, row in enumerate(columns) if (column := row[b]) is not None]
        if not felt or block.weight == 0:
            continue
        scaled = root * np.sqrt(block.weight / max(int((~np.isnan(block.values)).sum()), 1))
        active = [k for k, _ in felt]
        matrix = np.stack([np.nan_to_num(column) * scaled for _, column in felt], axis=1)
        error = np.nan_to_num(block.values) * scaled
        for w, rows in _by_week(label, weeks):
            precision[np.ix_([w], active, active)] += matrix[rows].T @ matrix[rows]
            slope[w, active] += matrix[rows].T @ error[rows]
    return Information(tuple(int(week) for week in weeks), precision, slope)


def _labels(block: Block) -> Places:
    return np.arange(len(block.values)) if block.week is None else block.week


def _by_week(label: Places, weeks: Places) -> Iterator[tuple[int, slice]]:
    """Place of each week and its rows; labels ascend."""
    starts, stops = np.searchsorted(label, weeks, side="left"), np.searchsorted(label, weeks, side="right")
    for w, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        if stop > start:
            yield w, slice(int(start), int(stop))


def _slopes(residuals: Residuals, at: Parameters, knob: Knob, blocks: Sequence[Block]) -> list[list[Array | None]]:
    """Slope of every block for every value of a knob; those of zones share one run and each sees its own zone only."""
    steps = []
    for key, *_ in knob.groups:
        steps.append(STEP if to_scale(key, value_of(at, key)) + STEP <= to_scale(key, np.inf) else -STEP)
    after = residuals(shifted(at, knob.groups, np.array(steps)))
    result: list[list[Array | None]] = []
    for zone, step in enumerate(steps):
        row: list[Array | None] = []
        for old, new in zip(blocks, after, strict=True):
            mine = not knob.per_zone or old.zone == zone
            row.append((new.values - old.values) / step if mine else None)
        result.append(row)
    return result
