"""A site document to the twin's own words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from connectors.settings.document import SiteDocument
from connectors.settings.facts import AirHandlerBlock, HolidayBlock, ZoneBlock
from twin.policy import Policy
from twin.site import (
    Adjacency,
    AirHandler,
    ComfortBand,
    Host,
    HostType,
    Location,
    Meter,
    NetworkLink,
    Point,
    Site,
    Tariff,
    Vm,
    Wall,
    Zone,
)
from twin.vocab import EndUse, PointKind

DEFAULT_HEIGHT_M = 2.7
DEFAULT_AREA_PER_PERSON_M2 = 20.0
HOLIDAY_YEARS = range(2000, 2041)
EVIDENT_COVERAGE: Mapping[PointKind, tuple[EndUse, ...]] = {
    PointKind.HVAC_ELECTRIC_POWER: (EndUse.FAN, EndUse.COOLING, EndUse.HEATING_ELECTRIC),
    PointKind.FAN_POWER: (EndUse.FAN,),
    PointKind.COOLING_POWER: (EndUse.COOLING,),
    PointKind.HEATING_ELECTRIC_POWER: (EndUse.HEATING_ELECTRIC,),
    PointKind.HEATING_GAS_POWER: (EndUse.HEATING_GAS,),
    PointKind.LIGHTING_POWER: (EndUse.LIGHTS,),
    PointKind.PLUG_POWER: (EndUse.PLUGS,),
}
"""What a meter of this kind covers unless ``meters`` says otherwise."""


def units_of(document: SiteDocument) -> tuple[AirHandlerBlock, ...]:
    """Units with ``each_zone`` written out, one per zone."""
    units: list[AirHandlerBlock] = []
    for block in document.air_handlers:
        if not block.each_zone:
            units.append(block)
        units.extend(
            block.model_copy(update={"id": block.id.replace("{zone}", zone), "zones": (zone,), "each_zone": ()})
            for zone in block.each_zone
        )
    return tuple(units)


def holiday_dates(block: HolidayBlock) -> frozenset[date]:
    """All holidays; those of a country for the years 2000 to 2040.

    Raises:
        NotImplementedError: the country or its subdivision is unknown.
    """
    named: set[date] = set()
    if block.country is not None:
        from holidays import country_holidays

        named = set(country_holidays(block.country, subdiv=block.subdivision, years=HOLIDAY_YEARS))
    return frozenset((named | set(block.dates)) - set(block.without))


def meters_of(document: SiteDocument, points: tuple[Point, ...]) -> tuple[Meter, ...]:
    """Declared meters, and those whose coverage is evident from their kind."""
    declared = {block.kind: Meter(kind=block.kind, covers=block.covers) for block in document.meters}
    mapped = {point.kind for point in points}
    evident = {
        kind: Meter(kind=kind, covers=covers)
        for kind, covers in EVIDENT_COVERAGE.items()
        if kind in mapped and kind not in declared
    }
    return tuple((declared | evident).values())


def site_of(document: SiteDocument, operation: Policy, points: tuple[Point, ...], holidays: frozenset[date]) -> Site:
    """The site as the twin knows it."""
    units = units_of(document)
    unit_of = {zone: unit.id for unit in units for zone in unit.zones}
    return Site(
        name=document.name,
        time_zone=ZoneInfo(document.time_zone),
        location=Location(**dict(document.location)),
        zones=tuple(_zone(block, unit_of.get(block.id)) for block in document.zones),
        air_handlers=tuple(_unit(block) for block in units),
        meters=meters_of(document, points),
        points=points,
        holidays=holidays,
        operation=operation,
        infiltration_fraction_fans_on=document.infiltration_fraction_fans_on,
        comfort=ComfortBand(**dict(document.comfort)),
        tariff=Tariff(**dict(document.tariff)),
        host_types=tuple(HostType(**dict(block)) for block in document.host_types),
        hosts=tuple(Host(**dict(block)) for block in document.hosts),
        vms=tuple(Vm(**dict(block)) for block in document.vms),
        links=tuple(NetworkLink(**dict(block)) for block in document.links),
        step_s=document.step_min * 60.0,
    )


def _unit(block: AirHandlerBlock) -> AirHandler:
    facts = {name: value for name, value in block if name != "each_zone"}
    return AirHandler(**facts)


def _zone(block: ZoneBlock, unit: str | None) -> Zone:
    people = block.floor_area_m2 / DEFAULT_AREA_PER_PERSON_M2 if block.conditioned else 0.0
    return Zone(
        id=block.id,
        floor=block.floor,
        floor_area_m2=block.floor_area_m2,
        volume_m3=block.volume_m3 if block.volume_m3 is not None else block.floor_area_m2 * DEFAULT_HEIGHT_M,
        air_handler=unit,
        design_people=block.design_people if block.design_people is not None else people,
        walls=tuple(Wall(**dict(wall)) for wall in block.walls),
        roof_m2=block.roof_m2,
        ground_m2=block.ground_m2,
        adjacent=tuple(Adjacency(**dict(other)) for other in block.adjacent),
        lights_design_w=block.lights_design_w,
        plugs_design_w=block.plugs_design_w,
        room_number=block.room_number,
        conditioned=block.conditioned,
    )
