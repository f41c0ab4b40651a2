"""The building as an object that is advanced lazily from event to event."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.control import CommandArrays, ControlState, command_arrays, control_state
from twin.building.kernel import advance
from twin.building.moist_air import saturation_ratio
from twin.building.network import NODES, Network, network, window_m2
from twin.building.parameters import Parameters
from twin.building.plant import Plant, plant
from twin.building.program import Program
from twin.building.solar import irradiance
from twin.building.state import Gains, Series, State, Surroundings, Work
from twin.building.units import UnitStep, ZoneStep
from twin.drivers import Drivers
from twin.result import BuildingResult
from twin.site import Site
from twin.vocab import EndUse

Array = NDArray[np.float64]

_START_C = 21.0
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


class BuildingModel:
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
    ) -> None:
        self.steps, self.step_s = drivers.steps, drivers.step_s
        self._program: Program
        self._net: Network = network(site, parameters, drivers.step_s)
        self._plant: Plant = plant(site, parameters)
        self._gains = _gains(site, parameters)
        self._out = _surroundings(site, parameters, drivers, sun or sun_on(site, drivers), given)
        self.follow(program)
        self._control: ControlState = control_state(program)
        self._orders: CommandArrays = command_arrays(program)
        zones, units = len(site.zones), len(site.air_handlers)
        self._state = _state(zones, units, self._out)
        self._work = _work(zones, units)
        self._work.prev_people[:] = drivers.people[0]
        self.series = _series(drivers.steps, zones, units)
        self.done = 0

    @property
    def other_w(self) -> Array:
        """Other heat into zones, shape (steps, zones), may be written for steps not yet advanced. [W]"""
        return self._out.other_w

    def settle(self, steps: int) -> None:
        """Run the first steps once and go back to the begin, so that masses are warm and the first day counts."""
        self.advance(min(steps, self.steps))
        self.done = 0
        self.series.residual_w[0] = 0.0
        fresh = control_state(self._program)
        for mine, new in zip(self._control, fresh, strict=True):
            mine[:] = new

    def follow(self, program: Program) -> None:
        """Carry out another program from the next step on, as when a push or its rollback takes effect."""
        self._program = program
        self._arrays = program.arrays._replace(night_k=program.arrays.night_k * self._plant.night_tolerance)

    def advance(self, until: int) -> None:
        """Advance to step ``until`` (not included) in one call of the kernel; nothing if already there."""
        if until > self.done:
            advance(
                self.done,
                until,
                self._arrays,
                self._control,
                self._orders,
                self._net,
                self._plant,
                self._gains,
                self._out,
                self._state,
                self._work,
                self.series,
            )
            self.done = until

    def result(self, drivers: Drivers) -> BuildingResult:
        """Series of the run; lights, plugs and other electricity as the drivers give them."""
        series = self.series
        fan, cooling, electric, gas = series.power_w.T
        return BuildingResult(
            zone_temperature_c=series.zone_c,
            heating_setpoint_c=series.heating_c,
            cooling_setpoint_c=series.cooling_c,
            zone_co2_ppm=series.co2_ppm,
            fan_on=series.run,
            supply_temperature_c=series.supply_c,
            supply_flow_kg_s=series.flow,
            outdoor_air_fraction=series.outdoor_share,
            power_w={
                EndUse.FAN: fan,
                EndUse.COOLING: cooling,
                EndUse.HEATING_ELECTRIC: electric,
                EndUse.HEATING_GAS: gas,
                EndUse.LIGHTS: drivers.lights_w.sum(axis=1),
                EndUse.PLUGS: drivers.plugs_w.sum(axis=1),
            },
            balance_residual_w=float(series.residual_w[0]),
        )


def _gains(site: Site, parameters: Parameters) -> Gains:
    of = parameters.of
    return Gains(
        solar_to_air=of("solar_to_air"),
        people_w=of("people_sensible_w"),
        people_to_air=of("people_convective"),
        lights_to_air=of("lights_convective"),
        lights_to_return=of("lights_to_return"),
        plugs_to_air=of("plugs_convective"),
        plug_share=np.array([of("plug_heat", zone.id) for zone in site.zones]),
        infiltration_wind=of("infiltration_wind"),
        infiltration_fans_on=of("infiltration_fans_on"),
        outdoor_co2_ppm=of("outdoor_co2_ppm"),
    )


def _surroundings(
    site: Site,
    parameters: Parameters,
    drivers: Drivers,
    sun: Sun,
    given: tuple[Array, Array] | None,
) -> Surroundings:
    of, weather = parameters.of, drivers.weather
    no_flow = np.empty((0, len(site.zones)))
    return Surroundings(
        outdoor_c=np.ascontiguousarray(weather.outdoor_c),
        outdoor_ratio=sun.outdoor_ratio,
        wind_m_s=np.ascontiguousarray(weather.wind_m_s),
        ground_c=_ground_c(parameters, drivers),
        glass_w_m2=sun.behind_glass,
        wall_rise_k=of("absorptance_r") * sun.opaque - of("sky_k"),
        people=np.ascontiguousarray(drivers.people),
        lights_w=np.ascontiguousarray(drivers.lights_w),
        plugs_w=np.ascontiguousarray(drivers.plugs_w),
        other_w=np.ascontiguousarray(drivers.other_gain_w + _moved_by_hand_w(site, parameters, drivers, sun)),
        given_flow=no_flow if given is None else np.ascontiguousarray(given[0]),
        given_supply_c=no_flow if given is None else np.ascontiguousarray(given[1]),
    )


def _moved_by_hand_w(site: Site, parameters: Parameters, drivers: Drivers, sun: Sun) -> Array:
    """Heat of radiators, less the sun that blinds keep out, as both were recorded, shape (steps, zones). [W]

    Radiator water follows the weather, linear between 0 and 20 °C outdoors. A policy moves neither.
    """
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


def _ground_c(parameters: Parameters, drivers: Drivers) -> Array:
    first = drivers.start.timetuple().tm_yday + drivers.start.hour / 24.0
    day = first + np.arange(drivers.steps) * drivers.step_s / 86_400.0
    phase = 2.0 * math.pi * (day - _GROUND_PEAK_DAY) / _DAYS_PER_YEAR
    return np.asarray(parameters.of("ground_mean_c") + parameters.of("ground_swing_k") * np.cos(phase))


def _state(zones: int, units: int, out: Surroundings) -> State:
    ratio = min(0.007, saturation_ratio(_START_C)) if len(out.outdoor_c) else 0.007
    return State(
        node_c=np.full((zones, NODES), _START_C),
        co2_ppm=np.full(zones, 450.0),
        ratio=np.full(units, ratio),
        plenum_c=np.full(units, _START_C),
        slab_c=np.full(units, _START_C),
    )


def _work(zones: int, units: int) -> Work:
    return Work(
        heat=np.zeros((zones, NODES)),
        leak=np.zeros(zones),
        after=np.zeros(NODES),
        zone=ZoneStep(*(np.zeros(zones) for _ in ZoneStep._fields)),
        unit=UnitStep(*(np.zeros(units if name != "trial" else 4) for name in UnitStep._fields)),
        prev_c=np.full(zones, _START_C),
        prev_people=np.zeros(zones),
        slab_w=np.zeros(units),
    )


def _series(steps: int, zones: int, units: int) -> Series:
    of_zones = ("zone_c", "heating_c", "cooling_c", "co2_ppm", "zone_flow", "zone_supply_c")
    shapes: dict[str, tuple[int, ...]] = {
        name: (steps, zones if name in of_zones else units) for name in Series._fields
    }
    shapes |= {"power_w": (steps, 4), "residual_w": (1,)}
    return Series(**{name: np.zeros(shape) for name, shape in shapes.items()})
