"""Units and their plant: numbers from site and parameters, and the compiled laws of fans, coils and boilers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.building.compiled import compiled
from twin.building.lanes import Lanes, least, most, pick
from twin.building.moist_air import exponential, logarithm, saturation_ratio, wet_bulb_c
from twin.building.parameters import CONSTANT_VOLUME, Parameters, usual_outdoor_air_m3_s
from twin.site import AirHandler, Site
from twin.units import AIR_DENSITY_KG_M3, AIR_HEAT_CAPACITY_J_KG_K, WATER_LATENT_HEAT_J_KG
from twin.vocab import CoolingKind, HeatingKind, SystemType

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

FAN, COOLING, HEATING_ELECTRIC, HEATING_GAS = range(4)
"""Columns of the power table."""
VAV, CONSTANT, FAN_COIL = range(3)
NO_HEAT, BY_GAS, BY_RESISTANCE, BY_HEAT_PUMP = 0.0, 1.0, 2.0, 3.0
CP = AIR_HEAT_CAPACITY_J_KG_K
COIL_RATED_C, TOWER_RATED_C = 19.4, 25.6
"""Wet bulb at rating conditions: of air before a DX coil (AHRI 210/240), of outdoor air at a tower (78 °F). [°C]"""
CHILLER_LEAST_LOAD = 0.15
"""Share of full load below which a chiller cycles; DOE-2 takes 0.1 for centrifugal, 0.25 for reciprocating ones."""

_HEAT_CODE = {
    HeatingKind.NONE: NO_HEAT,
    HeatingKind.GAS: BY_GAS,
    HeatingKind.HOT_WATER: BY_GAS,
    HeatingKind.ELECTRIC: BY_RESISTANCE,
    HeatingKind.HEAT_PUMP: BY_HEAT_PUMP,
}
_SYSTEM_CODE = {
    SystemType.VAV_REHEAT: VAV,
    SystemType.PACKAGED_SINGLE_ZONE: CONSTANT,
    SystemType.FAN_COIL: FAN_COIL,
}
_FLOW_GUESS_M3_S_M2 = 0.005


class Plant(NamedTuple):
    """Numbers of all units; U units, Z zones."""

    system: Indices
    design_flow: Array
    """Design air flow of each zone, shape (Z,). [kg/s]"""
    minimum_flow: Array
    """Least share of it, shape (U,)."""
    unit_flow: Array
    """Design flow of each unit's fan, shape (U,). [kg/s]"""
    outdoor_air: Array
    """Design minimum outdoor air, shape (U,). [kg/s]"""
    fan_w: Array
    fan_idle: Array
    fan_exponent: Array
    cools: NDArray[np.bool_]
    cooling_w: Array
    eir: Array
    """Electric power per cooling at rating conditions, shape (U,)."""
    eir_outdoor: Array
    eir_wet_bulb: Array
    cycling_loss: Array
    cooling_idle: Array
    chiller: Array
    """1 where a chiller cools, whose condenser meets outdoor air, 0 where a DX coil does, shape (U,)."""
    bypass: Array
    heat_kind: Array
    heating_w: Array
    efficiency: Array
    heat_pump_cop: Array
    reheat_kind: Array
    reheat_w: Array
    """Shape (Z,). [W]"""
    night_tolerance: Array
    night_fan_cycles: Array


def plant(site: Site, parameters: Parameters) -> Plant:
    """Numbers of all units of a site."""
    units = site.air_handlers
    index = site.zone_index()
    flow = np.array([_design_flow(zone.id, zone.floor_area_m2, parameters) for zone in site.zones])
    members = [[index[zone] for zone in unit.zones] for unit in units]
    total = np.array([float(flow[rows].sum()) for rows in members])
    for unit, rows, stated in zip(units, members, total, strict=True):
        if unit.design_flow_kg_s is not None and stated > 0 and f"{unit.zones[0]}/design_flow" not in parameters.values:
            flow[rows] *= unit.design_flow_kg_s / stated
    total = np.array([float(flow[rows].sum()) for rows in members])
    usual_air = np.array([usual_outdoor_air_m3_s(site, unit) for unit in units])

    def of(name: str) -> Array:
        return np.array([parameters.of(name, unit.id) for unit in units])

    chills = np.array([unit.cooling is CoolingKind.CHILLED_WATER for unit in units], dtype=np.bool_)
    unit_flow = total * np.where([unit.system in CONSTANT_VOLUME for unit in units], 1.0, of("fan_margin"))
    reheat = np.zeros(len(site.zones))
    for u, rows in enumerate(members):
        reheat[rows] = of("reheat_w_kg_s")[u] * flow[rows]
    return Plant(
        system=np.array([_SYSTEM_CODE[unit.system] for unit in units], dtype=np.int64),
        design_flow=flow,
        minimum_flow=of("minimum_flow"),
        unit_flow=np.maximum(unit_flow, 1e-6),
        outdoor_air=of("outdoor_air") * usual_air * AIR_DENSITY_KG_M3,
        fan_w=of("fan_w_kg_s") * unit_flow,
        fan_idle=of("fan_idle"),
        fan_exponent=of("fan_exponent"),
        cools=np.array([unit.cooling is not CoolingKind.NONE for unit in units], dtype=np.bool_),
        cooling_w=_capacity([unit.cooling_capacity_w for unit in units], of("cooling_w_kg_s") * total),
        eir=1.0 / of("cop"),
        eir_outdoor=of("cop_outdoor"),
        eir_wet_bulb=np.where(chills, -of("cop_tower"), of("cop_wet_bulb")),
        cycling_loss=np.where(chills, 0.0, of("cycling_loss")),
        cooling_idle=np.where(chills, of("cooling_idle"), 0.0),
        chiller=chills.astype(np.float64),
        bypass=of("bypass"),
        heat_kind=np.array([_HEAT_CODE[unit.heating] for unit in units]),
        heating_w=_capacity([unit.heating_capacity_w for unit in units], of("heating_w_kg_s") * total),
        efficiency=of("heating_efficiency"),
        heat_pump_cop=of("heat_pump_cop"),
        reheat_kind=np.array([_reheat_code(unit) for unit in units]),
        reheat_w=reheat,
        night_tolerance=of("night_tolerance"),
        night_fan_cycles=of("night_fan_cycles"),
    )


def _design_flow(zone: str, floor_m2: float, parameters: Parameters) -> float:
    return parameters.of("design_flow", zone) * floor_m2 * _FLOW_GUESS_M3_S_M2 * AIR_DENSITY_KG_M3


def _capacity(stated: list[float | None], fitted: Array) -> Array:
    return np.array([own if own is not None else fit for own, fit in zip(stated, fitted, strict=True)])


def _reheat_code(unit: AirHandler) -> float:
    return _HEAT_CODE[unit.reheat] if unit.system is SystemType.VAV_REHEAT else NO_HEAT


class Law(NamedTuple):
    """Numbers of one unit, or of eight in lanes, as the laws below take them; units as in ``Plant``."""

    unit_flow: Lanes
    outdoor_air: Lanes
    fan_w: Lanes
    fan_idle: Lanes
    fan_exponent: Lanes
    cools: Lanes
    cooling_w: Lanes
    eir: Lanes
    eir_outdoor: Lanes
    eir_wet_bulb: Lanes
    cycling_loss: Lanes
    bypass: Lanes
    heat_kind: Lanes
    heating_w: Lanes
    efficiency: Lanes
    heat_pump_cop: Lanes
    reheat_kind: Lanes
    cooling_idle: Lanes
    chiller: Lanes


@compiled
def fan_power_w(law: Law, flow: Lanes) -> Lanes:  # pragma: no cover
    """Electric power of a unit's fan at a flow above 0. [W]"""
    part = least(flow / law.unit_flow, 1.5)
    return law.fan_w * (law.fan_idle + (1.0 - law.fan_idle) * exponential(law.fan_exponent * logarithm(part)))


@compiled
def capacity_w(law: Law, outdoor_c: float, wet_bulb: Lanes) -> Lanes:  # pragma: no cover
    """Cooling that a unit can give: of DX coils it falls 0.8 % per K outdoors and rises 2 % per K of wet bulb. [W]

    Of chillers it is constant: their evaporator meets chilled water, not the air of the coil.
    """
    of_coil = most(0.3, 1.0 - 0.008 * (outdoor_c - 35.0) + 0.02 * (wet_bulb - 19.4))
    return law.cooling_w * pick(law.chiller > 0.5, 1.0, of_coil)


@compiled
def wet_bulb_at_plant_c(law: Law, mix: tuple[Lanes, Lanes], outdoor: tuple[float, float]) -> Lanes:  # pragma: no cover
    """Wet bulb that cooling works by: of air before a DX coil, of outdoor air (the tower's) for chillers. [°C]

    Args:
        law: numbers of the units.
        mix: temperature [°C] and humidity ratio of air before the coil.
        outdoor: the same outdoors.
    """
    chiller = law.chiller > 0.5
    return wet_bulb_c(pick(chiller, outdoor[0], mix[0]), pick(chiller, outdoor[1], mix[1]))


@compiled
def cooling_power_w(
    law: Law, heat_w: Lanes, full_w: Lanes, outdoor_c: float, wet_bulb: Lanes
) -> Lanes:  # pragma: no cover
    """Electric power that moves ``heat_w`` out of the air. [W]

    Chillers draw an idle share while they run; below their least load they start and stop, and draw it in proportion.
    """
    rated_c = pick(law.chiller > 0.5, TOWER_RATED_C, COIL_RATED_C)
    lift = 1.0 + law.eir_outdoor * (outdoor_c - 35.0) - law.eir_wet_bulb * (wet_bulb - rated_c)
    load = least(heat_w / most(full_w, 1.0), 1.0)
    running = least(load / CHILLER_LEAST_LOAD, 1.0)
    carried_w = heat_w + law.cooling_idle * running * most(full_w - heat_w, 0.0)
    power = carried_w * law.eir * most(lift, 0.2) / (1.0 - law.cycling_loss * (1.0 - load))
    return pick(heat_w > 0.0, power, 0.0)


@compiled
def leaving_ratio(law: Law, in_c: Lanes, in_ratio: Lanes, out_c: Lanes) -> Lanes:  # pragma: no cover
    """Humidity ratio behind a cooling coil with a bypass factor, from temperatures before and behind. [kg/kg]"""
    through = 1.0 - law.bypass
    coil_c = (out_c - law.bypass * in_c) / through
    coil_ratio = saturation_ratio(most(coil_c, -5.0))
    return in_ratio - through * most(in_ratio - coil_ratio, 0.0)


@compiled
def coil_heat_w(flow: Lanes, fall_k: Lanes, dried: Lanes) -> Lanes:  # pragma: no cover
    """Heat taken by a coil from an air flow that falls in temperature and humidity ratio. [W]"""
    return flow * (CP * fall_k + WATER_LATENT_HEAT_J_KG * dried)


@compiled
def electricity_for(law: Law, kind: Lanes, heat_w: Lanes, outdoor_c: float) -> Lanes:  # pragma: no cover
    """Electricity for heat given to the air by resistance or heat pump, 0 for other kinds. [W]"""
    cop = most(law.heat_pump_cop * (1.0 + 0.025 * (outdoor_c - 8.0)), 1.0)
    return pick(kind == BY_RESISTANCE, heat_w, pick(kind == BY_HEAT_PUMP, heat_w / cop, 0.0))


@compiled
def gas_for(law: Law, kind: Lanes, heat_w: Lanes) -> Lanes:  # pragma: no cover
    """Gas for heat given to the air by burner or boiler, as heat of combustion, 0 for other kinds. [W]"""
    return pick(kind == BY_GAS, heat_w / law.efficiency, 0.0)
