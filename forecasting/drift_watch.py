"""Drift of a forecast series: when its errors stopped being what they were."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from forecasting.drift import DriftDetector, hourly_means
from forecasting.forecaster import season_of
from forecasting.profile import profile
from forecasting.series import Array, Calendar, Series

REFERENCE_H = 8 * 168
LEAST_H = 168


def profile_errors(series: Series) -> Array:
    """Error of the weekly profile, hourly means: what drift is watched on."""
    shape = profile(series, Calendar.of(series, 1), season_of(series), 1)
    errors: Array = hourly_means(series.values - shape[: len(series.values)], series.per_hour)
    return errors


def drifts(series: Series, watched_h: int = 336) -> tuple[datetime, ...]:
    """Moments in the last ``watched_h`` hours at which the errors of a series left their usual range.

    The detector is configured on up to eight weeks before; with less than a week there is no answer (empty).
    """
    errors = profile_errors(series)
    begin = max(len(errors) - watched_h, 0)
    reference = errors[max(begin - REFERENCE_H, 0) : begin]
    if (~np.isnan(reference)).sum() < LEAST_H:
        return ()
    alarms = DriftDetector.configured(reference).alarms(errors[begin:])
    return tuple(series.start + timedelta(hours=begin + alarm.hour) for alarm in alarms)
