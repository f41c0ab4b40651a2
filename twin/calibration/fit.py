"""Bounded, robust Gauss-Newton with priors; slopes by differences, zones of a kind moved together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import SPECS, Parameters

Array = NDArray[np.float64]

CAUCHY = 2.5
"""Residuals of this many standard deviations of their block count half; far ones hardly at all."""
LEAST_SPREAD = 0.1
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
class Fit:
    """Outcome of a fit."""

    parameters: Parameters
    groups: tuple[tuple[str, ...], ...]
    """What was fitted: keys that are moved together stand together."""
    precision: Array
    """Fisher information on the fitting scale, prior left out, shape (groups, groups)."""
    prior: Array
    """Precision of the prior, shape (groups,)."""
    cost: float
    variance: float
    """Mean square of the residuals per independent observation."""


def spec_name(key: str) -> str:
    """Name of the parameter behind a key such as ``core/solar``."""
    return key.rsplit("/", 1)[-1]


def value_of(parameters: Parameters, key: str) -> float:
    """Value of a key in force."""
    owner, _, name = key.rpartition("/")
    return parameters.of(name, owner or None)


def to_scale(key: str, value: float) -> float:
    """A value on the fitting scale: logarithm, or range over four."""
    spec = SPECS[spec_name(key)]
    bounded = min(max(value, spec.low), spec.high)
    return float(np.log(bounded)) if spec.log else 4.0 * (bounded - spec.low) / (spec.high - spec.low)


def from_scale(key: str, x: float) -> float:
    """The value at a place on the fitting scale, kept within bounds."""
    spec = SPECS[spec_name(key)]
    value = float(np.exp(x)) if spec.log else spec.low + x * (spec.high - spec.low) / 4.0
    return min(max(value, spec.low), spec.high)


def fit(
    residuals: Residuals,
    start: Parameters,
    knobs: Sequence[Knob],
    *,
    rounds: int,
    within: Callable[[], bool] = lambda: True,
) -> Fit:
    """Move the knobs until the residuals are smallest.

    Args:
        residuals: blocks of residuals for parameters.
        start: where to begin; also the centre of the priors.
        knobs: what may move.
        rounds: most Gauss-Newton steps.
        within: whether there is time for another step.
    """
    groups = tuple(group for knob in knobs for group in knob.groups)
    keys = tuple(group[0] for group in groups)
    centre = np.array([to_scale(key, value_of(start, key)) for key in keys])
    prior = np.array([knob.spread**-2 for knob in knobs for _ in knob.groups])
    x, damping = centre.copy(), 0.02
    blocks = residuals(start)
    scales = _scales(blocks)
    cost = 0.0
    precision = np.zeros((len(keys), len(keys)))
    parameters = start
    for _ in range(rounds):
        if not within():
            break
        scales = _scales(blocks)
        cost = _cost(blocks, scales) + float((prior * (x - centre) ** 2).sum())
        precision, slope = _information(residuals, parameters, knobs, groups, x, blocks, scales)
        slope = slope + prior * (x - centre)
        better = False
        for _ in range(4):
            system = precision + np.diag(prior + damping * np.diag(precision))
            trial_x = np.array(
                [to_scale(k, from_scale(k, v)) for k, v in zip(keys, x - _step(system, slope), strict=True)]
            )
            trial = shifted(start, groups, trial_x - centre)
            trial_blocks = residuals(trial)
            trial_cost = _cost(trial_blocks, scales) + float((prior * (trial_x - centre) ** 2).sum())
            if trial_cost < cost:
                better = True
                break
            damping *= 5.0
        if not better:
            break
        gain = (cost - trial_cost) / cost
        x, parameters, blocks, cost, damping = trial_x, trial, trial_blocks, trial_cost, damping * 0.3
        if gain < 2e-3:
            break
    variance = _cost(blocks, scales) / max(sum(block.weight for block in blocks), 1e-9)
    return Fit(parameters=parameters, groups=groups, precision=precision, prior=prior, cost=cost, variance=variance)


def scanned(residuals: Residuals, start: Parameters, keys: Sequence[str], values: Sequence[float]) -> Parameters:
    """The start with the best of some values under all keys: for what acts by thresholds and has no useful slope."""
    trials = [start.replacing(dict.fromkeys(keys, value)) for value in values] if keys else []
    if not trials:
        return start
    found = [residuals(trial) for trial in trials]
    limits = _scales(found[-1])
    costs = [_cost(blocks, limits) for blocks in found]
    return trials[int(np.argmin(costs))]


def _step(system: Array, slope: Array) -> Array:
    step = np.linalg.solve(system, slope)
    return np.clip(step, -0.7, 0.7)


def shifted(start: Parameters, groups: Sequence[Sequence[str]], by: Array) -> Parameters:
    """Parameters with all keys of each group moved by as much on the fitting scale; differences within stay."""
    return start.replacing(
        {
            key: from_scale(key, to_scale(key, value_of(start, key)) + shift)
            for group, shift in zip(groups, by, strict=True)
            for key in group
        }
    )


def _scales(blocks: Sequence[Block]) -> list[float]:
    """Robust spread of each block at the start: where residuals stop to count in full."""
    known = [np.abs(block.values[~np.isnan(block.values)]) for block in blocks]
    spreads = [float(np.quantile(size, 0.85)) / 1.44 if len(size) else 1.0 for size in known]
    return [max(spread, LEAST_SPREAD) * CAUCHY for spread in spreads]


def _robust(values: Array, limit: float) -> Array:
    """Square roots of Cauchy weights; 0 where unknown."""
    return np.where(np.isnan(values), 0.0, 1.0 / np.sqrt(1.0 + (np.nan_to_num(values) / limit) ** 2))


def _cost(blocks: Sequence[Block], limits: Sequence[float]) -> float:
    total = 0.0
    for block, limit in zip(blocks, limits, strict=True):
        known = block.values[~np.isnan(block.values)]
        if len(known):
            total += block.weight * float((limit**2 * np.log1p((known / limit) ** 2)).mean())
    return total


def _information(
    residuals: Residuals,
    at: Parameters,
    knobs: Sequence[Knob],
    groups: Sequence[tuple[str, ...]],
    x: Array,
    blocks: Sequence[Block],
    limits: Sequence[float],
) -> tuple[Array, Array]:
    """Gauss-Newton matrix and slope of the data term."""
    weights = [_robust(block.values, limit) for block, limit in zip(blocks, limits, strict=True)]
    counts = [max(int((~np.isnan(block.values)).sum()), 1) for block in blocks]
    columns: list[list[Array | None]] = []
    place = 0
    for knob in knobs:
        mine = range(place, place + len(knob.groups))
        columns += _slopes(residuals, at, knob, x[mine], blocks)
        place += len(mine)
    precision, slope = np.zeros((len(groups), len(groups))), np.zeros(len(groups))
    for b, (block, weight, count) in enumerate(zip(blocks, weights, counts, strict=True)):
        felt = [(k, column) for k in range(len(groups)) if (column := columns[k][b]) is not None]
        if not felt or block.weight == 0:
            continue
        root = weight * np.sqrt(block.weight / count)
        active = [k for k, _ in felt]
        matrix = np.stack([np.nan_to_num(column) * root for _, column in felt], axis=1)
        precision[np.ix_(active, active)] += matrix.T @ matrix
        slope[active] += matrix.T @ (np.nan_to_num(block.values) * root)
    return precision, slope


def _slopes(
    residuals: Residuals, at: Parameters, knob: Knob, x: Array, blocks: Sequence[Block]
) -> list[list[Array | None]]:
    """Slope of every block for every value of a knob; those of zones share one run and each sees its own zone only."""
    steps = []
    for group, place in zip(knob.groups, x, strict=True):
        step = STEP if place + STEP <= to_scale(group[0], np.inf) else -STEP
        steps.append(step)
    after = residuals(shifted(at, knob.groups, np.array(steps)))
    result: list[list[Array | None]] = []
    for zone, step in enumerate(steps):
        row: list[Array | None] = []
        for old, new in zip(blocks, after, strict=True):
            mine = not knob.per_zone or old.zone == zone
            row.append((new.values - old.values) / step if mine else None)
        result.append(row)
    return result
