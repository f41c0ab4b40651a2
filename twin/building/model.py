"""The building as an object that is advanced lazily from event to event."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.control import forget
from twin.building.kernel import advance
from twin.building.lanes import WIDTH
from twin.building.network import NODES, window_m2
from twin.building.numbers import fixed_numbers, numbers_of
from twin.building.parameters import Parameters
from twin.building.program import Program
from twin.building.program_records import program_records
from twin.building.rows import (
    CO2,
    DISCOMFORT,
    LAST_C,
    NODE,
    PLENUM_C,
    RATIO,
    RESIDUAL,
    SLAB_C,
    STEP_ROWS,
    STUFFY,
    Layout,
    aligned,
    lanes_of,
    layout,
    unit_states,
    zone_states,
)
from twin.building.solar import irradiance
from twin.building.state import Series, State, Surroundings
from twin.drivers import Drivers
from twin.result import BuildingResult
from twin.site import Site
from twin.vocab import EndUse

Array = NDArray[np.float64]

HVAC_USES = (EndUse.FAN, EndUse.COOLING, EndUse.HEATING_ELECTRIC, EndUse.HEATING_GAS)
"""In the order of the kernel's columns."""
_START_C = 21.0
_START_PPM = 450.0
_START_RATIO = 0.007
_DAYS_PER_YEAR = 365.25
_GROUND_PEAK_DAY = 235.0
"""Ground below slabs is warmest about a month after the outdoor air (late August on the northern half)."""


class Sun(NamedTuple):
    """What follows from the weather alone: irradiance by facing and horizontal, humidity of outdoor air."""

    opaque: Array
    """On opaque surfaces, shape (steps, 5). [W/m²]"""
    behind_glass: Array
    """Behind glass, shape (steps, 5). [W/m²]"""
    outdoor_ratio: Array
    """Humidity ratio, shape (steps,). [kg/kg]"""


def sun_on(site: Site, drivers: Drivers) -> Sun:
    """What follows from the drivers' weather alone, to be reused between runs."""
    weather = drivers.weather
    pressure = _saturation_pa(weather.outdoor_c) * np.clip(weather.outdoor_rh, 0.01, 1.0)
    opaque, behind = irradiance(site.location, drivers)
    return Sun(opaque, behind, np.asarray(0.62198 * pressure / (101_325.0 - pressure)))


class _Stepped:
    """Runs of a building that the kernel advances together: one, or eight in a batch."""

    def __init__(
        self,
        site: Site,
        cases: Sequence[tuple[Parameters, Program]],
        drivers: Drivers,
        out: Surroundings,
        *,
        batch: bool,
        zone_flows: bool = False,
    ) -> None:
        self.steps, self.step_s = drivers.steps, drivers.step_s
        arrays, self._out = cases[0][1].arrays, out
        self._numbers = [numbers_of(site, parameters, drivers.step_s) for parameters, _ in cases]
        self._at = layout(arrays, self._numbers[0].net, self._numbers[0].vav, batch=batch)
        self._fixed = fixed_numbers(self._numbers, arrays, self._at)
        self._state = _state(self._at)
        self._carry_out([program for _, program in cases])
        self._forget()
        self.series = _series(self._at, drivers.steps, zone_flows=zone_flows)
        self.done = 0

    def settle(self, steps: int) -> None:
        """Run the first steps once and go back to the begin, so that masses are warm and the first day counts."""
        self.advance(min(steps, self.steps))
        self.done = 0
        self._forget()
        for row in (RESIDUAL, DISCOMFORT, STUFFY):
            self._state.zones[lanes_of(self._at.zone_at, row, batch=self._at.batch)] = 0.0

    def advance(self, until: int) -> None:
        """Advance to step ``until`` (not included) in one call of the kernel; nothing if already there."""
        if until > self.done:
            advance(self.done, until, self._at, self._program, self._fixed, self._out, self._state, self.series)
            self.done = until

    def _carry_out(self, programs: Sequence[Program]) -> None:
        arrays = [
            program.arrays._replace(night_k=program.arrays.night_k * numbers.plant.night_tolerance)
            for program, numbers in zip(programs, self._numbers, strict=True)
        ]
        self._program = program_records(arrays, self._at)

    def _forget(self) -> None:
        forget(self._at, self._program, self._state.units, self._state.zones)

    def _of_zones(self, row: int) -> Array:
        """A row of all zones, shape (zones,), in a batch (zones, 8)."""
        return self._state.zones[lanes_of(self._at.zone_at, row, batch=self._at.batch)]


class BuildingModel(_Stepped):
    """Zones and units of a site under a program, driven by weather and people.

    Advanced by ``advance`` in any number of pieces with the same result.
    """

    def __init__(
        self,
        site: Site,
        parameters: Parameters,
        drivers: Drivers,
        program: Program,
        *,
        sun: Sun | None = None,
        given: tuple[Array, Array] | None = None,
        zone_flows: bool = False,
    ) -> None:
        sun = sun or sun_on(site, drivers)
        moved = _moved_by_hand_w(site, parameters, drivers, sun)
        out = _surroundings(site, drivers, sun, _sum_w(drivers.other_gain_w, moved), given)
        super().__init__(site, [(parameters, program)], drivers, out, batch=False, zone_flows=zone_flows)
        self._owns_other = False

    @property
    def other_w(self) -> Array:
        """Other heat into zones, shape (steps, zones), may be written for steps not yet advanced. [W]"""
        if not self._owns_other:
            self._out = self._out._replace(other_w=self._out.other_w.copy())
            self._owns_other = True
        return self._out.other_w

    def follow(self, program: Program) -> None:
        """Carry out another program from the next step on, as when a push or its rollback takes effect."""
        self._carry_out([program])

    def result(self, drivers: Drivers) -> BuildingResult:
        """Series of the run; lights, plugs and other electricity as the drivers give them."""
        series = self.series
        return BuildingResult(
            zone_temperature_c=series.zone_c,
            heating_setpoint_c=series.heating_c,
            cooling_setpoint_c=series.cooling_c,
            zone_co2_ppm=series.co2_ppm,
            fan_on=series.run,
            supply_temperature_c=series.supply_c,
            supply_flow_kg_s=series.flow,
            outdoor_air_fraction=series.outdoor_share,
            power_w={use: series.power_w[k] for k, use in enumerate(HVAC_USES)} | power_of(drivers),
            balance_residual_w=float(self._of_zones(RESIDUAL).max(initial=0.0)),
        )


class BuildingBatch(_Stepped):
    """Up to eight runs of a site under the same drivers, each with parameters and a program of its own.

    A run has the same bits as in a ``BuildingModel``; only power and comfort are kept.
    """

    def __init__(
        self,
        site: Site,
        cases: Sequence[tuple[Parameters, Program]],
        drivers: Drivers,
        *,
        sun: Sun,
    ) -> None:
        self._other = [
            _sum_w(drivers.other_gain_w, _moved_by_hand_w(site, parameters, drivers, sun)) for parameters, _ in cases
        ]
        filled = [*cases, *[cases[-1]] * (WIDTH - len(cases))]
        super().__init__(
            site, filled, drivers, _surroundings(site, drivers, sun, _side_by_side(self._other), None), batch=True
        )

    def add_heat(self, heat_w: Sequence[Array | None]) -> None:
        """Add heat into the zones of each run from the next step on, shape (steps, zones), None for none. [W]"""
        if any(heat is not None for heat in heat_w):
            made = {(id(old), id(heat)): _sum_w(old, heat) for old, heat in zip(self._other, heat_w, strict=True)}
            self._other = [made[id(old), id(heat)] for old, heat in zip(self._other, heat_w, strict=True)]
            other = np.ascontiguousarray(_side_by_side(self._other))
            differs = other.shape[1] > self._at.zones
            self._out = self._out._replace(other_w=other, other_differs=differs)

    def result(self, run: int, of_drivers: Mapping[EndUse, Array]) -> BuildingResult:
        """What is kept of a run; ``of_drivers`` are the end uses that the drivers give."""
        power = self.series.power_w[run::WIDTH]
        zones, units = np.empty((0, self._at.zones)), np.empty((0, self._at.units))
        sums = [float(np.ascontiguousarray(self._of_zones(row)[:, run]).sum()) for row in (DISCOMFORT, STUFFY)]
        return BuildingResult(
            zone_temperature_c=zones,
            heating_setpoint_c=zones,
            cooling_setpoint_c=zones,
            zone_co2_ppm=zones,
            fan_on=units,
            supply_temperature_c=units,
            supply_flow_kg_s=units,
            outdoor_air_fraction=units,
            power_w=dict(zip(HVAC_USES, power, strict=True)) | dict(of_drivers),
            balance_residual_w=float(self._of_zones(RESIDUAL)[:, run].max(initial=0.0)),
            comfort=(sums[0], sums[1]),
        )


def _side_by_side(tables: Sequence[Array]) -> Array:
    """One table where all are the same, else all in lanes, shape (steps, zones · 8)."""
    if all(table is tables[0] for table in tables):
        return tables[0]
    filled = [*tables, *[tables[-1]] * (WIDTH - len(tables))]
    return np.stack(filled, axis=-1).reshape(len(tables[0]), -1)


def _surroundings(
    site: Site,
    drivers: Drivers,
    sun: Sun,
    other_w: Array,
    given: tuple[Array, Array] | None,
) -> Surroundings:
    weather, band = drivers.weather, site.comfort
    no_flow = np.empty((0, len(site.zones)))
    return Surroundings(
        outdoor_c=np.ascontiguousarray(weather.outdoor_c),
        outdoor_ratio=sun.outdoor_ratio,
        wind_m_s=np.ascontiguousarray(weather.wind_m_s),
        ground_wave=_ground_wave(drivers),
        glass_w_m2=sun.behind_glass,
        opaque_w_m2=sun.opaque,
        people=np.ascontiguousarray(drivers.people),
        lights_w=np.ascontiguousarray(drivers.lights_w),
        plugs_w=np.ascontiguousarray(drivers.plugs_w),
        other_w=np.ascontiguousarray(other_w),
        other_differs=other_w.shape[1] > len(site.zones),
        given_flow=no_flow if given is None else np.ascontiguousarray(given[0]),
        given_supply_c=no_flow if given is None else np.ascontiguousarray(given[1]),
        comfort=np.array([band.min_c, band.max_c, band.co2_max_ppm], dtype=np.float64),
    )


def _sum_w(first: Array, *more: Array | None) -> Array:
    """Sum of heats, those left out that are None; the first itself where no other is given. [W]"""
    total = first
    for heat in more:
        total = total if heat is None else total + heat
    return total


def _moved_by_hand_w(site: Site, parameters: Parameters, drivers: Drivers, sun: Sun) -> Array | None:
    """Heat of radiators, less the sun that blinds keep out, as both were recorded, shape (steps, zones). [W]

    None where neither was recorded. Radiator water follows the weather, linear between 0 and 20 °C outdoors. A policy
    moves neither.
    """
    if drivers.radiator_valve is None and drivers.blind_open is None:
        return None
    heat = np.zeros_like(drivers.other_gain_w, dtype=np.float64)
    if drivers.radiator_valve is not None:
        whole = np.array([parameters.of("radiator_w_m2", zone.id) * zone.floor_area_m2 for zone in site.zones])
        fall = parameters.of("radiator_curve") * drivers.weather.outdoor_c / 20.0
        heat += whole * drivers.radiator_valve * np.maximum(1.0 - fall, 0.0)[:, None]
    if drivers.blind_open is not None:
        aperture = np.array([window_m2(zone, parameters) for zone in site.zones])
        heat -= parameters.of("blinds_keep_out") * (1.0 - drivers.blind_open) * (sun.behind_glass @ aperture.T)
    return heat


def _saturation_pa(temp_c: Array) -> Array:
    """Saturation pressure of water, Magnus form. [Pa]"""
    return np.asarray(610.94 * np.exp(17.625 * temp_c / (temp_c + 243.04)))


def power_of(drivers: Drivers) -> dict[EndUse, Array]:
    """Power of the end uses that the drivers give, shape (steps,) each. [W]"""
    tables = {EndUse.LIGHTS: drivers.lights_w, EndUse.PLUGS: drivers.plugs_w}
    return {use: np.einsum("ij->i", table) for use, table in tables.items()}


def _ground_wave(drivers: Drivers) -> Array:
    """Season of the ground below slabs, from -1 to 1, shape (steps,)."""
    first = drivers.start.timetuple().tm_yday + drivers.start.hour / 24.0
    day = first + np.arange(drivers.steps) * drivers.step_s / 86_400.0
    return np.asarray(np.cos(2.0 * math.pi * (day - _GROUND_PEAK_DAY) / _DAYS_PER_YEAR))


def _state(at: Layout) -> State:
    """The state before the first step."""
    zones, units = zone_states(at), unit_states(at)

    def begin(records: Array, places: NDArray[np.int64], row: int, value: float) -> None:
        records[lanes_of(places, row, batch=at.batch)] = value

    for node in range(NODES):
        begin(zones, at.zone_at, NODE + node, _START_C)
    begin(zones, at.zone_at, LAST_C, _START_C)
    begin(zones, at.zone_at, CO2, _START_PPM)
    begin(units, at.unit_at, PLENUM_C, _START_C)
    begin(units, at.unit_at, SLAB_C, _START_C)
    begin(units, at.unit_at, RATIO, _START_RATIO)
    return State(zones, units, aligned(np.zeros(STEP_ROWS * WIDTH)), np.zeros(1, dtype=np.int64))


def _series(at: Layout, steps: int, *, zone_flows: bool) -> Series:
    """Room for what is recorded, in one piece: the allocator keeps it for the next run, and the system maps it fast."""
    of_zones, of_units = ("zone_c", "heating_c", "cooling_c", "co2_ppm"), ("run", "supply_c", "flow", "outdoor_share")
    kept = 0 if at.batch else steps
    shapes = dict.fromkeys(of_zones, (kept, at.zones)) | dict.fromkeys(of_units, (kept, at.units))
    shapes["zone_flow"] = (kept if zone_flows else 0, at.zones)
    shapes["power_w"] = (len(HVAC_USES) * (WIDTH if at.batch else 1), steps)
    edges = np.cumsum([rows * columns for rows, columns in shapes.values()])
    parts = np.split(np.empty(edges[-1]), edges[:-1])
    return Series(**{name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)})
