"""When is a host over-utilised? Static, adaptive and predictive limits of the consolidation literature.

Source: Beloglazov and Buyya, Optimal online deterministic algorithms …, CCPE 24(13), 2012, doi 10.1002/cpe.1867.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

DEFAULT_THRESHOLD: Mapping[str, float] = MappingProxyType(
    {"static": 0.8, "iqr": 1.5, "mad": 2.5, "lr": 1.2, "lrr": 1.2}
)
"""Static limit, or safety parameter of the others."""
ENOUGH_HISTORY = 12
REGRESSION_STEPS = 10
FALLBACK_LIMIT = 0.7
"""Static limit while the history is too short."""
HISTORY_STEPS = 30


def quartile_spread(history: Array) -> Array:
    """Interquartile range of each host's utilisation, shape (hosts,).

    Args:
        history: utilisation, shape (steps, hosts).
    """
    spread: Array = np.subtract(*np.quantile(history, [0.75, 0.25], axis=0))
    return spread


def median_deviation(history: Array) -> Array:
    """Median absolute deviation of each host's utilisation, shape (hosts,)."""
    deviation: Array = np.median(np.abs(history - np.median(history, axis=0)), axis=0)
    return deviation


def extrapolated(history: Array, steps_ahead: float = 1.0) -> Array:
    """Utilisation a few steps ahead, by least squares through the last ten, shape (hosts,).

    Args:
        history: utilisation, oldest first, at least ten rows, shape (steps, hosts).
        steps_ahead: how far after the last row.
    """
    last = history[-REGRESSION_STEPS:]
    x = np.arange(len(last)) - (len(last) - 1) / 2.0
    slope = (x @ last) / (x @ x)
    ahead: Array = last.mean(axis=0) + slope * (x[-1] + steps_ahead)
    return ahead


def overloaded(kind: str, threshold: float, now: Array, history: Array) -> Flags:
    """Which hosts the detector flags.

    Args:
        kind: ``static``, ``iqr``, ``mad``, ``lr`` or ``lrr`` (which is ``lr``: a robust fit through ten five-minute
            values differs from it in nothing that was measured).
        threshold: see ``DEFAULT_THRESHOLD``.
        now: utilisation, shape (hosts,).
        history: utilisation of the steps before, oldest first, shape (steps, hosts).
    """
    if kind == "static":
        return now > threshold
    if kind in {"lr", "lrr"}:
        if len(history) < REGRESSION_STEPS:
            return now > FALLBACK_LIMIT
        return threshold * extrapolated(history) >= 1.0
    if len(history) < ENOUGH_HISTORY:
        return now > FALLBACK_LIMIT
    spread = quartile_spread(history) if kind == "iqr" else median_deviation(history)
    return now > 1.0 - threshold * spread
