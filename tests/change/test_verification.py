"""Realised savings: the interval covers what it says, and honest verdicts are legal results."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.errors import BadInputError
from twin.plans.document import Interval
from twin.plans.verification import (
    Difference,
    effective_size,
    lag_1,
    saving_error_kwh,
    slow_error_kwh,
    verify_saving,
)
from twin.streams import stream

START, END = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)


def ar1(n: int, rho: float, seed: int) -> NDArray[np.float64]:
    """A stationary series of standard deviation 1 whose neighbours correlate by rho."""
    shocks = stream(seed, "ar1").standard_normal(n) * np.sqrt(1.0 - rho**2)
    series = np.empty(n)
    series[0] = shocks[0] / np.sqrt(1.0 - rho**2)
    for i in range(1, n):
        series[i] = rho * series[i - 1] + shocks[i]
    return series


def report(measured: NDArray[np.float64], residuals: NDArray[np.float64], **changes: object):  # type: ignore[no-untyped-def]
    fields = {
        "plan_id": "p",
        "meter": "hvac",
        "start": START,
        "end": END,
        "measured_kwh": measured,
        "counterfactual_kwh": np.full(len(measured), 10.0),
        "residuals_kwh": residuals,
    }
    return verify_saving(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_effective_size_of_correlated_values_follows_guideline_14() -> None:
    assert effective_size(190, 0.0) == 190.0
    assert effective_size(190, 0.9) == pytest.approx(10.0)


def test_the_correlation_of_an_ar1_series_is_found() -> None:
    assert lag_1(ar1(20_000, 0.9, 1)) == pytest.approx(0.9, abs=0.02)


def test_a_90_percent_interval_covers_about_90_percent_despite_autocorrelation() -> None:
    """Mean of 90 days hourly at rho 0.9, known model; the interval that ignores rho covers a third of that."""
    hits, naive = 0, 0
    rounds = 400
    for seed in range(rounds):
        series = ar1(2160 + 168, 0.9, seed)
        past, later = series[:2160], series[2160:]
        error = float(later.sum() - past.mean() * len(later))
        hits += abs(error) <= saving_error_kwh(past, len(later), lag_1(past), 0.9)
        naive += abs(error) <= saving_error_kwh(past, len(later), 0.0, 0.9)
    assert 0.85 <= hits / rounds <= 0.95
    assert naive / rounds < 0.5


def test_errors_that_last_for_days_are_seen_by_daily_means() -> None:
    """Noise from hour to hour on top of an error that changes slowly: hourly correlation alone covers too seldom."""
    hits, fast, rounds = 0, 0, 400
    for seed in range(rounds):
        series = 0.5 * ar1(2160 + 168, 0.98, seed) + ar1(2160 + 168, 0.0, rounds + seed)
        past, later = series[:2160], series[2160:]
        error = abs(float(later.sum() - past.mean() * len(later)))
        by_hour = saving_error_kwh(past, len(later), lag_1(past), 0.8)
        fast += error <= by_hour
        hits += error <= max(by_hour, slow_error_kwh(past, len(later), 24, 0.8))
    assert fast / rounds < 0.6
    assert 0.72 <= hits / rounds <= 0.9


def test_a_clear_saving_is_reported_with_its_interval() -> None:
    noise = ar1(1000, 0.5, 3) * 0.5
    found = report(np.full(168, 8.0), noise)
    assert found.verdict == "saved"
    assert found.saving_pct.low < found.saving_pct.value < found.saving_pct.high
    assert found.saving_pct.value == pytest.approx(20.0, abs=1.0)


def test_a_saving_lost_in_noise_is_not_detectable() -> None:
    found = report(np.full(168, 9.9), ar1(1000, 0.95, 4) * 5.0)
    assert found.verdict == "not detectable"
    assert not found.detectable


def test_a_period_with_a_tenth_missing_is_not_enough_data() -> None:
    measured = np.full(168, 8.0)
    measured[:20] = np.nan
    assert report(measured, ar1(1000, 0.5, 3)).verdict == "not enough data"


def test_the_bias_of_the_model_is_no_saving() -> None:
    residuals = ar1(1000, 0.2, 5) * 0.1 - 2.0
    assert report(np.full(168, 8.0), residuals).saving_pct.value == pytest.approx(0.0, abs=0.5)


def test_a_missed_prediction_says_by_how_much_and_what_was_otherwise() -> None:
    predicted = Interval(value=30.0, low=25.0, high=35.0, unit="%")
    warm = Difference(name="mean outdoor temperature", assumed=12.0, realised=19.0, unit="°C")
    found = report(np.full(168, 8.0), ar1(1000, 0.2, 3) * 0.1, predicted_pct=predicted, differences=[warm])
    assert any("points below" in sentence for sentence in found.sentences)
    assert "mean outdoor temperature: assumed 12.0 °C, was 19.0 °C" in found.sentences


def test_series_that_do_not_match_are_bad_input() -> None:
    with pytest.raises(BadInputError, match="must match"):
        report(np.ones(10), np.ones(100), counterfactual_kwh=np.ones(9))
