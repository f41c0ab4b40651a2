"""The vote of several calibrations on one plan: a high-risk plan needs twins that agree on sign and size."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

LEAST_VOTERS = 3
HIGH_RISK = 2
"""Risk class from which on the vote decides."""
SIZE_FACTOR = 2.0
"""No calibration may promise more than so many times the median saving, or less than that part of it."""


def disagreement(savings_percent: Sequence[float]) -> str:
    """Why calibrations do not agree on a saving, with the numbers; empty when they do.

    Args:
        savings_percent: of the goal, one for each calibration that fits the data about as well. [%]
    """
    if len(savings_percent) < LEAST_VOTERS:
        return f"{len(savings_percent)} calibrations were asked; at least {LEAST_VOTERS} must agree"
    middle, least, most = median(savings_percent), min(savings_percent), max(savings_percent)
    said = f"{len(savings_percent)} calibrations promise {least:.1f} to {most:.1f} %, in the middle {middle:.1f} %"
    against = [value for value in savings_percent if value * middle <= 0.0]
    if against:
        return f"{said}: {len(against)} of them differ in sign"
    far = [value for value in savings_percent if not 1 / SIZE_FACTOR <= value / middle <= SIZE_FACTOR]
    return f"{said}: {len(far)} of them are more than {SIZE_FACTOR:g}-fold away from it" if far else ""


def vote_faults(risk_class: int, savings_percent: Sequence[float]) -> list[str]:
    """Why the vote of the calibrations forbids a plan; below the high risks it forbids nothing."""
    if risk_class < HIGH_RISK or not (said := disagreement(savings_percent)):
        return []
    return [
        f"risk class {risk_class} needs calibrations that agree: {said}. Calibrate again on more telemetry, or ask for "
        "less: fewer rooms, no production machines"
    ]
