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
from twin.model import Influence, ParameterReport
from twin.streams import stream

Array = NDArray[np.float64]
Z_80 = 1.2816


@dataclass(frozen=True, slots=True)
class Certainty:
    """Fitted values and how they may be wrong together."""

    parameters: Parameters
    groups: tuple[tuple[str, ...], ...]
    """What was fitted: keys that are moved together stand together."""
    expected: Array
    """Covariance on the fitting scale by the size of residuals and the priors alone, shape (groups, groups)."""
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
        moves = np.array(list(self.without.values()))
        if len(moves) < 2:
            return self.expected
        moves = moves - moves.mean(axis=0)
        return np.asarray(self.expected + moves.T @ moves * (len(moves) - 1) / len(moves))

    def influence(self) -> tuple[Influence, ...]:
        """The parameter that each week decides most, widest reach first."""
        half = Z_80 * np.sqrt(np.diag(self.covariance))
        found = []
        for week, move in self.without.items():
            reach = np.abs(move) / np.maximum(half, 1e-12)
            most = int(np.argmax(reach))
            found.append(Influence(week=week, parameter=self.groups[most][0], reach=float(reach[most])))
        return tuple(sorted(found, key=lambda one: -one.reach))


def of_one_stage(found: Fit) -> Certainty:
    """Certainty of a fit that knew nothing from before: the Laplace approximation, prior included.

    Residuals count in units of their yardsticks, a day as one observation.
    """
    system = found.precision + np.diag(found.prior)
    expected = np.asarray(np.linalg.inv(system))
    return Certainty(found.parameters, found.groups, expected, found.prior, _without(found.told, system))


def of_two_stages(first: Fit, last: Fit, told: Information) -> Certainty:
    """Certainty after a second stage that starts from a first one and holds some of its values.

    What the first stage has wrong enters the second as a wrong centre of its priors and as wrong values of what it
    holds; both move its outcome, and together with them. With A what the data tell, P the precision of the priors and
    M = A + P, the second stage errs by M^-1 (score + P d - A_held e), d and e being the errors of the first.

    Source: Murphy and Topel 1985, estimation and inference in two-step models.

    Args:
        first: the stage before.
        last: the second stage.
        told: what its residuals say at its end of its own groups and, after them, of those that it holds.
    """
    before = of_one_stage(first)
    held = held_groups(first, last)
    groups = (*last.groups, *held)
    free = len(last.groups)
    place = [groups.index(group) for group in first.groups]
    precision = told.precision.sum(axis=0)
    system = precision[:free, :free] + np.diag(last.prior)
    start = np.diag(np.concatenate([1.0 / last.prior, np.zeros(len(held))]))
    start[np.ix_(place, place)] = before.expected
    pull = np.hstack([np.diag(last.prior), -precision[:free, free:]])
    moves = np.vstack([np.linalg.solve(system, pull), np.eye(len(groups))[free:]])
    expected = moves @ start @ moves.T
    half = np.linalg.solve(system, precision[:free, :free])
    expected[:free, :free] += np.linalg.solve(system, half.T)
    prior = np.concatenate([last.prior, np.zeros(len(held))])
    prior[place] = first.prior
    without = {week: np.concatenate([move, np.zeros(len(held))]) for week, move in _without(told, system).items()}
    for week, move in before.without.items():
        carried = np.zeros(len(groups))
        carried[place] = move
        without[week] = without.get(week, np.zeros(len(groups))) + moves @ carried
    return Certainty(last.parameters, groups, expected, prior, without)


def _without(told: Information, system: Array) -> dict[int, Array]:
    """How far the fit moves without each week: one Gauss-Newton step from its outcome."""
    free = len(system)
    slope = told.slope[:, :free] - told.slope[:, :free].mean(axis=0) if told.weeks else told.slope
    return {
        week: np.asarray(np.linalg.solve(system - told.precision[w, :free, :free], slope[w]))
        for w, week in enumerate(told.weeks)
    }


def held_groups(first: Fit, last: Fit) -> tuple[tuple[str, ...], ...]:
    """What the first stage fitted and the last holds."""
    return tuple(group for group in first.groups if group not in last.groups)


def parameter_reports(known: Certainty) -> tuple[ParameterReport, ...]:
    """Every fitted parameter with its 80 % interval, whether it is at a bound and whether the data told it."""
    spread = np.sqrt(np.diag(known.covariance))
    reports = []
    rows = zip(known.groups, spread, known.prior, strict=True)
    for key, sd, prior in ((key, sd, prior) for group, sd, prior in rows for key in group):
        spec, value = SPECS[spec_name(key)], value_of(known.parameters, key)
        x = to_scale(key, value)
        margin = 1e-3 * (spec.high - spec.low)
        reports.append(
            ParameterReport(
                name=key,
                value=value,
                low=from_scale(key, x - Z_80 * sd),
                high=from_scale(key, x + Z_80 * sd),
                unit=spec.unit,
                at_bound=bool(value <= spec.low + margin or value >= spec.high - margin),
                identified=bool(sd < 0.5 / np.sqrt(prior)),
            )
        )
    return tuple(reports)


def ensemble(known: Certainty, members: int, seed: int) -> tuple[Parameters, ...]:
    """Draws around the fit, kept within physical bounds."""
    root = np.linalg.cholesky(known.covariance + 1e-9 * np.eye(len(known.groups)))
    noise = stream(seed, "calibration", "ensemble").standard_normal((members, len(known.groups)))
    return tuple(shifted(known.parameters, known.groups, row) for row in noise @ root.T)
