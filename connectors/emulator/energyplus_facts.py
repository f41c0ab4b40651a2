"""What the drawings of a reference building tell: areas, windows, neighbours and design loads of its zones.

Read from the model's surfaces, so that a site can be described without guessing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectors.emulator.energyplus_input import Entry, of_kind, parse, source_files
from twin.vocab import Facing

_FIRST_VERTEX = 12
_FIRST_WINDOW_VERTEX = 10
_FACINGS = (Facing.NORTH, Facing.EAST, Facing.SOUTH, Facing.WEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneFacts:
    """Areas in m², volume in m³, design loads in people and W."""

    zone: str
    floor_area_m2: float
    volume_m3: float
    design_people: float
    lights_design_w: float
    plugs_design_w: float
    floor: int
    walls_m2: Mapping[Facing, float]
    windows_m2: Mapping[Facing, float]
    roof_m2: float
    ground_m2: float
    neighbours_m2: Mapping[str, float]
    """Area shared with each other zone, plenums and attics among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surface:
    name: str
    zone: str
    kind: str
    boundary: str
    other: str
    vertices: NDArray[np.float64]

    @property
    def area_vector(self) -> NDArray[np.float64]:
        """Outward area vector, from the cross products of a polygon's edges. [m2]"""
        v = self.vertices - self.vertices[0]
        total: NDArray[np.float64] = 0.5 * np.cross(v[1:-1], v[2:]).sum(axis=0)
        return total

    @property
    def area_m2(self) -> float:
        return float(np.linalg.norm(self.area_vector))


def zone_facts(building: str) -> tuple[ZoneFacts, ...]:
    """Facts of every conditioned zone of a reference building, in the model's order.

    Args:
        building: key of ``pyenergyplus.dataset.ref_models``.
    """
    model_file, _ = source_files(building, "usa_il_chicago")
    entries = parse(model_file.read_text(errors="replace"))
    surfaces = [_surface(entry) for entry in of_kind(entries, "BuildingSurface:Detailed")]
    windows = _windows(entries)
    zones = [entry[1] for entry in of_kind(entries, "ZoneHVAC:EquipmentConnections")]
    heights = {zone: min(s.vertices[:, 2].min() for s in surfaces if s.zone == zone) for zone in zones}
    floors = sorted({round(float(height), 1) for height in heights.values()})
    return tuple(
        _facts(zone, floors.index(round(float(heights[zone]), 1)), entries, surfaces, windows) for zone in zones
    )


def _surface(entry: Entry) -> _Surface:
    numbers = np.array([float(x) for x in entry[_FIRST_VERTEX:]]).reshape(-1, 3)
    return _Surface(
        name=entry[1], kind=entry[2].lower(), zone=entry[4], boundary=entry[6].lower(), other=entry[7], vertices=numbers
    )


def _windows(entries: Sequence[Entry]) -> Mapping[str, float]:
    """Window area of each surface that has any. [m2]"""
    areas: dict[str, float] = defaultdict(float)
    for entry in of_kind(entries, "FenestrationSurface:Detailed"):
        if entry[2].lower() != "window" and "glass" not in entry[2].lower():
            continue
        vertices = np.array([float(x) for x in entry[_FIRST_WINDOW_VERTEX:]]).reshape(-1, 3)
        v = vertices - vertices[0]
        area = float(np.linalg.norm(0.5 * np.cross(v[1:-1], v[2:]).sum(axis=0)))
        areas[entry[4].lower()] += area * float(entry[8] or 1.0)
    return areas


def _facing(surface: _Surface) -> Facing:
    east, north, _ = surface.area_vector
    quarter = round(float(np.degrees(np.arctan2(east, north))) / 90.0) % 4
    return _FACINGS[quarter]


def _facts(
    zone: str, floor: int, entries: Sequence[Entry], surfaces: Sequence[_Surface], windows: Mapping[str, float]
) -> ZoneFacts:
    own = [surface for surface in surfaces if surface.zone == zone]
    owner = {surface.name.lower(): surface.zone for surface in surfaces}
    outer = [surface for surface in own if surface.boundary == "outdoors"]
    walls: dict[Facing, float] = defaultdict(float)
    panes: dict[Facing, float] = defaultdict(float)
    for surface in (s for s in outer if s.kind == "wall"):
        walls[_facing(surface)] += surface.area_m2
        panes[_facing(surface)] += windows.get(surface.name.lower(), 0.0)
    neighbours: dict[str, float] = defaultdict(float)
    for surface in (s for s in own if s.boundary == "surface"):
        if owner[surface.other.lower()] != zone:
            neighbours[owner[surface.other.lower()]] += surface.area_m2
    floor_m2 = sum(s.area_m2 for s in own if s.kind == "floor")
    people = _people(entries, zone, floor_m2)
    return ZoneFacts(
        zone=zone,
        floor_area_m2=floor_m2,
        volume_m3=_volume_m3(own),
        design_people=people,
        lights_design_w=_watts(entries, "Lights", zone, floor_m2, people),
        plugs_design_w=_watts(entries, "ElectricEquipment", zone, floor_m2, people),
        floor=floor,
        walls_m2=dict(walls),
        windows_m2=dict(panes),
        roof_m2=sum(s.area_m2 for s in outer if s.kind in ("roof", "ceiling")),
        ground_m2=sum(s.area_m2 for s in own if s.boundary == "ground"),
        neighbours_m2=dict(neighbours),
    )


def _volume_m3(surfaces: Sequence[_Surface]) -> float:
    """Volume inside closed surfaces, by the divergence theorem. [m3]"""
    return abs(sum(float(s.vertices[0] @ s.area_vector) for s in surfaces)) / 3.0


def _people(entries: Sequence[Entry], zone: str, floor_m2: float) -> float:
    """Design people of a zone, however the model gives them."""
    total = 0.0
    for entry in _of_zone(entries, "People", zone):
        number, per_m2, m2_each = (float(value or 0.0) for value in entry[5:8])
        by_density = floor_m2 / m2_each if m2_each else 0.0
        total += {"people": number, "people/area": per_m2 * floor_m2}.get(entry[4].lower(), by_density)
    return total


def _watts(entries: Sequence[Entry], kind: str, zone: str, floor_m2: float, people: float) -> float:
    """Design power of the first such object of the zone, the one that is driven; 0 where it has none. [W]"""
    own = next(_of_zone(entries, kind, zone), None)
    if own is None:
        return 0.0
    level, per_m2, per_person = (float(value or 0.0) for value in own[5:8])
    return {"watts/area": per_m2 * floor_m2, "watts/person": per_person * people}.get(own[4].lower(), level)


def _of_zone(entries: Sequence[Entry], kind: str, zone: str) -> Iterator[Entry]:
    return (entry for entry in of_kind(entries, kind) if entry[2].lower() == zone.lower())
