"""What is fitted: every physical parameter with its meaning, unit, first guess and bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from twin.site import AirHandler, Site
from twin.vocab import SystemType


class Scope(StrEnum):
    """Whether a parameter is one for the building, or one for each zone or unit."""

    BUILDING = "building"
    ZONE = "zone"
    UNIT = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One parameter: a first guess and the physical bounds of the fit."""

    name: str
    guess: float
    low: float
    high: float
    unit: str
    scope: Scope
    description: str
    log: bool = True
    """Fitted on a logarithmic scale (positive quantities)."""


def _spec(name: str, values: tuple[float, float, float], unit: str, description: str, scope: Scope, log: bool) -> Spec:
    guess, low, high = values
    return Spec(name=name, guess=guess, low=low, high=high, unit=unit, scope=scope, description=description, log=log)


def _building(name: str, values: tuple[float, float, float], unit: str, description: str, log: bool = True) -> Spec:
    return _spec(name, values, unit, description, Scope.BUILDING, log)


def _zone(name: str, values: tuple[float, float, float], unit: str, description: str, log: bool = True) -> Spec:
    return _spec(name, values, unit, description, Scope.ZONE, log)


def _unit(name: str, values: tuple[float, float, float], unit: str, description: str, log: bool = True) -> Spec:
    return _spec(name, values, unit, description, Scope.UNIT, log)


SPECS: Mapping[str, Spec] = {
    spec.name: spec
    for spec in (
        _building("wall_u", (0.6, 0.1, 3.0), "W/m2K", "outer wall, wall mass to room"),
        _building("wall_outside", (12.0, 2.0, 60.0), "W/m2K", "outer wall, outdoors to wall mass"),
        _building("wall_capacity", (4e4, 2e3, 5e5), "J/m2K", "heat capacity of the outer wall"),
        _building("window_u", (3.0, 0.8, 7.0), "W/m2K", "windows"),
        _building("roof_u", (0.35, 0.05, 2.5), "W/m2K", "roof"),
        _building("ground_u", (0.8, 0.02, 4.0), "W/m2K", "ground floor, slab to ground"),
        _building("ground_mean_c", (17.0, 2.0, 30.0), "degC", "ground below the slab, mean of the year", False),
        _building("ground_swing_k", (2.0, 0.0, 10.0), "K", "ground below the slab, swing over the year", False),
        _building("shgc", (0.4, 0.08, 0.9), "1", "solar gain of windows at normal incidence"),
        _building("solar_to_air", (0.1, 0.0, 0.6), "1", "share of solar gain that warms the air at once", False),
        _building(
            "absorptance_r", (0.02, 0.0, 0.08), "m2K/W", "absorptance over outside film of walls and roof", False
        ),
        _building("sky_k", (1.5, 0.0, 8.0), "K", "cooling of outer surfaces by the sky", False),
        _building("air_capacity", (1.5, 0.7, 12.0), "1", "heat capacity of room air and what follows it, over air"),
        _building("surface_capacity", (4e4, 5e3, 3e5), "J/m2K", "light mass per floor area"),
        _building("mass_capacity", (2e5, 2e4, 1.2e6), "J/m2K", "deep mass per floor area"),
        _building("surface_h", (10.0, 2.0, 60.0), "W/m2K", "room air to light mass, per floor area"),
        _building("mass_h", (4.0, 0.3, 40.0), "W/m2K", "light to deep mass, per floor area"),
        _building("interior_u", (2.0, 0.1, 20.0), "W/m2K", "walls and openings between zones"),
        _building("ceiling_u", (2.0, 0.1, 6.0), "W/m2K", "ceiling between zone and plenum"),
        _building("slab_u", (2.0, 0.1, 15.0), "W/m2K", "plenum air to the slab above"),
        _building("slab_capacity", (1.5e5, 1e4, 8e5), "J/m2K", "slab above the plenum"),
        _building("floor_u", (2.0, 0.1, 15.0), "W/m2K", "slab below to the deep mass of the zone above"),
        _building("plenum_wall", (0.3, 0.0, 2.0), "1", "outer wall of plenums over that of their zones", False),
        _building("infiltration", (3e-4, 0.0, 3e-3), "m3/s m2", "through outer walls, fans off", False),
        _building("infiltration_wind", (0.02, 0.0, 0.5), "s/m", "rise of infiltration with wind", False),
        _building("infiltration_fans_on", (0.5, 0.0, 1.0), "1", "infiltration with fans on over fans off", False),
        _building(
            "outdoor_co2_ppm", (420.0, 280.0, 520.0), "ppm", "carbon dioxide outdoors, as sensors read it", False
        ),
        _building("radiator_curve", (0.3, 0.0, 1.0), "1", "fall of radiator heat from 0 to 20 °C outdoors", False),
        _building("blinds_keep_out", (0.5, 0.0, 0.95), "1", "share of the sun that closed blinds keep out", False),
        _building("people_sensible_w", (72.0, 50.0, 100.0), "W", "dry heat of a person at 24 °C"),
        _building("people_convective", (0.7, 0.2, 1.0), "1", "share of it that warms the air at once", False),
        _building("lights_convective", (0.3, 0.0, 1.0), "1", "share of the heat of lights that warms the air", False),
        _building("lights_to_return", (0.0, 0.0, 0.7), "1", "share of the heat of lights in the return air", False),
        _building("plugs_convective", (0.5, 0.0, 1.0), "1", "share of the heat of plugs that warms the air", False),
        _zone("envelope", (1.0, 0.3, 3.0), "1", "walls, windows and roof of the zone over the building's"),
        _zone("solar", (1.0, 0.2, 3.0), "1", "solar gain of the zone over the building's"),
        _zone("mass", (1.0, 0.3, 3.0), "1", "deep mass of the zone over the building's"),
        _zone("plug_heat", (1.0, 0.05, 1.0), "1", "share of plug power that heats the zone", False),
        _zone("radiator_w_m2", (40.0, 2.0, 200.0), "W/m2", "radiators at open valve in a room of 21 °C, 0 °C outdoors"),
        _zone("design_flow", (1.0, 0.15, 8.0), "1", "design air flow of the zone over 5 L/s per m2"),
        _zone("least_flow", (1.0, 0.1, 4.0), "1", "least flow of the zone's box over that of its unit"),
        _unit("minimum_flow", (0.3, 0.03, 1.0), "1", "least flow of VAV boxes over design flow", False),
        _unit("outdoor_air", (1.0, 0.05, 5.0), "1", "design outdoor air over the usual (10 L/s per person)"),
        _unit("fan_w_kg_s", (1200.0, 100.0, 4500.0), "W s/kg", "fan power per design air flow"),
        _unit("fan_idle", (0.05, 0.0, 0.6), "1", "fan power at no flow over design", False),
        _unit("fan_exponent", (2.7, 1.0, 3.3), "1", "rise of fan power with flow"),
        _unit("fan_margin", (1.0, 0.5, 2.0), "1", "unit design flow over the sum of its zones"),
        _unit("cop", (3.2, 1.2, 7.0), "1", "cooling at 35 °C outdoors, wet bulb 19.4 °C at a coil, 25.6 °C at a tower"),
        _unit("cop_outdoor", (0.02, 0.0, 0.05), "1/K", "fall of 1/cop with colder outdoor air", False),
        _unit("cop_wet_bulb", (0.01, -0.03, 0.05), "1/K", "fall of 1/cop with warmer coil inlet", False),
        _unit("cop_tower", (0.01, 0.0, 0.05), "1/K", "fall of 1/cop of chillers with lower outdoor wet bulb", False),
        _unit("cycling_loss", (0.05, 0.0, 0.35), "1", "loss of cooling at no load", False),
        _unit("cooling_idle", (0.2, 0.0, 0.6), "1", "power of running chillers at no load over that at full", False),
        _unit("bypass", (0.1, 0.0, 0.6), "1", "bypass factor of the cooling coil", False),
        _unit("cooling_w_kg_s", (2.2e4, 5e3, 6e4), "W s/kg", "cooling capacity per design air flow"),
        _unit("heating_w_kg_s", (3e4, 2e3, 2e5), "W s/kg", "heating capacity per design air flow"),
        _unit("reheat_w_kg_s", (4e4, 2e3, 4e5), "W s/kg", "reheat capacity per design air flow"),
        _unit("heating_efficiency", (0.8, 0.5, 1.0), "1", "gas burner or boiler"),
        _unit("heat_pump_cop", (3.2, 1.0, 6.0), "1", "heat pump at 8 °C outdoors"),
        _unit(
            "night_fan_cycles",
            (0.0, 0.0, 1.0),
            "1",
            "share of a fan that cycles with its coil outside the hours",
            False,
        ),
        _unit("night_tolerance", (1.0, 0.3, 1.5), "1", "tolerance of the night cycle in force over commanded", False),
    )
}

CONSTANT_VOLUME = (SystemType.PACKAGED_SINGLE_ZONE, SystemType.FAN_COIL)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Values by name: ``wall_u`` for the building, ``<zone>/solar`` and ``<unit>/cop`` for one; others are guesses."""

    values: Mapping[str, float] = field(default_factory=dict)

    def of(self, name: str, owner: str | None = None) -> float:
        """Value of a parameter, of one zone or unit where ``owner`` is given."""
        key = name if owner is None else f"{owner}/{name}"
        value = self.values.get(key)
        if value is None:
            value = self.values.get(name, SPECS[name].guess)
        return value

    def replacing(self, values: Mapping[str, float]) -> Parameters:
        """These with some values changed."""
        return Parameters({**self.values, **values})


def site_parameters(site: Site) -> Parameters:
    """First guesses with what the site file states in their place."""
    values: dict[str, float] = {}
    if site.infiltration_fraction_fans_on is not None:
        values["infiltration_fans_on"] = site.infiltration_fraction_fans_on
    for unit in site.air_handlers:
        stated = dict(_stated(site, unit.id))
        values |= {f"{unit.id}/{name}": value for name, value in stated.items()}
        values["lights_to_return"] = max(values.get("lights_to_return", 0.0), unit.lights_to_return_fraction)
    return Parameters(values)


def usual_outdoor_air_m3_s(site: Site, unit: AirHandler) -> float:
    """Outdoor air that is usual for a unit: 10 L/s per person, 0.3 L/s per m2 where nobody is meant to stay. [m3/s]

    Source: ASHRAE 62.1-2019, table 6-1, offices and their area rate.
    """
    zones = [zone for zone in site.zones if zone.id in unit.zones]
    people = sum(zone.design_people for zone in zones)
    return 0.010 * people if people > 0 else 0.0003 * sum(zone.floor_area_m2 for zone in zones)


def _stated(site: Site, unit_id: str) -> Iterator[tuple[str, float]]:
    unit = site.air_handlers[site.air_handler_index()[unit_id]]
    usual = usual_outdoor_air_m3_s(site, unit)
    if unit.rated_cop is not None:
        yield "cop", unit.rated_cop
    if unit.heating_efficiency is not None:
        yield "heating_efficiency", unit.heating_efficiency
    if unit.minimum_flow_fraction is not None:
        yield "minimum_flow", unit.minimum_flow_fraction
    if unit.design_outdoor_air_m3_s is not None and usual > 0:
        yield "outdoor_air", unit.design_outdoor_air_m3_s / usual
    if unit.fan_pressure_pa is not None:
        yield "fan_w_kg_s", unit.fan_pressure_pa / 1.204 / (unit.fan_efficiency or 0.6)


def keys_of(site: Site, spec: Spec) -> tuple[str, ...]:
    """Names under which a parameter's values stand: one for the building or one per zone or unit."""
    if spec.scope is Scope.ZONE:
        return tuple(f"{zone.id}/{spec.name}" for zone in site.zones)
    if spec.scope is Scope.UNIT:
        return tuple(f"{unit.id}/{spec.name}" for unit in site.air_handlers)
    return (spec.name,)


def unphysical(parameters: Parameters, site: Site) -> tuple[str, ...]:
    """Each value outside its physical bounds, with the bounds; what the site file itself states may lie outside."""
    stated = site_parameters(site).values
    found = []
    for key, value in parameters.values.items():
        spec = SPECS.get(key.rsplit("/", 1)[-1])
        if spec is not None and stated.get(key) != value and not spec.low - 1e-9 <= value <= spec.high + 1e-9:
            found.append(f"{key} is {value:g} {spec.unit}, outside {spec.low:g} to {spec.high:g}")
    return tuple(found)
