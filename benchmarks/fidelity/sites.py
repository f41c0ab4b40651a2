"""The two buildings of the fidelity benchmark as sites: what their drawings and their engineers would tell."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from connectors.emulator.energyplus_facts import ZoneFacts, zone_facts
from twin.policy import DAY_KEYS, NightCycle, OperatingHours, OutdoorAir, Policy, Setpoint, SupplyAirReset
from twin.site import Adjacency, AirHandler, Location, Meter, Site, Wall, Zone
from twin.vocab import CoolingKind, EndUse, HeatingKind, PointKind, SystemType

HOLIDAYS_2023 = frozenset(
    date(2023, month, day)
    for month, day in ((1, 1), (1, 16), (2, 20), (5, 29), (7, 4), (9, 4), (10, 9), (11, 11), (11, 23), (12, 25))
)
"""The ten holidays of the reference models on the calendar of 2023."""

OPERATION = Policy(
    heating_setpoint_c=Setpoint(occupied=21.0, unoccupied=15.6),
    cooling_setpoint_c=Setpoint(occupied=24.0, unoccupied=26.7),
    operating_hours=OperatingHours(
        windows=dict.fromkeys(DAY_KEYS[:5], (6.0, 22.0)) | {"sat": (6.0, 18.0), "sun": None, "holidays": None}
    ),
    optimal_start="off",
    empty_zone_setback="off",
    supply_air_temperature_c=SupplyAirReset(min_c=12.8, max_c=12.8),
    outdoor_air=OutdoorAir(start_delay_h=1.0),
    economizer="differential_dry_bulb",
    night_cycle=NightCycle(tolerance_k=1.0, run_min=30.0),
    precool="off",
)
"""Normal schedule without the operator's variation."""

METERS = (
    Meter(kind=PointKind.HVAC_ELECTRIC_POWER, covers=(EndUse.FAN, EndUse.COOLING, EndUse.HEATING_ELECTRIC)),
    Meter(kind=PointKind.FAN_POWER, covers=(EndUse.FAN,)),
    Meter(kind=PointKind.COOLING_POWER, covers=(EndUse.COOLING,)),
    Meter(kind=PointKind.HEATING_ELECTRIC_POWER, covers=(EndUse.HEATING_ELECTRIC,)),
    Meter(kind=PointKind.HEATING_GAS_POWER, covers=(EndUse.HEATING_GAS,)),
)


def medium_office_chicago() -> Site:
    """Medium office of 15 zones: one packaged VAV unit per floor with electric reheat and an economizer."""
    facts = zone_facts("medium_office")
    floors = ("VAV_1", "VAV_2", "VAV_3")
    zones = tuple(zone_of(fact, floors[fact.floor]) for fact in facts)
    units = tuple(
        AirHandler(
            id=unit,
            system=SystemType.VAV_REHEAT,
            zones=tuple(zone.id for zone in zones if zone.air_handler == unit),
            cooling=CoolingKind.DX,
            cooling_stages=2,
            rated_cop=3.2,
            heating=HeatingKind.GAS,
            heating_efficiency=0.8,
            reheat=HeatingKind.ELECTRIC,
            economizer=True,
            minimum_flow_fraction=0.3,
            design_outdoor_air_m3_s=0.0125 * sum(zone.design_people for zone in zones if zone.air_handler == unit),
            fan_pressure_pa=1110.0,
            fan_efficiency=0.59,
            return_plenum=True,
            lights_to_return_fraction=0.4,
        )
        for unit in floors
    )
    return Site(
        name="medium office, Chicago",
        time_zone=ZoneInfo("Etc/GMT+6"),
        location=Location(latitude_deg=41.98, longitude_deg=-87.92, altitude_m=201.0),
        zones=zones,
        air_handlers=units,
        meters=METERS,
        holidays=HOLIDAYS_2023,
        operation=OPERATION,
        infiltration_fraction_fans_on=0.25,
    )


def small_office_las_vegas() -> Site:
    """Small office of five zones, one constant-volume packaged unit with gas furnace and no economizer in each."""
    zones = tuple(zone_of(fact, f"PSZ_{i}") for i, fact in enumerate(zone_facts("small_office"), start=1))
    units = tuple(
        AirHandler(
            id=zone.air_handler or "",
            system=SystemType.PACKAGED_SINGLE_ZONE,
            zones=(zone.id,),
            cooling=CoolingKind.DX,
            rated_cop=3.67,
            heating=HeatingKind.GAS,
            heating_efficiency=0.8,
            design_outdoor_air_m3_s=0.01 * zone.design_people,
            fan_pressure_pa=622.0,
            fan_efficiency=0.54,
        )
        for zone in zones
    )
    return Site(
        name="small office, Las Vegas",
        time_zone=ZoneInfo("Etc/GMT+8"),
        location=Location(latitude_deg=36.08, longitude_deg=-115.15, altitude_m=648.0),
        zones=zones,
        air_handlers=units,
        meters=METERS,
        holidays=HOLIDAYS_2023,
        operation=OPERATION,
        infiltration_fraction_fans_on=0.25,
    )


def _is_void(name: str) -> bool:
    """Whether a neighbour is a plenum or attic: no thermostat, no telemetry."""
    return name == "Attic" or name.endswith("Plenum")


def zone_of(facts: ZoneFacts, unit: str | None) -> Zone:
    """A zone as its drawings tell; ``unit`` None: no air handler serves it."""
    return Zone(
        id=facts.zone,
        floor=facts.floor,
        floor_area_m2=facts.floor_area_m2,
        volume_m3=facts.volume_m3,
        air_handler=unit,
        design_people=facts.design_people,
        walls=tuple(
            Wall(facing=facing, area_m2=area, window_m2=facts.windows_m2.get(facing, 0.0))
            for facing, area in facts.walls_m2.items()
        ),
        roof_m2=facts.roof_m2 + facts.neighbours_m2.get("Attic", 0.0),
        ground_m2=facts.ground_m2,
        adjacent=tuple(
            Adjacency(zone=name, area_m2=area) for name, area in facts.neighbours_m2.items() if not _is_void(name)
        ),
        lights_design_w=facts.lights_design_w,
        plugs_design_w=facts.plugs_design_w,
    )
