"""The fused step loop: controller, units and zones of a whole building, from one discrete event to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.control import BY_SCHEDULE, OFF, CommandArrays, ControlState, decide
from twin.building.network import AIR, MASS, NODES, SURFACE, WALL, Network
from twin.building.plant import CP, VAV, Plant
from twin.building.program import ProgramArrays
from twin.building.state import Gains, Series, State, Surroundings, Work
from twin.building.units import plenum_after_c, run_constant, run_vav

Array = NDArray[np.float64]

CO2_M3_S_PERSON = 4.6e-6
"""A seated adult at 120 W. Source: ASHRAE 62.1, 3.82e-8 m³/(s W)."""
LATENT_HEAT_J_KG = 2.501e6
PERSON_W = 120.0
SENSIBLE_FALL_1_K = 0.055
"""Fall of a person's dry heat per kelvin of room air above 24 °C (ASHRAE handbook, seated, light work)."""
AIR_DENSITY = 1.204
SIDES = 5
CHECK_EVERY = 16
"""The heat balance of every zone is checked at every so many steps."""


@compiled
def _couple(net: Network, state: State, work: Work, unit_of: NDArray[np.int64]) -> None:  # pragma: no cover
    """Heat between zones, through ceilings and from slabs below, at temperatures of the begin of the step."""
    work.heat[:] = 0.0
    work.unit.ceiling_w[:] = 0.0
    work.slab_w[:] = 0.0
    for p in range(len(net.pairs)):
        a, b = net.pairs[p]
        flux = net.pair_w_k[p] * (state.node_c[a, SURFACE] - state.node_c[b, SURFACE])
        work.heat[a, SURFACE] -= flux
        work.heat[b, SURFACE] += flux
    for z in range(len(unit_of)):
        u = unit_of[z]
        if u >= 0 and net.has_plenum[u]:
            flux = net.ceiling[z] * (state.node_c[z, SURFACE] - state.plenum_c[u])
            work.heat[z, SURFACE] -= flux
            work.unit.ceiling_w[u] += flux
        below = net.floor_plenum[z]
        if below >= 0:
            flux = net.floor[z] * (state.slab_c[below] - state.node_c[z, MASS])
            work.heat[z, MASS] += flux
            work.slab_w[below] += flux


@compiled
def _gains(
    net: Network, gains: Gains, out: Surroundings, state: State, work: Work, i: int, z: int, u: int, returns: bool
) -> None:  # pragma: no cover
    """Add boundary and inner heat of a zone; part of the heat of lights waits for the return air."""
    heat = work.heat[z]
    dry = gains.people_w * (1.0 - SENSIBLE_FALL_1_K * (state.node_c[z, AIR] - 24.0))
    people = out.people[i, z] * min(max(dry, 0.0), PERSON_W)
    sun, outside = 0.0, out.outdoor_c[i]
    for f in range(SIDES):
        sun += net.window[z, f] * out.glass_w_m2[i, f]
        outside += net.wall_share[z, f] * out.wall_rise_k[i, f]
    returned = out.lights_w[i, z] * gains.lights_to_return if returns else 0.0
    if returns:
        work.unit.lights_w[u] += returned
    lights = out.lights_w[i, z] - returned
    plugs = out.plugs_w[i, z] * gains.plug_share[z]
    heat[AIR] += (
        net.boundary[z, AIR] * out.outdoor_c[i]
        + gains.solar_to_air * sun
        + gains.people_to_air * people
        + gains.lights_to_air * lights
        + gains.plugs_to_air * plugs
        + out.other_w[i, z]
    )
    heat[SURFACE] += (
        (1.0 - gains.solar_to_air) * sun
        + (1.0 - gains.people_to_air) * people
        + (1.0 - gains.lights_to_air) * lights
        + (1.0 - gains.plugs_to_air) * plugs
    )
    heat[MASS] += net.boundary[z, MASS] * out.ground_c[i]
    heat[WALL] += net.boundary[z, WALL] * outside


@compiled
def _free(net: Network, state: State, work: Work, outdoor_c: float, z: int) -> None:  # pragma: no cover
    """Air temperature at the end of the step without a unit, and its rise per watt, infiltration included."""
    free = 0.0
    for n in range(NODES):
        free += net.keep[z, AIR, n] * state.node_c[z, n] + net.gain[z, AIR, n] * work.heat[z, n]
    rise, leak = net.gain[z, AIR, AIR], work.leak[z]
    work.zone.free_c[z] = (free + rise * leak * outdoor_c) / (1.0 + rise * leak)
    work.zone.rise_k_w[z] = rise / (1.0 + rise * leak)
    work.zone.end_c[z] = work.zone.free_c[z]
    work.zone.flow[z] = 0.0
    work.zone.heat_w[z] = 0.0
    work.zone.supply_c[z] = work.zone.free_c[z]


@compiled
def _close_heat(work: Work, outdoor_c: float, z: int) -> None:  # pragma: no cover
    """Add what the unit and infiltration bring to the heat into the air."""
    work.heat[z, AIR] += work.zone.heat_w[z] + work.leak[z] * (outdoor_c - work.zone.end_c[z])


@compiled
def _balance_error_w(net: Network, state: State, work: Work, z: int, step_s: float) -> float:  # pragma: no cover
    """Heat stored minus heat in plus heat lost to the boundaries, over the step that is about to be made. [W]"""
    error = 0.0
    for n in range(NODES):
        after, mean = 0.0, 0.0
        for m in range(NODES):
            after += net.keep[z, n, m] * state.node_c[z, m] + net.gain[z, n, m] * work.heat[z, m]
            mean += net.mean_keep[z, n, m] * state.node_c[z, m] + net.mean_gain[z, n, m] * work.heat[z, m]
        stored = net.capacity[z, n] * (after - state.node_c[z, n]) / step_s
        error += stored - work.heat[z, n] + net.boundary[z, n] * mean
    return abs(error)


@compiled
def _advance_nodes(net: Network, state: State, work: Work, z: int) -> None:  # pragma: no cover
    """Move the nodes of a zone to the end of the step."""
    for n in range(NODES):
        after = 0.0
        for m in range(NODES):
            after += net.keep[z, n, m] * state.node_c[z, m] + net.gain[z, n, m] * work.heat[z, m]
        work.after[n] = after
    for n in range(NODES):
        state.node_c[z, n] = work.after[n]


@compiled
def _air_of_zone(
    net: Network, gains: Gains, out: Surroundings, state: State, work: Work, fresh: float, i: int, z: int, step_s: float
) -> None:  # pragma: no cover
    """CO₂ of a zone: people against infiltration and the outdoor air in its supply, at the end of the step."""
    turnover = (work.leak[z] / CP + work.zone.flow[z] * fresh) / AIR_DENSITY * step_s / net.volume_m3[z]
    source = out.people[i, z] * CO2_M3_S_PERSON * 1e6 * step_s / net.volume_m3[z]
    state.co2_ppm[z] = (state.co2_ppm[z] + source + turnover * gains.outdoor_co2_ppm) / (1.0 + turnover)


@compiled
def _moisture(
    program: ProgramArrays,
    net: Network,
    gains: Gains,
    out: Surroundings,
    state: State,
    work: Work,
    i: int,
    u: int,
    step_s: float,
) -> None:  # pragma: no cover
    """Humidity ratio of the air of a unit's zones at the end of the step."""
    source, leak, mass = 0.0, 0.0, 0.0
    for k in range(program.first[u], program.first[u + 1]):
        z = program.members[k]
        dry = gains.people_w * (1.0 - SENSIBLE_FALL_1_K * (work.zone.end_c[z] - 24.0))
        source += out.people[i, z] * max(PERSON_W - dry, 0.0) / LATENT_HEAT_J_KG
        leak += work.leak[z] / CP
        mass += net.volume_m3[z] * AIR_DENSITY
    flow, store = work.unit.flow[u], 3.0 * mass / step_s
    wet = store * state.ratio[u] + source + leak * out.outdoor_ratio[i] + flow * work.unit.supply_ratio[u]
    state.ratio[u] = wet / (store + leak + flow)


@compiled
def _run_unit(
    program: ProgramArrays,
    plant: Plant,
    net: Network,
    out: Surroundings,
    work: Work,
    orders: tuple[float, float, bool],
    i: int,
    u: int,
    power: Array,
) -> None:  # pragma: no cover
    outdoor = (out.outdoor_c[i], out.outdoor_ratio[i])
    zones = program.members[program.first[u] : program.first[u + 1]]
    if plant.system[u] == VAV:
        run_vav(work.zone, work.unit, plant, u, zones, orders, outdoor, net.has_plenum[u], power)
    else:
        for z in zones:
            run_constant(work.zone, work.unit, plant, u, z, orders, outdoor, power)


@compiled
def _impose(out: Surroundings, work: Work, i: int, unit_of: NDArray[np.int64]) -> None:  # pragma: no cover
    """Measured supply air takes the place of the simulated one where it is known."""
    for z in range(len(unit_of)):
        if i < out.given_flow.shape[0] and not np.isnan(out.given_flow[i, z] + out.given_supply_c[i, z]):
            flow, rise = out.given_flow[i, z], work.zone.rise_k_w[z]
            w_k = flow * CP
            end = (work.zone.free_c[z] + rise * w_k * out.given_supply_c[i, z]) / (1.0 + rise * w_k)
            work.zone.end_c[z] = end
            work.zone.heat_w[z] = w_k * (out.given_supply_c[i, z] - end)
            work.zone.flow[z] = flow


@compiled
def _open_unit(
    program: ProgramArrays,
    net: Network,
    gains: Gains,
    out: Surroundings,
    state: State,
    work: Work,
    by_schedule: bool,
    i: int,
    u: int,
) -> None:  # pragma: no cover
    """Set the air of a unit to the begin of the step, fan off."""
    unit = work.unit
    wind = 1.0 + gains.infiltration_wind * out.wind_m_s[i]
    leak = net.plenum_infiltration[u] * wind * (gains.infiltration_fans_on if by_schedule else 1.0)
    roof, rises = net.plenum_roof[u], out.wall_rise_k[i]
    rise = roof * rises[4] + (1.0 - roof) * 0.25 * (rises[0] + rises[1] + rises[2] + rises[3])
    around = net.plenum_out[u] * (out.outdoor_c[i] + rise) + leak * out.outdoor_c[i]
    unit.plenum_w_k[u] = net.plenum_out[u] + leak
    unit.plenum_out_c[u] = around / max(net.plenum_out[u] + leak, 1e-9)
    unit.plenum_c[u] = state.plenum_c[u]
    unit.slab_c[u] = state.slab_c[u]
    unit.plenum_slab[u] = net.plenum_slab[u]
    unit.plenum_store[u] = net.plenum_capacity[u] / program.step_s
    unit.ratio[u] = state.ratio[u]
    unit.supply_ratio[u] = state.ratio[u]
    unit.flow[u] = 0.0
    unit.run[u] = 0.0
    unit.outdoor_share[u] = 0.0
    unit.supply_c[u] = state.plenum_c[u]


@compiled
def _settle_plenum(
    program: ProgramArrays, net: Network, state: State, work: Work, u: int, step_s: float
) -> None:  # pragma: no cover
    """Move plenum air and slab to the end of the step."""
    flow, room = 0.0, 0.0
    for k in range(program.first[u], program.first[u + 1]):
        z = program.members[k]
        flow += work.zone.flow[z]
        room += work.zone.flow[z] * work.zone.end_c[z]
    after = plenum_after_c(work.unit, u, flow, room / flow if flow > 0.0 else 0.0)
    from_air = net.plenum_slab[u] * (after - state.slab_c[u])
    state.plenum_c[u] = after
    state.slab_c[u] += (from_air - work.slab_w[u]) * step_s / net.slab_capacity[u]


@compiled
def _prepare(
    program: ProgramArrays,
    orders: CommandArrays,
    net: Network,
    gains: Gains,
    out: Surroundings,
    state: State,
    work: Work,
    i: int,
) -> None:  # pragma: no cover
    """Heat into all nodes that does not depend on the units in this step, and the zones' answer to it."""
    _couple(net, state, work, program.zone_unit)
    work.unit.lights_w[:] = 0.0
    wind = 1.0 + gains.infiltration_wind * out.wind_m_s[i]
    for z in range(len(program.zone_unit)):
        u = program.zone_unit[z]
        fans = gains.infiltration_fans_on if u >= 0 and orders.mode[u] == BY_SCHEDULE else 1.0
        work.leak[z] = net.infiltration[z] * wind * fans
        returns = u >= 0 and (net.has_plenum[u] or orders.mode[u] != OFF)
        _gains(net, gains, out, state, work, i, z, u, returns)
        _free(net, state, work, out.outdoor_c[i], z)
        work.zone.heating_c[z] = orders.heating_c[z]
        work.zone.cooling_c[z] = orders.cooling_c[z]


@compiled
def _record(i: int, orders: CommandArrays, work: Work, state: State, series: Series) -> None:  # pragma: no cover
    for z in range(len(work.prev_c)):
        series.zone_c[i, z] = work.zone.end_c[z]
        series.heating_c[i, z] = orders.heating_c[z]
        series.cooling_c[i, z] = orders.cooling_c[z]
        series.co2_ppm[i, z] = state.co2_ppm[z]
        series.zone_flow[i, z] = work.zone.flow[z]
        series.zone_supply_c[i, z] = work.zone.supply_c[z]
    for u in range(len(orders.mode)):
        series.run[i, u] = work.unit.run[u]
        series.supply_c[i, u] = work.unit.supply_c[u]
        series.flow[i, u] = work.unit.flow[u]
        series.outdoor_share[i, u] = work.unit.outdoor_share[u]


@compiled
def advance(
    first: int,
    last: int,
    program: ProgramArrays,
    control: ControlState,
    orders: CommandArrays,
    net: Network,
    plant: Plant,
    gains: Gains,
    out: Surroundings,
    state: State,
    work: Work,
    series: Series,
) -> None:  # pragma: no cover
    """Advance steps ``first`` to ``last`` − 1 and record them in ``series``; all mutable arguments change in place."""
    step_s, units = program.step_s, program.scheduled.shape[1]
    for i in range(first, last):
        decide(program, control, i, work.prev_c, work.prev_people, orders)
        _prepare(program, orders, net, gains, out, state, work, i)
        series.power_w[i, :] = 0.0
        for u in range(units):
            _open_unit(program, net, gains, out, state, work, orders.mode[u] == BY_SCHEDULE, i, u)
            if orders.mode[u] != OFF:
                order = (orders.supply_c[u], orders.minimum_outdoor_air[u], program.economizer[u])
                _run_unit(program, plant, net, out, work, order, i, u, series.power_w[i])
        _impose(out, work, i, program.zone_unit)
        for u in range(units):
            if net.has_plenum[u]:
                _settle_plenum(program, net, state, work, u, step_s)
            _moisture(program, net, gains, out, state, work, i, u, step_s)
        for z in range(len(program.zone_unit)):
            u = program.zone_unit[z]
            _air_of_zone(net, gains, out, state, work, work.unit.outdoor_share[u] if u >= 0 else 0.0, i, z, step_s)
            _close_heat(work, out.outdoor_c[i], z)
            if i % CHECK_EVERY == 0:
                error = _balance_error_w(net, state, work, z, step_s)
                series.residual_w[0] = max(series.residual_w[0], error)
            _advance_nodes(net, state, work, z)
            work.prev_c[z] = work.zone.end_c[z]
            work.prev_people[z] = out.people[i, z]
        _record(i, orders, work, state, series)
