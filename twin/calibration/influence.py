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
PEERS = 2
"""Other weeks of its season from which on a week may be said to decide too much: which of two is odd, nothing tells. A
week with fewer peers is checked by the held-out weeks of its season."""
RUN = 10
"""Weeks that the twin runs without: those that move a parameter most."""


def influences(
    known: Certainty, energy_j: Callable[[Parameters], float], season: Callable[[int], int]
) -> tuple[Influence, ...]:
    """How far the fit moves without each of the weeks that decide most, widest reach first.

    Args:
        known: the fit, with how far it moves without each week, to first order.
        energy_j: HVAC energy over the record by the twin with some parameters. [J]
        season: that a week of the record lies in.
    """
    half = np.maximum(known.half_width, 1e-12)
    reach = {week: np.abs(move) / half for week, move in known.without.items()}
    weeks = sorted(reach, key=lambda week: -float(reach[week].max()))[:RUN]
    seasons = [season(week) for week in known.without]
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
                peers=seasons.count(season(week)) - 1,
            )
        )
    return tuple(found)


def too_heavy(found: Sequence[Influence], start: datetime) -> tuple[str, ...]:
    """Reasons not to accept a model: weeks that decide too much of it although others of their season were fitted.

    Args:
        found: what single weeks decide.
        start: of the record.
    """
    return tuple(
        f"the week from {_date(one, start)} decides too much: without it HVAC energy is {one.energy:+.1%}, "
        f"limit ±{MOST_ENERGY:.0%}; look at its meters and sensors, or bring in more weeks"
        for one in found
        if abs(one.energy) > MOST_ENERGY and one.peers >= PEERS
    )


def unchecked(found: Sequence[Influence], start: datetime) -> tuple[str, ...]:
    """Findings on weeks that decide as much, but have too few others of their season to be compared with.

    Args:
        found: what single weeks decide.
        start: of the record.
    """
    return tuple(
        f"the week from {_date(one, start)} decides much: without it HVAC energy is {one.energy:+.1%}; {one.peers} "
        "others of its season were fitted, so only held-out weeks check it; bring in more weeks of that season"
        for one in found
        if abs(one.energy) > MOST_ENERGY and one.peers < PEERS
    )


def _date(one: Influence, start: datetime) -> str:
    return str((start + timedelta(weeks=one.week)).date())
