"""The judge of a wave: guards first, then rooms against rooms; three verdicts, and unknown is not good."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import combinations, islice

from twin.plan import Quality, Reading
from twin.plans.document import Guard, RoomTest
from twin.plans.guardrails import age_s

MOST_SPLITS = 20_000
"""Permutations that are enumerated; rooms beyond that are taken in lexical order of their combinations."""


class Verdict(StrEnum):
    """What the judge says of a wave."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict with what was measured, the threshold and the reason."""

    verdict: Verdict
    name: str
    reason: str
    measured: float | None = None
    threshold: float | None = None


def judge_guard(guard: Guard, reading: Reading | None, now: datetime) -> Judgement:
    """One hard limit against one reading."""
    if reading is None or reading.quality is not Quality.GOOD or not _finite(reading.value):
        return Judgement(verdict=Verdict.INCONCLUSIVE, name=guard.name, reason=f"{guard.point} cannot be read")
    age = age_s(reading, now)
    if not -guard.max_age_s <= age <= guard.max_age_s:
        reason = f"{guard.point} is {age:.0f} s old; at most {guard.max_age_s:.0f} s"
        return Judgement(verdict=Verdict.INCONCLUSIVE, name=guard.name, reason=reason)
    value = float(reading.value or 0.0)
    for limit, breached, word in (
        (guard.low, guard.low is not None and value < guard.low, "below"),
        (guard.high, guard.high is not None and value > guard.high, "above"),
    ):
        if breached:
            reason = f"{guard.point} is {value:g} {guard.unit}, {word} {limit:g}"
            return Judgement(verdict=Verdict.FAIL, name=guard.name, reason=reason, measured=value, threshold=limit)
    return Judgement(verdict=Verdict.PASS, name=guard.name, reason="within limits", measured=value)


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEffect:
    """Difference in differences of treated against other rooms with its permutation probability."""

    effect: float
    p: float
    smallest_p: float
    """Least two-sided probability that so few rooms could ever give."""


def difference_in_differences(
    before: Mapping[str, float], after: Mapping[str, float], treated: Sequence[str]
) -> RoomEffect:
    """Effect on the treated rooms and how often chance alone gives as much; rooms are the unit.

    The test enumerates which rooms could have been the treated ones, so it needs no distribution and does not mind
    that readings in one room follow each other. Source: permutation test of Fisher (1935) on the change per room.
    """
    rooms = sorted(before)
    change = {room: after[room] - before[room] for room in rooms}
    chosen = [room for room in rooms if room in set(treated)]
    others = [room for room in rooms if room not in set(treated)]
    if not chosen or not others:
        return RoomEffect(effect=math.nan, p=1.0, smallest_p=1.0)
    total, k, n = sum(change.values()), len(chosen), len(rooms)

    def effect(part: Sequence[str]) -> float:
        inside = sum(change[room] for room in part)
        return inside / k - (total - inside) / (n - k)

    measured = effect(chosen)
    splits = [effect(part) for part in islice(combinations(rooms, k), MOST_SPLITS)]
    above = sum(value >= measured - 1e-12 for value in splits)
    below = sum(value <= measured + 1e-12 for value in splits)
    p = min(1.0, 2.0 * min(above, below) / len(splits))
    return RoomEffect(effect=measured, p=p, smallest_p=min(1.0, 2.0 / math.comb(n, k)))


def judge_rooms(
    test: RoomTest, before: Mapping[str, float], after: Mapping[str, float], treated: Sequence[str]
) -> Judgement:
    """Whether the canary rooms fare worse than the others beyond what is tolerated and beyond chance."""
    name = "rooms against rooms"
    if set(before) != set(after) or not all(_finite(v) for v in (*before.values(), *after.values())):
        return Judgement(verdict=Verdict.INCONCLUSIVE, name=name, reason="a room lacks a reading before or after")
    found = difference_in_differences(before, after, treated)
    if math.isnan(found.effect):
        return Judgement(verdict=Verdict.PASS, name=name, reason="no untouched room to compare with; guards decide")
    harm = {"higher": found.effect, "lower": -found.effect, "either": abs(found.effect)}[test.harm]
    if found.smallest_p > test.level:
        reason = (
            f"effect {found.effect:+.2f}; with {len(before)} rooms the test never gets below p = "
            f"{found.smallest_p:.2f}, so guards decide"
        )
        return Judgement(verdict=Verdict.PASS, name=name, reason=reason, measured=found.effect)
    worse = harm > test.tolerated and found.p <= test.level
    reason = f"effect {found.effect:+.2f}, p = {found.p:.3f}, tolerated {test.tolerated:g} at level {test.level:g}"
    verdict = Verdict.FAIL if worse else Verdict.PASS
    return Judgement(verdict=verdict, name=name, reason=reason, measured=found.effect, threshold=test.tolerated)


def worst(judgements: Sequence[Judgement]) -> Verdict:
    """FAIL beats INCONCLUSIVE beats PASS; nothing judged passes, since a plan may have no guard at all."""
    verdicts = {judgement.verdict for judgement in judgements}
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS
