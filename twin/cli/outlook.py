"""The weather that a plan counts on, day by day: measured as far as telemetry reaches, forecast from there on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from twin.cli.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from twin.site import Site


def whole_days(site: Site, start: datetime, end: datetime) -> list[date]:
    """Days of the site that lie within a period from midnight to midnight."""
    first, last = start.astimezone(site.time_zone).date(), end.astimezone(site.time_zone).date()
    days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    return [day for day in days if _midnight(site, day) >= start and _midnight(site, day + timedelta(days=1)) <= end]


def outdoor_means(here: Workspace, now: datetime, days: Iterable[date]) -> Mapping[str, float]:
    """Mean outdoor temperature of some days as it is known at a moment. [degC]

    Args:
        here: the workspace.
        now: the moment up to which telemetry counts, and from which on the forecast does.
        days: days of the site; those that telemetry and forecast do not cover are left out.
    """
    import pandas as pd

    wanted = sorted(days)
    if not wanted:
        return {}
    begin, end = _midnight(here.site, wanted[0]), _midnight(here.site, wanted[-1] + timedelta(days=1))
    parts = [part for part in (_measured(here, begin, min(now, end)), _forecast(here, now, end)) if len(part)]
    if not parts:
        return {}
    series = pd.concat(parts)
    local = pd.DatetimeIndex(series.index).tz_convert(here.site.time_zone)
    least = 0.9 * 86_400.0 / here.site.step_s
    found = {}
    for day in wanted:
        values = series.to_numpy(dtype=float)[local.date == day]
        if len(values) >= least:
            found[day.isoformat()] = round(float(values.mean()), 3)
    return found


def _midnight(site: Site, day: date) -> datetime:
    return datetime.combine(day, time(), site.time_zone)


def _measured(here: Workspace, begin: datetime, end: datetime) -> pd.Series[float]:
    import pandas as pd

    from twin.vocab import PointKind

    if begin >= end:
        return pd.Series(dtype=float)
    points = [point.id for point in here.site.points_of(PointKind.OUTDOOR_AIR_TEMPERATURE)]
    rows = here.telemetry.read(points, since=begin, until=end)
    step = pd.Timedelta(seconds=here.site.step_s)
    return rows.groupby(rows["timestamp"].dt.floor(step))["value"].mean()


def _forecast(here: Workspace, now: datetime, end: datetime) -> pd.Series[float]:
    import pandas as pd

    from forecasting.ahead import outdoor_ahead
    from twin.cli.recorded_drivers import TelemetryDrivers

    if now >= end:
        return pd.Series(dtype=float)
    values = outdoor_ahead(TelemetryDrivers(here).history(now), here.site, now, end)
    step = pd.Timedelta(seconds=here.site.step_s)
    return pd.Series(values, index=pd.date_range(now, periods=len(values), freq=step))
