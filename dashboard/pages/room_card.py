"""One room close up: the day's temperature against its band and setpoints, people, and what its unit does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import dash_mantine_components as dmc

from dashboard.callbacks import Visit
from dashboard.figures.lines import Line, lines_of, series_figure
from dashboard.formats import quantity
from dashboard.pages.findings import finding_line, gathered
from dashboard.pages.page import card, fact, graph, link
from twin.site import Point, Zone
from twin.vocab import KIND_FACTS, PointKind

BACK = timedelta(hours=24)
_DEGREES: Mapping[PointKind, tuple[str, Mapping[str, Any]]] = {
    PointKind.ZONE_AIR_TEMPERATURE: ("air", {}),
    PointKind.ZONE_HEATING_SETPOINT: ("heating setpoint", {"dash": "dash", "step": True}),
    PointKind.ZONE_COOLING_SETPOINT: ("cooling setpoint", {"dash": "dash", "step": True}),
    PointKind.OUTDOOR_AIR_TEMPERATURE: ("outdoors", {"dash": "dot"}),
    PointKind.AHU_SUPPLY_AIR_TEMPERATURE: ("supply air of the unit", {"dash": "dashdot"}),
}
_FACTS = (
    (PointKind.ZONE_AIR_TEMPERATURE, "Air"),
    (PointKind.ZONE_HEATING_SETPOINT, "Heating setpoint"),
    (PointKind.ZONE_COOLING_SETPOINT, "Cooling setpoint"),
    (PointKind.ZONE_OCCUPANCY, "People"),
    (PointKind.ZONE_CO2, "CO₂"),
    (PointKind.ZONE_SUPPLY_AIR_FLOW, "Supply air"),
    (PointKind.AHU_FAN_COMMAND, "Unit runs"),
    (PointKind.AHU_SUPPLY_AIR_TEMPERATURE, "Supply air of the unit"),
    (PointKind.OUTDOOR_AIR_TEMPERATURE, "Outdoors"),
)


def draw(visit: Visit, room: str, at: datetime) -> Any:
    """The card of a room at a moment, with the day before."""
    site = visit.services.site
    zone = next((zone for zone in site.zones if zone.id == room), None)
    if zone is None:
        return card(room, dmc.Text("This site has no such room.", c="dimmed"))
    points = {point.kind: point for point in site.points if _concerns(point, zone, site.name)}
    wanted = [points[kind].id for kind in (*_DEGREES, PointKind.ZONE_OCCUPANCY) if kind in points]
    frame = visit.services.telemetry.series(wanted, at - BACK, at + timedelta(seconds=1))
    lines: list[Line] = []
    for kind, (name, look) in _DEGREES.items():
        if kind in points and points[kind].id in frame:
            lines += lines_of(frame[[points[kind].id]].dropna(), "°C", {points[kind].id: name}, **look)
    people = points.get(PointKind.ZONE_OCCUPANCY)
    if people is not None and people.id in frame:
        style: dict[str, Any] = {"step": True, "second_axis": True, "colour": visit.theme.muted}
        lines += lines_of(frame[[people.id]].dropna(), "people", {people.id: "people"}, **style)
    figure = series_figure(
        lines,
        site.time_zone,
        visit.theme,
        title="temperature [°C]",
        second_title="people in the room",
        band=(site.comfort.min_c, site.comfort.max_c),
    )
    facts = [fact(label, _shown(visit, points[kind], at)) for kind, label in _FACTS if kind in points]
    unit = f", served by {zone.air_handler}" if zone.air_handler else ""
    about = f"Floor {zone.floor}, {zone.floor_area_m2:.0f} m², for {zone.design_people:g} people{unit}."
    return card(
        room,
        dmc.Text(about, size="sm", c="dimmed"),
        dmc.Group(facts, gap="xl", my="sm"),
        *_doubts(visit, {point.id for point in points.values()}, at),
        graph(figure, f"Temperatures and people of {room} over the last 24 hours"),
        right=link("What the next hours bring", "/forecast"),
    )


def _doubts(visit: Visit, points: set[str], at: datetime) -> list[Any]:
    """What is wrong with the data behind the card; a person must know it before looking for a cause elsewhere."""
    found = [
        one
        for one in visit.services.telemetry.findings()
        if one.subject in points and (one.since is None or one.since <= at) and (one.until is None or one.until >= at)
    ]
    if not found:
        return [dmc.Text("Nothing is found wrong with these measurements.", size="sm", c="dimmed")]
    return [finding_line(one, visit.services.site.time_zone) for one in gathered(found)[:4]]


def _concerns(point: Point, zone: Zone, site: str) -> bool:
    return point.of in {zone.id, zone.air_handler, site} and point.kind in {*_DEGREES, *(kind for kind, _ in _FACTS)}


def _shown(visit: Visit, point: Point, at: datetime) -> str:
    sample = visit.services.telemetry.snapshot(point.kind, at).get(point.of)
    if sample is None:
        return "no data"
    unit = KIND_FACTS[point.kind].unit
    if unit == "bool":
        return "yes" if sample.value >= 0.5 else "no"
    return quantity(sample.value, {"degC": "°C", "people": ""}.get(unit, unit))
