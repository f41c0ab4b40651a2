"""The automatic forecaster: candidates compete on the last weeks of the history, the best one or a blend forecasts.

A forecaster whose intervals held too seldom lately is not chosen, however small its error: the next honest one is. When
none is honest, seasonal-naive forecasts, with intervals from its own last errors. A finding says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from forecasting.forecaster import Fitted, Forecaster, SeasonalNaive, season_of
from forecasting.hindsight import JUDGED_DAYS, LEAST_COVERAGE_PCT, Hindsight, bounded, hindsight
from forecasting.intervals import Errors, Usual, came_true, intervals, usual_errors
from forecasting.profile import ScaledProfile, WeeklyProfile
from forecasting.regression import Regression
from forecasting.series import Array, Index, Series, SeriesKind
from twin.health.finding import Finding, FindingKind

BLEND_MARGIN = 1.15
"""Candidates within this factor of the best error are averaged."""
PRIOR: dict[str, float] = {"seasonal_naive": 1.1, "scaled_profile": 1.05, "regression": 0.95}
"""Factor on the error of a candidate in the competition: what usually fails must win clearly, over few origins luck
decides."""


def candidates(series: Series, horizon: int, *, prophet: bool = False) -> tuple[Forecaster, ...]:
    """Forecasters that compete for a series; Prophet is slower and joins when asked."""
    horizon_h = max(1, round(horizon / series.per_hour))
    found: list[Forecaster] = [SeasonalNaive(season_of(series)), WeeklyProfile(), Regression(horizon_h=horizon_h)]
    if series.kind is not SeriesKind.SIGNAL:
        found.append(ScaledProfile())
    if prophet:
        from forecasting.prophet_model import Prophet

        found.append(Prophet())
    return tuple(found)


@dataclass(frozen=True)
class Forecast:
    """Median and 80 % interval from each origin on, shape (origins, horizon) each."""

    median: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Chosen:
    """The forecasters that won, fitted on the whole history, with their errors in the competition."""

    names: tuple[str, ...]
    fitted: tuple[Fitted, ...]
    scores: dict[str, float]
    """Mean absolute error of each candidate in the competition."""
    errors: Errors
    """Forecasts of the winners in the competition."""
    usual: Usual
    whole: bool
    hindsight: Hindsight
    """How the winners' intervals did lately."""
    liars: dict[str, float] = field(default_factory=dict)
    """Rolling coverage of what was better and not chosen, since its intervals held too seldom. [%]"""

    @property
    def without_honest(self) -> bool:
        """Whether all lied, so that the baseline forecasts on its own last errors."""
        return set(self.scores) <= set(self.liars)

    def findings(self, series: Series) -> tuple[Finding, ...]:
        """What a reader of the forecast must know about its intervals; empty while they keep their promise."""
        if not self.liars:
            return ()
        told = "; ".join(f"{name} {share:.1f} %" for name, share in self.liars.items())
        instead = " + ".join(self.names)
        if self.without_honest:
            instead += " with intervals from its own last errors, as those of no forecaster hold"
        sentence = (
            f"{series.name}: 80 % intervals held too seldom over the last {self.hindsight.days:.0f} days ({told}; "
            f"least {LEAST_COVERAGE_PCT:.0f} %), so the forecast is by {instead}; look at what changed"
        )
        numbers = {f"coverage_pct/{name}": round(share, 1) for name, share in self.liars.items()}
        return (Finding(kind=FindingKind.COVERAGE, sentence=sentence, point=series.name, numbers=numbers),)

    def median(self, series: Series, origins: Index, horizon: int) -> Array:
        """Median forecast within what the series can be."""
        mean = np.mean([one.predict(series, origins, horizon) for one in self.fitted], axis=0)
        return series.limited(mean, whole=self.whole)

    def forecast(self, series: Series, origins: Index, horizon: int) -> Forecast:
        """Median and 80 % interval; errors of earlier origins feed the intervals of later ones."""
        medians = self.median(series, origins, horizon)
        found = intervals(self.errors.ahead(horizon), series, origins, medians, self.usual, self.hindsight.aim)
        low, high = bounded(series, medians, found.low, found.high, whole=self.whole)
        return Forecast(median=medians, low=low, high=high)


def choose(history: Series, horizon: int, forecasters: Sequence[Forecaster] | None = None) -> Chosen:
    """The best candidates by rolling-origin error over the last weeks, then fitted on everything.

    Args:
        history: what is known.
        horizon: steps ahead that matter, and that are judged.
        forecasters: candidates; by default the cheap ones.
    """
    forecasters = forecasters or candidates(history, horizon)
    baseline = SeasonalNaive(season_of(history))
    split, origins, closed = competition(history, horizon)
    learnt, whole = history.until(split), history.whole
    actual = came_true(history, origins, horizon)
    made = {
        one.name: history.limited(one.fit(learnt).predict(history, origins, horizon), whole=False)
        for one in (*forecasters, baseline)
    }
    rivals = {one.name: made[one.name][:closed] for one in forecasters}
    scores = {name: _mae(forecast, actual[:closed]) for name, forecast in rivals.items()}
    usual = usual_errors(history, season_of(history))

    def errors_of(names: Sequence[str]) -> Errors:
        medians = history.limited(np.mean([made[name] for name in names], axis=0), whole=whole)
        return Errors(origins=origins, medians=medians, actual=actual)

    def judged(names: Sequence[str]) -> Hindsight:
        return hindsight(errors_of(names), history, usual, whole=whole)

    names, found, liars = _honest_winners(rivals, actual[:closed], scores, judged)
    errors = errors_of(names) if names else _later(errors_of((baseline.name,)), closed)
    fitted = [one for one in forecasters if one.name in names] or [baseline]
    return Chosen(
        names=names or (baseline.name,),
        fitted=tuple(one.fit(history) for one in fitted),
        scores=scores,
        errors=errors,
        usual=usual,
        whole=whole,
        hindsight=found or judged((baseline.name,)),
        liars=liars,
    )


def _honest_winners(
    made: Mapping[str, Array],
    actual: Array,
    scores: Mapping[str, float],
    judged: Callable[[Sequence[str]], Hindsight],
) -> tuple[tuple[str, ...], Hindsight | None, dict[str, float]]:
    """The best whose intervals hold, how they held, and what was better but lied; no names when all lie."""
    left, liars = dict(made), dict[str, float]()
    while left:
        best = _best(left, scores)
        for some in dict.fromkeys((_winners(left, actual, scores), (best,))):
            found = judged(some)
            if not found.lies:
                return some, found, liars
            liars[" + ".join(some)] = found.coverage_pct or 0.0
        del left[best]
    return (), None, liars


def _later(errors: Errors, closed: int) -> Errors:
    """The later half, on which intervals were judged: what went before no longer tells how large errors are."""
    return errors.rows(slice(min(len(errors.origins) // 2, closed - 1), None))


def competition(history: Series, horizon: int) -> tuple[int, Index, int]:
    """Where the competition begins, its origins, and how many of them lie a whole horizon before the end.

    It takes the last fifth, between four days and ten weeks. The last origins are there for their intervals, which are
    judged over the first two days: what changed since is not seen otherwise.
    """
    length, day = len(history.values), history.per_day
    span = int(np.clip(length // 5, min(4 * day, length // 3), 70 * day))
    split = max(length - span - horizon, 1)
    last = length - horizon
    stride = max(7 * history.per_hour, (last - split) // 110)
    open_until = max(last, split, length - JUDGED_DAYS * day)
    origins = np.arange(split, open_until + 1, stride, dtype=np.int64)
    return split, origins, int(np.searchsorted(origins, max(last, split), side="right"))


def _mae(forecast: Array, actual: Array) -> float:
    error = np.abs(forecast - actual)
    return float(np.nanmean(error)) if not np.isnan(error).all() else float("inf")


def _winners(made: Mapping[str, Array], actual: Array, scores: Mapping[str, float]) -> tuple[str, ...]:
    """The best candidate, or it and those close to it when their mean is better."""
    best = _best(made, scores)
    close = tuple(name for name in made if _judged_error(name, scores) <= BLEND_MARGIN * _judged_error(best, scores))
    if len(close) > 1 and _mae(np.mean([made[name] for name in close], axis=0), actual) < scores[best]:
        return close
    return (best,)


def _best(made: Mapping[str, Array], scores: Mapping[str, float]) -> str:
    return min(made, key=lambda name: _judged_error(name, scores))


def _judged_error(name: str, scores: Mapping[str, float]) -> float:
    return scores[name] * PRIOR.get(name, 1.0)
