"""One step of units with VAV boxes: what air they send, what heat it gives, what that takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.exchange import UNIT_SIZE, ZONE_SIZE, add_members, add_two, of_unit
from twin.building.lanes import WIDTH, Lanes, Mask, any_of, fill, least, load, most, pick, store
from twin.building.plant import (
    COOLING,
    CP,
    FAN,
    HEATING_ELECTRIC,
    HEATING_GAS,
    NO_HEAT,
    Law,
    capacity_w,
    coil_heat_w,
    cooling_power_w,
    electricity_for,
    fan_power_w,
    gas_for,
    leaving_ratio,
    wet_bulb_at_plant_c,
)
from twin.building.rows import (
    ADDED_W,
    COOLING_C,
    END_C,
    FLOW,
    FLOW_SUM,
    FREE_C,
    FREE_COOLING,
    HAS_PLENUM,
    HEATING_C,
    LEAST_FLOW,
    LIGHTS_W,
    MOST_FLOW,
    ORDER_C,
    ORDER_SHARE,
    OUTDOOR_SHARE,
    PLENUM_BASE,
    PLENUM_SUM,
    POWER,
    RATIO,
    REHEAT,
    REHEAT_SUM,
    REHEAT_W,
    RISE,
    ROOM,
    ROOM_SUM,
    RUN,
    STIFF,
    SUPPLY_C,
    SUPPLY_RATIO,
    TRIAL_C,
    UNIT_FLOW,
    UNIT_ROWS,
    VAV_ON,
    ZONE_ROWS,
    Layout,
)
from twin.building.state import Fixed, State

Array = NDArray[np.float64]

REACHED_K = 0.02
"""A supply temperature is found when the coils reach it within this."""
TRIALS = 3


@compiled
def law_at(record: Array, first: int) -> Law:  # pragma: no cover
    """The numbers of eight units from the record that begins at ``first``."""
    return Law(
        load(record, first),
        load(record, first + WIDTH),
        load(record, first + 2 * WIDTH),
        load(record, first + 3 * WIDTH),
        load(record, first + 4 * WIDTH),
        load(record, first + 5 * WIDTH),
        load(record, first + 6 * WIDTH),
        load(record, first + 7 * WIDTH),
        load(record, first + 8 * WIDTH),
        load(record, first + 9 * WIDTH),
        load(record, first + 10 * WIDTH),
        load(record, first + 11 * WIDTH),
        load(record, first + 12 * WIDTH),
        load(record, first + 13 * WIDTH),
        load(record, first + 14 * WIDTH),
        load(record, first + 15 * WIDTH),
        load(record, first + 16 * WIDTH),
        load(record, first + 17 * WIDTH),
        load(record, first + 18 * WIDTH),
    )


@compiled
def end_c(free_c: Lanes, rise: Lanes, w_k: Lanes, supply_c: Lanes, extra_w: Lanes) -> Lanes:  # pragma: no cover
    """Air temperature at the end of the step with an air flow [W/K] and extra heat. [°C]"""
    return (free_c + rise * (w_k * supply_c + extra_w)) / (1.0 + rise * w_k)


@compiled
def _set_boxes(at: Layout, fixed: Fixed, state: State, block: int) -> None:  # pragma: no cover
    """Flow and reheat of the VAV boxes of a block of zones at the supply temperature on trial."""
    zones, here, own = state.zones, block * ZONE_SIZE, block * ZONE_ROWS * WIDTH
    on = of_unit(at, state.units, VAV_ON, block) > 0.5
    supply_c = of_unit(at, state.units, TRIAL_C, block)
    free_c, rise = load(zones, here + FREE_C * WIDTH), load(zones, here + RISE * WIDTH)
    stiff = load(zones, here + STIFF * WIDTH)
    heating_c, cooling_c = load(zones, here + HEATING_C * WIDTH), load(zones, here + COOLING_C * WIDTH)
    low, high = load(fixed.zones, own + LEAST_FLOW * WIDTH), load(fixed.zones, own + MOST_FLOW * WIDTH)
    at_least = end_c(free_c, rise, low * CP, supply_c, 0.0)
    warm = (at_least > cooling_c) & (cooling_c > supply_c)
    cold = at_least < heating_c
    wanted = (cooling_c - free_c) * stiff / (CP * (supply_c - cooling_c))
    flow = pick(warm, least(most(wanted, low), high), low)
    wanted = (heating_c - free_c) * stiff - low * CP * (supply_c - heating_c)
    reheat = pick(cold, least(most(wanted, 0.0), load(fixed.zones, own + REHEAT_W * WIDTH)), 0.0)
    w_k = flow * CP
    end = pick(on, end_c(free_c, rise, w_k, supply_c, reheat), free_c)
    flow = pick(on, flow, 0.0)
    store(zones, here + END_C * WIDTH, end)
    store(zones, here + FLOW * WIDTH, flow)
    store(zones, here + ROOM * WIDTH, flow * end)
    store(zones, here + REHEAT * WIDTH, pick(on, reheat, 0.0))
    store(zones, here + ADDED_W * WIDTH, pick(on, w_k * (supply_c - end) + reheat, 0.0))


@compiled
def plenum_after_c(units: Array, here: int, flow: Lanes, room: Lanes) -> Lanes:  # pragma: no cover
    """Plenum air at the end of the step, from return air, lights, ceilings, slab and outdoors. [°C]

    ``room`` is the sum of flow times temperature of the rooms that the air comes from. [kg K/s]
    """
    base, sum_w_k = load(units, here + PLENUM_BASE * WIDTH), load(units, here + PLENUM_SUM * WIDTH)
    return (base + CP * room) / (sum_w_k + CP * flow)


@compiled
def mixing(
    law: Law, flow: Lanes, share: Lanes, back_c: Lanes, outdoor_c: float, wanted_c: Lanes, economizer: Mask
) -> Lanes:  # pragma: no cover
    """Share of outdoor air: the minimum, or more while it is colder than return air and the mix too warm."""
    minimum = least(share * law.outdoor_air / flow, 1.0)
    free = economizer & (back_c > outdoor_c) & (back_c > wanted_c)
    wanted = (back_c - wanted_c) / (back_c - outdoor_c)
    return pick(free, least(most(wanted, minimum), 1.0), minimum)


@compiled
def _condition(
    law: Law, flow: Lanes, mix: tuple[Lanes, Lanes], wanted_c: Lanes, outdoor_c: float, wet_c: Lanes
) -> tuple[Lanes, Lanes, Lanes, Lanes]:  # pragma: no cover
    """Cool or heat mixed air towards ``wanted_c`` within capacity.

    Returns:
        Temperature and humidity ratio behind the coils, electric power of cooling and heat given. [°C, kg/kg, W, W]
    """
    mix_c, mix_ratio = mix
    reached, ratio, power, heat = mix_c, mix_ratio, fill(0.0), fill(0.0)
    cools = (mix_c > wanted_c) & (law.cools > 0.5)
    if any_of(cools):
        full = capacity_w(law, outdoor_c, wet_c)
        dried = mix_ratio - leaving_ratio(law, mix_c, mix_ratio, wanted_c)
        taken = coil_heat_w(flow, mix_c - wanted_c, dried)
        part = least(full / taken, 1.0)
        power = pick(cools, cooling_power_w(law, taken * part, full, outdoor_c, wet_c), 0.0)
        ratio = pick(cools, mix_ratio - part * dried, ratio)
        reached = pick(cools, mix_c - part * (mix_c - wanted_c), reached)
    heats = (mix_c < wanted_c) & (law.heat_kind > NO_HEAT)
    if any_of(heats):
        heat = pick(heats, least(flow * CP * (wanted_c - mix_c), law.heating_w), 0.0)
        reached = pick(heats, mix_c + heat / (flow * CP), reached)
    return reached, ratio, power, heat


@compiled
def _return_c(
    at: Layout, fixed: Fixed, units: Array, block: int, flow: Lanes, room: Lanes
) -> Lanes:  # pragma: no cover
    """Air that comes back to the units of a block. [°C]"""
    here = block * UNIT_SIZE
    direct = (room + load(units, here + LIGHTS_W * WIDTH) * (1.0 / CP)) / flow
    if not at.plenums:
        return direct
    plenum = load(fixed.units, (block * UNIT_ROWS + HAS_PLENUM) * WIDTH) > 0.5
    return pick(plenum, plenum_after_c(units, here, flow, room), direct)


@compiled
def _try_supply(
    at: Layout, fixed: Fixed, state: State, outdoor: tuple[float, float], wet: tuple[Mask, Lanes], block: int
) -> tuple[Lanes, Mask, Lanes]:  # pragma: no cover
    """Run boxes and coils of a block of units at the supply temperatures on trial.

    Returns:
        The temperature that is reached; where a wet bulb is known by now, and it. [°C]
    """
    units, here = state.units, block * UNIT_SIZE
    outdoor_c, outdoor_ratio = outdoor
    known, wet_c = wet
    for k in range(at.served_first[block], at.served_first[block + 1]):
        _set_boxes(at, fixed, state, at.served[k])
    for u in range(at.first_unit[block], at.first_unit[block + 1]):
        add_two(at, state.zones, FLOW, units, FLOW_SUM, u)
        add_members(at, state.zones, REHEAT, units, REHEAT_SUM, u)
    law = law_at(fixed.units, block * UNIT_ROWS * WIDTH)
    on = load(units, here + VAV_ON * WIDTH) > 0.5
    flow, room = load(units, here + FLOW_SUM * WIDTH), load(units, here + ROOM_SUM * WIDTH)
    fan_w = fan_power_w(law, flow)
    fan_k = fan_w / (flow * CP)
    back_c = _return_c(at, fixed, units, block, flow, room)
    wanted_c = load(units, here + ORDER_C * WIDTH) - fan_k
    free_cooling = load(units, here + FREE_COOLING * WIDTH) > 0.5
    x = mixing(law, flow, load(units, here + ORDER_SHARE * WIDTH), back_c, outdoor_c, wanted_c, free_cooling)
    own_ratio = load(units, here + RATIO * WIDTH)
    mix_ratio, mix_c = own_ratio + x * (outdoor_ratio - own_ratio), back_c + x * (outdoor_c - back_c)
    asked = on & (mix_c > wanted_c) & ~known
    if any_of(asked):
        wet_c = pick(asked, wet_bulb_at_plant_c(law, (mix_c, mix_ratio), outdoor), wet_c)
    reached, ratio, power, heat = _condition(law, flow, (mix_c, mix_ratio), wanted_c, outdoor_c, wet_c)
    reheat = load(units, here + REHEAT_SUM * WIDTH)
    electric = electricity_for(law, law.heat_kind, heat, outdoor_c)
    electric = electric + electricity_for(law, law.reheat_kind, reheat, outdoor_c)
    gas = gas_for(law, law.heat_kind, heat) + gas_for(law, law.reheat_kind, reheat)
    store(units, here + UNIT_FLOW * WIDTH, pick(on, flow, 0.0))
    store(units, here + OUTDOOR_SHARE * WIDTH, pick(on, x, 0.0))
    store(units, here + SUPPLY_RATIO * WIDTH, pick(on, ratio, own_ratio))
    store(units, here + (POWER + FAN) * WIDTH, pick(on, fan_w, 0.0))
    store(units, here + (POWER + COOLING) * WIDTH, pick(on, power, 0.0))
    store(units, here + (POWER + HEATING_ELECTRIC) * WIDTH, pick(on, electric, 0.0))
    store(units, here + (POWER + HEATING_GAS) * WIDTH, pick(on, gas, 0.0))
    return reached + fan_k, known | asked, wet_c


@compiled
def run_vav(
    at: Layout, fixed: Fixed, state: State, outdoor: tuple[float, float], block: int
) -> None:  # pragma: no cover
    """The running air handlers with VAV boxes of a block of units.

    Trials go on until every unit has found its supply temperature; one that has found it stays as it is.

    Args:
        at: who stands where.
        fixed: numbers of zones and units.
        state: changed in place.
        outdoor: outdoor temperature [°C] and humidity ratio.
        block: which units.
    """
    units, here = state.units, block * UNIT_SIZE
    on = load(units, here + VAV_ON * WIDTH) > 0.5
    if not any_of(on):
        return
    supply_c = load(units, here + ORDER_C * WIDTH)
    found, wet_known, wet_c = ~on, ~on, fill(0.0)
    for _ in range(TRIALS):
        store(units, here + TRIAL_C * WIDTH, supply_c)
        reached, wet_known, wet_c = _try_supply(at, fixed, state, outdoor, (wet_known, wet_c), block)
        miss = reached - supply_c
        found = found | (most(miss, 0.0 - miss) < REACHED_K)
        supply_c = pick(found, supply_c, reached)
        if not any_of(~found):
            break
    store(units, here + SUPPLY_C * WIDTH, pick(on, supply_c, load(units, here + SUPPLY_C * WIDTH)))
    store(units, here + RUN * WIDTH, pick(on, 1.0, 0.0))
