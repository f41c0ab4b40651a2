"""One step of units with a constant air volume and coils that cycle, side by side by the zones that they serve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.control import BY_NIGHT_CYCLE
from twin.building.exchange import UNIT_SIZE, ZONE_SIZE, add_members, of_unit, take_last
from twin.building.lanes import WIDTH, Lanes, any_of, fill, least, load, most, pick, store
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
    DESIGN_FLOW,
    END_C,
    FLOW,
    FOLLOWS_LOAD,
    FREE_C,
    FREE_COOLING,
    HEATING_C,
    IS_CONSTANT,
    IS_VAV,
    LAW_OF_ZONE_ROWS,
    LIGHTS_W,
    MODE,
    MOIST_RATIO,
    NIGHT_FAN_CYCLES,
    ORDER_SHARE,
    OUTDOOR_SHARE,
    POWER,
    POWER_OF_ZONE,
    RATIO,
    RISE,
    ROOM,
    RUN,
    SHARE_OF_ZONE,
    SUPPLY_C,
    SUPPLY_OF_ZONE,
    SUPPLY_RATIO,
    UNIT_FLOW,
    UNIT_ROWS,
    Layout,
)
from twin.building.state import Fixed, State
from twin.building.units import end_c, law_at

Array = NDArray[np.float64]

LEAST_FAN = 0.1
"""Share of its flow that a fan which follows the load moves without any."""


@compiled
def _heat_for(free_c: Lanes, rise: Lanes, fresh: Lanes, outdoor_c: float, wanted_c: Lanes) -> Lanes:  # pragma: no cover
    """Heat that stream and coils must add so that the zone ends at ``wanted_c``; ``fresh`` outdoor air [W/K]. [W]"""
    return (wanted_c * (1.0 + rise * fresh) - free_c) / rise - fresh * outdoor_c


@compiled
def _free_cooling_share(
    room: tuple[Lanes, Lanes, Lanes], w_k: Lanes, x: Lanes, outdoor_c: float, stream_w: Lanes
) -> Lanes:  # pragma: no cover
    """Outdoor air share at which an economizer alone holds the cooling setpoint, within [x, 1]."""
    free_c, rise, wanted_c = room
    warm = end_c(free_c, rise, w_k * x, fill(outdoor_c), stream_w) > wanted_c
    share = (wanted_c - free_c - rise * stream_w) / (rise * w_k * (outdoor_c - wanted_c))
    return pick(warm & (wanted_c > outdoor_c), least(most(share, x), 1.0), x)


@compiled
def _cool(
    law: Law, flow: Lanes, need: tuple[Lanes, Lanes], mix: tuple[Lanes, Lanes], outdoor: tuple[float, float]
) -> tuple[Lanes, Lanes, Lanes, Lanes]:  # pragma: no cover
    """A cycling coil against heat [W] and that of a fan which cycles with it [W].

    Sensible heat taken, humidity ratio behind it, power, share of the time that it runs. [W, kg/kg, W, 1]
    """
    (mix_c, mix_ratio), outdoor_c = mix, outdoor[0]
    wet_c = wet_bulb_at_plant_c(law, mix, outdoor)
    full = capacity_w(law, outdoor_c, wet_c)
    cold_c = mix_c - 0.75 * full / (flow * CP)
    dried = mix_ratio - leaving_ratio(law, mix_c, mix_ratio, cold_c)
    sensible = flow * CP * (mix_c - cold_c)
    sensible = full * (sensible / most(coil_heat_w(flow, mix_c - cold_c, dried), 1.0))
    run = least(need[0] / most(sensible - need[1], 1.0), 1.0)
    return run * sensible, mix_ratio - run * dried, cooling_power_w(law, run * full, full, outdoor_c, wet_c), run


@compiled
def run_constant(
    at: Layout, fixed: Fixed, state: State, outdoor: tuple[float, float], block: int
) -> None:  # pragma: no cover
    """Zones of a block whose unit has a constant air volume; arguments as in ``run_vav``, block of zones."""
    zones, here, own = state.zones, block * ZONE_SIZE, block * LAW_OF_ZONE_ROWS * WIDTH
    outdoor_c, outdoor_ratio = outdoor
    constant = load(fixed.laws, own + IS_CONSTANT * WIDTH) > 0.5
    mode = of_unit(at, state.units, MODE, block)
    on = constant & (mode > 0.5)
    if not any_of(on):
        return
    law, flow = law_at(fixed.laws, own), load(fixed.laws, own + DESIGN_FLOW * WIDTH)
    free_c, rise = load(zones, here + FREE_C * WIDTH), load(zones, here + RISE * WIDTH)
    heating_c, cooling_c = load(zones, here + HEATING_C * WIDTH), load(zones, here + COOLING_C * WIDTH)
    w_k, fan_w = flow * CP, fan_power_w(law, flow)
    by_night = pick(mode == BY_NIGHT_CYCLE, load(fixed.laws, own + NIGHT_FAN_CYCLES * WIDTH), 0.0)
    cycles = pick(load(fixed.laws, own + FOLLOWS_LOAD * WIDTH) > 0.5, 1.0 - LEAST_FAN, by_night)
    stream_w = fan_w * (1.0 - cycles) + of_unit(at, state.units, LIGHTS_W, block)
    x = least(of_unit(at, state.units, ORDER_SHARE, block) * law.outdoor_air / flow, 1.0)
    free_cooling = of_unit(at, state.units, FREE_COOLING, block) > 0.5
    x = pick(free_cooling, _free_cooling_share((free_c, rise, cooling_c), w_k, x, outdoor_c, stream_w), x)
    end = end_c(free_c, rise, w_k * x, fill(outdoor_c), stream_w)
    own_ratio = of_unit(at, state.units, RATIO, block)
    mix_ratio = own_ratio + x * (outdoor_ratio - own_ratio)
    ratio, coil_w, run, power, heat = mix_ratio, fill(0.0), fill(0.0), fill(0.0), fill(0.0)
    hot = on & (end > cooling_c) & (law.cools > 0.5)
    if any_of(hot):
        need = (stream_w - _heat_for(free_c, rise, w_k * x, outdoor_c, cooling_c), cycles * fan_w)
        mix = (cooling_c + x * (outdoor_c - cooling_c), mix_ratio)
        taken, dried, used, busy = _cool(law, flow, need, mix, outdoor)
        ratio, power = pick(hot, dried, ratio), pick(hot, used, 0.0)
        coil_w, run = pick(hot, 0.0 - taken, 0.0), pick(hot, busy, 0.0)
    cold = on & (end < heating_c) & (law.heat_kind > NO_HEAT) & ~hot
    if any_of(cold):
        lacking = most(_heat_for(free_c, rise, w_k * x, outdoor_c, heating_c) - stream_w, 0.0)
        heat = pick(cold, least(lacking * law.heating_w / (law.heating_w + cycles * fan_w), law.heating_w), 0.0)
        coil_w, run = pick(cold, heat, coil_w), pick(cold, heat / law.heating_w, run)
    moved = 1.0 - cycles * (1.0 - run)
    stream_w, fan_w = stream_w + fan_w * cycles * run, fan_w * moved
    end = end_c(free_c, rise, w_k * x, fill(outdoor_c), stream_w + coil_w)
    added = w_k * x * (outdoor_c - end) + stream_w + coil_w
    store(zones, here + END_C * WIDTH, pick(on, end, load(zones, here + END_C * WIDTH)))
    store(zones, here + FLOW * WIDTH, pick(on, flow * moved, load(zones, here + FLOW * WIDTH)))
    store(zones, here + ROOM * WIDTH, pick(on, flow * moved * end, load(zones, here + ROOM * WIDTH)))
    store(zones, here + ADDED_W * WIDTH, pick(on, added, load(zones, here + ADDED_W * WIDTH)))
    store(zones, here + SUPPLY_OF_ZONE * WIDTH, end + added / (w_k * most(moved, 0.05)))
    store(zones, here + SHARE_OF_ZONE * WIDTH, x)
    store(zones, here + MOIST_RATIO * WIDTH, ratio)
    electric, gas = electricity_for(law, law.heat_kind, heat, outdoor_c), gas_for(law, law.heat_kind, heat)
    store(zones, here + (POWER_OF_ZONE + FAN) * WIDTH, fan_w)
    store(zones, here + (POWER_OF_ZONE + COOLING) * WIDTH, power)
    store(zones, here + (POWER_OF_ZONE + HEATING_ELECTRIC) * WIDTH, electric)
    store(zones, here + (POWER_OF_ZONE + HEATING_GAS) * WIDTH, gas)


@compiled
def gather_constant(at: Layout, fixed: Fixed, state: State, block: int) -> None:  # pragma: no cover
    """What the units of a block with constant air volume did, from their zones; the last zone tells the unit's air."""
    units, zones, here = state.units, state.zones, block * UNIT_SIZE
    vav = load(fixed.units, (block * UNIT_ROWS + IS_VAV) * WIDTH) > 0.5
    on = ~vav & (load(units, here + MODE * WIDTH) > 0.5)
    if not any_of(on):
        return
    begin, end = at.first_unit[block], at.first_unit[block + 1]
    taken = ((FLOW, UNIT_FLOW), (SUPPLY_OF_ZONE, SUPPLY_C), (SHARE_OF_ZONE, OUTDOOR_SHARE), (MOIST_RATIO, SUPPLY_RATIO))
    for row, into in taken:
        before = load(units, here + into * WIDTH)
        for u in range(begin, end):
            take_last(at, zones, row, units, into, u)
        store(units, here + into * WIDTH, pick(on, load(units, here + into * WIDTH), before))
    for use in range(4):
        before = load(units, here + (POWER + use) * WIDTH)
        for u in range(begin, end):
            add_members(at, zones, POWER_OF_ZONE + use, units, POWER + use, u)
        store(units, here + (POWER + use) * WIDTH, pick(on, load(units, here + (POWER + use) * WIDTH), before))
    store(units, here + RUN * WIDTH, pick(on, 1.0, load(units, here + RUN * WIDTH)))
