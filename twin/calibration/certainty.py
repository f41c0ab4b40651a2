"""How sure the parameters are: intervals, what the data could not tell, an ensemble of equally good twins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import SPECS, Parameters
from twin.calibration.fit import Fit, from_scale, shifted, spec_name, to_scale, value_of
from twin.model import ParameterReport
from twin.streams import stream

Array = NDArray[np.float64]
Z_80 = 1.2816
LEAST_VARIANCE = 1e-3


def covariance(found: Fit) -> Array:
    """Covariance on the fitting scale: Laplace approximation at the optimum, prior included.

    The noise level is that of the residuals themselves; a day counts as one independent observation.
    """
    return np.asarray(np.linalg.inv(found.precision / max(found.variance, LEAST_VARIANCE) + np.diag(found.prior)))


def parameter_reports(found: Fit) -> tuple[ParameterReport, ...]:
    """Every fitted parameter with its 80 % interval, whether it is at a bound and whether the data told it."""
    spread = np.sqrt(np.diag(covariance(found)))
    reports = []
    known = zip(found.groups, spread, found.prior, strict=True)
    for key, sd, prior in ((key, sd, prior) for group, sd, prior in known for key in group):
        spec, value = SPECS[spec_name(key)], value_of(found.parameters, key)
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


def ensemble(found: Fit, members: int, seed: int) -> tuple[Parameters, ...]:
    """Draws from the Laplace approximation, kept within physical bounds."""
    root = np.linalg.cholesky(covariance(found) + 1e-12 * np.eye(len(found.groups)))
    noise = stream(seed, "calibration", "ensemble").standard_normal((members, len(found.groups)))
    return tuple(shifted(found.parameters, found.groups, row) for row in noise @ root.T)
