"""The automatic forecaster: candidates compete on the last weeks of the history, the best one or a blend forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.forecaster import Fitted, Forecaster, SeasonalNaive, season_of
from forecasting.intervals import Errors, Usual, intervals, usual_errors
from forecasting.profile import ScaledProfile, WeeklyProfile
from forecasting.regression import Regression
from forecasting.series import Array, Index, Series, SeriesKind

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

    def median(self, series: Series, origins: Index, horizon: int) -> Array:
        """Median forecast within what the series can be."""
        mean = np.mean([one.predict(series, origins, horizon) for one in self.fitted], axis=0)
        return series.limited(mean, whole=self.whole)

    def forecast(self, series: Series, origins: Index, horizon: int) -> Forecast:
        """Median and 80 % interval; errors of earlier origins feed the intervals of later ones."""
        medians = self.median(series, origins, horizon)
        past = _cut(self.errors, horizon)
        low, high = intervals(past, series, origins, medians, self.usual)
        return Forecast(
            median=medians,
            low=series.limited(np.minimum(low, medians), whole=self.whole),
            high=series.limited(np.maximum(high, medians), whole=self.whole),
        )


def _cut(errors: Errors, horizon: int) -> Errors:
    return Errors(origins=errors.origins, medians=errors.medians[:, :horizon], actual=errors.actual[:, :horizon])


def choose(history: Series, horizon: int, forecasters: Sequence[Forecaster] | None = None) -> Chosen:
    """The best candidates by rolling-origin error over the last weeks, then fitted on everything.

    Args:
        history: what is known.
        horizon: steps ahead that matter, and that are judged.
        forecasters: candidates; by default the cheap ones.
    """
    forecasters = forecasters or candidates(history, horizon)
    split, origins = competition(history, horizon)
    learnt = history.until(split)
    steps = origins[:, None] + np.arange(horizon)
    actual = history.values[steps]
    whole = history.whole
    made = {
        one.name: history.limited(one.fit(learnt).predict(history, origins, horizon), whole=False)
        for one in forecasters
    }
    scores = {name: _mae(forecast, actual) for name, forecast in made.items()}
    names = _winners(made, actual, scores)
    medians = history.limited(np.mean([made[name] for name in names], axis=0), whole=whole)
    fitted = tuple(one.fit(history) for one in forecasters if one.name in names)
    return Chosen(
        names=names,
        fitted=fitted,
        scores=scores,
        errors=Errors(origins=origins, medians=medians, actual=actual),
        usual=usual_errors(history, season_of(history)),
        whole=whole,
    )


def competition(history: Series, horizon: int) -> tuple[int, Index]:
    """Where the competition begins, and its origins: the last fifth, between four days and ten weeks."""
    length, day = len(history.values), history.per_day
    span = int(np.clip(length // 5, min(4 * day, length // 3), 70 * day))
    split = max(length - span - horizon, 1)
    last = length - horizon
    stride = max(7 * history.per_hour, (last - split) // 110)
    return split, np.arange(split, max(last, split) + 1, stride, dtype=np.int64)


def _mae(forecast: Array, actual: Array) -> float:
    error = np.abs(forecast - actual)
    return float(np.nanmean(error)) if not np.isnan(error).all() else float("inf")


def _winners(made: dict[str, Array], actual: Array, scores: dict[str, float]) -> tuple[str, ...]:
    """The best candidate, or it and those close to it when their mean is better."""
    judged = {name: score * PRIOR.get(name, 1.0) for name, score in scores.items()}
    best = min(judged, key=lambda name: judged[name])
    close = tuple(name for name in made if judged[name] <= BLEND_MARGIN * judged[best])
    if len(close) > 1 and _mae(np.mean([made[name] for name in close], axis=0), actual) < scores[best]:
        return close
    return (best,)
