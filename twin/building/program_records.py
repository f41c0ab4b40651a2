"""Programs as the compiled controller reads them: records in lanes, for one run or for eight in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.lanes import WIDTH
from twin.building.program import ProgramArrays
from twin.building.rows import (
    CALLED_BY,
    COOLING_OFF,
    DELAY_H,
    ECONOMIZER,
    EMPTY_AFTER_S,
    HEATING_OFF,
    LATEST_H,
    LEAST_SHARE,
    NIGHT_K,
    NIGHT_RUN_S,
    PRECOOL_FROM_H,
    SETBACK_FROM_H,
    SETBACK_K,
    START_RATE,
    SUPPLY_LOW,
    UNIT_PROGRAM_ROWS,
    ZONE_PROGRAM_ROWS,
    Layout,
    aligned,
    packed,
)

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class ProgramRecords(NamedTuple):
    """Programs as the compiled controller reads them; T steps, D days, Z zones, U units. Rows as in ``rows``."""

    step_s: float
    design_people: float
    today: Indices
    """Row of the day in ``windows`` at each step, shape (T,)."""
    hour: Array
    """Hour on the wall clock at the begin of each step, shape (T,)."""
    windows: Array
    """Start and stop of each day's operating hours, flat, shape (D, unit blocks, 2, 8). [h]"""
    zones: Array
    units: Array
    recorded_heating_c: Array
    """Setpoints in force as recorded, shape (T, Z) or (0, Z); NaN where the program decides."""
    recorded_cooling_c: Array
    recorded_fan: Array
    """Commanded fan schedule as recorded, shape (T, U) or (0, U)."""
    recorded_supply_c: Array
    recorded_outdoor_air: Array


def program_records(programs: Sequence[ProgramArrays], at: Layout) -> ProgramRecords:
    """Records of one program, or of eight with the same clock, zones, units and recorded commands."""
    first = programs[0]
    return ProgramRecords(
        step_s=first.step_s,
        design_people=first.design_people,
        today=first.today,
        hour=first.hour,
        windows=_windows([program.windows for program in programs], at),
        zones=packed([_of_zones(program) for program in programs], ZONE_PROGRAM_ROWS, at.zones, batch=at.batch),
        units=packed([_of_units(program) for program in programs], UNIT_PROGRAM_ROWS, at.units, batch=at.batch),
        recorded_heating_c=first.recorded_heating_c,
        recorded_cooling_c=first.recorded_cooling_c,
        recorded_fan=first.recorded_fan,
        recorded_supply_c=first.recorded_supply_c,
        recorded_outdoor_air=first.recorded_outdoor_air,
    )


def _windows(given: Sequence[Array], at: Layout) -> Array:
    days = len(given[0])
    if at.batch:
        return aligned(np.stack(given, axis=-1))
    padded = np.zeros((days, at.unit_blocks * WIDTH, 2))
    padded[:, : at.units] = given[0]
    return aligned(padded.reshape(days, at.unit_blocks, WIDTH, 2).transpose(0, 1, 3, 2))


def _of_zones(program: ProgramArrays) -> dict[int, Array]:
    served = program.zone_unit >= 0
    empty_after = np.full(len(served), np.inf)
    empty_after[served] = program.empty_after_s[program.zone_unit[served]]
    return {HEATING_OFF: program.heating_c, COOLING_OFF: program.cooling_c, EMPTY_AFTER_S: empty_after}


def _of_units(program: ProgramArrays) -> dict[int, Array]:
    return {
        START_RATE: program.start_rate_k_h,
        CALLED_BY: program.called_by,
        SUPPLY_LOW: program.supply,
        LEAST_SHARE: program.least_share,
        NIGHT_K: program.night_k,
        NIGHT_RUN_S: program.night_run_s,
        ECONOMIZER: program.economizer.astype(np.float64),
        LATEST_H: program.latest_h,
        DELAY_H: program.delay_h,
        SETBACK_FROM_H: program.setback_from_h,
        SETBACK_K: program.setback_k,
        PRECOOL_FROM_H: program.precool,
    }
