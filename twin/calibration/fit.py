"""Bounded, robust Gauss-Newton with priors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import Parameters
from twin.calibration.information import Block, Information, Knob, Residuals, information
from twin.calibration.scale import shifted, to_scale, value_of

Array = NDArray[np.float64]

CAUCHY = 2.5
"""Residuals of this many standard deviations of their block count half; far ones hardly at all."""
LEAST_SPREAD = 0.1
LEAST_GAIN = 0.1
"""A fit ends where its next step would gain less: a third of the standard error of one parameter, as costs count."""
TRIES = 4
LONGEST = 0.7
"""Longest step on the fitting scale."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Outcome of a fit."""

    parameters: Parameters
    groups: tuple[tuple[str, ...], ...]
    """What was fitted: keys that are moved together stand together."""
    told: Information
    """What the data say about them, prior left out, week by week."""
    prior: Array
    """Precision of the prior, shape (groups,)."""
    left: Array
    """How far the end of the fit may still be: the next step, 0 where it ended by itself, shape (groups,)."""
    cost: float = 0.0
    variance: float = 1.0
    """Mean square of the residuals per independent observation."""

    @property
    def precision(self) -> Array:
        """Fisher information on the fitting scale, prior left out, shape (groups, groups)."""
        return np.asarray(self.told.precision.sum(axis=0))


@dataclass(slots=True)
class _Place:
    """Where a fit stands."""

    x: Array
    parameters: Parameters
    blocks: Sequence[Block]
    damping: float = 0.02


def fit(
    residuals: Residuals,
    start: Parameters,
    knobs: Sequence[Knob],
    *,
    rounds: int,
    within: Callable[[], bool] = lambda: True,
    begin: Parameters | None = None,
) -> Fit:
    """Move the knobs until the residuals are smallest.

    Args:
        residuals: blocks of residuals for parameters.
        start: centre of the priors.
        knobs: what may move.
        rounds: most Gauss-Newton steps.
        within: whether there is time for another step.
        begin: where to begin, the start by default.
    """
    groups = tuple(group for knob in knobs for group in knob.groups)
    centre = np.array([to_scale(group[0], value_of(start, group[0])) for group in groups])
    prior = np.array([knob.spread**-2 for knob in knobs for _ in knob.groups])
    goal = _Goal(residuals, start, groups, centre, prior)
    first = np.array([to_scale(group[0], value_of(begin or start, group[0])) for group in groups])
    at = shifted(start, groups, first - centre)
    place = _Place(first, at, residuals(at))
    told, cost, ended = Information.none(len(groups)), 0.0, False
    for _ in range(rounds):
        if not within():
            break
        limits = _scales(place.blocks)
        cost = goal.cost(place.x, place.blocks, limits)
        told = _told(residuals, place.parameters, knobs, place.blocks)
        better = goal.step(place, told, limits, cost) if goal.gain(place, told) > LEAST_GAIN else None
        if better is None:
            ended = True
            break
        cost = better
    left = np.zeros(len(groups))
    if not ended:
        told = _told(residuals, place.parameters, knobs, place.blocks)
        left = goal.next_step(place, told)
    variance = _cost(place.blocks, _scales(place.blocks)) / max(sum(block.weight for block in place.blocks), 1e-9)
    return Fit(place.parameters, groups, told, prior, left, cost, variance)


def told_at(residuals: Residuals, at: Parameters, knobs: Sequence[Knob]) -> Information:
    """What the residuals say of the knobs at a place."""
    return _told(residuals, at, knobs, residuals(at))


def _told(residuals: Residuals, at: Parameters, knobs: Sequence[Knob], blocks: Sequence[Block]) -> Information:
    roots = [_robust(block.values, limit) for block, limit in zip(blocks, _scales(blocks), strict=True)]
    return information(residuals, at, knobs, blocks, roots)


@dataclass(frozen=True, slots=True)
class _Goal:
    """What is made smallest: robust squares of residuals and distance from the centre of the priors."""

    residuals: Residuals
    start: Parameters
    groups: tuple[tuple[str, ...], ...]
    centre: Array
    prior: Array

    def cost(self, x: Array, blocks: Sequence[Block], limits: Sequence[float]) -> float:
        return _cost(blocks, limits) + float((self.prior * (x - self.centre) ** 2).sum())

    def step(self, place: _Place, told: Information, limits: Sequence[float], cost: float) -> float | None:
        """Moves the place downhill and returns the cost there; None where no step of some dampings helps."""
        for _ in range(TRIES):
            x = place.x + self.next_step(place, told, place.damping)
            parameters = shifted(self.start, self.groups, x - self.centre)
            blocks = self.residuals(parameters)
            found = self.cost(x, blocks, limits)
            if found < cost:
                place.x, place.parameters, place.blocks = x, parameters, blocks
                place.damping *= 0.3
                return found
            place.damping *= 5.0
        return None

    def next_step(self, place: _Place, told: Information, damping: float = 0.0) -> Array:
        """The Gauss-Newton step from a place, within bounds, shape (groups,)."""
        system, slope = self._quadratic(place, told)
        damped = system + damping * np.diag(np.diag(told.precision.sum(axis=0)))
        return lowest(damped, slope, *self._room(place.x))

    def gain(self, place: _Place, told: Information) -> float:
        """What the next step promises."""
        system, slope = self._quadratic(place, told)
        step = self.next_step(place, told)
        return -float(2.0 * slope @ step + step @ system @ step)

    def _quadratic(self, place: _Place, told: Information) -> tuple[Array, Array]:
        """Matrix and half slope of the cost near a place."""
        slope = told.slope.sum(axis=0) + self.prior * (place.x - self.centre)
        return told.precision.sum(axis=0) + np.diag(self.prior), slope

    def _room(self, x: Array) -> tuple[Array, Array]:
        """How far each value may move down and up: to its physical bounds, at most a long step."""
        keys = [group[0] for group in self.groups]
        bounds = [np.array([to_scale(key, end) for key in keys]) for end in (-np.inf, np.inf)]
        return np.maximum(bounds[0] - x, -LONGEST), np.minimum(bounds[1] - x, LONGEST)


def lowest(system: Array, slope: Array, low: Array, high: Array) -> Array:
    """The step within a box that makes a quadratic smallest: what would leave the box stays at its side.

    What is held at a side is solved for no more, so that the others don't count on a move that is not made.

    Args:
        system: matrix of the quadratic, positive definite, shape (n, n).
        slope: its slope at no step, shape (n,).
        low: lower sides of the box, <= 0, shape (n,).
        high: upper sides, >= 0, shape (n,).
    """
    step, free = np.zeros(len(slope)), ~(((low == 0) & (slope > 0)) | ((high == 0) & (slope < 0)))
    while free.any():
        held = slope[free] + system[np.ix_(free, ~free)] @ step[~free]
        wanted = -np.linalg.solve(system[np.ix_(free, free)], held)
        step[free] = np.clip(wanted, low[free], high[free])
        outside = np.zeros(len(slope), dtype=np.bool_)
        outside[free] = step[free] != wanted
        if not outside.any():
            break
        free &= ~outside
    return step


def scanned(residuals: Residuals, start: Parameters, keys: Sequence[str], values: Sequence[float]) -> Parameters:
    """The start with the best of some values under all keys: for what acts by thresholds and has no useful slope."""
    trials = [start.replacing(dict.fromkeys(keys, value)) for value in values] if keys else []
    if not trials:
        return start
    found = [residuals(trial) for trial in trials]
    limits = _scales(found[-1])
    costs = [_cost(blocks, limits) for blocks in found]
    return trials[int(np.argmin(costs))]


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
