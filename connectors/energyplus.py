"""The EnergyPlus engine in lock-step: commands for a step in, readings of that step out.

The engine runs in a thread of its own (or, for a whole batch, in the caller's) and asks at the start of each step what
to do. Errors inside its callbacks would be swallowed by ctypes, so they are kept and raised to the caller.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.energyplus_model import PreparedModel, UnitPorts
from twin.errors import BadInputError, OutsideWorldError, UnderstudyError

Array = NDArray[np.float64]

STEP_S = 900.0
INFILTRATION_FANS_ON = 0.25
"""Infiltration while the fans are scheduled on, as a share of that with fans off. Source: the reference models."""
_WEATHER_RUN = 3
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
    "hvac_electricity_w": "Electricity:HVAC",
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


Exchange = Callable[["StepReadings | None"], "StepCommands | None"]
"""Given the readings of the step before (None at first), the commands of the next; None stops the run."""


class _Handles:
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

    def _variable(self, name: str, key: str) -> int:
        return self._checked(self._exchange.get_variable_handle(self._state, name, key), name, key)

    def _meter(self, name: str) -> int:
        return self._checked(self._exchange.get_meter_handle(self._state, name), name)

    def _actuator(self, component: str, control: str, key: str) -> int:
        handle = self._exchange.get_actuator_handle(self._state, component, control, key)
        return self._checked(handle, component, control, key)

    def _schedule(self, key: str | None) -> int:
        return -1 if key is None else self._actuator("Schedule:Compact", "Schedule Value", key)

    def _outdoor_air(self, unit: UnitPorts) -> tuple[int, float]:
        """Actuator of the outdoor air flow of a unit with an economizer (-1 without) and its design minimum. [kg/s]"""
        if not unit.economizer:
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
            "people": [self._actuator("People", "Number of People", zone.people) for zone in zones],
            "lights_w": [self._actuator("Lights", "Electricity Rate", zone.lights) for zone in zones],
            "plugs_w": [self._actuator("ElectricEquipment", "Electricity Rate", zone.plugs) for zone in zones],
            "fan_on": [self._schedule(unit.fan_schedule) for unit in units],
            "minimum_outdoor_air": [self._schedule(unit.minimum_air_schedule) for unit in units],
            "supply_air_c": [self._schedule(unit.supply_schedule) for unit in units],
            "infiltration": [self._schedule(unit.infiltration_schedule) for unit in units],
        }
        found["night_cycle"] = [self._schedule(unit.night_schedule) for unit in units]
        if model.it_equipment is not None:
            found["it_w"] = [self._actuator("ElectricEquipment", "Electricity Rate", model.it_equipment)]
        return found


def variables(model: PreparedModel) -> dict[str, list[tuple[str, str]]]:
    """Output variables and their keys that make up each column of the readings."""
    inlets, outlets = ([port.inlet_node for port in model.zones], [port.outlet_node for port in model.units])
    flow, temperature = "System Node Mass Flow Rate", "System Node Temperature"
    found = {column: [(name, "Environment")] for column, name in ENVIRONMENT.items()}
    found |= {f"zone.{column}": [(name, zone.name) for zone in model.zones] for column, name in ZONE_READINGS.items()}
    found["zone.supply_flow_kg_s"] = [(flow, node) for node in inlets]
    found["zone.supply_temp_c"] = [(temperature, node) for node in inlets]
    found["unit.flow_kg_s"] = [(flow, node) for node in outlets]
    found["unit.supply_temp_c"] = [(temperature, node) for node in outlets]
    found["unit.outdoor_air_frac"] = [("Air System Outdoor Air Flow Fraction", unit.name) for unit in model.units]
    return found


class EnergyPlusRun:
    """One run of the engine from the first to the last day of a prepared model.

    Without an exchange the building runs by the schedules of the model.
    """

    def __init__(self, model: PreparedModel, exchange: Exchange | None) -> None:
        self.model = model
        self._exchange = exchange
        self._handles: _Handles | None = None
        self._error: BaseException | None = None
        self._stopped = False
        self._last: StepReadings | None = None
        self._pending = False
        self._api: Any = None
        self._state: Any = None

    def run(self) -> None:
        """Runs to the end, or until the exchange answers None.

        Raises:
            OutsideWorldError: the engine isn't installed or ends with an error.
            Exception: whatever the exchange raised.
        """
        folder = Path(tempfile.mkdtemp(prefix="understudy-energyplus-"))
        try:
            code = self._run_in(_engine(), folder)
            if self._error is not None:
                raise self._error
            if code and not self._stopped:
                message = f"EnergyPlus ended with code {code}: {_severe_lines(folder)}"
                raise OutsideWorldError(message)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._exchange = None  # the engine's interface keeps every callback for good; let go of what ours holds

    def _run_in(self, api: Any, folder: Path) -> int:
        model_file = folder / "model.idf"
        model_file.write_text(self.model.text)
        self._api, self._state = api, api.state_manager.new_state()
        try:
            api.runtime.set_console_output_status(self._state, False)
            if self._exchange is not None:
                self._listen(api)
            arguments = ["-w", str(self.model.weather_file), "-d", str(folder), str(model_file)]
            return int(api.runtime.run_energyplus(self._state, arguments))
        finally:
            api.state_manager.delete_state(self._state)

    def _listen(self, api: Any) -> None:
        for name, key in (pair for pairs in variables(self.model).values() for pair in pairs):
            api.exchange.request_variable(self._state, name, key)
        api.runtime.callback_begin_zone_timestep_before_init_heat_balance(self._state, self._begin)
        api.runtime.callback_end_zone_timestep_after_zone_reporting(self._state, self._end)

    def _begin(self, state: Any) -> None:
        """Called by the engine before each step: sets the commands of that step."""
        if self._exchange is None or not self._live(state):
            return
        try:
            commands = self._exchange(self._last)
            if commands is None:
                self._stop(state)
            else:
                self._command(state, commands)
                self._pending = True
        except BaseException as error:  # raised again by run(); ctypes would swallow it
            self._error = error
            self._stop(state)

    def _end(self, state: Any) -> None:
        """Called by the engine after each step: keeps its readings."""
        if not self._pending or not self._live(state):
            return
        try:
            self._last = self._read(state)
        except BaseException as error:  # as above
            self._error = error
            self._stop(state)

    def _live(self, state: Any) -> bool:
        exchange = self._api.exchange
        if self._stopped or not exchange.api_data_fully_ready(state):
            return False
        return exchange.kind_of_sim(state) == _WEATHER_RUN and not exchange.warmup_flag(state)

    def _stop(self, state: Any) -> None:
        self._stopped = True
        self._api.runtime.stop_simulation(state)

    @property
    def last(self) -> StepReadings | None:
        """Readings of the last step that ran."""
        return self._last

    def _command(self, state: Any, commands: StepCommands) -> None:
        if self._handles is None:
            self._handles = _Handles(self._api.exchange, state, self.model)
        put = self._api.exchange.set_actuator_value
        for name, handles in self._handles.actuators.items():
            values = _values(name, commands)
            for handle, value in zip(handles, values, strict=True):
                if handle >= 0:
                    put(state, handle, float(value))
        self._command_economizer(state, commands, self._handles.outdoor_air)

    def _command_economizer(self, state: Any, commands: StepCommands, flows: list[tuple[int, float]]) -> None:
        """Holds outdoor air at its minimum where the economizer may not act."""
        if commands.economizer is None:
            return
        for (handle, minimum), allowed, share in zip(
            flows, commands.economizer, commands.minimum_outdoor_air, strict=True
        ):
            if handle < 0:
                continue
            if allowed > 0:
                self._api.exchange.reset_actuator(state, handle)
            else:
                self._api.exchange.set_actuator_value(state, handle, float(share * minimum))

    def _read(self, state: Any) -> StepReadings:
        if self._handles is None:
            message = "EnergyPlus reported a step before it was commanded"
            raise OutsideWorldError(message)
        get = self._api.exchange.get_variable_value
        values = {k: np.array([get(state, h) for h in hs]) for k, hs in self._handles.variables.items()}
        meter = self._api.exchange.get_meter_value
        site = {name: float(values[name][0]) for name in ENVIRONMENT}
        site |= {name: meter(state, handle) / STEP_S for name, handle in self._handles.meters.items()}
        zones = {name: values[f"zone.{name}"] for name in (*ZONE_READINGS, "supply_flow_kg_s", "supply_temp_c")}
        units = {name: values[f"unit.{name}"] for name in ("flow_kg_s", "supply_temp_c", "outdoor_air_frac")}
        return StepReadings(site=site, zones=zones, units=units)


def _values(name: str, commands: StepCommands) -> Array:
    """What the actuators of one name are set to."""
    if name == "infiltration":
        return 1.0 - (1.0 - INFILTRATION_FANS_ON) * commands.fan_on
    if name == "night_cycle":
        return np.full(len(commands.fan_on), float(commands.night_run is None))
    if name == "fan_on" and commands.night_run is not None:
        return np.maximum(commands.fan_on, commands.night_run)
    return np.atleast_1d(getattr(commands, name))


def _engine() -> Any:
    """The engine's Python interface; its sources hold an escape that newer Pythons warn about."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyenergyplus.api import EnergyPlusAPI
    except ImportError as error:
        message = "the EnergyPlus engine is not installed; install it with: pip install 'understudy[emulator]'"
        raise OutsideWorldError(message) from error
    return EnergyPlusAPI()


def _severe_lines(folder: Path) -> str:
    report = folder / "eplusout.err"
    if not report.exists():
        return "it left no error file"
    lines = [line.strip(" *") for line in report.read_text(errors="replace").splitlines() if "Severe" in line]
    return " | ".join(lines[:3]) or "see its error file; no severe error was written"


class EnergyPlusBuilding:
    """The engine in a thread, one step per call; a context manager that always ends the thread."""

    def __init__(self, model: PreparedModel, *, timeout_s: float = 120.0) -> None:
        self.model = model
        self._timeout_s = timeout_s
        self._commands: queue.Queue[StepCommands | None] = queue.Queue(maxsize=1)
        self._readings: queue.Queue[StepReadings | BaseException | None] = queue.Queue(maxsize=1)
        self._run = EnergyPlusRun(model, self._hand_over)
        self._thread = threading.Thread(target=self._work, name="energyplus", daemon=True)
        self._started = False

    def start(self) -> None:
        """Starts the engine; it sizes the plant and waits for the first commands."""
        if not self._started:
            self._started = True
            self._thread.start()

    def step(self, commands: StepCommands) -> StepReadings:
        """Readings of one step run with these commands.

        Raises:
            OutsideWorldError: the engine has ended, failed or doesn't answer in time.
        """
        self.start()
        if not self._thread.is_alive() and self._readings.empty():
            message = "EnergyPlus has ended; prepare a model with later days to go on"
            raise OutsideWorldError(message)
        self._put(commands)
        try:
            answer = self._readings.get(timeout=self._timeout_s)
        except queue.Empty as error:
            message = f"EnergyPlus gave no answer within {self._timeout_s:g} s"
            raise OutsideWorldError(message) from error
        if isinstance(answer, UnderstudyError):
            raise answer
        if not isinstance(answer, StepReadings):
            message = f"EnergyPlus stopped: {answer}"
            raise OutsideWorldError(message) from answer
        return answer

    def stop(self) -> None:
        """Ends the run and its thread; a second call does nothing."""
        if not self._started:
            return
        deadline_s = self._timeout_s
        while self._thread.is_alive() and deadline_s > 0:
            with suppress(queue.Full):
                self._commands.put(None, timeout=0.05)
            while not self._readings.empty():
                self._readings.get_nowait()
            self._thread.join(timeout=0.1)
            deadline_s -= 0.15

    def __enter__(self) -> EnergyPlusBuilding:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _put(self, commands: StepCommands) -> None:
        try:
            self._commands.put(commands, timeout=self._timeout_s)
        except queue.Full as error:
            message = f"EnergyPlus took no command within {self._timeout_s:g} s"
            raise OutsideWorldError(message) from error

    def _hand_over(self, readings: StepReadings | None) -> StepCommands | None:
        if readings is not None:
            self._readings.put(readings)
        return self._commands.get()

    def _work(self) -> None:
        try:
            self._run.run()
        except BaseException as error:  # handed to the caller of step()
            self._readings.put(error)
        else:
            self._readings.put(self._run.last)
