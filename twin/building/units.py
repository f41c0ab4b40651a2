"""One step of a unit and its zones: what air it sends, what heat it gives, what that takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.moist_air import wet_bulb_c
from twin.building.plant import COOLING as COOL
from twin.building.plant import (
    CP,
    FAN,
    FAN_COIL,
    NO_HEAT,
    Plant,
    add_heating,
    capacity_w,
    coil_heat_w,
    cooling_power_w,
    fan_power_w,
    leaving_ratio,
)

Array = NDArray[np.float64]


class ZoneStep(NamedTuple):
    """What a unit needs to know of each zone in a step, and what it gives; shape (Z,) each."""

    free_c: Array
    """Air temperature at the end of the step without the unit."""
    rise_k_w: Array
    """Rise of it per heat into the air. [K/W]"""
    heating_c: Array
    cooling_c: Array
    end_c: Array
    """Air temperature at the end of the step, with the unit."""
    flow: Array
    """Supply air. [kg/s]"""
    supply_c: Array
    heat_w: Array
    """Heat that the supply air and reheat bring into the zone. [W]"""


class UnitStep(NamedTuple):
    """State of the air of each unit in a step; shape (U,) each."""

    lights_w: Array
    """Heat of lights taken up by the return air. [W]"""
    ceiling_w: Array
    """Heat through the ceilings into the plenum. [W]"""
    plenum_c: Array
    slab_c: Array
    plenum_w_k: Array
    """Conductance of plenum air to outdoors. [W/K]"""
    plenum_out_c: Array
    """Sol-air temperature around the plenum."""
    plenum_slab: Array
    plenum_store: Array
    """Heat capacity of plenum air over the step. [W/K]"""
    ratio: Array
    """Humidity ratio of return air. [kg/kg]"""
    supply_ratio: Array
    flow: Array
    supply_c: Array
    outdoor_share: Array
    run: Array
    """Share of the step that the fan ran."""
    trial: Array
    """Power by end use while an operating point is sought, shape (4,)."""


@compiled
def _close_zone(zone: ZoneStep, z: int, flow: float, supply_c: float, extra_w: float) -> None:  # pragma: no cover
    """Settle a zone that gets an air flow and extra heat."""
    w_k = flow * CP
    rise = zone.rise_k_w[z]
    end = (zone.free_c[z] + rise * (w_k * supply_c + extra_w)) / (1.0 + rise * w_k)
    zone.end_c[z] = end
    zone.flow[z] = flow
    zone.heat_w[z] = w_k * (supply_c - end) + extra_w
    zone.supply_c[z] = supply_c + (extra_w / w_k if w_k > 0.0 else 0.0)


@compiled
def _box(zone: ZoneStep, plant: Plant, u: int, z: int, supply_c: float) -> float:  # pragma: no cover
    """Flow and reheat of a VAV box; the reheat [W]."""
    least, most = plant.minimum_flow[u] * plant.design_flow[z], plant.design_flow[z]
    _close_zone(zone, z, least, supply_c, 0.0)
    if zone.end_c[z] > zone.cooling_c[z] > supply_c:
        wanted = (zone.cooling_c[z] - zone.free_c[z]) / zone.rise_k_w[z]
        flow = wanted / (CP * (supply_c - zone.cooling_c[z]))
        _close_zone(zone, z, min(max(flow, least), most), supply_c, 0.0)
    elif zone.end_c[z] < zone.heating_c[z] and plant.reheat_kind[u] != NO_HEAT:
        wanted = (zone.heating_c[z] - zone.free_c[z]) / zone.rise_k_w[z]
        reheat = wanted - least * CP * (supply_c - zone.heating_c[z])
        reheat = min(max(reheat, 0.0), plant.reheat_w[z])
        _close_zone(zone, z, least, supply_c, reheat)
        return float(reheat)
    return 0.0


@compiled
def plenum_after_c(unit: UnitStep, u: int, flow: float, room_c: float) -> float:  # pragma: no cover
    """Plenum air at the end of the step, from return air, lights, ceilings, slab and outdoors. [°C]"""
    w_k = flow * CP
    store, slab, out = unit.plenum_store[u], unit.plenum_slab[u], unit.plenum_w_k[u]
    heat = store * unit.plenum_c[u] + w_k * room_c + unit.lights_w[u] + unit.ceiling_w[u]
    return float((heat + slab * unit.slab_c[u] + out * unit.plenum_out_c[u]) / (store + w_k + slab + out))


@compiled
def _return_c(unit: UnitStep, u: int, flow: float, room_c: float, plenum: bool) -> float:  # pragma: no cover
    if plenum:
        return plenum_after_c(unit, u, flow, room_c)
    return float(room_c + unit.lights_w[u] / (flow * CP))


@compiled
def _mixing(
    plant: Plant, u: int, flow: float, share: float, back_c: float, outdoor_c: float, wanted_c: float, economizer: bool
) -> float:  # pragma: no cover
    """Share of outdoor air: the minimum, or more while it is colder than return air and the mix too warm."""
    least = min(share * plant.outdoor_air[u] / flow, 1.0)
    if not economizer or outdoor_c >= back_c or wanted_c >= back_c:
        return float(least)
    return float(min(max((back_c - wanted_c) / (back_c - outdoor_c), least), 1.0))


@compiled
def _condition(
    unit: UnitStep,
    plant: Plant,
    u: int,
    mix_c: float,
    mix_ratio: float,
    wanted_c: float,
    around: tuple[float, float],
    power: Array,
) -> float:  # pragma: no cover
    """Cool or heat mixed air towards ``wanted_c`` within capacity; temperature behind the coils. [°C]"""
    flow = unit.flow[u]
    outdoor_c, wet = around
    unit.supply_ratio[u] = mix_ratio
    if mix_c > wanted_c and plant.cools[u]:
        full = capacity_w(plant, u, outdoor_c, wet)
        ratio = leaving_ratio(plant, u, mix_c, mix_ratio, wanted_c)
        heat = coil_heat_w(flow, mix_c - wanted_c, mix_ratio - ratio)
        part = min(full / heat, 1.0)
        unit.supply_ratio[u] = mix_ratio - part * (mix_ratio - ratio)
        power[COOL] += cooling_power_w(plant, u, heat * part, full, outdoor_c, wet)
        return float(mix_c - part * (mix_c - wanted_c))
    if mix_c < wanted_c and plant.heat_kind[u] != NO_HEAT:
        heat = min(flow * CP * (wanted_c - mix_c), plant.heating_w[u])
        add_heating(plant, u, plant.heat_kind[u], heat, outdoor_c, power)
        return float(mix_c + heat / (flow * CP))
    return mix_c


@compiled
def run_vav(
    zone: ZoneStep,
    unit: UnitStep,
    plant: Plant,
    u: int,
    members: NDArray[np.int64],
    orders: tuple[float, float, bool],
    outdoor: tuple[float, float],
    plenum: bool,
    power: Array,
) -> None:  # pragma: no cover
    """A running air handler with VAV boxes.

    Args:
        zone: changed in place.
        unit: changed in place.
        plant: numbers of the units.
        u: which unit.
        members: zones of the unit.
        orders: supply air temperature [°C], minimum outdoor air share, economizer.
        outdoor: outdoor temperature [°C] and humidity ratio.
        plenum: whether air returns through a plenum.
        power: end uses of the step, added to. [W]
    """
    outdoor_c, outdoor_ratio = outdoor
    supply_c, share, economizer = orders
    trial = unit.trial
    wet_c = np.nan
    for _ in range(3):
        trial[:] = 0.0
        flow, room, reheat = 0.0, 0.0, 0.0
        for z in members:
            reheat += _box(zone, plant, u, z, supply_c)
            flow += zone.flow[z]
            room += zone.flow[z] * zone.end_c[z]
        unit.flow[u] = flow
        fan_w = fan_power_w(plant, u, flow)
        fan_k = fan_w / (flow * CP)
        back_c = _return_c(unit, u, flow, room / flow, plenum)
        wanted_c = orders[0] - fan_k
        x = _mixing(plant, u, flow, share, back_c, outdoor_c, wanted_c, economizer)
        unit.outdoor_share[u] = x
        mix_ratio = unit.ratio[u] + x * (outdoor_ratio - unit.ratio[u])
        mix_c = back_c + x * (outdoor_c - back_c)
        if mix_c > wanted_c and np.isnan(wet_c):
            wet_c = wet_bulb_c(mix_c, mix_ratio)
        reached = _condition(unit, plant, u, mix_c, mix_ratio, wanted_c, (outdoor_c, wet_c), trial) + fan_k
        trial[FAN] += fan_w
        add_heating(plant, u, plant.reheat_kind[u], reheat, outdoor_c, trial)
        if abs(reached - supply_c) < 0.02:
            break
        supply_c = reached
    unit.supply_c[u] = supply_c
    unit.run[u] = 1.0
    for k in range(len(trial)):
        power[k] += trial[k]


@compiled
def _constant_end(
    zone: ZoneStep, z: int, w_k: float, x: float, air_c: float, heat_w: float
) -> float:  # pragma: no cover
    """End temperature of a zone whose unit mixes a share ``x`` of outdoor air and adds heat to the stream."""
    rise = zone.rise_k_w[z]
    return float((zone.free_c[z] + rise * (w_k * x * air_c + heat_w)) / (1.0 + rise * w_k * x))


@compiled
def _heat_for(zone: ZoneStep, z: int, w_k: float, x: float, air_c: float, wanted_c: float) -> float:  # pragma: no cover
    """Heat that the coils must add so that the zone ends at ``wanted_c``. [W]"""
    rise = zone.rise_k_w[z]
    return float((wanted_c * (1.0 + rise * w_k * x) - zone.free_c[z]) / rise - w_k * x * air_c)


@compiled
def _free_cooling_share(
    zone: ZoneStep, z: int, w_k: float, x: float, outdoor_c: float, stream_w: float
) -> float:  # pragma: no cover
    """Outdoor air share at which an economizer alone holds the cooling setpoint, within [x, 1]."""
    wanted = zone.cooling_c[z]
    if outdoor_c >= wanted or _constant_end(zone, z, w_k, x, outdoor_c, stream_w) <= wanted:
        return x
    share = (wanted - zone.free_c[z] - zone.rise_k_w[z] * stream_w) / (zone.rise_k_w[z] * w_k * (outdoor_c - wanted))
    return float(min(max(share, x), 1.0))


@compiled
def _cool_constant(
    unit: UnitStep, plant: Plant, u: int, need_w: float, mix_c: float, mix_ratio: float, outdoor_c: float, power: Array
) -> float:  # pragma: no cover
    """Sensible heat that a cycling coil takes out of the stream, at most ``need_w``; books its power. [W]"""
    wet = wet_bulb_c(mix_c, mix_ratio)
    full = capacity_w(plant, u, outdoor_c, wet)
    flow = unit.flow[u]
    cold_c = mix_c - 0.75 * full / (flow * CP)
    dried = mix_ratio - leaving_ratio(plant, u, mix_c, mix_ratio, cold_c)
    sensible = flow * CP * (mix_c - cold_c)
    part_dry = sensible / max(coil_heat_w(flow, mix_c - cold_c, dried), 1.0)
    sensible = full * part_dry
    run = min(need_w / sensible, 1.0)
    unit.supply_ratio[u] = mix_ratio - run * dried
    power[COOL] += cooling_power_w(plant, u, run * full, full, outdoor_c, wet)
    return float(run * sensible)


@compiled
def run_constant(
    zone: ZoneStep,
    unit: UnitStep,
    plant: Plant,
    u: int,
    z: int,
    orders: tuple[float, float, bool],
    outdoor: tuple[float, float],
    power: Array,
) -> None:  # pragma: no cover
    """A running single-zone unit: constant air volume, coils that cycle; arguments as in ``run_vav``."""
    outdoor_c, outdoor_ratio = outdoor
    flow = plant.design_flow[z]
    w_k = flow * CP
    unit.flow[u] = flow
    fan_w = fan_power_w(plant, u, flow)
    stream_w = fan_w + unit.lights_w[u]
    x = min(orders[1] * plant.outdoor_air[u] / flow, 1.0)
    if orders[2]:
        x = _free_cooling_share(zone, z, w_k, x, outdoor_c, stream_w)
    end = _constant_end(zone, z, w_k, x, outdoor_c, stream_w)
    mix_ratio = unit.ratio[u] + x * (outdoor_ratio - unit.ratio[u])
    unit.supply_ratio[u] = mix_ratio
    coil_w, run = 0.0, 0.0
    if end > zone.cooling_c[z] and plant.cools[u]:
        need = stream_w - _heat_for(zone, z, w_k, x, outdoor_c, zone.cooling_c[z])
        mix_c = zone.cooling_c[z] + x * (outdoor_c - zone.cooling_c[z])
        coil_w = -_cool_constant(unit, plant, u, need, mix_c, mix_ratio, outdoor_c, power)
        run = min(-coil_w / max(need, 1.0), 1.0)
    elif end < zone.heating_c[z] and plant.heat_kind[u] != NO_HEAT:
        need = _heat_for(zone, z, w_k, x, outdoor_c, zone.heating_c[z]) - stream_w
        coil_w = min(max(need, 0.0), plant.heating_w[u])
        add_heating(plant, u, plant.heat_kind[u], coil_w, outdoor_c, power)
        run = coil_w / plant.heating_w[u]
    if plant.system[u] == FAN_COIL:
        fan_w *= max(run, 0.1)
    power[FAN] += fan_w
    end = _constant_end(zone, z, w_k, x, outdoor_c, stream_w + coil_w)
    zone.end_c[z] = end
    zone.flow[z] = flow
    zone.heat_w[z] = w_k * x * (outdoor_c - end) + stream_w + coil_w
    zone.supply_c[z] = end + zone.heat_w[z] / w_k
    unit.supply_c[u] = zone.supply_c[z]
    unit.outdoor_share[u] = x
    unit.run[u] = 1.0
