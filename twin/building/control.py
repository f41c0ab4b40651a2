"""The one controller of units and zone thermostats: used by the twin's kernel and by an emulated building alike.

Sensors act one step late: a decision at step i uses temperatures and people of step i − 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.program import Program, ProgramArrays

Array = NDArray[np.float64]

OFF, BY_SCHEDULE, BY_NIGHT_CYCLE = 0, 1, 2
"""Why a unit runs: not at all; by schedule or call; because a zone left its unoccupied band."""
PERSON = 0.5
"""Counts below half a person (forecasts are not whole) mean that nobody is there."""
READY_K = 0.3
RESPOND_K = 0.5


class ControlState(NamedTuple):
    """What the controller remembers from step to step."""

    empty_s: Array
    """How long each zone has been without people, shape (Z,). [s]"""
    started: NDArray[np.int64]
    """1 once optimal start has let the unit run, shape (U,)."""
    night_left_s: Array
    """Rest of a night-cycle run, shape (U,). [s]"""
    supply_c: Array
    """Supply air temperature asked for, shape (U,)."""
    ran: NDArray[np.int64]
    """1 if the unit ran in the step before, shape (U,)."""


class CommandArrays(NamedTuple):
    """The controller's orders for one step."""

    heating_c: Array
    cooling_c: Array
    mode: NDArray[np.int64]
    supply_c: Array
    minimum_outdoor_air: Array


def control_state(program: Program) -> ControlState:
    """The state before the first step: nobody seen yet, units off, coldest supply air."""
    zones, units = len(program.arrays.zone_unit), program.arrays.scheduled.shape[1]
    return ControlState(
        empty_s=np.zeros(zones),
        started=np.zeros(units, dtype=np.int64),
        night_left_s=np.zeros(units),
        supply_c=program.arrays.supply[:, 0].copy(),
        ran=np.zeros(units, dtype=np.int64),
    )


def command_arrays(program: Program) -> CommandArrays:
    """Room for the orders of one step."""
    zones, units = len(program.arrays.zone_unit), program.arrays.scheduled.shape[1]
    return CommandArrays(
        heating_c=np.zeros(zones),
        cooling_c=np.zeros(zones),
        mode=np.zeros(units, dtype=np.int64),
        supply_c=np.zeros(units),
        minimum_outdoor_air=np.zeros(units),
    )


@compiled
def _known(recorded: Array, i: int, k: int) -> bool:  # pragma: no cover
    return bool(i < recorded.shape[0] and not math.isnan(recorded[i, k]))


@compiled
def _starts(program: ProgramArrays, i: int, u: int, temp_c: Array) -> bool:  # pragma: no cover
    """Whether optimal start lets the unit run: the neediest zone would otherwise not be ready."""
    need = 0.0
    for k in range(program.first[u], program.first[u + 1]):
        z = program.members[k]
        need = max(need, program.heating_c[z, 1] - temp_c[z], temp_c[z] - program.cooling_c[z, 1])
    return bool(program.hold_h[i, u] <= max(need - READY_K, 0.0) / program.start_rate_k_h[u])


@compiled
def _by_schedule(
    program: ProgramArrays, state: ControlState, i: int, u: int, temp_c: Array, inside: float
) -> bool:  # pragma: no cover
    """Whether the unit runs by schedule or call."""
    if _known(program.recorded_fan, i, u):
        return bool(program.recorded_fan[i, u] > 0.5)
    called = program.called_by[u] > 0 and inside >= program.called_by[u]
    if program.hold_h[i, u] <= 0.0:
        state.started[u] = 0
        return bool(called or program.scheduled[i, u])
    if state.started[u] == 0 and _starts(program, i, u, temp_c):
        state.started[u] = 1
    return bool(called or state.started[u] == 1)


@compiled
def _set_band(
    program: ProgramArrays, state: ControlState, i: int, z: int, running: bool, out: CommandArrays
) -> None:  # pragma: no cover
    """Setpoints of a zone, shape of the band included."""
    heating, cooling = program.heating_c[z, int(running)], program.cooling_c[z, int(running)]
    u = program.zone_unit[z]
    if running:
        if not math.isnan(program.precool_c[i, u]):
            cooling = min(cooling, program.precool_c[i, u])
        if state.empty_s[z] >= program.empty_after_s[u]:
            heating -= program.setback_k[i, u]
            cooling += program.setback_k[i, u]
    if _known(program.recorded_heating_c, i, z):
        heating = program.recorded_heating_c[i, z]
    if _known(program.recorded_cooling_c, i, z):
        cooling = program.recorded_cooling_c[i, z]
    out.heating_c[z] = heating
    out.cooling_c[z] = max(cooling, heating + 1.0)


@compiled
def _night_run(
    program: ProgramArrays, state: ControlState, u: int, temp_c: Array, out: CommandArrays
) -> bool:  # pragma: no cover
    """Whether a stopped unit runs because a zone left its unoccupied band.

    It starts from standstill: after a run the unit stands for a step before the band is looked at again.
    """
    if state.night_left_s[u] <= 0.0 and state.ran[u] == 0:
        for k in range(program.first[u], program.first[u + 1]):
            z = program.members[k]
            outside = max(out.heating_c[z] - temp_c[z], temp_c[z] - out.cooling_c[z])
            if outside > program.night_k[u]:
                state.night_left_s[u] = program.night_run_s[u]
    runs = state.night_left_s[u] > 0.0
    state.night_left_s[u] -= program.step_s
    return bool(runs)


@compiled
def _trim_supply(
    program: ProgramArrays, state: ControlState, u: int, temp_c: Array, out: CommandArrays
) -> float:  # pragma: no cover
    """Supply air temperature by trim and respond. [°C]"""
    worst = -1e9
    for k in range(program.first[u], program.first[u + 1]):
        z = program.members[k]
        worst = max(worst, temp_c[z] - out.cooling_c[z])
    low, high, rise, fall = program.supply[u]
    supply = state.supply_c[u] + (rise if worst < -RESPOND_K else -fall)
    state.supply_c[u] = min(max(supply, low), high)
    return float(state.supply_c[u])


@compiled
def _outdoor_air(program: ProgramArrays, i: int, u: int, inside: float) -> float:  # pragma: no cover
    """Minimum outdoor air as a share of the design minimum, for a unit that runs by schedule or call."""
    if not program.outdoor_air_open[i, u]:
        return 0.0
    least = program.least_share[u]
    if least >= 1.0:
        return 1.0
    share = inside / program.design_people if program.design_people > 0 else 1.0
    return float(min(max(share, least), 1.0))


@compiled
def decide(
    program: ProgramArrays, state: ControlState, i: int, temp_c: Array, people: Array, out: CommandArrays
) -> None:  # pragma: no cover
    """Write the orders of step ``i`` into ``out`` and move ``state`` on by one step.

    Args:
        program: from ``compile_program``.
        state: changed in place.
        i: step of the program.
        temp_c: zone temperatures of step i − 1, shape (Z,). [°C]
        people: people in each zone at step i − 1, shape (Z,).
        out: changed in place.
    """
    inside = 0.0
    for z in range(len(people)):
        inside += people[z]
        state.empty_s[z] = 0.0 if people[z] >= PERSON else state.empty_s[z] + program.step_s
        if program.zone_unit[z] < 0:
            _set_band(program, state, i, z, False, out)
    for u in range(program.scheduled.shape[1]):
        running = _by_schedule(program, state, i, u, temp_c, inside)
        for k in range(program.first[u], program.first[u + 1]):
            _set_band(program, state, i, program.members[k], running, out)
        out.mode[u] = BY_SCHEDULE if running else OFF
        if running:
            state.night_left_s[u] = 0.0
        elif _night_run(program, state, u, temp_c, out):
            out.mode[u] = BY_NIGHT_CYCLE
        state.ran[u] = int(out.mode[u] != OFF)
        out.supply_c[u] = _trim_supply(program, state, u, temp_c, out)
        if _known(program.recorded_supply_c, i, u):
            out.supply_c[u] = program.recorded_supply_c[i, u]
        out.minimum_outdoor_air[u] = _outdoor_air(program, i, u, inside) if running else 0.0
        if running and _known(program.recorded_outdoor_air, i, u):
            out.minimum_outdoor_air[u] = program.recorded_outdoor_air[i, u]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What the controller orders for one step."""

    heating_c: Array
    """Shape (zones,)."""
    cooling_c: Array
    """Shape (zones,)."""
    fan_on: Array
    """1 while the unit runs for whatever reason, shape (units,)."""
    by_night_cycle: Array
    """1 while it runs by night cycle only (outdoor air shut, unoccupied setpoints), shape (units,)."""
    supply_c: Array
    """Shape (units,)."""
    minimum_outdoor_air: Array
    """Share of the design minimum, shape (units,)."""


class Controller:
    """A building's local controller: remembers timers, answers step by step."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._state = control_state(program)
        self._out = command_arrays(program)

    def load(self, program: Program) -> None:
        """Go on with another program (an override came or went), keeping timers and the trimmed supply temperature."""
        self.program = program

    def step(self, i: int, zone_temp_prev: Array, people_prev: Array) -> Commands:
        """Orders for step ``i`` from temperatures [°C] and people of step i − 1, shape (zones,) each."""
        temperature = np.ascontiguousarray(zone_temp_prev, dtype=np.float64)
        people = np.ascontiguousarray(people_prev, dtype=np.float64)
        decide(self.program.arrays, self._state, i, temperature, people, self._out)
        out = self._out
        return Commands(
            heating_c=out.heating_c.copy(),
            cooling_c=out.cooling_c.copy(),
            fan_on=(out.mode > OFF).astype(np.float64),
            by_night_cycle=(out.mode == BY_NIGHT_CYCLE).astype(np.float64),
            supply_c=out.supply_c.copy(),
            minimum_outdoor_air=out.minimum_outdoor_air.copy(),
        )
