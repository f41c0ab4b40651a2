"""How sure the parameters are: intervals, what the data could not tell, an ensemble of equally good twins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import SPECS, Parameters
from twin.calibration.fit import Fit
from twin.calibration.information import Information
from twin.calibration.scale import from_scale, shifted, spec_name, to_scale, value_of
from twin.model import ParameterReport
from twin.streams import stream

Array = NDArray[np.float64]
LEVEL = 0.8
"""Of the intervals of parameters, all of them together."""
TRIALS = 4000
"""Draws that the joint level is read from: its half width is then known to about one per cent."""
LEAST_VARIANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Certainty:
    """Fitted values and how they may be wrong together."""

    parameters: Parameters
    groups: tuple[tuple[str, ...], ...]
    """What was fitted: keys that are moved together stand together."""
    expected: Array
    """Covariance on the fitting scale by the size of residuals, the priors, and what a fit that had no time to end
    leaves open, shape (groups, groups)."""
    drawn: Array
    """Covariance that members of the ensemble are drawn with, of the first groups, shape (drawn, drawn)."""
    prior: Array
    """Precision that each had before any data, shape (groups,)."""
    without: Mapping[int, Array]
    """Week to how far the values go, to first order, where that week is left out, shape (groups,)."""

    @property
    def covariance(self) -> Array:
        """Covariance on the fitting scale, shape (groups, groups).

        Residuals of one week go together: what weeks disagree in comes on top of what is expected, by the jackknife
        that leaves out one week at a time.

        Source: Quenouille 1956, Tukey 1958; weeks as blocks as in Kuensch 1989.
        """
        return np.asarray(self.expected + self._between.T @ self._between)

    @property
    def half_width(self) -> Array:
        """Half of each interval on the fitting scale, shape (groups,): at 80 % all values are inside at once.

        From draws of the largest of all deviations over their standard errors. What weeks disagree in is itself known
        from few weeks, so that its part is drawn from Student's t with one degree of freedom less than weeks.

        Source: simultaneous intervals by the largest deviation, Tukey 1953; Hothorn, Bretz and Westfall 2008.
        """
        spread = np.sqrt(np.diag(self.covariance))
        random = stream(0, "calibration", "joint level")
        between = self._between
        freedom = max(len(between) - 1, 1)
        known = random.standard_normal((TRIALS, len(self.groups))) @ _root(self.expected).T
        few = np.sqrt(freedom / random.chisquare(freedom, (TRIALS, 1)))
        off = known + few * (random.standard_normal((TRIALS, len(between))) @ between)
        return np.asarray(spread * np.quantile(np.abs(off / spread).max(axis=1), LEVEL))

    @property
    def _between(self) -> Array:
        """Root of what weeks disagree in, shape (weeks, groups); nothing where there are no two of them."""
        moves = np.array(list(self.without.values()))
        if len(moves) < 2:
            return np.zeros((0, len(self.groups)))
        return np.asarray((moves - moves.mean(axis=0)) * np.sqrt((len(moves) - 1) / len(moves)))


def of_one_stage(found: Fit) -> Certainty:
    """Certainty of a fit that knew nothing from before: the Laplace approximation, prior included.

    Residuals count in units of their yardsticks, a day as one observation.
    """
    system = found.precision + np.diag(found.prior)
    expected = np.asarray(np.linalg.inv(system)) + np.outer(found.left, found.left)
    drawn = _drawn(found, found.precision)
    return Certainty(found.parameters, found.groups, expected, drawn, found.prior, _without(found.told, system))


def of_next_stage(before: Certainty, last: Fit, told: Information) -> Certainty:
    """Certainty after a stage that starts from an earlier one and holds some of its values.

    What the earlier stage has wrong enters the next as a wrong centre of its priors and as wrong values of what it
    holds; both move its outcome, and together with them. With A what the data tell, P the precision of the priors and
    M = A + P, the next stage errs by M^-1 (score + P d - A_held e), d and e being the errors of the earlier.

    Source: Murphy and Topel 1985, estimation and inference in two-step models.

    Args:
        before: what was known before.
        last: the next stage.
        told: what its residuals say at its end of its own groups and, after them, of those that it holds.
    """
    held = held_groups(before, last)
    groups = (*last.groups, *held)
    free = len(last.groups)
    place = [groups.index(group) for group in before.groups]
    precision = told.precision.sum(axis=0)
    system = precision[:free, :free] + np.diag(last.prior)
    start = np.diag(np.concatenate([1.0 / last.prior, np.zeros(len(held))]))
    start[np.ix_(place, place)] = before.expected
    pull = np.hstack([np.diag(last.prior), -precision[:free, free:]])
    moves = np.vstack([np.linalg.solve(system, pull), np.eye(len(groups))[free:]])
    expected = moves @ start @ moves.T
    half = np.linalg.solve(system, precision[:free, :free])
    expected[:free, :free] += np.linalg.solve(system, half.T) + np.outer(last.left, last.left)
    prior = np.concatenate([last.prior, np.zeros(len(held))])
    prior[place] = before.prior
    without = {week: np.concatenate([move, np.zeros(len(held))]) for week, move in _without(told, system).items()}
    for week, move in before.without.items():
        carried = np.zeros(len(groups))
        carried[place] = move
        without[week] = without.get(week, np.zeros(len(groups))) + moves @ carried
    return Certainty(last.parameters, groups, expected, _drawn(last, precision[:free, :free]), prior, without)


def _drawn(found: Fit, precision: Array) -> Array:
    """Covariance of the draws: Laplace, with the noise of the residuals.

    Narrower than what is reported of the parameters: what weeks disagree in, and what the first stage has wrong, is in
    the errors of unseen weeks that every saving carries, and would count twice.
    """
    return np.asarray(np.linalg.inv(precision / max(found.variance, LEAST_VARIANCE) + np.diag(found.prior)))


def _root(covariance: Array) -> Array:
    return np.asarray(np.linalg.cholesky(covariance + 1e-9 * np.eye(len(covariance))))


def _without(told: Information, system: Array) -> dict[int, Array]:
    """How far the fit moves without each week: one Gauss-Newton step from its outcome."""
    free = len(system)
    slope = told.slope[:, :free] - told.slope[:, :free].mean(axis=0) if told.weeks else told.slope
    return {
        week: np.asarray(np.linalg.solve(system - told.precision[w, :free, :free], slope[w]))
        for w, week in enumerate(told.weeks)
    }


def held_groups(before: Certainty, last: Fit) -> tuple[tuple[str, ...], ...]:
    """What was fitted before and a stage holds."""
    return tuple(group for group in before.groups if group not in last.groups)


def parameter_reports(known: Certainty) -> tuple[ParameterReport, ...]:
    """Every fitted parameter with its interval, whether it is at a bound and whether the data told it."""
    spread = np.sqrt(np.diag(known.covariance))
    reports = []
    rows = zip(known.groups, known.half_width, spread, known.prior, strict=True)
    for key, half, sd, prior in ((key, *rest) for group, *rest in rows for key in group):
        spec, value = SPECS[spec_name(key)], value_of(known.parameters, key)
        x = to_scale(key, value)
        margin = 1e-3 * (spec.high - spec.low)
        reports.append(
            ParameterReport(
                name=key,
                value=value,
                low=from_scale(key, x - half),
                high=from_scale(key, x + half),
                unit=spec.unit,
                at_bound=bool(value <= spec.low + margin or value >= spec.high - margin),
                identified=bool(sd < 0.5 / np.sqrt(prior)),
            )
        )
    return tuple(reports)


def ensemble(known: Certainty, members: int, seed: int) -> tuple[Parameters, ...]:
    """Draws around the fit, kept within physical bounds."""
    drawn = known.groups[: len(known.drawn)]
    noise = stream(seed, "calibration", "ensemble").standard_normal((members, len(drawn)))
    return tuple(shifted(known.parameters, drawn, row) for row in noise @ _root(known.drawn).T)
