"""Where the kernel keeps its numbers: records of rows of eight lanes, and which zone or unit stands in which lane.

A run alone puts zones (and units) side by side into lanes; a batch puts eight runs into the lanes and gives every zone
(and unit) a block of its own. Laws and balances work on whole blocks and do not know the difference; only what goes
between zones and units does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.lanes import WIDTH
from twin.building.network import Network
from twin.building.program import ProgramArrays

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
_NOTHING = np.empty(0, dtype=np.int64)


def _offsets(*sizes: int) -> tuple[int, ...]:
    """First rows of fields of some sizes that follow each other, and their number at the end."""
    return tuple(int(row) for row in np.concatenate([[0], np.cumsum(sizes)]))


# Numbers of a zone that a run does not change: matrices by row, sides as N, E, S, W, horizontal.
(
    KEEP,
    GAIN,
    BOUNDARY_AIR,
    BOUNDARY_MASS,
    BOUNDARY_WALL,
    WINDOW,
    FACE,
    INFILTRATION,
    PER_VOLUME,
    CEILING,
    FLOOR,
    PLUG_SHARE,
    LEAST_FLOW,
    MOST_FLOW,
    REHEAT_W,
    ZONE_ROWS,
) = _offsets(16, 16, 1, 1, 1, 5, 5, 1, 1, 1, 1, 1, 1, 1, 1)

# Numbers for the check of a zone's heat balance.
CAPACITY, BOUNDARY, MEAN_KEEP, MEAN_GAIN, BALANCE_ROWS = _offsets(4, 4, 16, 16)

# State of a zone and what is found in a step; rows that are summed together stand together, as in the unit's.
(
    NODE,
    HEAT,
    CO2,
    LAST_C,
    EMPTY_S,
    HEATING_C,
    COOLING_C,
    CLOSED_C,
    FREE_C,
    RISE,
    STIFF,
    END_C,
    FLOW,
    ROOM,
    REHEAT,
    ADDED_W,
    NEED,
    OUTSIDE,
    WARMEST,
    RETURNED_W,
    UPWARD_W,
    FLOOR_W,
    WET,
    LEAK,
    MOIST_RATIO,
    SHARE_OF_ZONE,
    SUPPLY_OF_ZONE,
    POWER_OF_ZONE,
    RESIDUAL,
    DISCOMFORT,
    STUFFY,
    ZONE_STATE_ROWS,
) = _offsets(4, 4, *[1] * 25, 4, 1, 1, 1)

# What the program says of a zone and of a unit.
HEATING_OFF, HEATING_ON, COOLING_OFF, COOLING_ON, EMPTY_AFTER_S, ZONE_PROGRAM_ROWS = _offsets(1, 1, 1, 1, 1)
(
    START_RATE,
    CALLED_BY,
    SUPPLY_LOW,
    SUPPLY_HIGH,
    SUPPLY_RISE,
    SUPPLY_FALL,
    LEAST_SHARE,
    NIGHT_K,
    NIGHT_RUN_S,
    ECONOMIZER,
    LATEST_H,
    DELAY_H,
    SETBACK_FROM_H,
    SETBACK_K,
    PRECOOL_FROM_H,
    PRECOOL_TO_H,
    PRECOOL_C,
    UNIT_PROGRAM_ROWS,
) = _offsets(*[1] * 17)

# Numbers of a unit that a run does not change; the law of coils and fans stands first, as in the records of zones.
LAW_ROWS = 19
(
    _LAW,
    IS_VAV,
    HAS_PLENUM,
    PLENUM_OUT,
    PLENUM_LEAK,
    PLENUM_STORE,
    PLENUM_SLAB,
    PLENUM_ROOF,
    SLAB_RATE,
    AIR_STORE,
    UNIT_ROWS,
) = _offsets(LAW_ROWS, *[1] * 9)
_, DESIGN_FLOW, IS_CONSTANT, FOLLOWS_LOAD, NIGHT_FAN_CYCLES, LAW_OF_ZONE_ROWS = _offsets(LAW_ROWS, 1, 1, 1, 1)

# State of a unit and what is found in a step.
(
    STARTED,
    NIGHT_LEFT_S,
    SUPPLY_SET,
    RAN,
    MODE,
    RUNNING,
    TOP_C,
    WIDER_K,
    ORDER_C,
    ORDER_SHARE,
    FREE_COOLING,
    FANS,
    RETURNS,
    RATIO,
    PLENUM_C,
    SLAB_C,
    NEED_OF_UNIT,
    OUTSIDE_OF_UNIT,
    WARMEST_OF_UNIT,
    LIGHTS_W,
    CEILING_W,
    SLAB_W,
    FLOW_SUM,
    ROOM_SUM,
    REHEAT_SUM,
    WET_SUM,
    LEAK_SUM,
    PLENUM_BASE,
    PLENUM_SUM,
    VAV_ON,
    TRIAL_C,
    SUPPLY_C,
    SUPPLY_RATIO,
    UNIT_FLOW,
    OUTDOOR_SHARE,
    RUN,
    POWER,
    UNIT_STATE_ROWS,
) = _offsets(*[1] * 36, 4)

# Numbers of the building, alike for all its zones, and the weather of a step.
(
    SOLAR_TO_AIR,
    PEOPLE_W,
    PEOPLE_TO_AIR,
    LIGHTS_TO_AIR,
    LIGHTS_TO_RETURN,
    PLUGS_TO_AIR,
    WIND_FACTOR,
    FANS_ON_FACTOR,
    OUTDOOR_CO2,
    GROUND_MEAN_C,
    GROUND_SWING_K,
    ABSORPTANCE_R,
    SKY_K,
    BUILDING_ROWS,
) = _offsets(*[1] * 13)
WIND, GROUND_C, WALL_RISE, STEP_ROWS = _offsets(1, 1, 5)


class Layout(NamedTuple):
    """Which zone and unit stands where; Z zones, U units and one more that is always off, for zones without any."""

    batch: bool
    """Eight runs side by side, a block for each zone."""
    zones: int
    units: int
    zone_blocks: int
    unit_blocks: int
    zone_at: Indices
    """Place of each zone's lane or block in the records of zone states, shape (Z,)."""
    unit_at: Indices
    """Place of each unit in the records of unit states, shape (U + 1,)."""
    unit_of: Indices
    """Place of the unit of each lane of zones, shape (zone blocks · 8,)."""
    below_of: Indices
    """Place of the unit whose plenum lies below each lane of zones, shape (zone blocks · 8,)."""
    first: Indices
    """Zones of unit u are ``member_at[first[u]:first[u + 1]]``, shape (U + 1,)."""
    member_at: Indices
    last_at: Indices
    """Place of the last zone of each unit, shape (U,)."""
    above_first: Indices
    """Zones above the plenum of unit u are ``above_at[above_first[u]:above_first[u + 1]]``, shape (U + 1,)."""
    above_at: Indices
    pair_at: Indices
    """Places of zones that share a surface, shape (P, 2)."""
    first_unit: Indices
    """Units of block b are those from ``first_unit[b]`` to ``first_unit[b + 1]``, shape (unit blocks + 1,)."""
    served_first: Indices
    """Blocks with zones of unit block b are ``served[served_first[b]:served_first[b + 1]]``."""
    served: Indices
    plenums: bool
    """Whether any unit has a return plenum."""
    vav: bool
    """Whether any unit has VAV boxes."""
    constant: bool
    """Whether any unit has a constant air volume."""


def layout(
    program: ProgramArrays, net: Network | None = None, vav: NDArray[np.bool_] | None = None, *, batch: bool
) -> Layout:
    """The layout of a building for one run, or for eight in a batch.

    Args:
        program: tells which zones a unit serves.
        net: plenums and shared surfaces, None for a controller alone.
        vav: which units have boxes, shape (U,), None for a controller alone.
        batch: eight runs side by side.
    """
    zones, units = len(program.zone_unit), len(program.first) - 1
    lanes = 1 if batch else WIDTH

    def places(count: int, rows: int) -> Indices:
        position = np.arange(count, dtype=np.int64)
        return position * rows * WIDTH if batch else position // WIDTH * rows * WIDTH + position % WIDTH

    zone_at, unit_at = places(zones, ZONE_STATE_ROWS), places(units + 1, UNIT_STATE_ROWS)
    zone_blocks, unit_blocks = -(-zones // lanes), -(-units // lanes)

    def of_lanes(unit: Indices) -> Indices:
        given = np.where(unit < 0, units, unit)
        if batch:
            return np.asarray((unit_at[given][:, None] + np.arange(WIDTH)).ravel())
        spare = np.full(zone_blocks * WIDTH - zones, units, dtype=np.int64)
        return np.asarray(unit_at[np.concatenate([given, spare])])

    members = [program.members[program.first[u] : program.first[u + 1]] for u in range(units)]
    below = np.full(zones, -1, dtype=np.int64) if net is None else net.floor_plenum
    above = [np.flatnonzero(below == u) for u in range(units)]
    boxes = np.zeros(units, dtype=np.bool_) if vav is None else vav
    first_unit = np.minimum(np.arange(unit_blocks + 1, dtype=np.int64) * lanes, units)
    served = [np.unique(np.concatenate([*members[a:b], _NOTHING]) // lanes) for a, b in _spans(first_unit)]
    return Layout(
        batch=batch,
        zones=zones,
        units=units,
        zone_blocks=zone_blocks,
        unit_blocks=unit_blocks,
        zone_at=zone_at,
        unit_at=unit_at,
        unit_of=of_lanes(program.zone_unit),
        below_of=of_lanes(below),
        first=program.first,
        member_at=zone_at[program.members],
        last_at=np.array([zone_at[rows[-1]] if len(rows) else 0 for rows in members], dtype=np.int64),
        above_first=np.concatenate([[0], np.cumsum([len(rows) for rows in above])]).astype(np.int64),
        above_at=zone_at[np.concatenate([*above, _NOTHING])],
        pair_at=zone_at[np.empty((0, 2), np.int64) if net is None else net.pairs],
        first_unit=first_unit,
        served_first=np.concatenate([[0], np.cumsum([len(rows) for rows in served])]).astype(np.int64),
        served=np.concatenate([*served, _NOTHING]),
        plenums=net is not None and bool(net.has_plenum.any()),
        vav=bool(boxes.any()),
        constant=bool((~boxes).any()),
    )


def _spans(edges: Indices) -> list[tuple[int, int]]:
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def lanes_of(places: Indices, row: int, *, batch: bool) -> Indices:
    """Flat index of a row of some zones or units: shape (things,), in a batch (things, 8)."""
    first = places + row * WIDTH
    return first[:, None] + np.arange(WIDTH) if batch else first


def aligned(values: Array) -> Array:
    """A flat copy that begins at a cache line, so that no load of eight lanes touches two of them."""
    room = np.empty(values.size + WIDTH)
    skip = -(room.ctypes.data // room.itemsize) % WIDTH
    room[skip : skip + values.size] = values.ravel()
    return room[skip : skip + values.size]


def zone_states(at: Layout) -> Array:
    """Room for the states of all zones."""
    return aligned(np.zeros(at.zone_blocks * ZONE_STATE_ROWS * WIDTH))


def unit_states(at: Layout) -> Array:
    """Room for the states of all units, and of one that is always off."""
    blocks = at.unit_blocks + 1
    states = np.zeros((blocks, UNIT_STATE_ROWS, WIDTH))
    states[:, TOP_C] = np.inf
    states[:, FANS] = 1.0
    return aligned(states)


def packed(runs: Sequence[Mapping[int, Array]], rows: int, count: int, *, batch: bool, filler: float = 0.0) -> Array:
    """Records of ``count`` things (zones or units), flat.

    Args:
        runs: for each run, values by first row: shape (things,) or (things, k) for k rows.
        rows: rows of a record.
        count: things, those beyond the given values included.
        batch: eight runs side by side, a block for each thing.
        filler: what stands in lanes without a thing.
    """
    blocks = count if batch else -(-count // WIDTH)
    table = np.full((len(runs), blocks if batch else blocks * WIDTH, rows), filler)
    for run, values in enumerate(runs):
        for row, numbers in values.items():
            columns = np.asarray(numbers, dtype=np.float64)
            columns = columns[:, None] if columns.ndim == 1 else columns
            table[run, : len(columns), row : row + columns.shape[1]] = columns
    if batch:
        return aligned(table.transpose(1, 2, 0))
    return aligned(table[0].reshape(blocks, WIDTH, rows).transpose(0, 2, 1))
