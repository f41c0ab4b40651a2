"""The one controller of units and zone thermostats: used by the twin's kernel and by an emulated building alike.

Sensors act one step late: a decision at step i uses temperatures and people of step i − 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.exchange import UNIT_SIZE, ZONE_SIZE, highest_member, highest_two, of_table, of_unit
from twin.building.lanes import WIDTH, Lanes, Mask, any_of, fill, least, load, most, pick, store
from twin.building.program import Program
from twin.building.program_records import ProgramRecords, program_records
from twin.building.rows import (
    CALLED_BY,
    COOLING_C,
    COOLING_OFF,
    COOLING_ON,
    DELAY_H,
    ECONOMIZER,
    EMPTY_AFTER_S,
    EMPTY_S,
    FREE_COOLING,
    HEATING_C,
    HEATING_OFF,
    HEATING_ON,
    LAST_C,
    LATEST_H,
    LEAST_SHARE,
    MODE,
    NEED,
    NEED_OF_UNIT,
    NIGHT_K,
    NIGHT_LEFT_S,
    NIGHT_RUN_S,
    ORDER_C,
    ORDER_SHARE,
    OUTSIDE,
    OUTSIDE_OF_UNIT,
    PRECOOL_C,
    PRECOOL_FROM_H,
    PRECOOL_TO_H,
    RAN,
    RUNNING,
    SETBACK_FROM_H,
    SETBACK_K,
    START_RATE,
    STARTED,
    SUPPLY_FALL,
    SUPPLY_HIGH,
    SUPPLY_LOW,
    SUPPLY_RISE,
    SUPPLY_SET,
    TOP_C,
    UNIT_PROGRAM_ROWS,
    WARMEST,
    WARMEST_OF_UNIT,
    WIDER_K,
    ZONE_PROGRAM_ROWS,
    Layout,
    lanes_of,
    layout,
    unit_states,
    zone_states,
)

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

OFF, BY_SCHEDULE, BY_NIGHT_CYCLE = 0.0, 1.0, 2.0
"""Why a unit runs: not at all; by schedule or call; because a zone left its unoccupied band."""
PERSON = 0.5
"""Counts below half a person (forecasts are not whole) mean that nobody is there."""
READY_K = 0.3
RESPOND_K = 0.5
COLDEST = -1e9
"""Stands for the highest of no zones."""


@compiled
def _recorded(at: Layout, table: Array, i: int, block: int) -> Lanes:  # pragma: no cover
    """Recorded commands of a block, NaN where the program decides."""
    if i < table.shape[0]:
        return of_table(at, table, i, block, np.nan)
    return fill(np.nan)


@compiled
def _or(known: Lanes, otherwise: Lanes) -> Lanes:  # pragma: no cover
    """What is known, and something else where it is NaN."""
    return pick(known == known, known, otherwise)  # noqa: PLR0124


@compiled
def in_window(hour: float, start: Lanes, stop: Lanes) -> Mask:  # pragma: no cover
    """Whether an hour lies in [start, stop), across midnight if start is after stop."""
    after, before = start <= hour, stop > hour
    across = start > stop
    return (~across & after & before) | (across & (after | before))


@compiled
def hours_now(program: ProgramRecords, blocks: int, block: int, i: int) -> tuple[Mask, Lanes, Mask]:  # pragma: no cover
    """What the clock says of the units of a block.

    Returns:
        Whether it is within the operating hours; hours until ``latest`` where optimal start may keep the unit off, else
        -1; whether minimum outdoor air may open if the unit runs.
    """
    rows, hour = program.units, program.hour[i]
    here = block * UNIT_PROGRAM_ROWS * WIDTH
    day = (program.today[i] * blocks + block) * 2 * WIDTH
    start, stop = load(program.windows, day), load(program.windows, day + WIDTH)
    before = load(program.windows, day - (2 * blocks - 1) * WIDTH)
    latest = load(rows, here + LATEST_H * WIDTH)
    open_today, since = stop > start, hour - start
    in_today = open_today & (since >= 0.0) & (stop > hour)
    in_yesterdays = before > hour + 24.0
    hold = pick(in_today & (latest > hour), latest - hour, -1.0)
    shut = open_today & ((since < load(rows, here + DELAY_H * WIDTH)) | (latest > hour)) & ~in_yesterdays
    return in_today | in_yesterdays, hold, ~shut


@compiled
def _start(
    at: Layout, program: ProgramRecords, units: Array, zones: Array, hold: Lanes, block: int
) -> Lanes:  # pragma: no cover
    """1 where optimal start has let the unit run: the neediest zone would otherwise not be ready."""
    here = block * UNIT_SIZE
    started = load(units, here + STARTED * WIDTH)
    waits = (hold > 0.0) & (started < 0.5)
    if any_of(waits):
        for k in range(at.served_first[block], at.served_first[block + 1]):
            z = at.served[k]
            own, mine = z * ZONE_PROGRAM_ROWS * WIDTH, z * ZONE_SIZE
            temp_c = load(zones, mine + LAST_C * WIDTH)
            cold = load(program.zones, own + HEATING_ON * WIDTH) - temp_c
            warm = temp_c - load(program.zones, own + COOLING_ON * WIDTH)
            store(zones, mine + NEED * WIDTH, most(cold, warm))
        for u in range(at.first_unit[block], at.first_unit[block + 1]):
            highest_member(at, zones, NEED, units, NEED_OF_UNIT, u, 0.0)
        need = most(load(units, here + NEED_OF_UNIT * WIDTH) - READY_K, 0.0)
        rate = load(program.units, (block * UNIT_PROGRAM_ROWS + START_RATE) * WIDTH)
        started = pick(waits & (need / rate >= hold), 1.0, started)
    return pick(hold > 0.0, started, 0.0)


@compiled
def _schedule(
    at: Layout, program: ProgramRecords, zones: Array, units: Array, inside: float, i: int, block: int
) -> None:  # pragma: no cover
    """Which units run by schedule or call, what that does to the bands of their zones, how far outdoor air opens."""
    rows, own, here = program.units, block * UNIT_PROGRAM_ROWS * WIDTH, block * UNIT_SIZE
    scheduled, hold, may_open = hours_now(program, at.unit_blocks, block, i)
    started = _start(at, program, units, zones, hold, block)
    people = load(rows, own + CALLED_BY * WIDTH)
    runs = ((people > 0.0) & (people <= inside)) | (started > 0.5) | (scheduled & (hold <= 0.0))
    fan = _recorded(at, program.recorded_fan, i, block)
    known = fan == fan  # noqa: PLR0124
    store(units, here + STARTED * WIDTH, pick(known, load(units, here + STARTED * WIDTH), started))
    runs = (fan > 0.5) | (~known & runs)
    store(units, here + RUNNING * WIDTH, pick(runs, 1.0, 0.0))

    hour = program.hour[i]
    span = load(rows, own + PRECOOL_FROM_H * WIDTH), load(rows, own + PRECOOL_TO_H * WIDTH)
    cools = runs & in_window(hour, span[0], span[1])
    store(units, here + TOP_C * WIDTH, pick(cools, load(rows, own + PRECOOL_C * WIDTH), np.inf))
    widens = runs & (load(rows, own + SETBACK_FROM_H * WIDTH) <= hour)
    store(units, here + WIDER_K * WIDTH, pick(widens, load(rows, own + SETBACK_K * WIDTH), 0.0))

    present = inside / program.design_people if program.design_people > 0.0 else 1.0
    share = least(most(present, load(rows, own + LEAST_SHARE * WIDTH)), 1.0)
    share = _or(_recorded(at, program.recorded_outdoor_air, i, block), pick(may_open, share, 0.0))
    store(units, here + ORDER_SHARE * WIDTH, pick(runs, share, 0.0))
    store(units, here + FREE_COOLING * WIDTH, load(rows, own + ECONOMIZER * WIDTH))


@compiled
def _set_bands(
    at: Layout, program: ProgramRecords, zones: Array, units: Array, i: int, block: int
) -> None:  # pragma: no cover
    """Setpoints of the zones of a block, shape of the band included, and how far the zones are outside them."""
    own, here = block * ZONE_PROGRAM_ROWS * WIDTH, block * ZONE_SIZE
    running = of_unit(at, units, RUNNING, block) > 0.5
    heating = pick(
        running, load(program.zones, own + HEATING_ON * WIDTH), load(program.zones, own + HEATING_OFF * WIDTH)
    )
    cooling = pick(
        running, load(program.zones, own + COOLING_ON * WIDTH), load(program.zones, own + COOLING_OFF * WIDTH)
    )
    cooling = least(cooling, of_unit(at, units, TOP_C, block))
    empty = load(zones, here + EMPTY_S * WIDTH) >= load(program.zones, own + EMPTY_AFTER_S * WIDTH)
    wider = pick(empty, of_unit(at, units, WIDER_K, block), 0.0)
    heating = _or(_recorded(at, program.recorded_heating_c, i, block), heating - wider)
    cooling = _or(_recorded(at, program.recorded_cooling_c, i, block), cooling + wider)
    cooling = most(cooling, heating + 1.0)
    temp_c = load(zones, here + LAST_C * WIDTH)
    store(zones, here + HEATING_C * WIDTH, heating)
    store(zones, here + COOLING_C * WIDTH, cooling)
    store(zones, here + OUTSIDE * WIDTH, most(heating - temp_c, temp_c - cooling))
    store(zones, here + WARMEST * WIDTH, temp_c - cooling)


@compiled
def _night_run(program: ProgramRecords, units: Array, runs: Mask, block: int) -> Mask:  # pragma: no cover
    """Whether a stopped unit runs because a zone left its unoccupied band.

    It starts from standstill: after a run the unit stands for a step before the band is looked at again.
    """
    own, here = block * UNIT_PROGRAM_ROWS * WIDTH, block * UNIT_SIZE
    left = load(units, here + NIGHT_LEFT_S * WIDTH)
    stands = (left <= 0.0) & (load(units, here + RAN * WIDTH) < 0.5)
    leaves = load(units, here + OUTSIDE_OF_UNIT * WIDTH) > load(program.units, own + NIGHT_K * WIDTH)
    left = pick(stands & leaves, load(program.units, own + NIGHT_RUN_S * WIDTH), left)
    store(units, here + NIGHT_LEFT_S * WIDTH, pick(runs, 0.0, left - program.step_s))
    return ~runs & (left > 0.0)


@compiled
def _settle_orders(at: Layout, program: ProgramRecords, units: Array, i: int, block: int) -> None:  # pragma: no cover
    """Why each unit runs, and its supply air temperature by trim and respond. [°C]"""
    rows, own, here = program.units, block * UNIT_PROGRAM_ROWS * WIDTH, block * UNIT_SIZE
    runs = load(units, here + RUNNING * WIDTH) > 0.5
    by_night = _night_run(program, units, runs, block)
    mode = pick(runs, BY_SCHEDULE, pick(by_night, BY_NIGHT_CYCLE, OFF))
    store(units, here + MODE * WIDTH, mode)
    store(units, here + RAN * WIDTH, pick(runs | by_night, 1.0, 0.0))
    well_below = load(units, here + WARMEST_OF_UNIT * WIDTH) < -RESPOND_K
    rise, fall = load(rows, own + SUPPLY_RISE * WIDTH), load(rows, own + SUPPLY_FALL * WIDTH)
    supply = load(units, here + SUPPLY_SET * WIDTH) + pick(well_below, rise, 0.0 - fall)
    supply = most(supply, load(rows, own + SUPPLY_LOW * WIDTH))
    supply = least(supply, load(rows, own + SUPPLY_HIGH * WIDTH))
    store(units, here + SUPPLY_SET * WIDTH, supply)
    store(units, here + ORDER_C * WIDTH, _or(_recorded(at, program.recorded_supply_c, i, block), supply))


@compiled
def decide(
    at: Layout, program: ProgramRecords, i: int, people: Array, row: int, zones: Array, units: Array
) -> None:  # pragma: no cover
    """Write the orders of step ``i`` into the states of zones and units and move their timers on by one step.

    Args:
        at: who stands where.
        program: from ``program_records``.
        i: step of the program.
        people: people in each zone, shape (rows, Z).
        row: that of step i − 1 in ``people``.
        zones: states of zones with their temperatures of step i − 1, changed in place.
        units: states of units, changed in place.
    """
    inside = 0.0
    for z in range(people.shape[1]):
        inside += people[row, z]
    for block in range(at.unit_blocks):
        _schedule(at, program, zones, units, inside, i, block)
    for block in range(at.zone_blocks):
        here = block * ZONE_SIZE + EMPTY_S * WIDTH
        there = of_table(at, people, row, block, 0.0) >= PERSON
        store(zones, here, pick(there, 0.0, load(zones, here) + program.step_s))
        _set_bands(at, program, zones, units, i, block)
    for u in range(at.units):
        highest_two(at, zones, OUTSIDE, units, OUTSIDE_OF_UNIT, u, COLDEST)
    for block in range(at.unit_blocks):
        _settle_orders(at, program, units, i, block)


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
        self._at = layout(program.arrays, batch=False)
        self._zones = zone_states(self._at)
        self._units = unit_states(self._at)
        self.load(program)
        forget(self._at, self._records, self._units, self._zones)

    def load(self, program: Program) -> None:
        """Go on with another program (an override came or went), keeping timers and the trimmed supply temperature."""
        self.program = program
        self._records = program_records([program.arrays], self._at)

    def step(self, i: int, zone_temp_prev: Array, people_prev: Array) -> Commands:
        """Orders for step ``i`` from temperatures [°C] and people of step i − 1, shape (zones,) each."""
        self._zones[self._at.zone_at + LAST_C * WIDTH] = zone_temp_prev
        people = np.ascontiguousarray(people_prev, dtype=np.float64)[None, :]
        decide(self._at, self._records, i, people, 0, self._zones, self._units)
        mode = self._of_units(MODE)
        return Commands(
            heating_c=self._zones[self._at.zone_at + HEATING_C * WIDTH],
            cooling_c=self._zones[self._at.zone_at + COOLING_C * WIDTH],
            fan_on=(mode > OFF).astype(np.float64),
            by_night_cycle=(mode == BY_NIGHT_CYCLE).astype(np.float64),
            supply_c=self._of_units(ORDER_C),
            minimum_outdoor_air=self._of_units(ORDER_SHARE),
        )

    def _of_units(self, row: int) -> Array:
        return self._units[self._at.unit_at[:-1] + row * WIDTH]


def forget(at: Layout, program: ProgramRecords, units: Array, zones: Array) -> None:
    """Set the timers back: nobody seen yet, units off, coldest supply air."""
    for row in (STARTED, NIGHT_LEFT_S, RAN):
        units[lanes_of(at.unit_at[:-1], row, batch=at.batch)] = 0.0
    for block in range(at.unit_blocks):
        here, own = block * UNIT_SIZE + SUPPLY_SET * WIDTH, (block * UNIT_PROGRAM_ROWS + SUPPLY_LOW) * WIDTH
        units[here : here + WIDTH] = program.units[own : own + WIDTH]
    zones[lanes_of(at.zone_at, EMPTY_S, batch=at.batch)] = 0.0
