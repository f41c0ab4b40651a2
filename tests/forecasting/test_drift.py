"""Drift: found when it is there (fault E1), quiet when it is not (E2), and intervals that lie are seen (E3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from office import office_week

from forecasting.backtest import backtest
from forecasting.drift import MONTH_H, DriftDetector, hourly_means
from twin.errors import BadInputError
from twin.streams import stream


def autocorrelated(hours: int, per_hour: float, seed: int, steps_per_hour: int = 12) -> np.ndarray:
    """Errors at 5 minutes with unit spread and the given autocorrelation, as hourly means."""
    rng = stream(seed, "errors")
    raw = np.zeros(hours * steps_per_hour)
    shocks = rng.normal(size=len(raw)) * np.sqrt(1 - per_hour**2)
    for i in range(1, len(raw)):
        raw[i] = per_hour * raw[i - 1] + shocks[i]
    return hourly_means(raw, steps_per_hour)


def test_a_bias_of_one_sigma_is_found_within_a_day() -> None:
    """E1. Each of 20 series with +1 σ alarms upwards, at the median within 24 hours."""
    delays = []
    for seed in range(20):
        errors = autocorrelated(1200, 0.9, seed)
        detector = DriftDetector.configured(errors[:900])
        alarms = detector.alarms(errors[900:] + 1.0)
        assert alarms[0].direction == 1
        delays.append(alarms[0].hour)
    assert np.median(delays) <= 24


@pytest.mark.parametrize("autocorrelation", [0.0, 0.9, 0.99, 0.997])
def test_false_alarms_are_bounded_whatever_the_autocorrelation(autocorrelation: float) -> None:
    """E2. 20 series of three months: at most 0.5 false alarms a month, where a fixed limit of 8 has many more."""
    alarms = 0
    for seed in range(20):
        errors = autocorrelated(4 * MONTH_H, autocorrelation, seed)
        detector = DriftDetector.configured(errors[:MONTH_H])
        alarms += len(detector.alarms(errors[MONTH_H:]))
    assert alarms / 60 <= 0.5


def test_the_limit_grows_with_autocorrelation() -> None:
    calm, slow = (DriftDetector.configured(autocorrelated(MONTH_H, rho, 1)).limit for rho in (0.0, 0.997))
    assert slow > 2 * calm


def test_a_single_spike_is_no_drift() -> None:
    errors = autocorrelated(1200, 0.5, 1)
    spiked = errors[900:].copy()
    spiked[10] += 1000.0
    assert not DriftDetector.configured(errors[:900]).alarms(spiked)


def test_missing_hours_are_skipped() -> None:
    errors = autocorrelated(1200, 0.5, 1)
    holes = errors[900:] + 1.0
    holes[::2] = np.nan
    assert DriftDetector.configured(errors[:900]).alarms(holes)


def test_a_short_reference_is_refused() -> None:
    with pytest.raises(BadInputError, match="too few to judge drift"):
        DriftDetector.configured(np.zeros(100))


def test_intervals_adapt_after_the_process_has_shifted() -> None:
    """E3. Noise that trebles in the last half: coverage returns towards 80 % instead of staying near 35 %."""
    calm, wild = office_week(30, noise=2.0), office_week(30, noise=6.0)
    values = np.where(np.arange(len(calm.values)) < 24 * 168, calm.values, wild.values)
    result = backtest(replace(calm, values=values), 24)
    assert result.rolling_coverage_pct[-1] > 68.0


def test_rolling_coverage_tells_which_model_lies() -> None:
    result = backtest(office_week(20, noise=3.0), 24)
    assert not result.lies
    assert replace(result, rolling_coverage_pct=(81.0, 57.0)).lies


def test_one_lasting_change_is_told_once() -> None:
    """A bias of 3 σ for three weeks crosses the limit again and again, and is one alarm."""
    errors = autocorrelated(1400, 0.5, 1)
    alarms = DriftDetector.configured(errors[:800]).alarms(errors[800:1304] + 3.0)
    assert [alarm.direction for alarm in alarms] == [1]
