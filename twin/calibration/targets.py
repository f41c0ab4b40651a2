"""What the fit is held against: zone temperatures, meters and air flows, hour by hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.building.plant import COOLING, FAN, HEATING_ELECTRIC, HEATING_GAS
from twin.calibration.bench import Bench, Simulated
from twin.site import Site
from twin.telemetry import CalibrationData
from twin.units import SECONDS_PER_HOUR
from twin.vocab import EndUse, PointKind

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

COLUMN = {
    EndUse.FAN: FAN,
    EndUse.COOLING: COOLING,
    EndUse.HEATING_ELECTRIC: HEATING_ELECTRIC,
    EndUse.HEATING_GAS: HEATING_GAS,
}
MOSTLY = 0.8
"""Share of zones whose drivers must be known where a meter is held against the twin."""
_HVAC = (EndUse.FAN, EndUse.COOLING, EndUse.HEATING_ELECTRIC)
COVERS: dict[PointKind, tuple[EndUse, ...]] = {
    PointKind.FAN_POWER: (EndUse.FAN,),
    PointKind.COOLING_POWER: (EndUse.COOLING,),
    PointKind.HEATING_ELECTRIC_POWER: (EndUse.HEATING_ELECTRIC,),
    PointKind.HEATING_GAS_POWER: (EndUse.HEATING_GAS,),
    PointKind.HVAC_ELECTRIC_POWER: _HVAC,
}
"""End uses of a meter that the site file does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A meter with the end uses that it covers."""

    kind: PointKind
    columns: tuple[int, ...]
    measured_w: Array
    """Hourly means, NaN where unknown, shape (hours,)."""
    scale_w: float
    """Its mean while it runs, the yardstick of residuals. [W]"""
    floating: bool = False
    """The meter holds other loads of unknown level (hot water, outdoor lights): only its changes count."""

    def simulated_w(self, run: Simulated, per_hour: int) -> Array:
        """What the twin says this meter showed, hourly, shape (hours,). [W]"""
        power = self._own_w(run, per_hour)
        return power + self._rest_w(power)

    def rest_w(self, run: Simulated, per_hour: int) -> float:
        """Other loads that the twin finds in the meter, 0 for one that holds its end uses alone. [W]"""
        return self._rest_w(self._own_w(run, per_hour))

    def _own_w(self, run: Simulated, per_hour: int) -> Array:
        return hourly(run.power_w[:, list(self.columns)].sum(axis=1), per_hour)

    def _rest_w(self, power: Array) -> float:
        return float(np.nanmedian(self.measured_w - power)) if self.floating else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Everything measured, hourly."""

    zone_c: Array
    """Shape (hours, zones)."""
    flow: Array
    """Supply air of zones, shape (hours, zones). [kg/s]"""
    meters: tuple[Target, ...]
    per_hour: int
    day: NDArray[np.int64]
    """Day of the record that each hour lies in, shape (hours,)."""

    @property
    def week(self) -> NDArray[np.int64]:
        """Week of the record that each hour lies in, shape (hours,)."""
        return self.day // 7


def hourly(values: Array, per_hour: int) -> Array:
    """Means of whole hours; NaN where any step is. Shape (hours, …)."""
    return np.asarray(values.reshape(-1, per_hour, *values.shape[1:]).mean(axis=1))


def targets(site: Site, bench: Bench) -> Targets:
    """The record's measurements on the hours of the bench."""
    data, rows = bench.data, bench.rows
    per_hour = max(1, round(SECONDS_PER_HOUR / data.drivers.step_s))
    temperature = np.where(data.known & ~data.held[:, None], data.zone_temperature_c, np.nan)
    per_day = 24 * per_hour
    temperature = np.where(bench.settled[:, None], temperature[rows], np.nan)
    return Targets(
        zone_c=hourly(temperature, per_hour),
        flow=hourly(data.zone_supply_flow_kg_s[rows], per_hour),
        meters=_meters(site, data, bench, per_hour),
        per_hour=per_hour,
        day=(rows[::per_hour] // per_day).astype(np.int64),
    )


def _meters(site: Site, data: CalibrationData, bench: Bench, per_hour: int) -> tuple[Target, ...]:
    stated = {meter.kind: meter.covers for meter in site.meters}
    found: list[Target] = []
    usable, rows = ((data.known.mean(axis=1) >= MOSTLY) & ~data.held)[bench.rows] & bench.settled, bench.rows
    for kind, default in COVERS.items():
        if kind not in data.meters_w:
            continue
        uses = [use for use in stated.get(kind, default) if use in COLUMN]
        measured = np.where(usable, data.meters_w[kind][rows], np.nan)
        found += _target(kind, uses, measured, per_hour)
    if not any(target.kind is not PointKind.HEATING_GAS_POWER for target in found):
        found += _whole_building(data, PointKind.ELECTRIC_POWER, list(_HVAC), bench, per_hour)
    if not any(target.kind is PointKind.HEATING_GAS_POWER for target in found):
        found += _whole_building(data, PointKind.GAS_POWER, [EndUse.HEATING_GAS], bench, per_hour)
    return tuple(found)


def _target(
    kind: PointKind, uses: list[EndUse], measured: Array, per_hour: int, floating: bool = False
) -> list[Target]:
    values = hourly(measured, per_hour)
    good = values[~np.isnan(values)]
    if not uses or len(good) < 48 or good.max() <= 0:
        return []
    running = good[good > 0.02 * good.max()]
    columns = tuple(COLUMN[use] for use in uses)
    scale = float(running.mean())
    return [Target(kind=kind, columns=columns, measured_w=values, scale_w=scale, floating=floating)]


def _whole_building(
    data: CalibrationData, kind: PointKind, uses: list[EndUse], bench: Bench, per_hour: int
) -> list[Target]:
    """A meter of the whole building less what the drivers account for; what else it holds is a constant."""
    if kind not in data.meters_w:
        return []
    rows = bench.rows
    measured = np.where(bench.settled, data.meters_w[kind][rows], np.nan)
    if kind is PointKind.ELECTRIC_POWER:
        measured -= data.drivers.lights_w[rows].sum(axis=1) + data.drivers.plugs_w[rows].sum(axis=1)
        if data.drivers.host_power_w is not None:
            measured -= np.nan_to_num(data.drivers.host_power_w[rows]).sum(axis=1)
    return _target(kind, uses, measured, per_hour, floating=True)


def season(week: int, start_day_of_year: int) -> int:
    """Season of the middle of a week since the start of a record: 0 from December on, 1 from March on, ..."""
    month = ((start_day_of_year + 7 * week + 3) % 365) // 30.5
    return int(((month + 1) % 12) // 3)


def hold_out_weeks(goal: Targets, start_day_of_year: int) -> frozenset[int]:
    """Weeks of the record that no fit sees: about one in six of each season, from its middle, at least one of two."""
    known = ~np.isnan(goal.zone_c).all(axis=1)
    seasons: dict[int, list[int]] = {}
    for week in np.unique(goal.week[known]):
        hours = int((known & (goal.week == week)).sum())
        if hours >= 5 * 24:
            seasons.setdefault(season(int(week), start_day_of_year), []).append(int(week))
    chosen: set[int] = set()
    for weeks in seasons.values():
        if len(weeks) > 1:
            count = max(1, round(len(weeks) / 6))
            chosen |= {weeks[int((k + 0.5) * len(weeks) / count)] for k in range(count)}
    return frozenset(chosen)
