"""Conversion constants and functions, the only place that has them.

Inside the product: °C, K (differences), W, J, s, kg/s, m², ppm, fraction 0..1. Everything else exists only where a
person or a foreign system reads or writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from twin.errors import BadInputError

Number = TypeVar("Number", float, NDArray[np.float64])

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86_400.0
JOULES_PER_KWH = 3.6e6
WATTS_PER_KILOWATT = 1000.0
KELVIN_AT_0_C = 273.15
AIR_HEAT_CAPACITY_J_KG_K = 1006.0
AIR_DENSITY_KG_M3 = 1.204
WATER_LATENT_HEAT_J_KG = 2.501e6


def fahrenheit_to_celsius(value: Number) -> Number:
    """Temperature in °C of a temperature in °F."""
    return (value - 32.0) / 1.8


def kwh(power_w: Number, step_s: float) -> Number:
    """Energy in kWh of a mean power in W held for a step in s."""
    return power_w * (step_s / JOULES_PER_KWH)


def _scale(factor: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def convert(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values * factor

    return convert


def _kelvin(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values - KELVIN_AT_0_C


_PER_LITRE_SECOND = AIR_DENSITY_KG_M3 / 1000.0
_PER_CFM = AIR_DENSITY_KG_M3 * 0.3048**3 / 60.0

TO_INSIDE: Mapping[str, Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = MappingProxyType(
    {
        "degC": {"degC": _scale(1.0), "degF": fahrenheit_to_celsius, "K": _kelvin},
        "W": {
            "W": _scale(1.0),
            "kW": _scale(1e3),
            "MW": _scale(1e6),
            "Btu/h": _scale(0.29307107),
            "kBtu/h": _scale(293.07107),
            "MBtu/h": _scale(293_071.07),
            "ton_refrigeration": _scale(3516.8528),
            "hp": _scale(745.69987),
        },
        "W/m2": {"W/m2": _scale(1.0), "kW/m2": _scale(1e3)},
        "kg/s": {
            "kg/s": _scale(1.0),
            "m3/s": _scale(AIR_DENSITY_KG_M3),
            "m3/h": _scale(AIR_DENSITY_KG_M3 / 3600.0),
            "L/s": _scale(_PER_LITRE_SECOND),
            "cfm": _scale(_PER_CFM),
        },
        "fraction": {"fraction": _scale(1.0), "percent": _scale(0.01)},
        "ppm": {"ppm": _scale(1.0)},
        "people": {"people": _scale(1.0)},
        "m/s": {"m/s": _scale(1.0), "km/h": _scale(1 / 3.6), "mph": _scale(0.44704), "knot": _scale(0.514444)},
        "bool": {"bool": _scale(1.0)},
        "deg": {"deg": _scale(1.0), "rad": _scale(180.0 / np.pi)},
        "Pa": {"Pa": _scale(1.0), "hPa": _scale(100.0), "kPa": _scale(1e3)},
        "bytes": {"bytes": _scale(1.0), "KiB": _scale(1024.0), "MiB": _scale(1024.0**2), "GiB": _scale(1024.0**3)},
        "currency/kWh": {"currency/kWh": _scale(1.0), "currency/MWh": _scale(1e-3)},
        "kg/kWh": {"kg/kWh": _scale(1.0), "g/kWh": _scale(1e-3)},
    }
)
"""Unit inside the product → unit outside → function of an array in the outer unit."""

ENERGY_PER_STEP_J: Mapping[str, float] = MappingProxyType(
    {
        "J": 1.0,
        "kJ": 1e3,
        "MJ": 1e6,
        "GJ": 1e9,
        "Wh": 3600.0,
        "kWh": 3.6e6,
        "MWh": 3.6e9,
        "Btu": 1055.0559,
        "kBtu": 1.0550559e6,
        "MMBtu": 1.0550559e9,
        "therm": 1.0550559e8,
    }
)
"""Units of energy per step: a meter in one of these becomes a mean power by dividing by the step."""


def to_inside(values: NDArray[np.float64], unit: str, inside: str, step_s: float) -> NDArray[np.float64]:
    """Values in the product's own unit.

    Args:
        values: numbers in ``unit``, any shape.
        unit: the unit they come in.
        inside: the product's unit of the point kind.
        step_s: length of the step that an energy reading covers. [s]

    Raises:
        BadInputError: the unit is unknown for this kind of quantity.
    """
    if inside == "W" and unit in ENERGY_PER_STEP_J:
        return values * (ENERGY_PER_STEP_J[unit] / step_s)
    try:
        return TO_INSIDE[inside][unit](values)
    except KeyError:
        known = sorted({*TO_INSIDE[inside], *(ENERGY_PER_STEP_J if inside == "W" else ())})
        message = f"unit {unit!r} cannot be read as {inside}; use one of {', '.join(known)}"
        raise BadInputError(message) from None


def from_inside(values: NDArray[np.float64], unit: str, inside: str, step_s: float) -> NDArray[np.float64]:
    """Values of the product's own unit in ``unit``: the inverse of ``to_inside``, whose conversions are all affine.

    Args:
        values: numbers in the product's unit, any shape.
        unit: the unit wanted.
        inside: the product's unit of the point kind.
        step_s: length of the step that an energy covers. [s]

    Raises:
        BadInputError: the unit is unknown for this kind of quantity.
    """
    offset, one = (float(value) for value in to_inside(np.array([0.0, 1.0]), unit, inside, step_s))
    return (values - offset) / (one - offset)
