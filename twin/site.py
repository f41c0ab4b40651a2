"""What a site is made of: zones, air handlers, hosts, VMs, meters, tariff. Frozen facts, no behaviour.

What a site owner doesn't know is left None and fitted within bounds by calibration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from twin.policy import Policy
from twin.vocab import CoolingKind, EndUse, Facing, HeatingKind, PointKind, SystemType


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the site stands."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """Outer wall of a zone on one side, with its windows."""

    facing: Facing
    area_m2: float
    """Gross area, windows included."""
    window_m2: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacency:
    """A surface shared with another zone."""

    zone: str
    area_m2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A thermal zone: rooms that share one thermostat."""

    id: str
    floor: int
    floor_area_m2: float
    volume_m3: float
    air_handler: str | None
    design_people: float
    walls: tuple[Wall, ...] = ()
    roof_m2: float = 0.0
    ground_m2: float = 0.0
    adjacent: tuple[Adjacency, ...] = ()
    lights_design_w: float | None = None
    plugs_design_w: float | None = None
    room_number: str | None = None
    conditioned: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AirHandler:
    """A unit that conditions one or more zones."""

    id: str
    system: SystemType
    zones: tuple[str, ...]
    cooling: CoolingKind = CoolingKind.DX
    cooling_stages: int = 1
    rated_cop: float | None = None
    heating: HeatingKind = HeatingKind.GAS
    heating_efficiency: float | None = None
    reheat: HeatingKind = HeatingKind.NONE
    economizer: bool = False
    """Differential dry-bulb economizer installed."""
    minimum_flow_fraction: float | None = None
    """Least flow of a VAV box as a share of its design flow; None: fitted."""
    design_outdoor_air_m3_s: float | None = None
    """Minimum outdoor air with the damper at 100 % of its minimum; None: fitted."""
    design_flow_kg_s: float | None = None
    cooling_capacity_w: float | None = None
    heating_capacity_w: float | None = None
    fan_pressure_pa: float | None = None
    fan_efficiency: float | None = None
    return_plenum: bool = False
    lights_to_return_fraction: float = 0.0
    """Share of the heat of lights that goes to the return air."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What a meter covers: declared, not guessed."""

    kind: PointKind
    covers: tuple[EndUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostType:
    """A model of server: capacity and power curve."""

    name: str
    cores: int
    core_mips: float
    ram_mb: float
    power_w: tuple[float, ...]
    """Watts at 0, 10, … 100 % of capacity (11 values), as SPECpower tables give them."""
    sleep_power_w: float = 5.0
    wake_s: float = 120.0
    wake_energy_j: float | None = None
    """Energy of one wake-up; None: full power during ``wake_s``."""
    network_mbit_s: float = 1000.0
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A hypervisor that stands in a zone and heats it."""

    id: str
    type: str
    zone: str | None = None
    rack: str = ""
    redundant_with: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """A virtual machine with its size and rules."""

    id: str
    vcpus: int
    mips: float
    """Capacity of all its vCPUs together. [MIPS]"""
    ram_mb: float
    host: str | None = None
    anti_affinity: str | None = None
    """VMs with the same group name never share a host."""
    pinned: bool = False
    barred_hosts: tuple[str, ...] = ()
    """Hosts that it cannot run on: their CPU lacks features, a licence does not cover them."""
    production: bool = True
    dirty_mb_s: float = 20.0
    room: str | None = None
    """Zone whose meetings this VM serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLink:
    """A link that joins two hosts or a host and a switch."""

    a: str
    b: str
    mbit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComfortBand:
    """What people accept while they are there."""

    min_c: float = 20.0
    max_c: float = 26.0
    co2_max_ppm: float = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices and carbon where no recorded series is given."""

    currency: str = "USD"
    electricity_per_kwh: float = 0.15
    gas_per_kwh: float = 0.04
    peak_per_kw_month: float = 0.0
    carbon_kg_per_kwh: float = 0.4
    gas_carbon_kg_per_kwh: float = 0.202
    electricity_by_hour: tuple[float, ...] = ()
    """24 prices by local hour of working days; empty: the flat price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A telemetry point: an id, what it is of, and its kind."""

    id: str
    kind: PointKind
    of: str
    """Id of the zone, unit, host or VM; the site's name for site points."""
    step_s: float | None = None
    """Time that a value covers; None: the site's step. [s]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A building with its people, plant and machines."""

    name: str
    time_zone: ZoneInfo
    location: Location
    zones: tuple[Zone, ...]
    air_handlers: tuple[AirHandler, ...] = ()
    meters: tuple[Meter, ...] = ()
    points: tuple[Point, ...] = ()
    holidays: frozenset[date] = frozenset()
    operation: Policy = field(default_factory=Policy)
    """How the site runs today; the policy of a scenario changes only the keys it names."""
    infiltration_fraction_fans_on: float | None = None
    """Infiltration while the fans run, as a share of that with fans off; None: fitted."""
    comfort: ComfortBand = ComfortBand()
    tariff: Tariff = Tariff()
    host_types: tuple[HostType, ...] = ()
    hosts: tuple[Host, ...] = ()
    vms: tuple[Vm, ...] = ()
    links: tuple[NetworkLink, ...] = ()
    step_s: float = 900.0
    """Step of the telemetry grid and of control. [s]"""

    def zone_index(self) -> Mapping[str, int]:
        """Position of each zone in arrays of shape (zones,)."""
        return {zone.id: i for i, zone in enumerate(self.zones)}

    def air_handler_index(self) -> Mapping[str, int]:
        """Position of each unit in arrays of shape (units,)."""
        return {unit.id: i for i, unit in enumerate(self.air_handlers)}

    def points_of(self, kind: PointKind) -> tuple[Point, ...]:
        """All points of one kind, in the order of the site file."""
        return tuple(point for point in self.points if point.kind is kind)
