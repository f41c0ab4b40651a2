"""BACnet values as numbers and back, priority arrays as slots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bacpypes3.basetypes import BinaryPV, ErrorType
from bacpypes3.primitivedata import Null, ObjectIdentifier, Real, Unsigned

from twin.errors import BadInputError

COMMANDABLE = frozenset(
    {
        "analog-output",
        "analog-value",
        "binary-output",
        "binary-value",
        "multi-state-output",
        "multi-state-value",
    }
)


def object_identifier(text: str) -> Any:  # the stack carries no types
    """The identifier of ``analog-value,1``.

    Raises:
        BadInputError: no such type of object, or no number.
    """
    try:
        return ObjectIdentifier(text)
    except (ValueError, TypeError, KeyError):
        message = f"object {text!r} is not a BACnet object; write it like analog-value,1"
        raise BadInputError(message) from None


def number(value: Any) -> float | None:
    """The value as a finite float; None for an error, a Null, NaN or anything that is not a number."""
    if value is None or isinstance(value, ErrorType | Null):
        return None
    try:
        result = float(int(value)) if isinstance(value, BinaryPV) else float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def encoded(value: float | None, kind: str) -> Any:
    """The value in the type that an object of this kind takes; Null for None."""
    if value is None:
        return Null(())
    if kind.startswith("binary"):
        return BinaryPV("active" if value >= 0.5 else "inactive")
    if kind.startswith("multi-state"):
        return Unsigned(round(value))
    return Real(value)


def slots(array: Any) -> Mapping[int, float] | None:
    """Filled slots of a priority array by priority; None where the object has none."""
    if array is None or isinstance(array, ErrorType):
        return None
    filled: dict[int, float] = {}
    for priority, element in enumerate(array, 1):
        if element._choice != "null":  # the stack offers no other way to see which choice is made
            value = number(getattr(element, element._choice))
            filled[priority] = math.nan if value is None else value
    return filled
