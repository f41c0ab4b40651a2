"""Prophet, quiet, offline and deterministic: conditional daily shapes for working days and days of rest, holidays.

Prophet itself knows no recent errors; the mean error of the last day is added and fades, as for the weekly profile.
Source: Taylor and Letham, Forecasting at scale, The American Statistician 72 (2018).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forecasting.forecaster import Fitted, filled
from forecasting.profile import mean_before
from forecasting.series import Array, Calendar, Index, Series

if TYPE_CHECKING:
    import pandas as pd

SEED = 1
HISTORY_DAYS = 180


@dataclass(frozen=True)
class FittedProphet:
    """A fitted Prophet model; ``model`` is None when the history holds too little."""

    model: Any
    fade_h: float

    def predict(self, series: Series, origins: Index, horizon: int) -> Array:
        """Trend and seasons, corrected by the recent error."""
        steps = origins[:, None] + np.arange(horizon)
        if self.model is None:
            return filled(np.full(steps.shape, np.nan), series, origins)
        before = 2 * series.per_day
        first, last = max(int(origins.min()) - before, 0), int(origins.max()) + horizon
        frame = _frame(series, first, last)
        with _quiet():
            shape = self.model.predict(frame)["yhat"].to_numpy()
        whole = np.full(last, np.nan)
        whole[first:] = shape
        shared = min(last, len(series.values))
        error = np.full(len(series.values), np.nan)
        error[:shared] = series.values[:shared] - whole[:shared]
        level = mean_before(error, origins, series.per_day)
        fade = np.exp(-np.arange(1, horizon + 1) / (self.fade_h * series.per_hour))
        found: Array = whole[steps] + level[:, None] * fade
        return found


@dataclass(frozen=True)
class Prophet:
    """Prophet with shapes for working days, Saturdays and days of rest."""

    fade_h: float = 24.0
    history_days: int = HISTORY_DAYS
    name: str = "prophet"

    def fit(self, history: Series) -> Fitted:
        """Fits by maximum a posteriori (L-BFGS) on the last months."""
        first = max(0, len(history.values) - self.history_days * history.per_day)
        frame = _frame(history, first, len(history.values))
        frame["y"] = history.values[first:]
        known = frame.dropna(subset=["y"])
        fitted = None if len(known) < 2 * history.per_day else _fitted(known)
        return FittedProphet(model=fitted, fade_h=self.fade_h)


def _fitted(frame: pd.DataFrame) -> Any:
    with _quiet():
        from prophet import Prophet as Engine

        engine = Engine(
            yearly_seasonality=False,
            weekly_seasonality=False,
            daily_seasonality=False,
            uncertainty_samples=0,
            changepoint_prior_scale=0.05,
            n_changepoints=12,
        )
        for name, order in (("working", 10), ("saturday", 6), ("rest", 6)):
            if frame[name].any():
                engine.add_seasonality(name=name, period=1, fourier_order=order, condition_name=name)
        for name in ("saturday", "rest"):
            engine.add_regressor(f"is_{name}", standardize=False)
        engine.fit(frame, seed=SEED)
    return engine


def _frame(series: Series, first: int, last: int) -> pd.DataFrame:
    """Local wall time and kind of day of steps, as Prophet wants them."""
    import pandas as pd

    calendar = Calendar.of(series, max(last - len(series.values), 0))
    day, slot = calendar.day[first:last], calendar.slot[first:last]
    midnight = pd.Timestamp(series.start.astimezone(series.time_zone).date())
    classes = calendar.day_class[day]
    stamps = midnight + pd.to_timedelta(day, unit="D") + pd.to_timedelta(slot * series.step_s, unit="s")
    flags = {"working": classes == 0, "saturday": classes == 1, "rest": classes == 2}
    numbers = {f"is_{name}": flags[name].astype(float) for name in ("saturday", "rest")}
    return pd.DataFrame({"ds": stamps, **flags, **numbers})


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines of the fitting engine, no deprecation warnings about its own code."""
    loggers = [logging.getLogger(name) for name in ("cmdstanpy", "prophet", "prophet.models", "prophet.plot")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True  # a level would not do: the engine sets its own on first use
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
