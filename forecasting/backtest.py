"""How good forecasts are: rolling origins over the last part of a record, every candidate against seasonal-naive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.choice import Forecast, choose
from forecasting.forecaster import Forecaster, SeasonalNaive, season_of
from forecasting.hindsight import LEAST_COVERAGE_PCT
from forecasting.series import Array, Index, Series
from twin.errors import BadInputError

STRETCH_DAYS = 28
SHORT_DAYS, SHORT_REFIT_DAYS = 120, 3
"""A record shorter than this is refitted more often, as it is in use."""
STRIDE_H = 29
"""Between two origins: prime to 24, so that origins fall on all hours of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Errors of a series over many origins."""

    series: str
    origins: int
    mae: float
    """Mean absolute error of the chosen forecaster, in units of the series."""
    naive_mae: float
    cvrmse_pct: float
    """Root mean square error over the mean."""
    coverage_pct: float
    """Share of values inside the 80 % interval."""
    rolling_coverage_pct: tuple[float, ...]
    """The same by stretch of four weeks, so that intervals that lie are seen."""
    others_mae: dict[str, float]
    """Error of forecasters judged on their own."""
    chosen: tuple[str, ...]
    fit_s: float
    """Seconds for choosing and fitting once; a measure, not part of any result."""

    @property
    def mae_ratio(self) -> float:
        """Error over that of seasonal-naive."""
        return self.mae / self.naive_mae if self.naive_mae > 0 else float("nan")

    @property
    def lies(self) -> bool:
        """Whether coverage in the last stretch is below 80 % of nominal: no automatic choice by this model then."""
        return bool(self.rolling_coverage_pct) and self.rolling_coverage_pct[-1] < LEAST_COVERAGE_PCT


def backtest(
    series: Series,
    horizon: int,
    *,
    test_share: float = 0.3,
    others: Sequence[Forecaster] = (),
    forecasters: Sequence[Forecaster] | None = None,
    stride_h: int = STRIDE_H,
) -> Backtest:
    """Rolling-origin errors over the last share of the record, refitted every four weeks (short records: three days).

    Args:
        series: the record.
        horizon: steps ahead, all of which count alike.
        test_share: share of the record that is forecast.
        others: further forecasters to judge on the same origins, such as Prophet.
        forecasters: candidates of the automatic choice; by default the cheap ones.
        stride_h: hours between two origins.

    Raises:
        BadInputError: the record is too short for one forecast after four days.
    """
    length, day = len(series.values), series.per_day
    begin = min(round(length * (1 - test_share)), length - horizon)
    if begin < 4 * day - horizon or begin <= 0:
        days = length / day
        message = f"{series.name}: {days:.1f} days are too short for a backtest; four days and the horizon are needed"
        raise BadInputError(message)
    origins = np.arange(begin, length - horizon + 1, stride_h * series.per_hour, dtype=np.int64)
    steps = origins[:, None] + np.arange(horizon)
    actual = series.values[steps]
    naive = SeasonalNaive(season_of(series)).predict(series, origins, horizon)
    median, low, high, chosen, fit_s = _rolled(series, origins, horizon, forecasters)
    known = ~np.isnan(actual)
    inside = (actual >= low - 1e-9) & (actual <= high + 1e-9)
    error = np.where(known, median - actual, 0.0)
    level = float(np.abs(actual[known]).mean()) if known.any() else float("nan")
    return Backtest(
        series=series.name,
        origins=len(origins),
        mae=mean_error(median, actual),
        naive_mae=mean_error(naive, actual),
        cvrmse_pct=100.0 * float(np.sqrt((error**2).sum() / max(known.sum(), 1))) / level if level else float("nan"),
        coverage_pct=100.0 * float(inside[known].mean()) if known.any() else float("nan"),
        rolling_coverage_pct=_by_stretch(inside, known, max(1, STRETCH_DAYS * 24 // stride_h)),
        others_mae={one.name: mean_error(_alone(one, series, origins, horizon), actual) for one in others},
        chosen=chosen,
        fit_s=fit_s,
    )


def _stretches(origins: Index, series: Series) -> list[Index]:
    """Origins by the fit that they share."""
    days = STRETCH_DAYS if len(series.values) > SHORT_DAYS * series.per_day else SHORT_REFIT_DAYS
    stretch = (origins - origins[0]) // (days * series.per_day)
    return [origins[stretch == number] for number in np.unique(stretch)]


def _rolled(
    series: Series, origins: Index, horizon: int, forecasters: Sequence[Forecaster] | None
) -> tuple[Array, Array, Array, tuple[str, ...], float]:
    from time import perf_counter

    found: list[Forecast] = []
    seconds: list[float] = []
    chosen: tuple[str, ...] = ()
    for stretch in _stretches(origins, series):
        begun = perf_counter()
        choice = choose(series.until(int(stretch[0])), horizon, forecasters)
        seconds.append(perf_counter() - begun)
        found.append(choice.forecast(series, stretch, horizon))
        chosen = choice.names
    parts = [np.concatenate([getattr(one, name) for one in found]) for name in ("median", "low", "high")]
    return parts[0], parts[1], parts[2], chosen, float(np.median(seconds))


def _alone(forecaster: Forecaster, series: Series, origins: Index, horizon: int) -> Array:
    """Forecasts of one forecaster, refitted as the chosen one."""
    parts = [
        forecaster.fit(series.until(int(stretch[0]))).predict(series, stretch, horizon)
        for stretch in _stretches(origins, series)
    ]
    return series.limited(np.concatenate(parts), whole=False)


def mean_error(forecast: Array, actual: Array) -> float:
    """Mean absolute error over what is known; NaN when nothing is."""
    error = np.abs(forecast - actual)
    known = ~np.isnan(error)
    return float(error[known].mean()) if known.any() else float("nan")


def _by_stretch(inside: Array, known: Array, rows: int) -> tuple[float, ...]:
    shares = []
    for first in range(0, len(inside), rows):
        use = known[first : first + rows]
        if use.sum() >= 24:
            shares.append(100.0 * float(inside[first : first + rows][use].mean()))
    return tuple(shares)
