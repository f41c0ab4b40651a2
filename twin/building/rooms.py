"""A step of the zones of a block: heat into their nodes, what the unit has to meet, and the move to the step's end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.exchange import ZONE_SIZE, of_below, of_table, of_unit
from twin.building.lanes import WIDTH, Lanes, any_of, fill, least, load, most, pick, store
from twin.building.network import AIR, MASS, NODES, SURFACE, WALL
from twin.building.plant import CP
from twin.building.rows import (
    ADDED_W,
    BALANCE_ROWS,
    BOUNDARY,
    BOUNDARY_AIR,
    BOUNDARY_MASS,
    BOUNDARY_WALL,
    CAPACITY,
    CEILING,
    CLOSED_C,
    CO2,
    DISCOMFORT,
    END_C,
    FACE,
    FANS,
    FLOOR,
    FLOOR_W,
    FLOW,
    FREE_C,
    GAIN,
    GROUND_C,
    HEAT,
    INFILTRATION,
    KEEP,
    LAST_C,
    LEAK,
    LIGHTS_TO_AIR,
    MEAN_GAIN,
    MEAN_KEEP,
    NODE,
    OUTDOOR_CO2,
    OUTDOOR_SHARE,
    PEOPLE_TO_AIR,
    PEOPLE_W,
    PER_VOLUME,
    PLENUM_C,
    PLUG_SHARE,
    PLUGS_TO_AIR,
    RESIDUAL,
    RETURNED_W,
    RETURNS,
    RISE,
    ROOM,
    SLAB_C,
    SOLAR_TO_AIR,
    STIFF,
    STUFFY,
    UPWARD_W,
    WALL_RISE,
    WET,
    WIND,
    WINDOW,
    ZONE_ROWS,
    Layout,
)
from twin.building.state import Fixed, State, Surroundings
from twin.units import AIR_DENSITY_KG_M3

Array = NDArray[np.float64]

CO2_M3_S_PERSON = 4.6e-6
"""A seated adult at 120 W. Source: ASHRAE 62.1, 3.82e-8 m³/(s W)."""
LATENT_HEAT_J_KG = 2.501e6
PERSON_W = 120.0
SENSIBLE_FALL_1_K = 0.055
"""Fall of a person's dry heat per kelvin of room air above 24 °C (ASHRAE handbook, seated, light work)."""
SIDES = 5
CHECK_EVERY = 16
"""The heat balance of every zone is checked at every so many steps."""


@compiled
def _row(record: Array, first: int, row: int) -> Lanes:  # pragma: no cover
    """A row of the record that begins at ``first``."""
    return load(record, first + row * WIDTH)


@compiled
def couple(at: Layout, fixed: Fixed, state: State, block: int) -> None:  # pragma: no cover
    """Heat through ceilings and from slabs below, at temperatures of the begin of the step."""
    zones, here, own = state.zones, block * ZONE_SIZE, block * ZONE_ROWS * WIDTH
    upward, from_floor = fill(0.0), fill(0.0)
    if at.plenums:
        plenum_c, slab_c = of_unit(at, state.units, PLENUM_C, block), of_below(at, state.units, SLAB_C, block)
        upward = _row(fixed.zones, own, CEILING) * (_row(zones, here, NODE + SURFACE) - plenum_c)
        from_floor = _row(fixed.zones, own, FLOOR) * (slab_c - _row(zones, here, NODE + MASS))
    store(zones, here + UPWARD_W * WIDTH, upward)
    store(zones, here + FLOOR_W * WIDTH, from_floor)
    store(zones, here + (HEAT + SURFACE) * WIDTH, 0.0 - upward)
    store(zones, here + (HEAT + MASS) * WIDTH, from_floor)


@compiled
def _dry_w(fixed: Fixed, temp_c: Lanes) -> Lanes:  # pragma: no cover
    """Dry heat of a person in a room. [W]"""
    return load(fixed.building, PEOPLE_W * WIDTH) * (1.0 - SENSIBLE_FALL_1_K * (temp_c - 24.0))


@compiled
def _other_w(at: Layout, out: Surroundings, i: int, block: int) -> Lanes:  # pragma: no cover
    if out.other_differs:
        return load(out.other_w, (i * at.zones + block) * WIDTH)
    return of_table(at, out.other_w, i, block, 0.0)


@compiled
def gain_heat(
    at: Layout, fixed: Fixed, out: Surroundings, state: State, i: int, block: int
) -> None:  # pragma: no cover
    """Add boundary and inner heat of zones; part of the heat of lights waits for the return air."""
    zones, here, own, all_of = state.zones, block * ZONE_SIZE, block * ZONE_ROWS * WIDTH, fixed.building
    outdoor_c = out.outdoor_c[i]
    sun, outside = fill(0.0), fill(outdoor_c)
    for side in range(SIDES):
        sun = sun + _row(fixed.zones, own, WINDOW + side) * out.glass_w_m2[i, side]
        outside = outside + _row(fixed.zones, own, FACE + side) * load(state.step, (WALL_RISE + side) * WIDTH)
    dry = least(most(_dry_w(fixed, _row(zones, here, NODE + AIR)), 0.0), PERSON_W)
    people = of_table(at, out.people, i, block, 0.0) * dry
    lights = of_table(at, out.lights_w, i, block, 0.0)
    returned = lights * of_unit(at, state.units, RETURNS, block)
    store(zones, here + RETURNED_W * WIDTH, returned)
    lights = lights - returned
    plugs = of_table(at, out.plugs_w, i, block, 0.0) * _row(fixed.zones, own, PLUG_SHARE)
    sun_in, people_in = sun * load(all_of, SOLAR_TO_AIR * WIDTH), people * load(all_of, PEOPLE_TO_AIR * WIDTH)
    lights_in, plugs_in = lights * load(all_of, LIGHTS_TO_AIR * WIDTH), plugs * load(all_of, PLUGS_TO_AIR * WIDTH)
    air = sun_in + people_in + lights_in + plugs_in
    within = _row(fixed.zones, own, BOUNDARY_AIR) * outdoor_c + _other_w(at, out, i, block)
    surface = _row(zones, here, HEAT + SURFACE) + (sun + people + lights + plugs - air)
    mass = _row(zones, here, HEAT + MASS) + _row(fixed.zones, own, BOUNDARY_MASS) * load(state.step, GROUND_C * WIDTH)
    store(zones, here + (HEAT + AIR) * WIDTH, air + within)
    store(zones, here + (HEAT + SURFACE) * WIDTH, surface)
    store(zones, here + (HEAT + MASS) * WIDTH, mass)
    store(zones, here + (HEAT + WALL) * WIDTH, _row(fixed.zones, own, BOUNDARY_WALL) * outside)


@compiled
def _moved(matrix: Array, keep: int, gain: int, zones: Array, here: int, node: int) -> Lanes:  # pragma: no cover
    """A node's temperature from those at the begin and the heat into all nodes, by a pair of matrices."""
    total = fill(0.0)
    for other in range(NODES):
        entry = node * NODES + other
        total = total + load(matrix, keep + entry * WIDTH) * load(zones, here + (NODE + other) * WIDTH)
        total = total + load(matrix, gain + entry * WIDTH) * load(zones, here + (HEAT + other) * WIDTH)
    return total


@compiled
def float_free(at: Layout, fixed: Fixed, state: State, outdoor_c: float, block: int) -> None:  # pragma: no cover
    """Air temperature at the end of the step without a unit, and its rise per watt, infiltration included."""
    zones, here, own = state.zones, block * ZONE_SIZE, block * ZONE_ROWS * WIDTH
    wind = load(state.step, WIND * WIDTH)
    leak = _row(fixed.zones, own, INFILTRATION) * wind * of_unit(at, state.units, FANS, block)
    free = _moved(fixed.zones, own + KEEP * WIDTH, own + GAIN * WIDTH, zones, here, AIR)
    store(zones, here + CLOSED_C * WIDTH, free)
    alone = _row(fixed.zones, own, GAIN)
    share = 1.0 / (1.0 + alone * leak)
    free = (free + alone * leak * outdoor_c) * share
    rise = alone * share
    store(zones, here + LEAK * WIDTH, leak)
    store(zones, here + FREE_C * WIDTH, free)
    store(zones, here + RISE * WIDTH, rise)
    store(zones, here + STIFF * WIDTH, 1.0 / rise)
    store(zones, here + END_C * WIDTH, free)
    for row in (FLOW, ROOM, ADDED_W):
        store(zones, here + row * WIDTH, fill(0.0))


@compiled
def impose(at: Layout, out: Surroundings, zones: Array, i: int, block: int) -> None:  # pragma: no cover
    """Measured supply air takes the place of the simulated one where it is known."""
    here = block * ZONE_SIZE
    flow = of_table(at, out.given_flow, i, block, np.nan)
    supply_c = of_table(at, out.given_supply_c, i, block, np.nan)
    known = (flow == flow) & (supply_c == supply_c)  # noqa: PLR0124
    w_k, rise = flow * CP, _row(zones, here, RISE)
    end = (_row(zones, here, FREE_C) + rise * w_k * supply_c) / (1.0 + rise * w_k)
    store(zones, here + END_C * WIDTH, pick(known, end, _row(zones, here, END_C)))
    store(zones, here + ADDED_W * WIDTH, pick(known, w_k * (supply_c - end), _row(zones, here, ADDED_W)))
    store(zones, here + FLOW * WIDTH, pick(known, flow, _row(zones, here, FLOW)))
    store(zones, here + ROOM * WIDTH, _row(zones, here, FLOW) * _row(zones, here, END_C))


@compiled
def _breathe(
    at: Layout, fixed: Fixed, out: Surroundings, state: State, people: Lanes, block: int
) -> None:  # pragma: no cover
    """CO₂ at the end of the step: people against infiltration and the outdoor air in the supply; water from people."""
    zones, here, own = state.zones, block * ZONE_SIZE, block * ZONE_ROWS * WIDTH
    changes = _row(fixed.zones, own, PER_VOLUME)
    fresh = _row(zones, here, FLOW) * of_unit(at, state.units, OUTDOOR_SHARE, block)
    turnover = (_row(zones, here, LEAK) * (1.0 / CP) + fresh) * (1.0 / AIR_DENSITY_KG_M3) * changes
    source = people * (CO2_M3_S_PERSON * 1e6) * changes
    ppm = _row(zones, here, CO2) + source + turnover * load(fixed.building, OUTDOOR_CO2 * WIDTH)
    store(zones, here + CO2 * WIDTH, ppm / (1.0 + turnover))
    wet_w = most(PERSON_W - _dry_w(fixed, _row(zones, here, END_C)), 0.0)
    store(zones, here + WET * WIDTH, people * wet_w * (1.0 / LATENT_HEAT_J_KG))


@compiled
def _note_comfort(out: Surroundings, zones: Array, people: Lanes, here: int) -> None:  # pragma: no cover
    """Add up how far zones are outside the comfort band, and steps above the CO₂ limit, while people are in them."""
    temp_c, there = _row(zones, here, END_C), people > 0.0
    outside = most(out.comfort[0] - temp_c, 0.0) + most(temp_c - out.comfort[1], 0.0)
    stuffy = there & (_row(zones, here, CO2) > out.comfort[2])
    store(zones, here + DISCOMFORT * WIDTH, _row(zones, here, DISCOMFORT) + pick(there, outside, 0.0))
    store(zones, here + STUFFY * WIDTH, _row(zones, here, STUFFY) + pick(stuffy, 1.0, 0.0))


@compiled
def _check_balance(fixed: Fixed, zones: Array, block: int) -> None:  # pragma: no cover
    """Keep the largest of heat stored minus heat in plus heat lost to the boundaries, before the step is made. [W]"""
    here, own, check = block * ZONE_SIZE, block * ZONE_ROWS * WIDTH, block * BALANCE_ROWS * WIDTH
    error = fill(0.0)
    for node in range(NODES):
        after = _moved(fixed.zones, own + KEEP * WIDTH, own + GAIN * WIDTH, zones, here, node)
        mean = _moved(fixed.balance, check + MEAN_KEEP * WIDTH, check + MEAN_GAIN * WIDTH, zones, here, node)
        stored = _row(fixed.balance, check, CAPACITY + node) * (after - _row(zones, here, NODE + node)) / fixed.step_s
        lost = _row(fixed.balance, check, BOUNDARY + node) * mean
        error = error + (stored - _row(zones, here, HEAT + node) + lost)
    worst = most(most(error, 0.0 - error), _row(zones, here, RESIDUAL))
    store(zones, here + RESIDUAL * WIDTH, worst)


@compiled
def finish(at: Layout, fixed: Fixed, out: Surroundings, state: State, i: int, block: int) -> None:  # pragma: no cover
    """Add what units and infiltration bring, and move zones to the end of the step."""
    zones, here, own = state.zones, block * ZONE_SIZE, block * ZONE_ROWS * WIDTH
    if i < out.given_flow.shape[0]:
        impose(at, out, zones, i, block)
    people = of_table(at, out.people, i, block, 0.0)
    _breathe(at, fixed, out, state, people, block)
    end = _row(zones, here, END_C)
    added = _row(zones, here, ADDED_W) + _row(zones, here, LEAK) * (out.outdoor_c[i] - end)
    air = _row(zones, here, CLOSED_C) + _row(fixed.zones, own, GAIN) * added
    store(zones, here + (HEAT + AIR) * WIDTH, _row(zones, here, HEAT + AIR) + added)
    if i % CHECK_EVERY == 0:
        _check_balance(fixed, zones, block)
    keep, gain = own + KEEP * WIDTH, own + GAIN * WIDTH
    surface = _moved(fixed.zones, keep, gain, zones, here, SURFACE)
    mass = _moved(fixed.zones, keep, gain, zones, here, MASS)
    wall = _moved(fixed.zones, keep, gain, zones, here, WALL)
    store(zones, here + (NODE + AIR) * WIDTH, air)
    store(zones, here + (NODE + SURFACE) * WIDTH, surface)
    store(zones, here + (NODE + MASS) * WIDTH, mass)
    store(zones, here + (NODE + WALL) * WIDTH, wall)
    store(zones, here + LAST_C * WIDTH, end)
    if at.batch and any_of(people > 0.0):
        _note_comfort(out, zones, people, here)
