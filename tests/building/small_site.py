"""A building small enough to reason about: a core and a south zone."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from twin.site import Adjacency, AirHandler, Location, Site, Wall, Zone
from twin.vocab import Facing, HeatingKind, SystemType


def two_zone_site(units: int = 1, system: SystemType = SystemType.VAV_REHEAT) -> Site:
    """Core and south zone, served by one unit or by one each; clock in UTC."""
    served = ("unit-1", "unit-1") if units == 1 else ("unit-1", "unit-2")
    core = Zone(
        id="core",
        floor=0,
        floor_area_m2=200.0,
        volume_m3=540.0,
        air_handler=served[0],
        design_people=10.0,
        ground_m2=200.0,
        adjacent=(Adjacency(zone="south", area_m2=60.0),),
    )
    south = Zone(
        id="south",
        floor=0,
        floor_area_m2=100.0,
        volume_m3=270.0,
        air_handler=served[1],
        design_people=5.0,
        walls=(Wall(facing=Facing.SOUTH, area_m2=60.0, window_m2=20.0),),
        roof_m2=100.0,
        adjacent=(Adjacency(zone="core", area_m2=60.0),),
    )
    reheat = HeatingKind.ELECTRIC if system is SystemType.VAV_REHEAT else HeatingKind.NONE
    return Site(
        name="small",
        time_zone=ZoneInfo("UTC"),
        location=Location(latitude_deg=42.0, longitude_deg=-88.0, altitude_m=200.0),
        zones=(core, south),
        air_handlers=tuple(
            AirHandler(
                id=unit,
                system=system,
                zones=tuple(zone for zone, by in zip(("core", "south"), served, strict=True) if by == unit),
                reheat=reheat,
                economizer=True,
            )
            for unit in dict.fromkeys(served)
        ),
    )
