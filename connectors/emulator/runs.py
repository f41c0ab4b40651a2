"""Whole periods of the EnergyPlus building under a program, met by the same people, lights, plugs and hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from connectors.emulator.energyplus import EnergyPlusRun
from connectors.emulator.energyplus_model import PreparedModel
from connectors.emulator.energyplus_points import STEP_S, StepCommands, StepReadings
from twin.building.control import Commands, Controller
from twin.building.program import Program
from twin.errors import BadInputError, OutsideWorldError

Array = NDArray[np.float64]

FIRST_GUESS_C = 20.0
"""What the controller takes for the zone temperatures before the first reading. [°C]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """What the building meets whatever its policy: steps of 15 minutes from ``start`` (UTC)."""

    start: datetime
    people: Array
    """Shape (steps, zones)."""
    lights_w: Array
    """Shape (steps, zones). [W]"""
    plugs_w: Array
    """Plugs without lifts and hosts, shape (steps, zones). [W]"""
    it_w: Array
    """Power of the hosts, shape (steps,). [W]"""

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.people.shape[0])

    def part(self, first: int, last: int) -> Days:
        """Steps ``first`` to before ``last``."""
        return Days(
            start=self.start + timedelta(seconds=first * STEP_S),
            people=self.people[first:last],
            lights_w=self.lights_w[first:last],
            plugs_w=self.plugs_w[first:last],
            it_w=self.it_w[first:last],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a run of the building leaves: readings and commands, one row a step."""

    building: pd.DataFrame
    """Weather, meters (mean W), commands and air handlers, one column each, indexed by UTC."""
    zones: Mapping[str, pd.DataFrame]
    """By reading, one column per zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step of a record."""

    site: Mapping[str, float]
    zones: Mapping[str, Array]


class Recorder:
    """Collects readings and the commands that led to them."""

    def __init__(self, model: PreparedModel, start: datetime) -> None:
        self._model, self._start = model, start
        self._rows: list[Row] = []

    def add(self, readings: StepReadings, given: StepCommands) -> None:
        """Keeps one step; plugs without the hosts, whose power is a column of its own."""
        row = dict(readings.site)
        row["global_horizontal_w_m2"] = global_horizontal_w_m2(readings.site)
        row["it_w"] = given.it_w
        row["plugs_w"] -= given.it_w
        for i, unit in enumerate(self._model.units):
            row |= {f"ahu.{unit.name}.{name}": float(values[i]) for name, values in readings.units.items()}
            row[f"ahu.{unit.name}.fan_schedule_on"] = float(given.fan_on[i])
            row[f"ahu.{unit.name}.supply_temp_setpoint_c"] = float(given.supply_air_c[i])
            row[f"ahu.{unit.name}.min_outdoor_air_frac"] = float(given.minimum_outdoor_air[i])
        zones = dict(readings.zones)
        if self._model.it_equipment is not None:
            plugs = zones["plugs_w"].copy()
            plugs[self._model.it_zone_index] -= given.it_w
            zones["plugs_w"] = plugs
        zones["heating_setpoint_c"], zones["cooling_setpoint_c"] = given.heating_setpoint_c, given.cooling_setpoint_c
        self._rows.append(Row(site=row, zones=zones))

    def latest(self) -> Row:
        """The last step."""
        return self._rows[-1]

    def record(self) -> Record:
        """All steps so far."""
        index = pd.date_range(self._start, periods=len(self._rows), freq=pd.Timedelta(seconds=STEP_S), name="timestamp")
        names = [zone.name for zone in self._model.zones]
        columns = self._rows[0].zones if self._rows else {}
        zones = {
            column: pd.DataFrame([row.zones[column] for row in self._rows], index=index, columns=names)
            for column in columns
        }
        return Record(building=pd.DataFrame([row.site for row in self._rows], index=index), zones=zones)


def global_horizontal_w_m2(site: Mapping[str, float]) -> float:
    """Global irradiance on a horizontal plane from its direct and diffuse parts. [W/m2]"""
    up = max(float(np.sin(np.radians(site["solar_altitude_deg"]))), 0.0)
    return site["direct_normal_w_m2"] * up + site["diffuse_horizontal_w_m2"]


def step_commands(orders: Commands, program: Program, days: Days, i: int, model: PreparedModel) -> StepCommands:
    """The engine's commands for step ``i``: the controller's orders and what the building meets.

    Night runs are left to the building's own night-cycle managers, so they don't count as fan hours where it has one.
    """
    managed = np.array([float(unit.night_schedule is not None) for unit in model.units])
    return StepCommands(
        heating_setpoint_c=orders.heating_c,
        cooling_setpoint_c=orders.cooling_c,
        fan_on=orders.fan_on * (1.0 - orders.by_night_cycle * managed),
        minimum_outdoor_air=orders.minimum_outdoor_air,
        supply_air_c=orders.supply_c,
        people=days.people[i],
        lights_w=days.lights_w[i],
        plugs_w=days.plugs_w[i],
        it_w=float(days.it_w[i]),
        economizer=program.arrays.economizer.astype(np.float64),
    )


def run_program(
    model: PreparedModel, program: Program, days: Days, progress: Callable[[float], None] | None = None
) -> Record:
    """The building under its local controller from the first to the last step of ``days``.

    Args:
        model: prepared for at least these days; the same zones and units, in the same order, as the program.
        program: what the controller carries out, with the same start.
        days: what the building meets.
        progress: told the share that is done, now and then.

    Raises:
        BadInputError: program and days don't begin together or differ in their zones.
        OutsideWorldError: the engine failed or ended early.
    """
    if program.start != days.start or program.arrays.zone_unit.shape[0] != days.people.shape[1]:
        message = (
            f"emulator: program from {program.start} and days from {days.start} don't fit; use the same start and zones"
        )
        raise BadInputError(message)
    controller = Controller(program)
    recorder = Recorder(model, days.start)
    given: list[StepCommands] = []

    def exchange(readings: StepReadings | None) -> StepCommands | None:
        i = len(given)
        if readings is not None:
            recorder.add(readings, given[-1])
        if i >= days.steps:
            return None
        temperature = np.full(days.people.shape[1], FIRST_GUESS_C) if readings is None else readings.zones["temp_c"]
        people = np.zeros(days.people.shape[1]) if i == 0 else days.people[i - 1]
        given.append(step_commands(controller.step(i, temperature, people), program, days, i, model))
        if progress is not None and i % 960 == 0:
            progress(i / days.steps)
        return given[-1]

    run = EnergyPlusRun(model, exchange)
    run.run()
    record = recorder.record()
    if run.last is not None and len(record.building) < len(given):
        recorder.add(run.last, given[-1])
        record = recorder.record()
    if len(record.building) < days.steps:
        message = (
            f"EnergyPlus ended after {len(record.building)} of {days.steps} steps; prepare the model for later days"
        )
        raise OutsideWorldError(message)
    return record


def run_program_apart(model: PreparedModel, program: Program, days: Days) -> Record:
    """As ``run_program``, in a process of its own: a crash of the engine ends that process and not this one.

    Raises:
        OutsideWorldError: the process died.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(run_program, model, program, days).result()
        except BrokenProcessPool as error:
            message = "EnergyPlus: its process died before the run was over; see the system log"
            raise OutsideWorldError(message) from error
