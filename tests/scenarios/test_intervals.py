"""What the structure of the model leaves open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenarios.batch import USES, WEIGHTS
from scenarios.summary import discomfort_spread, structural_spread
from twin.vocab import EndUse

Array = NDArray[np.float64]


def sums(kwh: float) -> Array:
    """One run that uses energy for cooling only, shape (runs, weights, uses)."""
    energy = np.zeros((1, len(WEIGHTS), len(USES)))
    energy[0, 0, USES.index(EndUse.COOLING)] = kwh
    return energy


def test_the_structural_error_has_a_share_of_what_moves_and_one_of_weeks() -> None:
    """10 % of 400 kWh, and 3 % a week of √(400 · 10 000) = 2 000 kWh: √(40² + 60²) kWh."""
    spread = structural_spread(sums(400.0), sums(1e4), {"cooling": 0.1, "cooling/week": 0.03})
    np.testing.assert_allclose(spread["cooling_kwh"], np.hypot(40.0, 60.0))


def test_a_small_change_is_less_sure_in_proportion_than_a_large_one_and_none_is_sure() -> None:
    structural = {"cooling": 0.07, "cooling/week": 0.02}
    small, large, none = (
        structural_spread(sums(kwh), sums(1e4), structural)["cooling_kwh"][0] for kwh in (50.0, 5000.0, 0.0)
    )
    assert small / 50.0 > 3 * large / 5000.0
    assert none == 0.0


def test_discomfort_is_known_within_a_share_and_a_week_of_error() -> None:
    """10 % of 60 K·h and √(2 K·h · 60 K·h): √(6² + 120) K·h."""
    spread = discomfort_spread(np.array([60.0, 0.0]), {"discomfort": 0.1, "discomfort/week": 2.0})
    np.testing.assert_allclose(spread, [np.sqrt(156.0), 0.0])
