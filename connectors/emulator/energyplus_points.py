"""What goes into the EnergyPlus engine and comes out of it in a step, and the handles behind those names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.emulator.energyplus_model import PreparedModel
from connectors.emulator.energyplus_ports import UnitPorts, ZonePorts
from twin.errors import BadInputError

Array = NDArray[np.float64]

STEP_S = 900.0
HVAC_METERS = ("fan_electricity_w", "cooling_electricity_w", "heating_electricity_w")
"""What makes up ``hvac_electricity_w``: the engine's own meter leaves out chillers, which it counts as plant."""
INFILTRATION_FANS_ON = 0.25
"""Infiltration while the fans are scheduled on, as a share of that with fans off. Source: the reference models."""
ENVIRONMENT: Mapping[str, str] = {
    "outdoor_temp_c": "Site Outdoor Air Drybulb Temperature",
    "outdoor_rh_pct": "Site Outdoor Air Relative Humidity",
    "wind_m_s": "Site Wind Speed",
    "direct_normal_w_m2": "Site Direct Solar Radiation Rate per Area",
    "diffuse_horizontal_w_m2": "Site Diffuse Solar Radiation Rate per Area",
    "solar_altitude_deg": "Site Solar Altitude Angle",
}
ZONE_READINGS: Mapping[str, str] = {
    "temp_c": "Zone Mean Air Temperature",
    "rh_pct": "Zone Air Relative Humidity",
    "co2_ppm": "Zone Air CO2 Concentration",
    "occupants": "Zone People Occupant Count",
    "lights_w": "Zone Lights Electricity Rate",
    "plugs_w": "Zone Electric Equipment Electricity Rate",
}
METERS: Mapping[str, str] = {
    "facility_electricity_w": "ElectricityPurchased:Facility",
    "facility_gas_w": "NaturalGas:Facility",
    "fan_electricity_w": "Fans:Electricity",
    "cooling_electricity_w": "Cooling:Electricity",
    "heating_electricity_w": "Heating:Electricity",
    "heating_gas_w": "Heating:NaturalGas",
    "lights_w": "InteriorLights:Electricity",
    "plugs_w": "InteriorEquipment:Electricity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCommands:
    """What the building is told for one step."""

    heating_setpoint_c: Array
    """Shape (zones,)."""
    cooling_setpoint_c: Array
    """Shape (zones,)."""
    fan_on: Array
    """1 while a unit runs by schedule or call, shape (units,)."""
    minimum_outdoor_air: Array
    """Share of the design minimum, shape (units,)."""
    supply_air_c: Array
    """Shape (units,); ignored where the model decides it."""
    people: Array
    """Shape (zones,)."""
    lights_w: Array
    """Shape (zones,). [W]"""
    plugs_w: Array
    """Plugs without lifts and hosts, shape (zones,). [W]"""
    it_w: float = 0.0
    """Power of the hosts in the server room. [W]"""
    economizer: Array | None = None
    """1 where the economizer may take more than minimum outdoor air, shape (units,); None: everywhere."""
    night_run: Array | None = None
    """1 where a stopped unit runs for the night, shape (units,); None: the building's own night cycle decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReadings:
    """What the building shows for the step that has just passed."""

    site: Mapping[str, float]
    """Weather and meters by column name; meters are mean power. [°C, fraction of 100, m/s, W/m2, W]"""
    zones: Mapping[str, Array]
    """By column name, each of shape (zones,)."""
    units: Mapping[str, Array]
    """By column name, each of shape (units,)."""


class Handles:
    """Numbers by which the engine knows variables, meters and actuators; all checked."""

    def __init__(self, exchange: Any, state: Any, model: PreparedModel) -> None:
        self._exchange, self._state = exchange, state
        self._missing: list[str] = []
        self.variables = self._find_variables(model)
        self.meters = {column: self._meter(name) for column, name in METERS.items()}
        self.actuators = self._find_actuators(model)
        self.outdoor_air = [self._outdoor_air(unit) for unit in model.units]
        if self._missing:
            message = "EnergyPlus has no such point: " + "; ".join(self._missing)
            raise BadInputError(message)

    def _checked(self, handle: int, *what: str) -> int:
        if handle < 0:
            self._missing.append(" / ".join(what))
        return handle

    def _variable(self, name: str, key: str | None) -> int:
        if key is None:
            return -1
        return self._checked(self._exchange.get_variable_handle(self._state, name, key), name, key)

    def _meter(self, name: str) -> int:
        return self._checked(self._exchange.get_meter_handle(self._state, name), name)

    def _actuator(self, component: str, control: str, key: str) -> int:
        handle = self._exchange.get_actuator_handle(self._state, component, control, key)
        return self._checked(handle, component, control, key)

    def _load(self, component: str, control: str, key: str | None) -> int:
        return -1 if key is None else self._actuator(component, control, key)

    def _schedule(self, key: str | None) -> int:
        return -1 if key is None else self._actuator("Schedule:Compact", "Schedule Value", key)

    def _outdoor_air(self, unit: UnitPorts) -> tuple[int, float]:
        """Actuator of the outdoor air flow of a unit with an economizer (-1 without) and its design minimum. [kg/s]"""
        if unit.outdoor_air_controller is None or not unit.economizer:
            return -1, 0.0
        handle = self._actuator("Outdoor Air Controller", "Air Mass Flow Rate", unit.outdoor_air_controller)
        quantity = "Outdoor Air Controller Minimum Mass Flow Rate"
        get = self._exchange.get_internal_variable_handle
        minimum = self._checked(get(self._state, quantity, unit.outdoor_air_controller), quantity)
        return handle, self._exchange.get_internal_variable_value(self._state, minimum) if minimum >= 0 else 0.0

    def _find_variables(self, model: PreparedModel) -> dict[str, list[int]]:
        return {column: [self._variable(name, key) for name, key in keys] for column, keys in variables(model).items()}

    def _find_actuators(self, model: PreparedModel) -> dict[str, list[int]]:
        zones, units, thermostat = model.zones, model.units, "Zone Temperature Control"
        found = {
            "heating_setpoint_c": [self._actuator(thermostat, "Heating Setpoint", zone.name) for zone in zones],
            "cooling_setpoint_c": [self._actuator(thermostat, "Cooling Setpoint", zone.name) for zone in zones],
            "people": [self._load("People", "Number of People", zone.people) for zone in zones],
            "lights_w": [self._load("Lights", "Electricity Rate", zone.lights) for zone in zones],
            "plugs_w": [self._load("ElectricEquipment", "Electricity Rate", zone.plugs) for zone in zones],
            "fan_on": [self._schedule(unit.fan_schedule) for unit in units],
            "minimum_outdoor_air": [self._schedule(unit.minimum_air_schedule) for unit in units],
            "supply_air_c": [self._schedule(unit.supply_schedule) for unit in units],
            "infiltration": [self._schedule(unit.infiltration_schedule) for unit in units],
        }
        found["night_cycle"] = [self._schedule(unit.night_schedule) for unit in units]
        if model.it_equipment is not None:
            found["it_w"] = [self._actuator("ElectricEquipment", "Electricity Rate", model.it_equipment)]
        return found


def variables(model: PreparedModel) -> dict[str, list[tuple[str, str | None]]]:
    """Output variables and their keys that make up each column of the readings; no key where a zone lacks the thing."""
    inlets, outlets = ([port.inlet_node for port in model.zones], [port.outlet_node for port in model.units])
    flow, temperature = "System Node Mass Flow Rate", "System Node Temperature"
    found: dict[str, list[tuple[str, str | None]]] = {c: [(name, "Environment")] for c, name in ENVIRONMENT.items()}
    for column, name in ZONE_READINGS.items():
        found[f"zone.{column}"] = [(name, zone.name if _shows(zone, column) else None) for zone in model.zones]
    found["zone.supply_flow_kg_s"] = [(flow, node) for node in inlets]
    found["zone.supply_temp_c"] = [(temperature, node) for node in inlets]
    found["unit.flow_kg_s"] = [(flow, node) for node in outlets]
    found["unit.supply_temp_c"] = [(temperature, node) for node in outlets]
    found["unit.outdoor_air_frac"] = [
        ("Air System Outdoor Air Flow Fraction", unit.name if unit.outdoor_air_controller else None)
        for unit in model.units
    ]
    return found


def _shows(zone: ZonePorts, column: str) -> bool:
    """Whether a zone has what the column reads; air is everywhere."""
    return {"occupants": zone.people, "lights_w": zone.lights, "plugs_w": zone.plugs}.get(column, zone.name) is not None


def values_of(name: str, commands: StepCommands) -> Array:
    """What the actuators of one name are set to."""
    if name == "infiltration":
        return 1.0 - (1.0 - INFILTRATION_FANS_ON) * commands.fan_on
    if name == "night_cycle":
        return np.full(len(commands.fan_on), float(commands.night_run is None))
    if name == "fan_on" and commands.night_run is not None:
        return np.maximum(commands.fan_on, commands.night_run)
    return np.atleast_1d(getattr(commands, name))
