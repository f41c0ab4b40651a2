"""What a site file says about building, plant and machines: one frozen model per block, unknown keys forbidden."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

from twin.policy_text import policy_schema
from twin.vocab import CoolingKind, EndUse, Facing, HeatingKind, PointKind, SystemType

ID_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,79}$"
Number = Annotated[float, Strict()]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Id = Annotated[str, Field(pattern=ID_PATTERN)]


class Block(BaseModel):
    """Base of all blocks."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class LocationBlock(Block):
    """Where the site stands."""

    latitude_deg: Number = Field(ge=-90, le=90, description="latitude, north positive [°]")
    longitude_deg: Number = Field(ge=-180, le=180, description="longitude, east positive [°]")
    altitude_m: Number = Field(default=0.0, ge=-500, le=6000, description="height above sea level [m]")


class WallBlock(Block):
    """Outer wall of a zone on one side."""

    facing: Facing = Field(description="where it looks: N, E, S or W")
    area_m2: Number = Field(gt=0, description="gross area, windows included [m²]")
    window_m2: Number = Field(default=0.0, ge=0, description="area of its windows [m²]")


class AdjacencyBlock(Block):
    """A surface shared with another zone; one of the two zones may leave it out."""

    zone: Id = Field(description="id of the other zone")
    area_m2: Number = Field(gt=0, description="shared area [m²]")


class ZoneBlock(Block):
    """A thermal zone: rooms that share one thermostat. An attic is a zone with `conditioned: false`."""

    id: Id = Field(description="short name, used in points, scenarios and results")
    floor: Whole = Field(default=0, description="storey, 0 is the ground floor")
    floor_area_m2: Number = Field(gt=0, description="floor area [m²]")
    volume_m3: Number | None = Field(default=None, gt=0, description="air volume [m³]; floor area × 2.7 m if left out")
    design_people: Number | None = Field(
        default=None, ge=0, description="people at full use; one per 20 m² of a conditioned zone if left out"
    )
    walls: tuple[WallBlock, ...] = Field(default=(), description="outer walls, one entry per side")
    roof_m2: Number = Field(default=0.0, ge=0, description="roof above the zone [m²]")
    ground_m2: Number = Field(default=0.0, ge=0, description="floor on the ground [m²]")
    adjacent: tuple[AdjacencyBlock, ...] = Field(default=(), description="surfaces shared with other zones")
    lights_design_w: Number | None = Field(default=None, ge=0, description="all lights on [W]")
    plugs_design_w: Number | None = Field(default=None, ge=0, description="all plugs in use [W]")
    room_number: str | None = Field(default=None, description="number on the door, as calendars name it")
    conditioned: Flag = Field(default=True, description="false for an attic or shaft without a thermostat")


class AirHandlerBlock(Block):
    """A unit that conditions one or more zones. Every fact that is left out is fitted by calibration."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9_{][A-Za-z0-9_.\-{}]{0,79}$",
        description="short name; with `each_zone` it holds {zone}, e.g. rtu_{zone}",
    )
    system: SystemType = Field(
        description="vav_reheat (boxes behind an air handler), packaged_single_zone (constant volume), fan_coil"
    )
    zones: tuple[Id, ...] = Field(default=(), description="zones that it serves; a zone has one unit")
    each_zone: tuple[Id, ...] = Field(
        default=(), description="instead of `zones`: one such unit for each of these zones"
    )
    cooling: CoolingKind = Field(default=CoolingKind.DX, description="dx, chilled_water or none")
    cooling_stages: Whole = Field(default=1, ge=1, le=10, description="stages of the compressor")
    rated_cop: Number | None = Field(default=None, gt=0.5, le=12, description="rated COP of cooling, fan left out")
    heating: HeatingKind = Field(
        default=HeatingKind.GAS, description="at the unit: gas, electric, heat_pump, hot_water (gas boiler) or none"
    )
    heating_efficiency: Number | None = Field(
        default=None, gt=0.1, le=6, description="efficiency, or COP of a heat pump"
    )
    reheat: HeatingKind = Field(default=HeatingKind.NONE, description="at the boxes: electric, hot_water or none")
    economizer: Flag = Field(default=False, description="a differential dry-bulb economizer is installed")
    minimum_flow_fraction: Number | None = Field(
        default=None, gt=0, le=1, description="least flow of a VAV box as a share of its design flow"
    )
    design_outdoor_air_m3_s: Number | None = Field(
        default=None, ge=0, description="minimum outdoor air at full damper minimum [m³/s]"
    )
    design_flow_kg_s: Number | None = Field(default=None, gt=0, description="design supply air [kg/s]")
    cooling_capacity_w: Number | None = Field(default=None, gt=0, description="rated total cooling [W]")
    heating_capacity_w: Number | None = Field(default=None, gt=0, description="rated heating [W]")
    fan_pressure_pa: Number | None = Field(default=None, gt=0, le=5000, description="pressure rise of the fan [Pa]")
    fan_efficiency: Number | None = Field(default=None, gt=0.05, le=1, description="total efficiency of the fan")
    return_plenum: Flag = Field(
        default=False, description="return air goes through a ceiling plenum; it is not listed as a zone then"
    )
    lights_to_return_fraction: Number = Field(
        default=0.0, ge=0, le=1, description="share of the heat of lights that goes to the return air"
    )


class MeterBlock(Block):
    """What a meter covers: declared, not guessed."""

    kind: PointKind = Field(description="kind of the meter's point, e.g. electric_power")
    covers: tuple[EndUse, ...] = Field(
        min_length=1, description="end uses: fan, cooling, heating_electric, heating_gas, lights, plugs, it, other"
    )


class ComfortBlock(Block):
    """What people accept while they are there."""

    min_c: Number = Field(default=20.0, ge=0, le=40, description="lowest air temperature [°C]")
    max_c: Number = Field(default=26.0, ge=0, le=45, description="highest air temperature [°C]")
    co2_max_ppm: Number = Field(default=1000.0, ge=400, le=10_000, description="highest CO₂ [ppm]")


class TariffBlock(Block):
    """Prices and carbon where no recorded series is given."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code")
    electricity_per_kwh: Number = Field(default=0.15, ge=0, description="flat price [currency/kWh]")
    gas_per_kwh: Number = Field(default=0.04, ge=0, description="price of gas by heat of combustion [currency/kWh]")
    peak_per_kw_month: Number = Field(default=0.0, ge=0, description="charge on the month's highest step [currency/kW]")
    carbon_kg_per_kwh: Number = Field(default=0.4, ge=0, le=3, description="grid electricity [kg CO₂/kWh]")
    gas_carbon_kg_per_kwh: Number = Field(default=0.202, ge=0, le=1, description="gas [kg CO₂/kWh]")
    electricity_by_hour: tuple[Number, ...] = Field(
        default=(), description="24 prices by local hour of working days [currency/kWh]; the flat price otherwise"
    )


class HostTypeBlock(Block):
    """A model of server."""

    name: Id = Field(description="short name")
    cores: Whole = Field(ge=1, description="CPU cores")
    core_mips: Number = Field(gt=0, description="speed of a core [MIPS]; any unit that VMs share")
    ram_mb: Number = Field(gt=0, description="memory [MB]")
    power_w: tuple[Number, ...] = Field(
        min_length=11, max_length=11, description="power at 0, 10, … 100 % load, 11 values [W]"
    )
    sleep_power_w: Number = Field(default=5.0, ge=0, description="power while asleep [W]")
    wake_s: Number = Field(default=120.0, ge=0, description="time to wake [s]")
    wake_energy_j: Number | None = Field(default=None, ge=0, description="energy of waking [J]; full power if left out")
    network_mbit_s: Number = Field(default=1000.0, gt=0, description="link for migrations [Mbit/s]")
    source: str = Field(default="", description="where the power curve comes from")


class HostBlock(Block):
    """A server."""

    id: Id = Field(description="short name")
    type: Id = Field(description="name of its type")
    zone: Id | None = Field(default=None, description="zone that it stands in and heats")
    rack: str = Field(default="", description="rack")
    redundant_with: Id | None = Field(default=None, description="host that must not be off or full at the same time")


class VmBlock(Block):
    """A virtual machine."""

    id: Id = Field(description="short name")
    vcpus: Whole = Field(ge=1, description="virtual CPUs")
    mips: Number = Field(gt=0, description="capacity of all vCPUs together [MIPS]")
    ram_mb: Number = Field(gt=0, description="memory [MB]")
    host: Id | None = Field(default=None, description="host at the start")
    anti_affinity: str | None = Field(default=None, description="VMs with the same group name never share a host")
    pinned: Flag = Field(default=False, description="never moved")
    barred_hosts: tuple[Id, ...] = Field(default=(), description="hosts that it cannot run on (CPU features, licences)")
    production: Flag = Field(default=True, description="counts as production for approvals")
    dirty_mb_s: Number = Field(default=20.0, ge=0, description="memory written while it runs [MB/s]")
    room: Id | None = Field(default=None, description="zone whose meetings it serves")


class LinkBlock(Block):
    """A network link."""

    a: Id = Field(description="host or switch at one end")
    b: Id = Field(description="host or switch at the other end")
    mbit_s: Number = Field(gt=0, description="bandwidth [Mbit/s]")


def _holiday_form(node: object) -> object:
    if isinstance(node, list):
        return {"dates": node}
    return {"country": node} if isinstance(node, str) else node


class HolidayBlock(Block):
    """Days that run by the hours of `holidays`: a list of dates, a country code, or both as a mapping."""

    country: str | None = Field(
        default=None, pattern=r"^[A-Z]{2}$", description="ISO code: its public holidays, e.g. US"
    )
    subdivision: str | None = Field(default=None, description="state or province of the country, e.g. IL")
    dates: tuple[date, ...] = Field(default=(), description="single dates, YYYY-MM-DD")
    without: tuple[date, ...] = Field(default=(), description="dates that are normal days after all")


Holidays = Annotated[
    HolidayBlock,
    BeforeValidator(_holiday_form),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string", "format": "date"}},
                {"type": "string", "pattern": "^[A-Z]{2}$"},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "country": {"type": "string"},
                        "subdivision": {"type": "string"},
                        "dates": {"type": "array", "items": {"type": "string", "format": "date"}},
                        "without": {"type": "array", "items": {"type": "string", "format": "date"}},
                    },
                },
            ]
        }
    ),
]
OperationNode = Annotated[Any, WithJsonSchema(policy_schema())]
FreeBlock = Mapping[str, Any]
