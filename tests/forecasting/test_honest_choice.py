"""A forecaster whose intervals lie (fault E3) is not chosen: the next honest one forecasts, or the baseline says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from office import office_week

from forecasting.ahead import sample_paths
from forecasting.backtest import backtest
from forecasting.choice import Chosen, choose, competition
from forecasting.forecaster import Fitted, SeasonalNaive
from forecasting.hindsight import LEAST_COVERAGE_PCT, hindsight
from forecasting.intervals import Errors, intervals, usual_errors
from forecasting.series import Array, Index, Series, SeriesKind
from twin.health.finding import FindingKind

HORIZON = 24
WEEK = np.arange(168)


def shifted(weeks: int, days: int, calm: float = 2.0, wild: float = 10.0) -> tuple[Series, int]:
    """A record whose noise grows fivefold some days before its end, two more weeks, and the length of the record."""
    length = weeks * 168
    quiet, loud = office_week(weeks + 2, noise=calm), office_week(weeks + 2, noise=wild)
    after = np.arange(len(quiet.values)) >= length - 24 * days
    return replace(quiet, values=np.where(after, loud.values, quiet.values)), length


def coverage_of_next_week(chosen: Chosen, series: Series, length: int) -> float:
    """Share of the week after the record inside the intervals that were made at its end, day by day. [%]"""
    origins = np.arange(length, length + 168, 5)
    made = chosen.forecast(series, origins, HORIZON)
    actual = series.values[origins[:, None] + np.arange(HORIZON)]
    return 100.0 * float(((actual >= made.low) & (actual <= made.high)).mean())


@dataclass(frozen=True)
class Knowing:
    """Knows what comes but for an error that has a size before a step and another from it on."""

    name: str
    truth: Array
    size: float
    later: float
    step: int

    def fit(self, _: Series) -> Fitted:
        """Nothing is learnt."""
        return self

    def predict(self, series: Series, origins: Index, horizon: int) -> Array:
        """The truth and an error whose sign alternates by the hour of the origin."""
        steps = origins[:, None] + np.arange(horizon)
        wave = np.sin(0.7 * steps)
        return self.truth[steps] + np.where(steps < self.step, self.size, self.later) * wave


def test_intervals_of_before_the_shift_cover_far_less_and_adaptive_ones_keep_their_promise() -> None:
    """The row's recipe: errors that grow after calibration, 90 % intervals; fixed ones fall to about half."""
    rng = np.random.default_rng(3)
    length, shift = 400 * HORIZON, 200 * HORIZON
    values = rng.normal(size=length) * np.where(np.arange(length) < shift, 1.0, 2.1)
    series = replace(office_week(1), values=values)
    origins = np.arange(100 * HORIZON, length, HORIZON)
    past = Errors(
        origins=np.arange(0, 100 * HORIZON, HORIZON),
        medians=np.zeros((100, HORIZON)),
        actual=values[: 100 * HORIZON].reshape(100, HORIZON),
    )
    usual = usual_errors(series, 7)
    found = intervals(past, series, origins, np.zeros((len(origins), HORIZON)), usual, aim=0.1, miss=0.1)
    actual = values[origins[:, None] + np.arange(HORIZON)]
    late = origins >= shift + 20 * HORIZON
    inside = (actual >= found.low) & (actual <= found.high)
    before = np.quantile(values[: 100 * HORIZON], (0.05, 0.95))
    fixed = (actual >= before[0]) & (actual <= before[1])
    assert fixed[late].mean() < 0.65
    assert inside[late].mean() == pytest.approx(0.9, abs=0.02)


def test_the_best_forecaster_is_not_chosen_when_its_intervals_lie() -> None:
    """Sharp has the smaller error still, but lately misses; blunt always errs by as much as its intervals say."""
    series = office_week(8)
    length = len(series.values)
    sharp = Knowing("sharp", np.tile(series.values, 2), 0.1, 8.0, length - 4 * 24)
    blunt = Knowing("blunt", np.tile(series.values, 2), 10.0, 10.0, 0)
    chosen = choose(series, HORIZON, [sharp, blunt])
    assert chosen.scores["sharp"] < chosen.scores["blunt"]
    assert chosen.names == ("blunt",)
    assert chosen.liars["sharp"] < LEAST_COVERAGE_PCT <= chosen.hindsight.coverage_pct
    (finding,) = chosen.findings(series)
    assert finding.kind is FindingKind.COVERAGE
    assert finding.numbers == {"coverage_pct/sharp": pytest.approx(chosen.liars["sharp"], abs=0.1)}
    assert "sharp" in finding.sentence
    assert "least 64 %" in finding.sentence
    assert finding.sentence.endswith("so the forecast is by blunt; look at what changed")


def test_when_all_lie_the_baseline_forecasts_on_its_own_last_errors_and_says_so() -> None:
    """Noise grows fivefold three days before: none of the real candidates holds, and the week to come is covered."""
    series, length = shifted(8, 3)
    history = series.until(length)
    chosen = choose(history, HORIZON)
    assert chosen.names == ("seasonal_naive",)
    assert set(chosen.scores) < set(chosen.liars)
    assert max(chosen.liars.values()) < LEAST_COVERAGE_PCT
    _, origins, _ = competition(history, HORIZON)
    np.testing.assert_array_equal(chosen.errors.origins, origins[len(origins) // 2 :])
    own = SeasonalNaive().predict(history, chosen.errors.origins, HORIZON)
    np.testing.assert_allclose(chosen.errors.medians, own)
    assert "seasonal_naive with intervals from its own last errors" in chosen.findings(history)[0].sentence
    assert coverage_of_next_week(chosen, series, length) > 70.0


def test_intervals_that_widened_in_time_are_kept_and_stay_wide() -> None:
    """Four days into the shift of a long record the best has widened, is honest again, and the next week is covered."""
    series, length = shifted(20, 4)
    chosen = choose(series.until(length), HORIZON)
    assert chosen.findings(series) == ()
    assert chosen.hindsight.aim < 0.1
    assert coverage_of_next_week(chosen, series, length) > 70.0
    forgetful = replace(chosen, hindsight=replace(chosen.hindsight, aim=0.2))
    first = np.array([length])
    wide, narrow = (one.forecast(series.until(length), first, HORIZON) for one in (chosen, forgetful))
    assert (wide.high - wide.low).mean() > 1.5 * (narrow.high - narrow.low).mean()


def test_samples_of_a_week_ahead_are_as_wide_as_the_intervals() -> None:
    """What the what-ifs of a plan draw, four days into the shift: seven of ten hours to come lie in the middle 80 %."""
    series, length = shifted(20, 4)
    paths = sample_paths({"load": series.until(length)}, 168, 400, seed=0)["load"][1:]
    low, high = np.quantile(paths, (0.1, 0.9), axis=0)
    actual = series.values[length : length + 168]
    assert ((actual >= low) & (actual <= high)).mean() > 0.7


@pytest.mark.parametrize("noise", [2.0, 5.0])
def test_a_process_that_stays_as_it_was_raises_no_alarm(noise: float) -> None:
    """Fifteen records of eight to twenty-two weeks: no forecaster of an unchanged process is called a liar."""
    series = office_week(22, noise=noise)
    for weeks in range(8, 23):
        assert choose(series.until(weeks * 168), HORIZON).liars == {}, weeks


def test_a_record_too_short_to_judge_says_nothing_about_its_intervals() -> None:
    series = office_week(1).until(96)
    chosen = choose(series, 48)
    assert chosen.hindsight.coverage_pct is None
    assert not chosen.hindsight.lies


def test_values_that_nobody_recorded_do_not_count_as_covered() -> None:
    """Unknown is not good: an outage over the judged weeks leaves no coverage to speak of."""
    errors = Errors(origins=WEEK[:20] * 24, medians=np.zeros((20, 24)), actual=np.full((20, 24), np.nan))
    found = hindsight(errors, office_week(8), usual_errors(office_week(8), 7), whole=False)
    assert found.coverage_pct is None


def test_the_backtest_of_a_shifted_process_says_that_its_intervals_lie() -> None:
    """Injected: noise grows fortyfold in the last five days, and coverage of the last stretch falls below 64 %."""
    series, length = shifted(16, 5, calm=0.5, wild=20.0)
    calm = backtest(series.until(length - 24 * 5), HORIZON)
    shaken = backtest(series.until(length), HORIZON)
    assert not calm.lies
    assert shaken.rolling_coverage_pct[-1] < LEAST_COVERAGE_PCT
    assert shaken.lies


def test_no_path_errs_by_more_than_was_ever_seen() -> None:
    """A tariff of two prices, with two odd hours in four weeks: what is usually missed is nearly nothing."""
    price = np.where(office_week(4).values > 50.0, 0.19, 0.09)
    price[np.random.default_rng(2).integers(0, len(price), 2)] += 0.06
    series = replace(office_week(4), values=price, kind=SeriesKind.SIGNAL)
    errors = choose(series, 168).errors
    paths = sample_paths({"price": series}, 168, 50, 0)["price"]
    assert 0.0 < np.abs(paths - paths[0]).max() <= np.nanmax(np.abs(errors.actual - errors.medians)) + 1e-9
