"""Samples of the days ahead, joint over all drivers: what a what-if of next week meets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime

import numpy as np

from forecasting.choice import Chosen, choose
from forecasting.intervals import widening
from forecasting.series import Array, Calendar, Index, Series, SeriesKind
from twin.drivers import Drivers, Weather
from twin.errors import BadInputError
from twin.health.finding import Finding
from twin.site import Site
from twin.streams import stream

MOST_DAYS = 14
_SIGNALS = ("outdoor_c",)
_ZONE_ARRAYS = ("people", "lights_w", "plugs_w", "other_gain_w")
_OPTIONAL_ARRAYS = ("host_power_w", "radiator_valve", "blind_open")


def sample_paths(series: Mapping[str, Series], horizon: int, samples: int, seed: int) -> dict[str, Array]:
    """Sample paths of all series over the steps after their end, shape (samples, horizon) each.

    A sample adds to each median the errors of one past forecast, the same past moment for all series: so errors stay
    correlated along the path and between series. The first sample is the median itself. Where intervals had to widen
    lately to keep their promise, errors are widened as much.
    """
    return _sampled(series, horizon, samples, seed)[0]


def _sampled(
    series: Mapping[str, Series], horizon: int, samples: int, seed: int
) -> tuple[dict[str, Array], tuple[Finding, ...]]:
    """Sample paths, and what must be known about their spread."""
    found: dict[str, Array] = {}
    findings: list[Finding] = []
    for name, one in series.items():
        chosen = choose(one, horizon)
        whole = int((chosen.errors.origins <= len(one.values) - horizon).sum())
        rows = stream(seed, "forecast", "paths").integers(max(whole, 1), size=samples)
        found[name] = _paths(chosen, one, horizon, rows)
        findings += chosen.findings(one)
    return found, tuple(findings)


def _paths(chosen: Chosen, series: Series, horizon: int, rows: Index) -> Array:
    origin = np.array([len(series.values)])
    median = chosen.median(series, origin, horizon)[0]
    calendar = Calendar.of(series, horizon)
    scale, quiet = chosen.usual.at(calendar, origin + np.arange(horizon))
    past = chosen.errors
    size, _ = chosen.usual.at(calendar, past.origins[:, None] + np.arange(horizon))
    seen = past.actual - past.medians
    scaled = seen / size
    error = np.nan_to_num(scaled[rows]) * scale * widening(scaled, scaled[rows], chosen.hindsight.aim)
    most = np.nanmax(np.abs(seen), initial=0.0)  # a rare error where there is usually none scales without bound
    error = np.clip(error, -most, most)
    error[0] = 0.0
    still = (quiet == 1) & (median <= 1e-3 * max(float(np.abs(median).max()), 1e-9))
    error[:, still & (series.kind is not SeriesKind.SIGNAL)] = 0.0
    return series.limited(median + error, whole=chosen.whole)


def drivers_ahead(
    history: Drivers, site: Site, start: datetime, end: datetime, *, samples: int, seed: int
) -> tuple[Drivers, ...]:
    """Samples of all drivers from ``start`` to ``end``, forecast from the end of the history.

    Args:
        history: drivers recorded up to now; three weeks give weekly shapes, less gives daily ones.
        site: its time zone and holidays.
        start: begin of the period, not before the end of the history.
        end: end of the period, at most two weeks after the end of the history.
        samples: how many; the first is the median.
        seed: of the draw.

    Raises:
        BadInputError: the period begins inside the history or ends too far ahead.
    """
    skip, steps = _reach(history, start, end)
    columns = _columns(history, site)
    moving = {name: series for name, series in columns.items() if np.ptp(series.values) > 0}
    paths, findings = _sampled(moving, skip + steps, samples, seed)
    for name, series in columns.items():
        if name not in paths:
            paths[name] = np.full((samples, skip + steps), series.values[0] if len(series.values) else 0.0)
    ahead = {name: path[:, skip:] for name, path in paths.items()}
    return tuple(replace(_sample(history, ahead, start, k), findings=findings) for k in range(samples))


def outdoor_ahead(history: Drivers, site: Site, start: datetime, end: datetime) -> Array:
    """The median outdoor temperature of a period, as ``drivers_ahead`` has it, shape (steps,). [degC]

    Raises:
        BadInputError: the period begins inside the history or ends too far ahead.
    """
    skip, steps = _reach(history, start, end)
    one = _columns(history, site)["outdoor_c"]
    return sample_paths({one.name: one}, skip + steps, 1, 0)[one.name][0, skip:]


def _reach(history: Drivers, start: datetime, end: datetime) -> tuple[int, int]:
    """Steps between the history and a period, and steps of the period."""
    skip = round((start - history.end).total_seconds() / history.step_s)
    steps = round((end - start).total_seconds() / history.step_s)
    per_day = round(86_400 / history.step_s)
    if skip < 0 or skip + steps > MOST_DAYS * per_day:
        message = (
            f"forecast drivers from {start.isoformat()} to {end.isoformat()} are not within {MOST_DAYS} days after the "
            f"last telemetry used ({history.end.isoformat()}); choose a nearer period, or synthetic drivers"
        )
        raise BadInputError(message)
    return skip, steps


def _columns(history: Drivers, site: Site) -> dict[str, Series]:
    """Every driver as a series of its own."""

    def series(name: str, values: Array, kind: SeriesKind, upper: float | None = None) -> Series:
        return Series(name, history.start, history.step_s, values, site.time_zone, site.holidays, kind, upper)

    columns = {}
    for item in fields(Weather):
        kind = SeriesKind.SIGNAL if item.name in _SIGNALS else SeriesKind.LOAD
        upper = 1.0 if item.name == "outdoor_rh" else None
        columns[item.name] = series(item.name, getattr(history.weather, item.name), kind, upper)
    for name in (*_ZONE_ARRAYS, *(name for name in _OPTIONAL_ARRAYS if getattr(history, name) is not None)):
        kind = SeriesKind.OCCUPANCY if name == "people" else SeriesKind.LOAD
        for row, zone in enumerate(site.zones):
            columns[f"{name}.{row}"] = series(f"{name} of {zone.id}", getattr(history, name)[:, row], kind)
    for name in ("electricity_price_kwh", "carbon_kg_kwh"):
        columns[name] = series(name, getattr(history, name), SeriesKind.SIGNAL)
    return columns


def _sample(history: Drivers, ahead: Mapping[str, Array], start: datetime, k: int) -> Drivers:
    zones = history.people.shape[1]
    weather = Weather(**{item.name: ahead[item.name][k] for item in fields(Weather)})
    people, lights_w, plugs_w, other_gain_w = (_by_zone(ahead, name, k, zones) for name in _ZONE_ARRAYS)
    return replace(
        history,
        start=start,
        weather=weather,
        electricity_price_kwh=ahead["electricity_price_kwh"][k],
        carbon_kg_kwh=ahead["carbon_kg_kwh"][k],
        vm_utilization=_demand_ahead(history, start, len(weather.outdoor_c), k),
        seed=k,
        people=people,
        lights_w=lights_w,
        plugs_w=plugs_w,
        other_gain_w=other_gain_w,
        host_power_w=_by_zone(ahead, "host_power_w", k, zones) if history.host_power_w is not None else None,
        radiator_valve=_by_zone(ahead, "radiator_valve", k, zones) if history.radiator_valve is not None else None,
        blind_open=_by_zone(ahead, "blind_open", k, zones) if history.blind_open is not None else None,
    )


def _by_zone(ahead: Mapping[str, Array], name: str, k: int, zones: int) -> Array:
    return np.stack([ahead[f"{name}.{zone}"][k] for zone in range(zones)], axis=1)


def _demand_ahead(history: Drivers, start: datetime, steps: int, sample: int) -> Array | None:
    """VM demand ahead: the same time some weeks (or the last whole days) earlier, another week for each sample."""
    demand = history.vm_utilization
    if demand is None:
        return None
    wanted = round(steps * history.step_s / history.vm_step_s)
    season = round(7 * 86_400 / history.vm_step_s)
    if season > len(demand):
        per_day = round(86_400 / history.vm_step_s)
        season = max(len(demand) // per_day, 1) * per_day
    else:
        season *= 1 + sample % (len(demand) // season)
    first = round((start - history.start).total_seconds() / history.vm_step_s)
    rows = first + np.arange(wanted)
    over = np.maximum(rows - len(demand) + 1, 0)
    rows -= -(-over // season) * season
    found: Array = demand[np.clip(rows, 0, len(demand) - 1)]
    return found
