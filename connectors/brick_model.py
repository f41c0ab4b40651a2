"""Points of a Brick model (brickschema.org) with their places in BACnet or in a file of time series.

Sources: Brick 1.3 and its reference schema (``ref:BACnetReference``, ``ref:TimeseriesReference``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.mapping_proposals import Described, Discovery
from twin.errors import BadInputError
from twin.vocab import PointKind

_K = PointKind
BRICK, REF = "https://brickschema.org/schema/Brick#", "https://brickschema.org/schema/Brick/ref#"
BACNET, RDFS = "http://data.ashrae.org/bacnet/2020#", "http://www.w3.org/2000/01/rdf-schema#"
CLASSES: Mapping[str, PointKind] = {
    "Zone_Air_Temperature_Sensor": _K.ZONE_AIR_TEMPERATURE,
    "Room_Air_Temperature_Sensor": _K.ZONE_AIR_TEMPERATURE,
    "Zone_Air_Heating_Temperature_Setpoint": _K.ZONE_HEATING_SETPOINT,
    "Zone_Air_Cooling_Temperature_Setpoint": _K.ZONE_COOLING_SETPOINT,
    "Heating_Zone_Air_Temperature_Setpoint": _K.ZONE_HEATING_SETPOINT,
    "Cooling_Zone_Air_Temperature_Setpoint": _K.ZONE_COOLING_SETPOINT,
    "Zone_CO2_Level_Sensor": _K.ZONE_CO2,
    "CO2_Level_Sensor": _K.ZONE_CO2,
    "CO2_Sensor": _K.ZONE_CO2,
    "Zone_Air_Humidity_Sensor": _K.ZONE_RELATIVE_HUMIDITY,
    "Occupancy_Count_Sensor": _K.ZONE_OCCUPANCY,
    "Supply_Air_Temperature_Sensor": _K.AHU_SUPPLY_AIR_TEMPERATURE,
    "Discharge_Air_Temperature_Sensor": _K.AHU_SUPPLY_AIR_TEMPERATURE,
    "Supply_Air_Temperature_Setpoint": _K.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT,
    "Discharge_Air_Temperature_Setpoint": _K.AHU_SUPPLY_AIR_TEMPERATURE_SETPOINT,
    "Supply_Air_Flow_Sensor": _K.AHU_SUPPLY_AIR_FLOW,
    "Outside_Air_Temperature_Sensor": _K.OUTDOOR_AIR_TEMPERATURE,
    "Outside_Air_Humidity_Sensor": _K.OUTDOOR_RELATIVE_HUMIDITY,
    "Building_Electric_Meter": _K.ELECTRIC_POWER,
    "Electric_Power_Sensor": _K.ELECTRIC_POWER,
}
"""Class of a point → our kind, where both mean the same."""
UNITS: Mapping[str, str] = {
    "DEG_C": "degC",
    "DEG_F": "degF",
    "K": "K",
    "PERCENT": "percent",
    "PERCENT_RH": "percent",
    "PPM": "ppm",
    "W": "W",
    "KiloW": "kW",
    "KiloW-HR": "kWh",
    "M3-PER-SEC": "m3/s",
    "L-PER-SEC": "L/s",
    "FT3-PER-MIN": "cfm",
    "W-PER-M2": "W/m2",
}
"""QUDT's name of a unit → ours."""


def read_brick(path: Path, devices: Mapping[int, str]) -> Discovery:
    """Points of a model that have a place in BACnet, and the devices that are not known yet.

    Args:
        path: Turtle, or another format that its ending tells.
        devices: instance → name in the connector's settings.

    Raises:
        BadInputError: the extra is missing, or the file is no model.
    """
    try:
        import rdflib
    except ImportError:
        message = "a Brick model needs rdflib; run: pip install 'understudy[brick]'"
        raise BadInputError(message) from None
    graph: Any = rdflib.Graph()
    try:
        graph.parse(path)
    except (OSError, ValueError, SyntaxError, rdflib.exceptions.Error, rdflib.plugin.PluginException) as error:
        message = f"{path}: cannot be read as a Brick model: {str(error)[:200]}"
        raise BadInputError(message) from None
    model = _Model(graph, rdflib.URIRef, dict(devices))
    points = tuple(model.points())
    added = {name: {"instance": number} for number, name in model.devices.items() if number not in devices}
    return Discovery(points=points, settings={"devices": added} if added else {})


class _Model:
    """Questions to the graph."""

    def __init__(self, graph: Any, uri: Any, devices: dict[int, str]) -> None:
        self._graph, self._uri, self.devices = graph, uri, devices

    def points(self) -> Iterator[Described]:
        """Points with a place, in the order of their names."""
        is_a = self._uri("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")
        found = {point: name for name in CLASSES for point in self._graph.subjects(is_a, self._uri(BRICK + name))}
        for point, name in sorted(found.items(), key=lambda item: str(item[0])):
            place = self._place(point)
            if place is not None:
                yield Described(
                    name=self._name(point),
                    kind=CLASSES[name],
                    unit=UNITS.get(_end(self._one(point, BRICK + "hasUnit")), ""),
                    of=" ".join(self._owners(point)),
                    place=place,
                )

    def _place(self, point: Any) -> dict[str, object] | None:
        for reference in self._graph.objects(point, self._uri(REF + "hasExternalReference")):
            object_id, device = (
                self._one(reference, BACNET + "object-identifier"),
                self._one(reference, BACNET + "objectOf"),
            )
            number = None if device is None else self._one(device, BACNET + "device-instance")
            if object_id is not None and number is not None:
                return {"device": self.devices.setdefault(int(number), f"d{int(number)}"), "object": str(object_id)}
        return None

    def _owners(self, point: Any) -> list[str]:
        """What the point belongs to, and what that feeds or lies in."""
        owners = [
            *self._graph.objects(point, self._uri(BRICK + "isPointOf")),
            *self._graph.subjects(self._uri(BRICK + "hasPoint"), point),
        ]
        further = [
            end
            for owner in owners
            for relation in ("feeds", "hasLocation", "isPartOf")
            for end in self._graph.objects(owner, self._uri(BRICK + relation))
        ]
        return [self._name(one) for one in (*owners, *further)]

    def _name(self, node: Any) -> str:
        return str(self._one(node, RDFS + "label") or _end(node))

    def _one(self, node: Any, relation: str) -> Any:
        return self._graph.value(node, self._uri(relation))


def _end(node: Any) -> str:
    return str(node or "").replace("/", "#").rpartition("#")[2]
