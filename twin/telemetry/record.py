"""The record of past days as the twin needs it: drivers, commands, measurements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twin.building.program import Recorded
from twin.drivers import Drivers
from twin.errors import BadInputError
from twin.health.finding import Finding
from twin.site import Site
from twin.telemetry.drivers import DriverBuilder
from twin.telemetry.grid import Grid, regular_grid
from twin.vocab import PointKind

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
MIN_COVERAGE = 0.9
"""Least share of steps with outdoor temperature for a replay; below it there is not enough data."""
VM_STEP_S = 300.0
"""Step of the compute grid. [s]"""
METERS = (
    PointKind.ELECTRIC_POWER,
    PointKind.GAS_POWER,
    PointKind.HVAC_ELECTRIC_POWER,
    PointKind.FAN_POWER,
    PointKind.COOLING_POWER,
    PointKind.HEATING_ELECTRIC_POWER,
    PointKind.HEATING_GAS_POWER,
    PointKind.LIGHTING_POWER,
    PointKind.PLUG_POWER,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationData:
    """What happened: drivers that a run can use at once, and what was commanded and measured, NaN where unknown.

    Drivers hold no NaN: where they are unknown a typical value stands in, and ``known`` is False for the zones that
    it reaches, so that no residual is taken there.
    """

    drivers: Drivers
    recorded: Recorded
    """Commands in force; None where no such point exists."""
    zone_temperature_c: Array
    """Shape (steps, zones)."""
    zone_co2_ppm: Array
    """Shape (steps, zones)."""
    zone_supply_flow_kg_s: Array
    """Shape (steps, zones)."""
    zone_supply_temperature_c: Array
    """Supply air at the zone inlet, after reheat, shape (steps, zones)."""
    unit_supply_temperature_c: Array
    """Shape (steps, units)."""
    unit_supply_flow_kg_s: Array
    """Shape (steps, units)."""
    unit_outdoor_air_fraction: Array
    """Shape (steps, units)."""
    meters_w: Mapping[PointKind, Array]
    """Mean power of each metered kind, shape (steps,); kinds without data are absent."""
    known: Flags
    """Whether the drivers of a zone were measured or filled by plan, not stood in for, shape (steps, zones)."""
    held: Flags
    """Steps at which any zone temperature or meter is held from the step before, shape (steps,)."""
    findings: tuple[Finding, ...]
    """Drivers that were replaced by an assumption."""

    @property
    def weather_known(self) -> Flags:
        """Steps with measured weather, shape (steps,)."""
        result: Flags = np.asarray(self.known.any(axis=1))
        return result

    @property
    def digest(self) -> str:
        """SHA-256 of all numbers: the name of the data set."""
        total = hashlib.sha256(f"{self.drivers.start.isoformat()} {self.drivers.step_s}".encode())
        weather = self.drivers.weather
        arrays = [getattr(weather, name) for name in weather.__slots__]
        arrays += [self.drivers.people, self.drivers.lights_w, self.drivers.plugs_w, self.drivers.other_gain_w]
        arrays += [value for name in Recorded.__slots__ if (value := getattr(self.recorded, name)) is not None]
        arrays += [moved for moved in (self.drivers.radiator_valve, self.drivers.blind_open) if moved is not None]
        arrays += [self.zone_temperature_c, self.zone_co2_ppm, self.zone_supply_flow_kg_s]
        arrays += [self.zone_supply_temperature_c, self.unit_supply_temperature_c, self.unit_supply_flow_kg_s]
        arrays += [self.unit_outdoor_air_fraction, self.known, self.held]
        arrays += [self.meters_w[kind] for kind in METERS if kind in self.meters_w]
        for array in arrays:
            total.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
        return total.hexdigest()


def calibration_data(
    site: Site, frame: pd.DataFrame, start: datetime, end: datetime, *, excluded: Iterable[Finding] = ()
) -> CalibrationData:
    """The record of a period; long gaps stay NaN.

    Args:
        site: the site.
        frame: long-form telemetry (``timestamp``, ``point``, ``value``).
        start: first step (aware).
        end: the moment after the last step (aware).
        excluded: findings of data health; spans that they exclude count as missing.

    Raises:
        BadInputError: no zone temperature or no outdoor temperature lies in the period.
    """
    grid = regular_grid(site, frame, start, end, excluded)
    zones = [zone.id for zone in site.zones]
    units = [unit.id for unit in site.air_handlers]
    temperature = grid.of(PointKind.ZONE_AIR_TEMPERATURE, zones)
    if np.isnan(temperature).all():
        message = (
            f"no zone_air_temperature between {start.isoformat()} and {end.isoformat()}; "
            "ingest telemetry of that period, or choose another one"
        )
        raise BadInputError(message)
    builder = DriverBuilder(grid)
    drivers = builder.build()
    meters = {kind: values for kind in METERS if not np.isnan(values := grid.of_site(kind)).all()}
    return CalibrationData(
        drivers=drivers,
        recorded=_recorded(grid, zones, units),
        zone_temperature_c=temperature,
        zone_co2_ppm=grid.of(PointKind.ZONE_CO2, zones),
        zone_supply_flow_kg_s=grid.of(PointKind.ZONE_SUPPLY_AIR_FLOW, zones),
        zone_supply_temperature_c=grid.of(PointKind.ZONE_SUPPLY_AIR_TEMPERATURE, zones),
        unit_supply_temperature_c=grid.of(PointKind.AHU_SUPPLY_AIR_TEMPERATURE, units),
        unit_supply_flow_kg_s=grid.of(PointKind.AHU_SUPPLY_AIR_FLOW, units),
        unit_outdoor_air_fraction=grid.of(PointKind.AHU_OUTDOOR_AIR_FRACTION, units),
        meters_w=meters,
        known=builder.known,
        held=_held(grid),
        findings=tuple(builder.findings),
    )


def drivers_from(
    site: Site, frame: pd.DataFrame, start: datetime, end: datetime, *, excluded: Iterable[Finding] = (), seed: int = 0
) -> Drivers:
    """Drivers of a past period, for a replay.

    Raises:
        BadInputError: less than 90 % of the period has an outdoor temperature.
    """
    grid = regular_grid(site, frame, start, end, excluded)
    outdoor = grid.of_site(PointKind.OUTDOOR_AIR_TEMPERATURE)
    coverage = 1.0 - float(np.isnan(outdoor).mean())
    if coverage < MIN_COVERAGE:
        message = (
            f"not enough data: outdoor_air_temperature covers {coverage:.0%} of {start.isoformat()} to "
            f"{end.isoformat()}, needed {MIN_COVERAGE:.0%}; choose a period with telemetry or ingest more"
        )
        raise BadInputError(message)
    demand = _vm_demand(site, frame, start, end)
    return replace(DriverBuilder(grid).build(), seed=seed, vm_utilization=demand, vm_step_s=VM_STEP_S)


def _vm_demand(site: Site, frame: pd.DataFrame, start: datetime, end: datetime) -> Array | None:
    """Recorded CPU demand of all VMs, 0 where unknown, shape (compute steps, VMs); None when none is recorded."""
    recorded = site.points_of(PointKind.VM_CPU_UTILIZATION)
    points = tuple(replace(point, step_s=point.step_s or site.step_s) for point in recorded)
    if not points:
        return None
    fine = replace(site, points=points, step_s=VM_STEP_S)
    table = regular_grid(fine, frame, start, end).of(PointKind.VM_CPU_UTILIZATION, [vm.id for vm in site.vms])
    return None if np.isnan(table).all() else np.nan_to_num(table)


def _recorded(grid: Grid, zones: list[str], units: list[str]) -> Recorded:
    def known(kind: PointKind, subjects: list[str]) -> Array | None:
        values = grid.of(kind, subjects)
        return None if np.isnan(values).all() else values

    return Recorded(
        heating_setpoint_c=known(PointKind.ZONE_HEATING_SETPOINT, zones),
        cooling_setpoint_c=known(PointKind.ZONE_COOLING_SETPOINT, zones),
        fan_schedule_on=known(PointKind.AHU_FAN_COMMAND, units),
        supply_setpoint_c=known(PointKind.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT, units),
        minimum_outdoor_air=known(PointKind.AHU_MINIMUM_OUTDOOR_AIR, units),
    )


def _held(grid: Grid) -> Flags:
    result = np.zeros(grid.steps, dtype=np.bool_)
    for point in grid.site.points:
        if (point.kind is PointKind.ZONE_AIR_TEMPERATURE or point.kind in METERS) and point.id in grid.held:
            result |= grid.held[point.id]
    return result
