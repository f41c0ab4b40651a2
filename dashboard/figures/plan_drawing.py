"""A schematic floor plan from a site's facts: rooms as rectangles by area, outer rooms at the side they face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

from twin.site import Site, Zone
from twin.vocab import Facing

ASPECT = 1.5
"""Width over depth of a floor whose outline nobody gave."""
LEAST_DEPTH, MOST_DEPTH = 0.19, 0.45
"""Bounds of the depth of a side's rooms as a share of the floor: a drawing to read, not a survey."""
GAP = 0.08
"""Space between floors as a share of the width of the widest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A room of the drawing, with its corners in metres of the sheet."""

    zone: str
    floor: int
    x0: float
    y0: float
    x1: float
    y1: float

    def moved(self, x: float, y: float) -> Box:
        """The same box elsewhere."""
        return replace(self, x0=self.x0 + x, x1=self.x1 + x, y0=self.y0 + y, y1=self.y1 + y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A drawing of several floors side by side."""

    boxes: tuple[Box, ...]
    titles: tuple[tuple[int, float, float], ...]
    """Floor, and the upper left corner of its outline. [m]"""
    width: float
    height: float


def drawn_zones(site: Site) -> tuple[Zone, ...]:
    """Zones that people use: conditioned, or with people."""
    return tuple(zone for zone in site.zones if zone.conditioned or zone.design_people > 0)


def floors_of(site: Site) -> tuple[int, ...]:
    """Floors that have rooms, from the ground up."""
    return tuple(sorted({zone.floor for zone in drawn_zones(site)}))


def sheet(site: Site, floors: Sequence[int] = ()) -> Sheet:
    """The floors side by side, at most three in a row, the lowest first."""
    shown = [floor for floor in floors_of(site) if not floors or floor in floors]
    outlines = {floor: _floor([z for z in drawn_zones(site) if z.floor == floor], floor) for floor in shown}
    wide = max((max(box.x1 for box in boxes) for boxes in outlines.values()), default=1.0)
    deep = max((max(box.y1 for box in boxes) for boxes in outlines.values()), default=1.0)
    columns = min(3, len(shown)) or 1
    rows = ceil(len(shown) / columns) or 1
    boxes: list[Box] = []
    titles: list[tuple[int, float, float]] = []
    for position, floor in enumerate(shown):
        x = position % columns * wide * (1 + GAP)
        y = (rows - 1 - position // columns) * deep * (1 + 2 * GAP)
        boxes += [box.moved(x, y) for box in outlines[floor]]
        titles.append((floor, x, y + max(box.y1 for box in outlines[floor])))
    return Sheet(
        boxes=tuple(boxes),
        titles=tuple(titles),
        width=columns * wide + (columns - 1) * wide * GAP,
        height=rows * deep + (rows - 1) * deep * 2 * GAP + deep * GAP,
    )


def _floor(zones: Sequence[Zone], floor: int) -> list[Box]:
    outer = {zone.id: _facing(zone) for zone in zones}
    if all(facing is None for facing in outer.values()) or len(zones) > 40:
        return _rows(zones, floor)
    return _ring(zones, {name: facing for name, facing in outer.items() if facing is not None}, floor)


def _facing(zone: Zone) -> Facing | None:
    """The side with most outer wall."""
    return max(zone.walls, key=lambda wall: wall.area_m2).facing if zone.walls else None


def _area(zones: Sequence[Zone]) -> float:
    return sum(zone.floor_area_m2 for zone in zones)


def _rows(zones: Sequence[Zone], floor: int) -> list[Box]:
    """Rooms in rows, in the order of the site file."""
    width = sqrt(ASPECT * _area(zones))
    columns = max(1, ceil(sqrt(len(zones) * ASPECT)))
    boxes: list[Box] = []
    top = _area(zones) / width
    for start in range(0, len(zones), columns):
        row = zones[start : start + columns]
        depth = _area(row) / width
        boxes += _strip(row, floor, (0.0, top - depth, width, top), upright=False)
        top -= depth
    return boxes


def _ring(zones: Sequence[Zone], outer: dict[str, Facing], floor: int) -> list[Box]:
    """North and south rooms along the whole width, east and west between them, the rest in the core."""
    width = sqrt(ASPECT * _area(zones))
    depth = _area(zones) / width
    side = {f: [zone for zone in zones if outer.get(zone.id) is f] for f in Facing}
    core = [zone for zone in zones if zone.id not in outer]
    south = _strip_depth(side[Facing.SOUTH], width, depth)
    north = depth - _strip_depth(side[Facing.NORTH], width, depth)
    inner = north - south
    west = _strip_depth(side[Facing.WEST], inner, width)
    east = width - _strip_depth(side[Facing.EAST], inner, width)
    return [
        *_strip(side[Facing.NORTH], floor, (0.0, north, width, depth), upright=False),
        *_strip(side[Facing.SOUTH], floor, (0.0, 0.0, width, south), upright=False),
        *_strip(side[Facing.WEST], floor, (0.0, south, west, north), upright=True),
        *_strip(side[Facing.EAST], floor, (east, south, width, north), upright=True),
        *_strip(core, floor, (west, south, east, north), upright=inner > east - west),
    ]


def _strip_depth(zones: Sequence[Zone], length: float, whole: float) -> float:
    """How deep a side's rooms are drawn: by area, but so that a number fits and something is left for the rest."""
    if not zones:
        return 0.0
    return min(max(_area(zones) / max(length, 1e-9), LEAST_DEPTH * whole), MOST_DEPTH * whole)


def _strip(
    zones: Sequence[Zone], floor: int, corners: tuple[float, float, float, float], *, upright: bool
) -> list[Box]:
    """Rooms beside (or, upright, above) each other in a rectangle, each with its share of the area."""
    x0, y0, x1, y1 = corners
    total = _area(zones)
    boxes: list[Box] = []
    done = 0.0
    for zone in zones:
        first, last = done / total, (done + zone.floor_area_m2) / total
        if upright:
            low, high = y1 - last * (y1 - y0), y1 - first * (y1 - y0)
            boxes.append(Box(zone=zone.id, floor=floor, x0=x0, y0=low, x1=x1, y1=high))
        else:
            left, right = x0 + first * (x1 - x0), x0 + last * (x1 - x0)
            boxes.append(Box(zone=zone.id, floor=floor, x0=left, y0=y0, x1=right, y1=y1))
        done += zone.floor_area_m2
    return boxes
