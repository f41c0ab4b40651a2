"""The fused step loop: controller, units and zones of a whole building, from one discrete event to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.control import BY_SCHEDULE, decide
from twin.building.exchange import (
    UNIT_SIZE,
    ZONE_SIZE,
    add_above,
    add_power,
    add_two,
    share_heat,
)
from twin.building.lanes import WIDTH, fill, load, pick, store, store_first
from twin.building.network import SURFACE
from twin.building.packaged import gather_constant, run_constant
from twin.building.plant import CP
from twin.building.program_records import ProgramRecords
from twin.building.rooms import SIDES, couple, finish, float_free, gain_heat
from twin.building.rows import (
    ABSORPTANCE_R,
    AIR_STORE,
    CEILING_W,
    CO2,
    COOLING_C,
    END_C,
    FANS,
    FANS_ON_FACTOR,
    FLOOR_W,
    FLOW,
    FLOW_SUM,
    GROUND_C,
    GROUND_MEAN_C,
    GROUND_SWING_K,
    HAS_PLENUM,
    HEAT,
    HEATING_C,
    IS_VAV,
    LEAK_SUM,
    LIGHTS_TO_RETURN,
    LIGHTS_W,
    MODE,
    NODE,
    OUTDOOR_SHARE,
    PLENUM_BASE,
    PLENUM_C,
    PLENUM_LEAK,
    PLENUM_OUT,
    PLENUM_ROOF,
    PLENUM_SLAB,
    PLENUM_STORE,
    PLENUM_SUM,
    POWER,
    RATIO,
    RETURNED_W,
    RETURNS,
    ROOM_SUM,
    RUN,
    SKY_K,
    SLAB_C,
    SLAB_RATE,
    SLAB_W,
    SUPPLY_C,
    SUPPLY_RATIO,
    UNIT_FLOW,
    UNIT_ROWS,
    VAV_ON,
    WALL_RISE,
    WET,
    WET_SUM,
    WIND,
    WIND_FACTOR,
    Layout,
)
from twin.building.state import Fixed, Series, State, Surroundings
from twin.building.units import plenum_after_c, run_vav

Array = NDArray[np.float64]


@compiled
def _weather(fixed: Fixed, out: Surroundings, step: Array, i: int) -> None:  # pragma: no cover
    """What the weather of a step gives to all zones alike."""
    all_of = fixed.building
    store(step, WIND * WIDTH, 1.0 + load(all_of, WIND_FACTOR * WIDTH) * out.wind_m_s[i])
    swing = load(all_of, GROUND_SWING_K * WIDTH) * out.ground_wave[i]
    store(step, GROUND_C * WIDTH, load(all_of, GROUND_MEAN_C * WIDTH) + swing)
    for side in range(SIDES):
        rise = load(all_of, ABSORPTANCE_R * WIDTH) * out.opaque_w_m2[i, side] - load(all_of, SKY_K * WIDTH)
        store(step, (WALL_RISE + side) * WIDTH, rise)


@compiled
def _set_fans(fixed: Fixed, units: Array, block: int) -> None:  # pragma: no cover
    """What the running of fans does to infiltration and to the heat of lights."""
    here, all_of = block * UNIT_SIZE, fixed.building
    mode = load(units, here + MODE * WIDTH)
    store(units, here + FANS * WIDTH, pick(mode == BY_SCHEDULE, load(all_of, FANS_ON_FACTOR * WIDTH), 1.0))
    plenum = load(fixed.units, (block * UNIT_ROWS + HAS_PLENUM) * WIDTH) > 0.5
    share = pick(plenum | (mode > 0.5), load(all_of, LIGHTS_TO_RETURN * WIDTH), 0.0)
    store(units, here + RETURNS * WIDTH, share)


@compiled
def _open_plenums(fixed: Fixed, state: State, outdoor_c: float, block: int) -> None:  # pragma: no cover
    """Heat that acts on the plenums of a block of units, but for return air."""
    units, here, own, all_of = state.units, block * UNIT_SIZE, block * UNIT_ROWS * WIDTH, fixed.units
    plenum_c = load(units, here + PLENUM_C * WIDTH)
    leak = load(all_of, own + PLENUM_LEAK * WIDTH) * load(state.step, WIND * WIDTH) * load(units, here + FANS * WIDTH)
    walls = load(state.step, WALL_RISE * WIDTH)
    for side in range(1, 4):
        walls = walls + load(state.step, (WALL_RISE + side) * WIDTH)
    roof, outer = load(all_of, own + PLENUM_ROOF * WIDTH), load(all_of, own + PLENUM_OUT * WIDTH)
    rise = roof * load(state.step, (WALL_RISE + 4) * WIDTH) + (1.0 - roof) * 0.25 * walls
    held, slab = load(all_of, own + PLENUM_STORE * WIDTH), load(all_of, own + PLENUM_SLAB * WIDTH)
    base = held * plenum_c + slab * load(units, here + SLAB_C * WIDTH) + outer * (outdoor_c + rise) + leak * outdoor_c
    base = base + load(units, here + LIGHTS_W * WIDTH) + load(units, here + CEILING_W * WIDTH)
    store(units, here + PLENUM_BASE * WIDTH, base)
    store(units, here + PLENUM_SUM * WIDTH, held + slab + outer + leak)


@compiled
def _open(fixed: Fixed, units: Array, block: int) -> None:  # pragma: no cover
    """Set the air of a block of units to the begin of the step, fans off; tell which have boxes to run."""
    here = block * UNIT_SIZE
    store(units, here + SUPPLY_RATIO * WIDTH, load(units, here + RATIO * WIDTH))
    store(units, here + SUPPLY_C * WIDTH, load(units, here + PLENUM_C * WIDTH))
    vav = load(fixed.units, (block * UNIT_ROWS + IS_VAV) * WIDTH) > 0.5
    on = vav & (load(units, here + MODE * WIDTH) > 0.5)
    store(units, here + VAV_ON * WIDTH, pick(on, 1.0, 0.0))
    nothing = fill(0.0)
    for row in (UNIT_FLOW, OUTDOOR_SHARE, RUN, POWER, POWER + 1, POWER + 2, POWER + 3):
        store(units, here + row * WIDTH, nothing)


@compiled
def _prepare(at: Layout, fixed: Fixed, out: Surroundings, state: State, i: int) -> None:  # pragma: no cover
    """Heat into all nodes that does not depend on the units in this step, and the zones' answer to it."""
    zones, units = state.zones, state.units
    _weather(fixed, out, state.step, i)
    for block in range(at.unit_blocks):
        _set_fans(fixed, units, block)
    for block in range(at.zone_blocks):
        couple(at, fixed, state, block)
    share_heat(at, fixed.pair_w_k, zones, NODE + SURFACE, HEAT + SURFACE)
    for block in range(at.zone_blocks):
        gain_heat(at, fixed, out, state, i, block)
        float_free(at, fixed, state, out.outdoor_c[i], block)
    for u in range(at.units):
        add_two(at, zones, RETURNED_W, units, LIGHTS_W, u)
        if at.plenums:
            add_above(at, zones, FLOOR_W, units, SLAB_W, u)


@compiled
def _run_units(at: Layout, fixed: Fixed, out: Surroundings, state: State, i: int) -> None:  # pragma: no cover
    """All units of a step, and what that does to their zones."""
    outdoor = (out.outdoor_c[i], out.outdoor_ratio[i])
    for block in range(at.unit_blocks):
        _open(fixed, state.units, block)
        if at.plenums:
            _open_plenums(fixed, state, outdoor[0], block)
    if at.vav:
        for block in range(at.unit_blocks):
            run_vav(at, fixed, state, outdoor, block)
    if at.constant:
        for block in range(at.zone_blocks):
            run_constant(at, fixed, state, outdoor, block)
        for block in range(at.unit_blocks):
            gather_constant(at, fixed, state, block)


@compiled
def _settle_air(at: Layout, fixed: Fixed, state: State, outdoor_ratio: float, block: int) -> None:  # pragma: no cover
    """Move plenum air, slabs and the humidity ratio of a block of units to the end of the step."""
    zones, units, here, own = state.zones, state.units, block * UNIT_SIZE, block * UNIT_ROWS * WIDTH
    for u in range(at.first_unit[block], at.first_unit[block + 1]):
        add_two(at, zones, WET, units, WET_SUM, u)
        if at.plenums:
            add_two(at, zones, FLOW, units, FLOW_SUM, u)
    if at.plenums:
        plenum = load(fixed.units, own + HAS_PLENUM * WIDTH) > 0.5
        before, slab_c = load(units, here + PLENUM_C * WIDTH), load(units, here + SLAB_C * WIDTH)
        after = plenum_after_c(units, here, load(units, here + FLOW_SUM * WIDTH), load(units, here + ROOM_SUM * WIDTH))
        given = load(fixed.units, own + PLENUM_SLAB * WIDTH) * (after - slab_c) - load(units, here + SLAB_W * WIDTH)
        warmed = slab_c + given * load(fixed.units, own + SLAB_RATE * WIDTH)
        store(units, here + PLENUM_C * WIDTH, pick(plenum, after, before))
        store(units, here + SLAB_C * WIDTH, pick(plenum, warmed, slab_c))
    leak, flow = load(units, here + LEAK_SUM * WIDTH) * (1.0 / CP), load(units, here + UNIT_FLOW * WIDTH)
    held = load(fixed.units, own + AIR_STORE * WIDTH)
    wet = held * load(units, here + RATIO * WIDTH) + load(units, here + WET_SUM * WIDTH) + leak * outdoor_ratio
    wet = wet + flow * load(units, here + SUPPLY_RATIO * WIDTH)
    store(units, here + RATIO * WIDTH, wet / (held + leak + flow))


@compiled
def _write(table: Array, i: int, records: Array, size: int, row: int, block: int) -> None:  # pragma: no cover
    """A row of a block of zones or units into row ``i`` of a series, if it is kept."""
    if i >= table.shape[0]:
        return
    width, first = table.shape[1], block * WIDTH
    count = min(width - first, WIDTH)
    store_first(table, i * width + first, count, load(records, block * size + row * WIDTH))


@compiled
def _record(at: Layout, state: State, series: Series, i: int) -> None:  # pragma: no cover
    for block in range(at.zone_blocks):
        _write(series.zone_c, i, state.zones, ZONE_SIZE, END_C, block)
        _write(series.heating_c, i, state.zones, ZONE_SIZE, HEATING_C, block)
        _write(series.cooling_c, i, state.zones, ZONE_SIZE, COOLING_C, block)
        _write(series.co2_ppm, i, state.zones, ZONE_SIZE, CO2, block)
        _write(series.zone_flow, i, state.zones, ZONE_SIZE, FLOW, block)
    for block in range(at.unit_blocks):
        _write(series.run, i, state.units, UNIT_SIZE, RUN, block)
        _write(series.supply_c, i, state.units, UNIT_SIZE, SUPPLY_C, block)
        _write(series.flow, i, state.units, UNIT_SIZE, UNIT_FLOW, block)
        _write(series.outdoor_share, i, state.units, UNIT_SIZE, OUTDOOR_SHARE, block)


@compiled
def advance(
    first: int,
    last: int,
    at: Layout,
    program: ProgramRecords,
    fixed: Fixed,
    out: Surroundings,
    state: State,
    series: Series,
) -> None:  # pragma: no cover
    """Advance steps ``first`` to ``last`` − 1 and record them in ``series``; ``state`` changes in place."""
    for i in range(first, last):
        decide(at, program, i, out.people, state.people_row[0], state.zones, state.units)
        _prepare(at, fixed, out, state, i)
        _run_units(at, fixed, out, state, i)
        for block in range(at.zone_blocks):
            finish(at, fixed, out, state, i, block)
        for block in range(at.unit_blocks):
            _settle_air(at, fixed, state, out.outdoor_ratio[i], block)
        state.people_row[0] = i
        add_power(at, state.units, POWER, series.power_w, i)
        if not at.batch:
            _record(at, state, series, i)
