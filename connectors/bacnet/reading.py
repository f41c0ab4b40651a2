"""Turns what a device says of an object into a reading: value in the product's unit, holder, quality."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from connectors.bacnet.settings import LOWEST_PRIORITY_OF_PEOPLE, BacnetPoint
from connectors.bacnet.values import COMMANDABLE, number, slots
from connectors.set_point import OURS
from twin.plan import PointId, Quality, Reading
from twin.units import from_inside, to_inside
from twin.vocab import KIND_FACTS


def properties_of(point: BacnetPoint) -> tuple[str, ...]:
    """What is read of a point: its value and health, and the slots where we may write."""
    base = ("present-value", "status-flags")
    return (*base, "priority-array") if point.write and kind_of(point) in COMMANDABLE else base


def kind_of(point: BacnetPoint) -> str:
    """The BACnet type of the object."""
    return point.object.partition(",")[0]


def inside(point: BacnetPoint, value: float) -> float:
    """A value from the wire in the product's unit."""
    if point.kind is None or point.unit is None:
        return value
    return float(to_inside(np.array([value]), point.unit, KIND_FACTS[point.kind].unit, 1.0)[0])


def outside(point: BacnetPoint, value: float) -> float:
    """A value in the product's unit as the wire wants it."""
    if point.kind is None or point.unit is None:
        return value
    return float(from_inside(np.array([value]), point.unit, KIND_FACTS[point.kind].unit, 1.0)[0])


def reading_of(name: PointId, point: BacnetPoint, found: Mapping[str, Any], priority: int, at: datetime) -> Reading:
    """The reading; BAD without a value where the device gave none or flags a fault."""
    value = number(found.get("present-value"))
    flags = [bool(flag) for flag in found.get("status-flags", ())]
    faulty = len(flags) == 4 and flags[1]
    if value is None or faulty:
        return Reading(point=name, value=None, at=at, quality=Quality.BAD)
    filled = slots(found.get("priority-array"))
    own = filled.get(priority) if filled else None
    return Reading(
        point=name,
        value=inside(point, value),
        at=at,
        held_by="out of service" if len(flags) == 4 and flags[3] else holder(filled or {}, priority),
        own_value=None if own is None else inside(point, own),
    )


def holder(filled: Mapping[int, float], priority: int) -> str | None:
    """Who commands: us, somebody above us, or None for the device's own program and slots below ours."""
    highest = min(filled, default=17)
    if highest > priority:
        return None
    if highest == priority:
        return OURS
    return "operator" if highest == LOWEST_PRIORITY_OF_PEOPLE else f"priority {highest}"
