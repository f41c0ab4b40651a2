"""Further reference buildings as sites: zones and units as the drawings tell, plant as the nameplates tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from connectors.emulator.energyplus_facts import zone_facts
from connectors.emulator.energyplus_input import source_files
from connectors.emulator.energyplus_model import ModelRequest, PreparedModel, prepare_model
from connectors.emulator.energyplus_ports import UnitPorts
from fidelity.sites import HOLIDAYS_2023, METERS, OPERATION, zone_of
from fidelity.stochastic_office import office_days
from fidelity.truth import Building
from twin.site import AirHandler, Location, Site
from twin.vocab import CoolingKind, HeatingKind, SystemType

NEW_YEAR = date(2023, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What the nameplates of a building's units tell; outdoor air and flows are left to calibration."""

    cooling: CoolingKind = CoolingKind.DX
    cooling_stages: int = 1
    rated_cop: float | None = None
    heating: HeatingKind = HeatingKind.GAS
    heating_efficiency: float = 0.8
    reheat: HeatingKind = HeatingKind.NONE
    minimum_flow_fraction: float | None = None
    fan_pressure_pa: float
    fan_efficiency: float = 0.54


HEATER = Plant(cooling=CoolingKind.NONE, heating=HeatingKind.ELECTRIC, heating_efficiency=1.0, fan_pressure_pa=50.0)
"""A heater with a fan in a zone that no other unit serves."""


def reference_building(name: str, reference: str, weather: str, plant: Plant, packaged: Plant, seed: int) -> Building:
    """A reference building of the engine's wheel in one of its climates, with seeded people.

    Args:
        name: of the building in the benchmark.
        reference: key of the model in the wheel.
        weather: key of the weather file.
        plant: of units that feed several zones.
        packaged: of units that serve one zone.
        seed: of everybody's habits.
    """
    model = prepare_model(
        ModelRequest(
            building=reference, weather=weather, first_day=NEW_YEAR, last_day=NEW_YEAR, size_by_weather_file=True
        )
    )
    location, offset_h = _place(weather)
    facts = zone_facts(reference)
    plenums = {fact.zone for fact in facts if any(name.endswith("Plenum") for name in fact.neighbours_m2)}
    unit_of = {zone: unit.name for unit in model.units for zone in unit.zones}
    site = Site(
        name=f"{reference}, {weather}",
        time_zone=ZoneInfo(f"Etc/GMT{-offset_h:+d}"),
        location=location,
        zones=tuple(zone_of(fact, unit_of.get(fact.zone)) for fact in facts),
        air_handlers=tuple(_unit(unit, model, plant, packaged, plenums) for unit in model.units),
        meters=METERS,
        holidays=HOLIDAYS_2023,
        operation=OPERATION,
        infiltration_fraction_fans_on=0.25,
    )
    return Building(
        name=name,
        site=site,
        days=office_days(site, utc_offset_h=offset_h, seed=seed),
        reference=reference,
        weather=weather,
        utc_offset_h=offset_h,
        own_sizing=True,
    )


def _place(weather: str) -> tuple[Location, int]:
    """Where a weather file was recorded, and its hours from UTC, from the first line of the file."""
    head = source_files("medium_office", weather)[1].read_text(errors="replace").splitlines()[0].split(",")
    latitude, longitude, offset_h, altitude = (float(value) for value in head[6:10])
    return Location(latitude_deg=latitude, longitude_deg=longitude, altitude_m=altitude), round(offset_h)


def _unit(unit: UnitPorts, model: PreparedModel, plant: Plant, packaged: Plant, plenums: set[str]) -> AirHandler:
    system, own = SystemType.PACKAGED_SINGLE_ZONE, packaged
    if unit.supply_schedule is not None:
        system, own = SystemType.VAV_REHEAT, plant
    elif unit.outdoor_air_controller is None:
        system, own = SystemType.FAN_COIL, HEATER
    return AirHandler(
        id=unit.name,
        system=system,
        zones=tuple(zone.name for zone in model.zones if zone.name in unit.zones),
        cooling=own.cooling,
        cooling_stages=own.cooling_stages,
        rated_cop=own.rated_cop,
        heating=own.heating,
        heating_efficiency=own.heating_efficiency,
        reheat=own.reheat,
        economizer=unit.economizer,
        minimum_flow_fraction=own.minimum_flow_fraction,
        fan_pressure_pa=own.fan_pressure_pa,
        fan_efficiency=own.fan_efficiency,
        return_plenum=bool(plenums & set(unit.zones)),
    )


def retail_newark(seed: int) -> Building:
    """Stand-alone shop of five zones: four packaged units, one with an economizer, and an entry with a heater."""
    packaged = Plant(rated_cop=3.4, fan_pressure_pa=622.0, fan_efficiency=0.55)
    return reference_building("retail", "standalone_retail", "usa_nj_newark", packaged, packaged, seed)


def school_oklahoma(seed: int) -> Building:
    """Primary school of 25 zones: four VAV units with hot-water reheat, three packaged units, one boiler."""
    packaged = Plant(cooling_stages=2, rated_cop=3.4, fan_pressure_pa=622.0, fan_efficiency=0.55)
    vav = Plant(
        cooling_stages=2,
        rated_cop=3.23,
        heating=HeatingKind.HOT_WATER,
        heating_efficiency=0.75,
        reheat=HeatingKind.HOT_WATER,
        minimum_flow_fraction=0.3,
        fan_pressure_pa=1110.0,
        fan_efficiency=0.59,
    )
    return reference_building("school", "primary_school", "usa_ok_oklahoma", vav, packaged, seed)


def strip_mall_fresno(seed: int) -> Building:
    """Strip mall of ten shops, a packaged unit in each."""
    packaged = Plant(rated_cop=3.6, fan_pressure_pa=622.0, fan_efficiency=0.54)
    return reference_building("strip_mall", "strip_mall", "usa_ca_fresno", packaged, packaged, seed)


def large_office_sterling(seed: int) -> Building:
    """Office of three floors and a basement, 16 zones: VAV with hot-water reheat, chillers with tower, a boiler."""
    vav = Plant(
        cooling=CoolingKind.CHILLED_WATER,
        rated_cop=5.5,
        heating=HeatingKind.HOT_WATER,
        heating_efficiency=0.78,
        reheat=HeatingKind.HOT_WATER,
        minimum_flow_fraction=0.3,
        fan_pressure_pa=1030.0,
        fan_efficiency=0.6,
    )
    return reference_building("large_office", "large_office", "usa_va_sterling", vav, vav, seed)
