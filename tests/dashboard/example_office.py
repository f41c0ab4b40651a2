"""An office of three floors with hosts, and a week of its telemetry: all from one seed."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from twin.site import AirHandler, Host, HostType, Location, Point, Site, Vm, Wall, Zone
from twin.streams import stream
from twin.vocab import Facing, PointKind, SystemType

CHICAGO = ZoneInfo("America/Chicago")
START = datetime(2023, 7, 6, 5, tzinfo=UTC)
END = datetime(2023, 7, 13, 5, tzinfo=UTC)
NOW = datetime(2023, 7, 13, 5, tzinfo=UTC)
EVIL = "<img src=x onerror=window.hacked=1>"
_SIDES = ((Facing.SOUTH, "south"), (Facing.EAST, "east"), (Facing.NORTH, "north"), (Facing.WEST, "west"))
_KINDS = (
    PointKind.ZONE_AIR_TEMPERATURE,
    PointKind.ZONE_HEATING_SETPOINT,
    PointKind.ZONE_COOLING_SETPOINT,
    PointKind.ZONE_OCCUPANCY,
    PointKind.ZONE_CO2,
    PointKind.ZONE_PLUG_POWER,
)


def example_site(floors: int = 3, hosts: int = 12, vms: int = 60) -> Site:
    zones: list[Zone] = []
    for floor in range(floors):
        zones += [
            Zone(
                id=f"{name} {floor}",
                floor=floor,
                floor_area_m2=131.0 if name in {"east", "west"} else 207.0,
                volume_m3=560.0,
                air_handler=f"ahu {floor}",
                design_people=12.0,
                walls=(Wall(facing=facing, area_m2=120.0, window_m2=40.0),),
            )
            for facing, name in _SIDES
        ]
        zones.append(
            Zone(
                id=f"core {floor}",
                floor=floor,
                floor_area_m2=984.0,
                volume_m3=2700.0,
                air_handler=f"ahu {floor}",
                design_people=50.0,
            )
        )
    names = [zone.id for zone in zones]
    machines = tuple(
        Host(id=f"host-{i:02d}", type="plain", zone="core 0", rack=f"rack {i // 6 + 1}") for i in range(hosts)
    )
    points = [Point(id=f"{zone}/{kind.value}", kind=kind, of=zone) for kind in _KINDS for zone in names]
    for kind in (PointKind.HOST_CPU_UTILIZATION, PointKind.HOST_POWER):
        points += [Point(id=f"{host.id}/{kind.value}", kind=kind, of=host.id) for host in machines]
    points.append(Point(id="outdoor", kind=PointKind.OUTDOOR_AIR_TEMPERATURE, of="Example office"))
    return Site(
        name="Example office",
        time_zone=CHICAGO,
        location=Location(latitude_deg=42.0, longitude_deg=-88.0),
        zones=tuple(zones),
        air_handlers=tuple(
            AirHandler(
                id=f"ahu {f}",
                system=SystemType.VAV_REHEAT,
                zones=tuple(zone.id for zone in zones if zone.floor == f),
            )
            for f in range(floors)
        ),
        points=tuple(points),
        host_types=(
            HostType(name="plain", cores=16, core_mips=2600, ram_mb=131_072, power_w=tuple(range(100, 210, 10))),
        ),
        hosts=machines,
        vms=tuple(
            Vm(id=f"vm-{i:02d}", vcpus=2, mips=5200, ram_mb=4096, host=f"host-{i % hosts:02d}") for i in range(vms)
        ),
    )


def example_frame(site: Site, start: datetime = START, end: datetime = END) -> pd.DataFrame:
    index = pd.date_range(start, end, freq="15min", inclusive="left", tz="UTC")
    local = index.tz_convert(site.time_zone)
    hour = (local.hour + local.minute / 60).to_numpy()
    work = ((local.day_of_week < 5) & (hour > 7) & (hour < 19)).astype(float)
    outdoor = 24 + 7 * np.sin((hour - 9) / 24 * 2 * np.pi)
    columns: dict[str, np.ndarray] = {"outdoor": outdoor}
    for i, zone in enumerate(site.zones):
        random = stream(7, "example", zone.id)
        bump = np.clip(np.sin((hour - 7) / 12 * np.pi), 0, None) * work
        people = np.round(zone.design_people * 0.6 * bump * random.uniform(0.7, 1.3))
        warm = 23.2 + 0.1 * (i % 5) + (3.4 if zone.id == "west 2" else 0.8) * bump + 1.6 * (1 - work)
        values = {
            PointKind.ZONE_AIR_TEMPERATURE: warm + random.normal(0, 0.08, len(index)),
            PointKind.ZONE_HEATING_SETPOINT: np.where(work > 0, 21.0, 15.6),
            PointKind.ZONE_COOLING_SETPOINT: np.where(work > 0, 24.0, 26.7),
            PointKind.ZONE_OCCUPANCY: people,
            PointKind.ZONE_CO2: 420 + 14 * people * 50 / zone.design_people / 2,
            PointKind.ZONE_PLUG_POWER: 400 + 90 * people,
        }
        columns |= {f"{zone.id}/{kind.value}": series for kind, series in values.items()}
    for i, host in enumerate(site.hosts):
        random = stream(7, "example", host.id)
        cpu = np.clip(0.2 + 0.06 * (i % 7) + 0.25 * work + random.normal(0, 0.03, len(index)), 0.02, 1)
        columns[f"{host.id}/host_cpu_utilization"] = cpu
        columns[f"{host.id}/host_power"] = 100 + 100 * cpu
    return pd.DataFrame(columns, index=index)
