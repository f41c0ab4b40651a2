"""What ``connector check`` tells: can it be reached, do the points resolve, do the clocks agree, may we write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from twin.errors import BadInputError, OutsideWorldError
from twin.plan import Action, ActionKind, Capability, Check, CheckVerdict, Quality, Reading
from twin.ports import Connector

MOST_CLOCK_DIFFERENCE_S = 30.0
MOST_NAMED = 5
MOST_ASKED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the self-test."""

    what: str
    ok: bool
    told: str


def self_test(connector: Connector) -> list[Fact]:
    """Facts about a connector, from reading only; nothing is written.

    Args:
        connector: any connector; ``points()`` and ``clock_difference_s()`` are used where it has them.
    """
    points = tuple(getattr(connector, "points", tuple)())
    began = time.monotonic()
    try:
        readings = connector.read(points)
    except (OutsideWorldError, BadInputError) as error:
        return [Fact(what="reached", ok=False, told=str(error))]
    took_s = time.monotonic() - began
    return [
        Fact(what="reached", ok=True, told=f"logged in and read {len(points)} points in {took_s:.2f} s"),
        _resolved(readings),
        _clock(connector),
        _writable(connector, readings),
    ]


def _resolved(readings: Sequence[Reading]) -> Fact:
    bad = [reading.point for reading in readings if reading.value is None]
    stale = [reading.point for reading in readings if reading.quality is Quality.STALE]
    told = f"{len(readings) - len(bad)} of {len(readings)} points can be read"
    if bad:
        told += f"; not: {', '.join(bad[:MOST_NAMED])}{' …' if len(bad) > MOST_NAMED else ''}"
    if stale:
        told += f"; stale: {', '.join(stale[:MOST_NAMED])}"
    return Fact(what="points", ok=not bad and not stale, told=told)


def _clock(connector: Connector) -> Fact:
    ask = getattr(connector, "clock_difference_s", None)
    try:
        difference_s = ask() if ask is not None else None
    except OutsideWorldError as error:
        return Fact(what="clock", ok=False, told=str(error))
    if difference_s is None:
        return Fact(what="clock", ok=True, told="the system does not tell its time")
    ok = abs(difference_s) <= MOST_CLOCK_DIFFERENCE_S
    return Fact(what="clock", ok=ok, told=f"its clock is {difference_s:+.1f} s off ours")


def _writable(connector: Connector, readings: Sequence[Reading]) -> Fact:
    """Asks, for each point, whether its present value might be written."""
    if Capability.WRITE not in connector.capabilities:
        return Fact(what="writing", ok=True, told="reads only")
    readings = readings[:MOST_ASKED]
    allowed = [reading.point for reading in readings if _asked(connector, reading).verdict is not CheckVerdict.REFUSED]
    told = f"{len(allowed)} of {len(readings)} points asked may be written now"
    if allowed:
        told += f": {', '.join(allowed[:MOST_NAMED])}{' …' if len(allowed) > MOST_NAMED else ''}"
    return Fact(what="writing", ok=True, told=told)


def _asked(connector: Connector, reading: Reading) -> Check:
    if reading.value is None:
        return Check(verdict=CheckVerdict.REFUSED)
    return connector.check(
        Action(
            id="self-test",
            kind=ActionKind.SET_POINT,
            connector=connector.name,
            point=reading.point,
            value=reading.value,
            expected=reading.value,
        )
    )


def clock_difference_s(date_header: str | None, now: datetime) -> float | None:
    """How far a server's clock is ahead of ours, by the Date header of its answer; None without one. [s]"""
    if not date_header:
        return None
    try:
        told = datetime.strptime(date_header, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return (told - now).total_seconds()
