"""The scale that parameters are fitted on: logarithms of positive quantities, ranges of four for the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twin.building.parameters import SPECS, Parameters

Array = NDArray[np.float64]


def spec_name(key: str) -> str:
    """Name of the parameter behind a key such as ``core/solar``."""
    return key.rsplit("/", 1)[-1]


def value_of(parameters: Parameters, key: str) -> float:
    """Value of a key in force."""
    owner, _, name = key.rpartition("/")
    return parameters.of(name, owner or None)


def to_scale(key: str, value: float) -> float:
    """A value on the fitting scale: logarithm, or range over four."""
    spec = SPECS[spec_name(key)]
    bounded = min(max(value, spec.low), spec.high)
    return float(np.log(bounded)) if spec.log else 4.0 * (bounded - spec.low) / (spec.high - spec.low)


def from_scale(key: str, x: float) -> float:
    """The value at a place on the fitting scale, kept within bounds."""
    spec = SPECS[spec_name(key)]
    value = float(np.exp(x)) if spec.log else spec.low + x * (spec.high - spec.low) / 4.0
    return min(max(value, spec.low), spec.high)


def shifted(start: Parameters, groups: Sequence[Sequence[str]], by: Array) -> Parameters:
    """Parameters with all keys of each group moved by as much on the fitting scale; differences within stay."""
    return start.replacing(
        {
            key: from_scale(key, to_scale(key, value_of(start, key)) + shift)
            for group, shift in zip(groups, by, strict=True)
            for key in group
        }
    )
