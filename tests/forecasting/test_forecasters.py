"""Forecasters on series whose answer is known."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from office import office_week

from forecasting.ahead import sample_paths
from forecasting.backtest import backtest, mean_error
from forecasting.choice import candidates, choose
from forecasting.forecaster import Forecaster, SeasonalNaive
from forecasting.profile import ScaledProfile, WeeklyProfile, median_of_known
from forecasting.prophet_model import Prophet
from forecasting.regression import Regression, robust_ridge
from forecasting.series import Calendar, SeriesKind
from twin.errors import BadInputError

DAYLIGHT = date(2023, 3, 12)


@pytest.mark.parametrize("forecaster", [SeasonalNaive(), WeeklyProfile(), Regression()], ids=lambda one: one.name)
def test_a_series_that_repeats_each_week_is_forecast_exactly(forecaster: Forecaster) -> None:
    """Also over the change to daylight saving time, since weeks are weeks of the wall clock."""
    series = office_week(12)
    origin = np.array([len(series.values) - 48])
    assert series.start.astimezone(series.time_zone).date() < DAYLIGHT
    found = forecaster.fit(series.until(int(origin[0]))).predict(series, origin, 48)
    np.testing.assert_allclose(found[0], series.values[-48:], atol=0.2)


@pytest.mark.parametrize("forecaster", [SeasonalNaive(), WeeklyProfile(), Regression()], ids=lambda one: one.name)
def test_a_forecast_uses_nothing_from_its_origin_on(forecaster: Forecaster) -> None:
    series = office_week(8, noise=5.0)
    origin = np.array([7 * 168 + 5])
    spoilt = replace(series, values=np.where(np.arange(len(series.values)) >= origin[0], 1e6, series.values))
    fitted = forecaster.fit(series.until(int(origin[0])))
    np.testing.assert_array_equal(fitted.predict(series, origin, 48), fitted.predict(spoilt, origin, 48))


def test_a_holiday_is_forecast_as_a_sunday() -> None:
    holiday = date(2023, 2, 20)
    series = office_week(8, holidays=frozenset({holiday}))
    origin = np.array([7 * 168])
    found = WeeklyProfile().fit(series.until(7 * 168)).predict(series, origin, 24)
    np.testing.assert_allclose(found[0], 30.0, atol=1e-9)


def test_a_new_level_is_followed_within_a_day() -> None:
    """All loads rise by 20 two days before the origin: seasonal-naive misses by 20, the others by less than half."""
    series = office_week(10)
    origin = 9 * 168
    values = series.values + 20.0 * (np.arange(len(series.values)) >= origin - 48)
    series = replace(series, values=values)
    actual = values[origin : origin + 24]
    naive, ours = (
        mean_error(one.fit(series.until(origin)).predict(series, np.array([origin]), 24)[0], actual)
        for one in (SeasonalNaive(), WeeklyProfile())
    )
    assert naive == pytest.approx(20.0)
    assert ours < 10.0


def test_the_automatic_choice_beats_seasonal_naive_on_autocorrelated_noise() -> None:
    """Naive error is √2 of the noise's spread; the best forecast keeps less than 85 % of it at 24 h."""
    result = backtest(office_week(20, noise=5.0), 24)
    assert result.mae_ratio < 0.85
    assert 72.0 < result.coverage_pct < 88.0


def test_gaps_do_not_reach_the_forecast() -> None:
    series = office_week(10, noise=3.0)
    values = series.values.copy()
    values[-60:-20] = np.nan
    chosen = choose(replace(series, values=values), 48)
    found = chosen.forecast(replace(series, values=values), np.array([len(values)]), 48)
    assert np.isfinite(found.median).all()
    assert (found.low <= found.median).all()
    assert (found.median <= found.high).all()


def test_people_are_whole_and_never_negative() -> None:
    series = office_week(10, noise=4.0, kind=SeriesKind.OCCUPANCY)
    paths = sample_paths({"people": series}, 48, 25, seed=3)["people"]
    assert (paths >= 0).all()
    np.testing.assert_array_equal(paths, np.rint(paths))


def test_an_empty_night_stays_empty_in_all_samples() -> None:
    series = office_week(10, noise=4.0, kind=SeriesKind.OCCUPANCY)
    paths = sample_paths({"people": series}, 48, 25, seed=3)["people"]
    calendar = Calendar.of(series, 48)
    night = calendar.slot[len(series.values) :] < 6
    assert not paths[:, night].any()


def test_a_capacity_is_never_exceeded() -> None:
    series = replace(office_week(10, noise=10.0), upper=101.0)
    found = choose(series, 48).forecast(series, np.array([len(series.values)]), 48)
    assert found.high.max() <= 101.0


def test_samples_depend_on_the_seed_only() -> None:
    series = {"load": office_week(8, noise=5.0)}
    one, same, other = (sample_paths(series, 24, 5, seed=seed)["load"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_samples_of_two_series_err_together() -> None:
    """Two zones that are copies of each other stay copies in every sample."""
    series = office_week(8, noise=5.0)
    paths = sample_paths({"a": series, "b": series}, 24, 5, seed=1)
    np.testing.assert_array_equal(paths["a"], paths["b"])


def test_samples_spread_as_the_interval_says() -> None:
    """About 80 % of many samples lie within the 80 % interval."""
    series = office_week(20, noise=5.0)
    found = choose(series, 24).forecast(series, np.array([len(series.values)]), 24)
    paths = sample_paths({"load": series}, 24, 400, seed=0)["load"][1:]
    inside = ((paths >= found.low) & (paths <= found.high)).mean()
    assert 0.7 < inside < 0.9


def test_prophet_gives_the_same_twice() -> None:
    series = office_week(6, noise=3.0)
    origin = np.array([len(series.values)])
    one, two = (Prophet().fit(series).predict(series, origin, 24) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert mean_error(one, office_week(7).values[None, 6 * 168 : 6 * 168 + 24]) < 12.0


def test_prophet_says_nothing() -> None:
    """In a process of its own, since the engine sets up its log on first use."""
    here = Path(__file__)
    code = (
        "from office import office_week; from forecasting.prophet_model import Prophet; Prophet().fit(office_week(4))"
    )
    paths = os.pathsep.join([str(here.parent), str(here.parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_prophet_competes_when_asked() -> None:
    names = [one.name for one in candidates(office_week(6), 24, prophet=True)]
    assert names == ["seasonal_naive", "weekly_profile", "regression", "scaled_profile", "prophet"]


def test_a_record_that_is_too_short_is_refused() -> None:
    with pytest.raises(BadInputError, match="too short for a backtest"):
        backtest(office_week(1).until(60), 48)


def test_a_week_is_enough_for_daily_shapes() -> None:
    """Load that repeats daily: with less than three weeks the season is a day."""
    series = replace(office_week(1), values=10.0 + 5.0 * np.sin(2 * np.pi * np.arange(168) / 24))
    result = backtest(series, 24)
    assert result.mae < 0.5


def test_the_median_of_known_values_skips_holes() -> None:
    stack = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan], [8.0, np.nan, np.nan]])
    np.testing.assert_array_equal(median_of_known(stack), [3.0, 5.0, np.nan])


def test_the_robust_fit_ignores_a_wild_tenth() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 2))
    target = rows @ np.array([2.0, -1.0])
    target[::10] += 1000.0
    np.testing.assert_allclose(robust_ridge(rows, target, 1e-6), [2.0, -1.0], atol=0.05)


def test_half_the_people_on_vacation_halve_the_scaled_profile() -> None:
    """For the last five days everything is at half its profile: the next days are forecast at half."""
    series = office_week(10, kind=SeriesKind.OCCUPANCY)
    origin = 9 * 168
    halved = np.where(np.arange(len(series.values)) >= origin - 120, 0.5, 1.0) * series.values
    found = ScaledProfile().fit(series).predict(replace(series, values=halved), np.array([origin]), 24)
    np.testing.assert_allclose(found[0], halved[origin : origin + 24], atol=0.5)
