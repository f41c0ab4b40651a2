"""The words of the domain: point kinds, end uses, facings, system types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class PointKind(StrEnum):
    """What a telemetry point measures or commands; the closed list of the site file."""

    ZONE_AIR_TEMPERATURE = "zone_air_temperature"
    ZONE_HEATING_SETPOINT = "zone_heating_setpoint"
    ZONE_COOLING_SETPOINT = "zone_cooling_setpoint"
    ZONE_OCCUPANCY = "zone_occupancy"
    ZONE_CO2 = "zone_co2"
    ZONE_RELATIVE_HUMIDITY = "zone_relative_humidity"
    ZONE_INTERNAL_GAIN_POWER = "zone_internal_gain_power"
    ZONE_LIGHTING_POWER = "zone_lighting_power"
    ZONE_PLUG_POWER = "zone_plug_power"
    ZONE_SUPPLY_AIR_FLOW = "zone_supply_air_flow"
    ZONE_SUPPLY_AIR_TEMPERATURE = "zone_supply_air_temperature"
    ZONE_RADIATOR_VALVE = "zone_radiator_valve"
    ZONE_BLIND_POSITION = "zone_blind_position"
    OUTDOOR_AIR_TEMPERATURE = "outdoor_air_temperature"
    OUTDOOR_RELATIVE_HUMIDITY = "outdoor_relative_humidity"
    WIND_SPEED = "wind_speed"
    GLOBAL_HORIZONTAL_IRRADIANCE = "global_horizontal_irradiance"
    DIRECT_NORMAL_IRRADIANCE = "direct_normal_irradiance"
    DIFFUSE_HORIZONTAL_IRRADIANCE = "diffuse_horizontal_irradiance"
    SOLAR_ALTITUDE = "solar_altitude"
    ELECTRIC_POWER = "electric_power"
    GAS_POWER = "gas_power"
    HVAC_ELECTRIC_POWER = "hvac_electric_power"
    FAN_POWER = "fan_power"
    COOLING_POWER = "cooling_power"
    HEATING_ELECTRIC_POWER = "heating_electric_power"
    HEATING_GAS_POWER = "heating_gas_power"
    LIGHTING_POWER = "lighting_power"
    PLUG_POWER = "plug_power"
    AHU_FAN_COMMAND = "ahu_fan_command"
    AHU_SUPPLY_AIR_TEMPERATURE = "ahu_supply_air_temperature"
    AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT = "ahu_supply_air_temperature_setpoint"
    AHU_SUPPLY_AIR_FLOW = "ahu_supply_air_flow"
    AHU_OUTDOOR_AIR_FRACTION = "ahu_outdoor_air_fraction"
    AHU_MINIMUM_OUTDOOR_AIR = "ahu_minimum_outdoor_air"
    HOST_POWER = "host_power"
    HOST_CPU_UTILIZATION = "host_cpu_utilization"
    HOST_MEMORY_USED = "host_memory_used"
    HOST_INLET_TEMPERATURE = "host_inlet_temperature"
    VM_CPU_UTILIZATION = "vm_cpu_utilization"
    VM_MEMORY_USED = "vm_memory_used"
    ELECTRICITY_PRICE = "electricity_price"
    GRID_CARBON_INTENSITY = "grid_carbon_intensity"


class Subject(StrEnum):
    """What a point belongs to."""

    SITE = "site"
    ZONE = "zone"
    AIR_HANDLER = "air_handler"
    HOST = "host"
    VM = "vm"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindFacts:
    """Unit inside the product, subject, plausible range and rate limit of a point kind.

    ``low`` and ``high`` bound what is physically possible at such a sensor; a value outside is impossible, not merely
    unusual. ``max_rate_per_h`` is the fastest believable change per hour, None where steps are normal.
    """

    unit: str
    subject: Subject
    low: float
    high: float
    max_rate_per_h: float | None
    moves: bool
    """Whether a healthy sensor of this kind changes within six hours (a stuck value is then a finding)."""
    description: str


def _facts(
    unit: str, subject: Subject, low: float, high: float, rate: float | None, moves: bool, description: str
) -> KindFacts:
    return KindFacts(
        unit=unit, subject=subject, low=low, high=high, max_rate_per_h=rate, moves=moves, description=description
    )


_K = PointKind
_S = Subject
KIND_FACTS: Mapping[PointKind, KindFacts] = MappingProxyType(
    {
        _K.ZONE_AIR_TEMPERATURE: _facts("degC", _S.ZONE, -10, 60, 20, True, "mean air temperature of the zone"),
        _K.ZONE_HEATING_SETPOINT: _facts("degC", _S.ZONE, 0, 40, None, False, "heating setpoint in force"),
        _K.ZONE_COOLING_SETPOINT: _facts("degC", _S.ZONE, 5, 60, None, False, "cooling setpoint in force"),
        _K.ZONE_OCCUPANCY: _facts("people", _S.ZONE, 0, 5000, None, False, "people counted in the zone"),
        _K.ZONE_CO2: _facts("ppm", _S.ZONE, 300, 10_000, 6000, True, "carbon dioxide in the zone air"),
        _K.ZONE_RELATIVE_HUMIDITY: _facts("fraction", _S.ZONE, 0, 1, None, True, "relative humidity of the zone air"),
        _K.ZONE_INTERNAL_GAIN_POWER: _facts(
            "W",
            _S.ZONE,
            0,
            1e7,
            None,
            False,
            "other heat released in the zone (processes, IT); electric unless declared",
        ),
        _K.ZONE_LIGHTING_POWER: _facts("W", _S.ZONE, 0, 1e6, None, False, "electric power of lights in the zone"),
        _K.ZONE_PLUG_POWER: _facts("W", _S.ZONE, 0, 1e6, None, False, "electric power of plugs in the zone"),
        _K.ZONE_SUPPLY_AIR_FLOW: _facts("kg/s", _S.ZONE, 0, 100, None, False, "supply air into the zone"),
        _K.ZONE_SUPPLY_AIR_TEMPERATURE: _facts(
            "degC", _S.ZONE, -30, 120, None, True, "supply air at the zone inlet, after reheat"
        ),
        _K.ZONE_RADIATOR_VALVE: _facts(
            "fraction", _S.ZONE, 0, 1, None, False, "opening of radiator valves; their heat is fitted, then replayed"
        ),
        _K.ZONE_BLIND_POSITION: _facts(
            "fraction", _S.ZONE, 0, 1, None, False, "blinds, 1 = up; what they keep out is fitted, then replayed"
        ),
        _K.OUTDOOR_AIR_TEMPERATURE: _facts("degC", _S.SITE, -60, 60, 15, True, "outdoor dry-bulb temperature"),
        _K.OUTDOOR_RELATIVE_HUMIDITY: _facts("fraction", _S.SITE, 0, 1, None, True, "outdoor relative humidity"),
        _K.WIND_SPEED: _facts("m/s", _S.SITE, 0, 80, None, False, "wind speed at the site"),
        _K.GLOBAL_HORIZONTAL_IRRADIANCE: _facts(
            "W/m2", _S.SITE, -20, 1500, None, False, "global irradiance on a horizontal plane"
        ),
        _K.DIRECT_NORMAL_IRRADIANCE: _facts("W/m2", _S.SITE, -20, 1400, None, False, "direct normal irradiance"),
        _K.DIFFUSE_HORIZONTAL_IRRADIANCE: _facts(
            "W/m2", _S.SITE, -20, 1000, None, False, "diffuse irradiance on a horizontal plane"
        ),
        _K.SOLAR_ALTITUDE: _facts("deg", _S.SITE, -90, 90, None, True, "solar altitude angle"),
        _K.ELECTRIC_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "total electricity of the site"),
        _K.GAS_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "total gas of the site, as heat of combustion"),
        _K.HVAC_ELECTRIC_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "electricity of fans, cooling and heating"),
        _K.FAN_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "electricity of fans"),
        _K.COOLING_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "electricity of cooling"),
        _K.HEATING_ELECTRIC_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "electricity of heating, reheat included"),
        _K.HEATING_GAS_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "gas for space heating"),
        _K.LIGHTING_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "electricity of interior lights"),
        _K.PLUG_POWER: _facts("W", _S.SITE, 0, 1e9, None, False, "electricity of plugs and processes"),
        _K.AHU_FAN_COMMAND: _facts(
            "bool", _S.AIR_HANDLER, 0, 1, None, False, "1 while the unit runs by schedule or call"
        ),
        _K.AHU_SUPPLY_AIR_TEMPERATURE: _facts(
            "degC", _S.AIR_HANDLER, -40, 120, None, True, "supply air leaving the unit"
        ),
        _K.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT: _facts(
            "degC", _S.AIR_HANDLER, 0, 60, None, False, "commanded supply air temperature"
        ),
        _K.AHU_SUPPLY_AIR_FLOW: _facts("kg/s", _S.AIR_HANDLER, 0, 1000, None, False, "supply air flow of the unit"),
        _K.AHU_OUTDOOR_AIR_FRACTION: _facts(
            "fraction", _S.AIR_HANDLER, 0, 1, None, False, "outdoor air as a share of the supply air"
        ),
        _K.AHU_MINIMUM_OUTDOOR_AIR: _facts(
            "fraction",
            _S.AIR_HANDLER,
            0,
            1,
            None,
            False,
            "commanded minimum outdoor air as a share of the design minimum",
        ),
        _K.HOST_POWER: _facts("W", _S.HOST, 0, 1e5, None, False, "electric power of the host at the plug"),
        _K.HOST_CPU_UTILIZATION: _facts("fraction", _S.HOST, 0, 1, None, False, "CPU use as a share of the host"),
        _K.HOST_MEMORY_USED: _facts("bytes", _S.HOST, 0, 1e15, None, False, "memory in use on the host"),
        _K.HOST_INLET_TEMPERATURE: _facts("degC", _S.HOST, 0, 60, None, True, "air at the inlet of the host"),
        _K.VM_CPU_UTILIZATION: _facts(
            "fraction", _S.VM, 0, 1.5, None, False, "CPU use as a share of the VM's own CPUs"
        ),
        _K.VM_MEMORY_USED: _facts("bytes", _S.VM, 0, 1e14, None, False, "memory in use by the VM"),
        _K.ELECTRICITY_PRICE: _facts("currency/kWh", _S.SITE, -10, 100, None, False, "price of electricity"),
        _K.GRID_CARBON_INTENSITY: _facts("kg/kWh", _S.SITE, 0, 3, None, False, "carbon intensity of grid electricity"),
    }
)


class Facing(StrEnum):
    """Where an outer wall looks."""

    NORTH = "N"
    EAST = "E"
    SOUTH = "S"
    WEST = "W"


class SystemType(StrEnum):
    """How a unit conditions its zones."""

    VAV_REHEAT = "vav_reheat"
    """Variable air volume boxes with reheat behind one air handler."""
    PACKAGED_SINGLE_ZONE = "packaged_single_zone"
    """A constant-volume packaged unit that serves one zone and cycles its coils."""
    FAN_COIL = "fan_coil"
    """A fan coil in the zone fed with chilled and hot water."""


class CoolingKind(StrEnum):
    """What makes cold."""

    DX = "dx"
    CHILLED_WATER = "chilled_water"
    NONE = "none"


class HeatingKind(StrEnum):
    """What makes heat, at the unit or at the box."""

    GAS = "gas"
    ELECTRIC = "electric"
    HEAT_PUMP = "heat_pump"
    HOT_WATER = "hot_water"
    """Hot water from a gas boiler."""
    NONE = "none"


class EndUse(StrEnum):
    """The end uses that the twin accounts for."""

    FAN = "fan"
    COOLING = "cooling"
    HEATING_ELECTRIC = "heating_electric"
    HEATING_GAS = "heating_gas"
    LIGHTS = "lights"
    PLUGS = "plugs"
    IT = "it"
    OTHER = "other"
