"""What single weeks decide: a twin that hangs on one week of its record is not accepted by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np

from twin.building.parameters import Parameters
from twin.calibration.certainty import Certainty
from twin.calibration.metrics import HOURLY_NMBE
from twin.calibration.scale import shifted
from twin.model import Influence

MOST_ENERGY = HOURLY_NMBE
"""Change of HVAC energy by leaving out one week, from which on a model is not accepted: the bias up to which it is."""
RUN = 10
"""Weeks that the twin runs without: those that move a parameter most."""


def influences(known: Certainty, energy_j: Callable[[Parameters], float]) -> tuple[Influence, ...]:
    """How far the fit moves without each of the weeks that decide most, widest reach first.

    Args:
        known: the fit, with how far it moves without each week, to first order.
        energy_j: HVAC energy over the record by the twin with some parameters. [J]
    """
    half = np.maximum(known.half_width, 1e-12)
    reach = {week: np.abs(move) / half for week, move in known.without.items()}
    weeks = sorted(reach, key=lambda week: -float(reach[week].max()))[:RUN]
    whole = energy_j(known.parameters) if weeks else 0.0
    found = []
    for week in weeks:
        most = int(np.argmax(reach[week]))
        without = energy_j(shifted(known.parameters, known.groups, known.without[week]))
        found.append(
            Influence(
                week=week,
                parameter=known.groups[most][0],
                reach=float(reach[week][most]),
                energy=without / whole - 1.0 if whole > 0 else 0.0,
            )
        )
    return tuple(found)


def too_heavy(found: Sequence[Influence], start: datetime) -> tuple[str, ...]:
    """Reasons not to accept a model: weeks that decide too much of it.

    Args:
        found: what single weeks decide.
        start: of the record.
    """
    return tuple(
        f"the week from {(start + timedelta(weeks=one.week)).date()} decides too much: without it HVAC energy is "
        f"{one.energy:+.1%}, limit ±{MOST_ENERGY:.0%}; look at its meters and sensors, or bring in more weeks"
        for one in found
        if abs(one.energy) > MOST_ENERGY
    )
