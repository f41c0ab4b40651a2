"""Drivers of a recorded period: measured where there are points, by documented assumption where there are none.

| driver | first choice | else |
|---|---|---|
| outdoor temperature | `outdoor_air_temperature` | none: an error |
| outdoor humidity, wind | their points | 50 %, 3 m/s |
| direct and diffuse sun | both points | from global and one of them; from global (Erbs); 60 % of a clear sky |
| people | `zone_occupancy` | half of the design people in operating hours of working days |
| lights, plugs | `zone_lighting_power`, `zone_plug_power` | building meter, shared by design power or floor area; |
| | | else 8 and 6 W/m² in operating hours, 10 and 30 % of that otherwise |
| other heat | `zone_internal_gain_power` | 0 |
| radiators, blinds | `zone_radiator_valve`, `zone_blind_position`; their effect is fitted | none, up |
| price, carbon | their points | tariff of the site |

Short holes of a measured driver are filled with the mean of the same hour of the week; where a hole is longer than two
steps the zones that it reaches are marked unknown, and calibration takes no residual there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.building.program import local_clock
from twin.drivers import Drivers, Weather
from twin.errors import BadInputError
from twin.health.finding import Finding, FindingKind
from twin.site import Site
from twin.telemetry.grid import Grid
from twin.telemetry.irradiance import (
    CLOUDINESS_FACTOR,
    clear_sky_global_w_m2,
    direct_of,
    extraterrestrial_w_m2,
    sine_of_altitude,
    split_global,
)
from twin.vocab import PointKind

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
DEFAULT_HUMIDITY = 0.5
DEFAULT_WIND_M_S = 3.0
DEFAULT_PRESENCE = 0.5
LIGHTS_W_M2 = 8.0
PLUGS_W_M2 = 6.0
STANDBY = {PointKind.ZONE_LIGHTING_POWER: 0.1, PointKind.ZONE_PLUG_POWER: 0.3}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFFICE_HOURS = (8.0, 18.0)


class DriverBuilder:
    """Builds drivers from a grid and notes every assumption."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.site: Site = grid.site
        self.findings: list[Finding] = []
        self.zones = [zone.id for zone in self.site.zones]
        self.known: Flags = np.ones((grid.steps, len(self.zones)), dtype=np.bool_)
        day, self._hour = local_clock(self.site, grid.start, grid.steps, grid.step_s)
        self._working = self._working_hours(day)
        week_hour = ((day - 1) % 7) * 24 + np.floor(self._hour).astype(np.int64)
        self._week_hour: NDArray[np.int64] = week_hour.astype(np.int64)

    def build(self) -> Drivers:
        """All drivers, without NaN."""
        grid = self.grid
        return Drivers(
            start=grid.start,
            step_s=grid.step_s,
            weather=self._weather(),
            people=self._people(),
            lights_w=self._power(PointKind.ZONE_LIGHTING_POWER, PointKind.LIGHTING_POWER, LIGHTS_W_M2),
            plugs_w=self._power(PointKind.ZONE_PLUG_POWER, PointKind.PLUG_POWER, PLUGS_W_M2),
            other_gain_w=self._filled(grid.of(PointKind.ZONE_INTERNAL_GAIN_POWER, self.zones), 0.0),
            electricity_price_kwh=self._price(),
            carbon_kg_kwh=self._line(PointKind.GRID_CARBON_INTENSITY, self.site.tariff.carbon_kg_per_kwh),
            vm_utilization=None,
            host_power_w=self._hosts(),
            radiator_valve=self._optional(PointKind.ZONE_RADIATOR_VALVE, 0.0),
            blind_open=self._optional(PointKind.ZONE_BLIND_POSITION, 1.0),
        )

    def _assume(self, point: str, sentence: str, **numbers: float) -> None:
        self.findings.append(
            Finding(kind=FindingKind.FALL_BACK, point=point, sentence=f"{point}: {sentence}", numbers=numbers)
        )

    def _working_hours(self, day: NDArray[np.int64]) -> Flags:
        """Steps within operating hours by the site file, office hours where it says nothing, shape (steps,)."""
        windows = self.site.operation.operating_hours.windows if self.site.operation.operating_hours else {}
        holidays = np.isin(day, [date.toordinal() for date in self.site.holidays])
        result = np.zeros(len(day), dtype=np.bool_)
        for i, name in enumerate(WEEKDAYS):
            span = windows.get(name, OFFICE_HOURS if i < 5 and not windows else None)
            result |= self._within((day - 1) % 7 == i, holidays, windows, span)
        return result | self._within(holidays, ~holidays, windows, windows.get("holidays"))

    def _within(self, of_day: Flags, without: Flags, windows: object, span: tuple[float, float] | None) -> Flags:
        if span is None:
            return np.zeros(len(of_day), dtype=np.bool_)
        result: Flags = of_day & ~without & (self._hour >= span[0]) & (self._hour < span[1])
        return result

    def _typical(self, line: Array, default: float) -> Array:
        """The line with every hole filled by the mean of its hour of the week, of all, or by the default."""
        missing = np.isnan(line)
        if not missing.any():
            return line
        if missing.all():
            return np.full_like(line, default)
        total = np.bincount(self._week_hour[~missing], weights=line[~missing], minlength=168)
        count = np.bincount(self._week_hour[~missing], minlength=168)
        profile = np.where(count > 0, total / np.maximum(count, 1), line[~missing].mean())
        return np.where(missing, profile[self._week_hour], line)

    def _filled(self, table: Array, default: float) -> Array:
        """A table with holes of measured columns filled and marked; columns without any value get the default."""
        missing = np.isnan(table)
        measured = ~missing.all(axis=0)
        self.known[:, measured] &= ~missing[:, measured]
        columns = [self._typical(table[:, i], default) for i in range(table.shape[1])]
        return np.stack(columns, axis=1) if columns else table

    def _line(self, kind: PointKind, default: float) -> Array:
        """A site driver whose holes do not spoil calibration."""
        return self._typical(self.grid.of_site(kind), default)

    def _weather(self) -> Weather:
        outdoor = self.grid.of_site(PointKind.OUTDOOR_AIR_TEMPERATURE)
        if np.isnan(outdoor).all():
            end = self.grid.start.isoformat()
            message = (
                f"no outdoor_air_temperature in the period from {end}; map a column of that kind in site.yaml and "
                "ingest it, or choose a period with telemetry"
            )
            raise BadInputError(message)
        self.known &= ~np.isnan(outdoor)[:, None]
        direct, diffuse = self._sun()
        return Weather(
            outdoor_c=self._typical(outdoor, 10.0),
            outdoor_rh=self._with_default(PointKind.OUTDOOR_RELATIVE_HUMIDITY, DEFAULT_HUMIDITY),
            wind_m_s=self._with_default(PointKind.WIND_SPEED, DEFAULT_WIND_M_S),
            direct_normal_w_m2=direct,
            diffuse_horizontal_w_m2=diffuse,
        )

    def _with_default(self, kind: PointKind, default: float) -> Array:
        line = self.grid.of_site(kind)
        if np.isnan(line).all():
            self._assume(kind, f"not measured; {default:g} assumed throughout", assumed=default)
        return self._typical(line, default)

    def _sun(self) -> tuple[Array, Array]:
        """Direct normal and diffuse horizontal irradiance."""
        grid, kind = self.grid, PointKind
        sine = sine_of_altitude(grid.start, grid.steps, grid.step_s, self.site.location)
        outside = extraterrestrial_w_m2(grid.start, grid.steps, grid.step_s)
        direct = grid.of_site(kind.DIRECT_NORMAL_IRRADIANCE)
        diffuse = grid.of_site(kind.DIFFUSE_HORIZONTAL_IRRADIANCE)
        whole = grid.of_site(kind.GLOBAL_HORIZONTAL_IRRADIANCE)
        beam = direct * np.maximum(sine, 0.0)
        if np.isnan(whole).all() and (np.isnan(direct).all() or np.isnan(diffuse).all()):
            self._assume(
                kind.GLOBAL_HORIZONTAL_IRRADIANCE,
                f"not measured; {CLOUDINESS_FACTOR:.0%} of a clear sky assumed, map it for better solar gains",
                assumed=CLOUDINESS_FACTOR,
            )
            whole = CLOUDINESS_FACTOR * clear_sky_global_w_m2(sine)
        split_direct, split_diffuse = split_global(whole, sine, outside)
        diffuse = _first(diffuse, np.maximum(whole - beam, 0.0), split_diffuse)
        direct = _first(direct, direct_of(whole, diffuse, sine, outside), split_direct)
        self.known &= ~(np.isnan(direct) | np.isnan(diffuse))[:, None]
        return np.maximum(self._typical(direct, 0.0), 0.0), np.maximum(self._typical(diffuse, 0.0), 0.0)

    def _people(self) -> Array:
        table = self.grid.of(PointKind.ZONE_OCCUPANCY, self.zones)
        unmeasured: Flags = np.asarray(np.isnan(table).all(axis=0))
        blind = [
            zone.id for zone, absent in zip(self.site.zones, unmeasured, strict=True) if absent and zone.conditioned
        ]
        if blind:
            self._assume(
                PointKind.ZONE_OCCUPANCY,
                f"not measured in {_listed(blind)}; {DEFAULT_PRESENCE:.0%} of the design people assumed in "
                "operating hours",
                zones=float(len(blind)),
            )
        design = np.array([zone.design_people for zone in self.site.zones])
        assumed = self._working[:, None] * (DEFAULT_PRESENCE * design)[None, :]
        return np.where(unmeasured, assumed, self._filled(table, 0.0))

    def _power(self, kind: PointKind, meter: PointKind, per_m2: float) -> Array:
        """Lights or plugs by zone: measured, else shared from the building's meter, else by floor area. [W]"""
        table = self.grid.of(kind, self.zones)
        blind = np.isnan(table).all(axis=0)
        shares = self._shares(kind, per_m2) * blind
        filled = self._filled(table, 0.0)
        if not shares.any():
            return filled
        whole = self.grid.of_site(meter)
        if np.isnan(whole).all():
            return filled + self._assumed_power(kind, shares)
        if meter is PointKind.PLUG_POWER and self._plugs_include_hosts():
            whole = np.maximum(whole - self._all_hosts(), 0.0)
        self._assume(
            kind,
            f"not measured in {_listed(self._named(blind & (shares > 0)))}; {meter} shared by design power",
            zones=float(blind.sum()),
        )
        rest = np.maximum(self._typical(whole, 0.0) - filled.sum(axis=1), 0.0)
        self.known &= ~np.isnan(whole)[:, None]
        shared: Array = filled + rest[:, None] * (shares / shares.sum())[None, :]
        return shared

    def _assumed_power(self, kind: PointKind, shares: Array) -> Array:
        level = np.where(self._working, 1.0, STANDBY[kind])
        self._assume(
            kind,
            f"not measured in {_listed(self._named(shares > 0))}, nor the building's meter; "
            f"{shares.sum():.0f} W assumed in operating hours and {STANDBY[kind]:.0%} of it otherwise",
            assumed_w=float(shares.sum()),
        )
        power: Array = level[:, None] * shares[None, :]
        return power

    def _named(self, flags: Flags) -> list[str]:
        return [zone for zone, flag in zip(self.zones, flags, strict=True) if flag]

    def _shares(self, kind: PointKind, per_m2: float) -> Array:
        """Design power of each conditioned zone, shape (zones,). [W]"""
        name = "lights_design_w" if kind is PointKind.ZONE_LIGHTING_POWER else "plugs_design_w"
        design = [getattr(zone, name) for zone in self.site.zones]
        by_area = [zone.floor_area_m2 * per_m2 * zone.conditioned for zone in self.site.zones]
        return np.array(
            [own if own is not None else area for own, area in zip(design, by_area, strict=True)], dtype=float
        )

    def _plugs_include_hosts(self) -> bool:
        covers = {meter.kind: meter.covers for meter in self.site.meters}.get(PointKind.PLUG_POWER, ())
        return "it" in covers and bool(self.site.points_of(PointKind.HOST_POWER))

    def _all_hosts(self) -> Array:
        total: Array = np.nansum(self.grid.of(PointKind.HOST_POWER, [host.id for host in self.site.hosts]), axis=1)
        return total

    def _hosts(self) -> Array | None:
        """Recorded power of hosts by zone; None when none is recorded. [W]"""
        hosts = [host for host in self.site.hosts if host.zone is not None]
        table = self.grid.of(PointKind.HOST_POWER, [host.id for host in hosts])
        if not hosts or np.isnan(table).all():
            return None
        result = np.zeros((self.grid.steps, len(self.zones)))
        for i, host in enumerate(hosts):
            zone = self.zones.index(str(host.zone))
            self.known[:, zone] &= ~np.isnan(table[:, i]) | np.isnan(table[:, i]).all()
            result[:, zone] += self._typical(table[:, i], 0.0)
        return result

    def _optional(self, kind: PointKind, default: float) -> Array | None:
        """A position by zone; None when no zone has one that is read."""
        table = self.grid.of(kind, self.zones)
        return None if np.isnan(table).all() else self._filled(table, default)

    def _price(self) -> Array:
        """Price of electricity: recorded, else by local hour of working days, else flat. [currency/kWh]"""
        tariff = self.site.tariff
        line = self._line(PointKind.ELECTRICITY_PRICE, np.nan)
        if not np.isnan(line).any():
            return line
        if not tariff.electricity_by_hour:
            return np.full(self.grid.steps, tariff.electricity_per_kwh)
        by_hour = np.array(tariff.electricity_by_hour)[np.floor(self._hour).astype(np.int64) % 24]
        return np.where(self._week_hour < 5 * 24, by_hour, tariff.electricity_per_kwh)


def _first(*choices: Array) -> Array:
    """Each step from the first choice that knows it."""
    result = choices[0]
    for other in choices[1:]:
        result = np.where(np.isnan(result), other, result)
    return result


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
