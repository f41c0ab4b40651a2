"""What goes between zones, units and tables of a step: the only code that knows how runs stand in lanes.

Sums run over the zones of a unit in the order of the site, whether zones stand side by side or eight runs do, so that
a run gives the same bits alone and in a batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import exact
from twin.building.lanes import WIDTH, Lanes, fill, gather, load, load_first, most, scatter, store
from twin.building.rows import UNIT_STATE_ROWS, ZONE_STATE_ROWS, Layout

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
ZONE_SIZE, UNIT_SIZE = ZONE_STATE_ROWS * WIDTH, UNIT_STATE_ROWS * WIDTH


@exact
def of_unit(at: Layout, units: Array, row: int, block: int) -> Lanes:  # pragma: no cover
    """A row of the units that the zones of a block belong to."""
    if at.batch:
        return load(units, at.unit_of[block * WIDTH] + row * WIDTH)
    return gather(units, row * WIDTH, at.unit_of, block * WIDTH)


@exact
def of_below(at: Layout, units: Array, row: int, block: int) -> Lanes:  # pragma: no cover
    """A row of the units whose plenums lie below the zones of a block."""
    if at.batch:
        return load(units, at.below_of[block * WIDTH] + row * WIDTH)
    return gather(units, row * WIDTH, at.below_of, block * WIDTH)


@exact
def of_table(at: Layout, table: Array, i: int, block: int, absent: float) -> Lanes:  # pragma: no cover
    """Row ``i`` of a table that all runs share, one column per zone or unit; ``absent`` in lanes without one."""
    width = table.shape[1]
    if at.batch:
        return fill(table[i, block])
    first = block * WIDTH
    return load_first(table, i * width + first, min(width - first, WIDTH), absent)


@exact
def _add_up(
    at: Layout, zones: Array, row: int, units: Array, into: int, u: int, places: Indices, begin: int, end: int
) -> None:  # pragma: no cover
    if at.batch:
        total = fill(0.0)
        for k in range(begin, end):
            total = total + load(zones, places[k] + row * WIDTH)
        store(units, at.unit_at[u] + into * WIDTH, total)
    else:
        alone = 0.0
        for k in range(begin, end):
            alone += zones[places[k] + row * WIDTH]
        units[at.unit_at[u] + into * WIDTH] = alone


@exact
def add_members(at: Layout, zones: Array, row: int, units: Array, into: int, u: int) -> None:  # pragma: no cover
    """Sum of a row over the zones of a unit."""
    _add_up(at, zones, row, units, into, u, at.member_at, at.first[u], at.first[u + 1])


@exact
def add_above(at: Layout, zones: Array, row: int, units: Array, into: int, u: int) -> None:  # pragma: no cover
    """Sum of a row over the zones above the plenum of a unit."""
    _add_up(at, zones, row, units, into, u, at.above_at, at.above_first[u], at.above_first[u + 1])


@exact
def add_two(at: Layout, zones: Array, row: int, units: Array, into: int, u: int) -> None:  # pragma: no cover
    """Sums of a row and of the next over the zones of a unit."""
    here = at.unit_at[u] + into * WIDTH
    if at.batch:
        one, two = fill(0.0), fill(0.0)
        for k in range(at.first[u], at.first[u + 1]):
            place = at.member_at[k] + row * WIDTH
            one, two = one + load(zones, place), two + load(zones, place + WIDTH)
        store(units, here, one)
        store(units, here + WIDTH, two)
    else:
        first, second = 0.0, 0.0
        for k in range(at.first[u], at.first[u + 1]):
            place = at.member_at[k] + row * WIDTH
            first, second = first + zones[place], second + zones[place + WIDTH]
        units[here] = first
        units[here + WIDTH] = second


@exact
def highest_two(
    at: Layout, zones: Array, row: int, units: Array, into: int, u: int, floor: float
) -> None:  # pragma: no cover
    """Largest values of a row and of the next over the zones of a unit, ``floor`` where it has none."""
    here = at.unit_at[u] + into * WIDTH
    if at.batch:
        one, two = fill(floor), fill(floor)
        for k in range(at.first[u], at.first[u + 1]):
            place = at.member_at[k] + row * WIDTH
            one, two = most(one, load(zones, place)), most(two, load(zones, place + WIDTH))
        store(units, here, one)
        store(units, here + WIDTH, two)
    else:
        first, second = floor, floor
        for k in range(at.first[u], at.first[u + 1]):
            place = at.member_at[k] + row * WIDTH
            first, second = max(first, zones[place]), max(second, zones[place + WIDTH])
        units[here] = first
        units[here + WIDTH] = second


@exact
def highest_member(
    at: Layout, zones: Array, row: int, units: Array, into: int, u: int, floor: float
) -> None:  # pragma: no cover
    """Largest value of a row over the zones of a unit, ``floor`` where it has none."""
    if at.batch:
        highest = fill(floor)
        for k in range(at.first[u], at.first[u + 1]):
            highest = most(highest, load(zones, at.member_at[k] + row * WIDTH))
        store(units, at.unit_at[u] + into * WIDTH, highest)
    else:
        alone = floor
        for k in range(at.first[u], at.first[u + 1]):
            alone = max(alone, zones[at.member_at[k] + row * WIDTH])
        units[at.unit_at[u] + into * WIDTH] = alone


@exact
def take_last(at: Layout, zones: Array, row: int, units: Array, into: int, u: int) -> None:  # pragma: no cover
    """A row of the last zone of a unit."""
    if at.batch:
        store(units, at.unit_at[u] + into * WIDTH, load(zones, at.last_at[u] + row * WIDTH))
    else:
        units[at.unit_at[u] + into * WIDTH] = zones[at.last_at[u] + row * WIDTH]


@exact
def share_heat(at: Layout, pair_w_k: Array, zones: Array, temperature: int, heat: int) -> None:  # pragma: no cover
    """Heat between zones that share a surface, taken from one and given to the other."""
    for p in range(at.pair_at.shape[0]):
        a, b = at.pair_at[p, 0], at.pair_at[p, 1]
        if at.batch:
            a_c, b_c = load(zones, a + temperature * WIDTH), load(zones, b + temperature * WIDTH)
            flux = load(pair_w_k, p * WIDTH) * (a_c - b_c)
            store(zones, a + heat * WIDTH, load(zones, a + heat * WIDTH) - flux)
            store(zones, b + heat * WIDTH, load(zones, b + heat * WIDTH) + flux)
        else:
            alone = pair_w_k[p] * (zones[a + temperature * WIDTH] - zones[b + temperature * WIDTH])
            zones[a + heat * WIDTH] -= alone
            zones[b + heat * WIDTH] += alone


@exact
def add_power(at: Layout, units: Array, row: int, power: Array, i: int) -> None:  # pragma: no cover
    """Four end uses of a step, summed over units, into column ``i`` of a table of shape (4, T) or (4 · 8, T)."""
    for use in range(4):
        if at.batch:
            total = fill(0.0)
            for u in range(at.units):
                total = total + load(units, at.unit_at[u] + (row + use) * WIDTH)
            scatter(power, use * WIDTH * power.shape[1] + i, power.shape[1], total)
        else:
            alone = 0.0
            for u in range(at.units):
                alone += units[at.unit_at[u] + (row + use) * WIDTH]
            power[use, i] = alone
