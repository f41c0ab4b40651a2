"""The EnergyPlus building as a connector: points by name, slots with expiry, its own controller, its own clock.

The building carries out what its points say: a policy pushed point by point is run by the building itself, and goes
on running after we have left. Highest first, a point follows an operator, our slot, the building's own program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.emulator.energyplus import EnergyPlusBuilding
from connectors.emulator.energyplus_model import PreparedModel
from connectors.emulator.energyplus_points import STEP_S, StepCommands, StepReadings
from connectors.emulator.runs import FIRST_GUESS_C, Days, Record, Recorder, step_commands
from connectors.simulated import SimulatedBuilding
from twin.building.control import Controller
from twin.building.points import program_points
from twin.building.program import Program, compile_points
from twin.errors import BadInputError, OutsideWorldError, RefusedError
from twin.plan import Action, Check, CheckVerdict, PointId, Quality, Reading, Receipt, Value
from twin.site import Point, Site
from twin.units import SECONDS_PER_HOUR
from twin.vocab import PointKind

Array = NDArray[np.float64]
_K = PointKind

SITE_COLUMNS: Mapping[PointKind, tuple[str, float]] = MappingProxyType(
    {
        _K.OUTDOOR_AIR_TEMPERATURE: ("outdoor_temp_c", 1.0),
        _K.OUTDOOR_RELATIVE_HUMIDITY: ("outdoor_rh_pct", 0.01),
        _K.WIND_SPEED: ("wind_m_s", 1.0),
        _K.DIRECT_NORMAL_IRRADIANCE: ("direct_normal_w_m2", 1.0),
        _K.DIFFUSE_HORIZONTAL_IRRADIANCE: ("diffuse_horizontal_w_m2", 1.0),
        _K.GLOBAL_HORIZONTAL_IRRADIANCE: ("global_horizontal_w_m2", 1.0),
        _K.SOLAR_ALTITUDE: ("solar_altitude_deg", 1.0),
        _K.ELECTRIC_POWER: ("facility_electricity_w", 1.0),
        _K.GAS_POWER: ("facility_gas_w", 1.0),
        _K.HVAC_ELECTRIC_POWER: ("hvac_electricity_w", 1.0),
        _K.FAN_POWER: ("fan_electricity_w", 1.0),
        _K.COOLING_POWER: ("cooling_electricity_w", 1.0),
        _K.HEATING_ELECTRIC_POWER: ("heating_electricity_w", 1.0),
        _K.HEATING_GAS_POWER: ("heating_gas_w", 1.0),
        _K.LIGHTING_POWER: ("lights_w", 1.0),
        _K.PLUG_POWER: ("plugs_w", 1.0),
    }
)
"""Kinds of the site → column of the building's record and factor to the product's unit."""
UNIT_COLUMNS: Mapping[PointKind, str] = MappingProxyType(
    {
        _K.AHU_FAN_COMMAND: "fan_schedule_on",
        _K.AHU_SUPPLY_AIR_TEMPERATURE: "supply_temp_c",
        _K.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT: "supply_temp_setpoint_c",
        _K.AHU_SUPPLY_AIR_FLOW: "flow_kg_s",
        _K.AHU_OUTDOOR_AIR_FRACTION: "outdoor_air_frac",
        _K.AHU_MINIMUM_OUTDOOR_AIR: "min_outdoor_air_frac",
    }
)
ZONE_COLUMNS: Mapping[PointKind, tuple[str, float]] = MappingProxyType(
    {
        _K.ZONE_AIR_TEMPERATURE: ("temp_c", 1.0),
        _K.ZONE_RELATIVE_HUMIDITY: ("rh_pct", 0.01),
        _K.ZONE_CO2: ("co2_ppm", 1.0),
        _K.ZONE_OCCUPANCY: ("occupants", 1.0),
        _K.ZONE_LIGHTING_POWER: ("lights_w", 1.0),
        _K.ZONE_PLUG_POWER: ("plugs_w", 1.0),
        _K.ZONE_SUPPLY_AIR_FLOW: ("supply_flow_kg_s", 1.0),
        _K.ZONE_SUPPLY_AIR_TEMPERATURE: ("supply_temp_c", 1.0),
        _K.ZONE_HEATING_SETPOINT: ("heating_setpoint_c", 1.0),
        _K.ZONE_COOLING_SETPOINT: ("cooling_setpoint_c", 1.0),
    }
)


class EmulatedBuilding:
    """A running building behind the connector contract; a context manager that ends its engine."""

    capabilities = SimulatedBuilding.capabilities

    def __init__(
        self,
        name: str,
        site: Site,
        model: PreparedModel,
        days: Days,
        *,
        it_power_w: Callable[[int], float] | None = None,
    ) -> None:
        """Starts at ``days.start`` under the site's own operation.

        Args:
            name: of the connector.
            site: zones and units in the order of the model.
            model: prepared for the days.
            days: what the building meets.
            it_power_w: power of all hosts in a step, where it isn't known beforehand. [W]
        """
        _require_match(site, model, days)
        self.name, self.site, self.days = name, site, days
        self._it_power_w = it_power_w or (lambda i: float(days.it_w[i]))
        self._elapsed_s = 0.0
        self._done = 0
        self._own_program = program_points(site, site.operation)
        self._commanded = SimulatedBuilding(name, self._own_program, self)
        self._sensors = {point.id: point for point in site.points if _column(point, site, model) is not None}
        self._model = model
        self._engine = EnergyPlusBuilding(model)
        self._recorder = Recorder(model, days.start)
        self._loaded: Mapping[PointId, Value] = {}
        self._controller: Controller | None = None
        self._program: Program | None = None
        self._last: StepReadings | None = None
        self._last_record: Record | None = None

    # ---- time ----------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The building's own time, UTC."""
        return self.days.start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Seconds of building time since the start."""
        return self._elapsed_s

    def wait(self, seconds: float) -> None:
        """Lets building time pass; whole control steps run as they fall due."""
        self._elapsed_s += seconds
        while self._done < int(self._elapsed_s // STEP_S):
            self._run_step()

    def advance_steps(self, steps: int) -> None:
        """Runs to the end of so many further control steps."""
        self.wait((self._done + steps) * STEP_S - self._elapsed_s)

    def advance_hours(self, hours: float) -> None:
        """Lets hours pass."""
        self.wait(hours * SECONDS_PER_HOUR)

    def advance_to(self, moment: datetime) -> None:
        """Runs until a moment; one that has passed changes nothing."""
        self.wait(max((moment - self.now()).total_seconds(), 0.0))

    # ---- contract ------------------------------------------------------------------------------------------------

    def points(self) -> tuple[PointId, ...]:
        """All points: commands first, then readings."""
        return (*self._own_program, *self._sensors)

    def read(self, points: Sequence[PointId]) -> Sequence[Reading]:
        """Commands with who holds them; readings of the step that has just passed."""
        return [self._sense(p) if p in self._sensors else self._commanded.read([p])[0] for p in points]

    def check(self, action: Action) -> Check:
        """Whether a command point may take the value now."""
        if action.point in self._sensors:
            reason = f"{action.point} is a reading of {self.name}; command a point of its program"
            return Check(verdict=CheckVerdict.REFUSED, reason=reason)
        return self._commanded.check(action)

    def apply(self, action: Action) -> Receipt:
        """Writes our slot; the local controller follows from its next step on."""
        if action.point in self._sensors:
            raise RefusedError(self.check(action).reason)
        return self._commanded.apply(action)

    def release(self, receipt: Receipt) -> None:
        """Gives our slot back; an operator or the building's own program goes on."""
        self._commanded.release(receipt)

    # ---- what happens at the site --------------------------------------------------------------------------------

    def operate(self, point: PointId, value: float | None) -> None:
        """An operator takes a command point over, or lets it go with None."""
        self._commanded.operate(point, value)

    def in_force(self) -> Mapping[PointId, float]:
        """What each command point stands at, by whoever holds it."""
        readings = self._commanded.read(tuple(self._own_program))
        return {r.point: float(r.value) for r in readings if r.value is not None}

    def record(self) -> Record:
        """Everything since the start, one row a step."""
        if self._last_record is None or len(self._last_record.building) != self._done:
            self._last_record = self._recorder.record()
        return self._last_record

    def telemetry(self, since: datetime | None = None) -> pd.DataFrame:
        """Rows ``timestamp``, ``point``, ``value`` of the site's points, in the product's units."""
        record = self.record()
        columns = {}
        for point in self._sensors.values():
            place = _column(point, self.site, self._model)
            if place is not None:
                frame, column, factor = place
                source = record.building if frame == "" else record.zones[frame]
                columns[point.id] = source[column] * factor
        wide = pd.DataFrame(columns)
        wide = wide if since is None else wide[wide.index >= pd.Timestamp(since)]
        long = wide.rename_axis(index="timestamp").reset_index().melt("timestamp", var_name="point")
        return long.sort_values(["timestamp", "point"], ignore_index=True)

    def stop(self) -> None:
        """Ends the engine."""
        self._engine.stop()

    def __enter__(self) -> EmulatedBuilding:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- inside --------------------------------------------------------------------------------------------------

    def _run_step(self) -> None:
        i = self._done
        if i >= self.days.steps:
            message = f"{self.name}: nothing is known of the days after {self.now().isoformat()}; prepare more days"
            raise OutsideWorldError(message)
        controller, program = self._follow_points()
        zones = len(self.site.zones)
        temperature = np.full(zones, FIRST_GUESS_C) if self._last is None else self._last.zones["temp_c"]
        people = self.days.people[i - 1] if i else np.zeros(zones)
        orders = controller.step(i, temperature, people)
        given = replace(step_commands(orders, program, self.days, i, self._model), it_w=self._it_power_w(i))
        given = self._with_night_cycle(given, orders.by_night_cycle)
        self._last = self._engine.step(given)
        self._recorder.add(self._last, given)
        self._done += 1

    def _follow_points(self) -> tuple[Controller, Program]:
        """The controller with the program that the points ask for now."""
        wanted = self.in_force()
        if self._controller is None or self._program is None or wanted != self._loaded:
            halved = {p: v / 2.0 if p.endswith("night_cycle_tolerance_k") else v for p, v in wanted.items()}
            self._program = compile_points(self.site, halved, self.days.start, self.days.steps, STEP_S)
            if self._controller is None:
                self._controller = Controller(self._program)
            else:
                self._controller.load(self._program)
            self._loaded = wanted
        return self._controller, self._program

    def _with_night_cycle(self, given: StepCommands, by_night_cycle: Array) -> StepCommands:
        """The engine's own night cycle as long as its points stand as it was set up, else the local controller's.

        The engine's tolerance is the width of a range centred on the setpoint; the local controller does likewise.
        """
        own = all(self._loaded[p] == v for p, v in self._own_program.items() if "/night_cycle_" in p)
        return given if own else replace(given, night_run=by_night_cycle)

    def _sense(self, name: PointId) -> Reading:
        point = self._sensors[name]
        place = _column(point, self.site, self._model)
        if place is None or self._last is None:
            return Reading(point=name, value=None, at=self.now(), quality=Quality.BAD)
        frame, column, factor = place
        latest = self._recorder.latest()
        value = latest.site[column] if frame == "" else float(latest.zones[frame][self.site.zone_index()[column]])
        return Reading(point=name, value=value * factor, at=self.now())


def _column(point: Point, site: Site, model: PreparedModel) -> tuple[str, str, float] | None:
    """Frame (empty: of the building), column and factor of a point in a record; None where the building lacks it."""
    if point.kind in ZONE_COLUMNS and point.of in site.zone_index():
        column, factor = ZONE_COLUMNS[point.kind]
        return column, point.of, factor
    if point.kind in UNIT_COLUMNS and point.of in site.air_handler_index():
        unit = model.units[site.air_handler_index()[point.of]].name
        return "", f"ahu.{unit}.{UNIT_COLUMNS[point.kind]}", 1.0
    if point.kind in SITE_COLUMNS and point.of == site.name:
        column, factor = SITE_COLUMNS[point.kind]
        return "", column, factor
    return None


def _require_match(site: Site, model: PreparedModel, days: Days) -> None:
    here, there = [zone.id for zone in site.zones], [zone.name for zone in model.zones]
    if here != there:
        message = (
            f"emulator: zones of the site {here} are not those of the model {there}; list them in the model's order"
        )
        raise BadInputError(message)
    if len(site.air_handlers) != len(model.units):
        message = f"emulator: {len(site.air_handlers)} air handlers in the site, {len(model.units)} in the model"
        raise BadInputError(message)
    if days.people.shape[1] != len(there):
        message = f"emulator: people of {days.people.shape[1]} zones for {len(there)} zones; give a column for each"
        raise BadInputError(message)
