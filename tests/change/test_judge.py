"""The judge of a wave: few false alarms, real effects found, silence never passes, chance admitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from twin.plan import Quality, Reading
from twin.plans.document import Guard, RoomTest
from twin.plans.judge import Verdict, difference_in_differences, judge_guard, judge_rooms, worst
from twin.streams import stream

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
GUARD = Guard(name="air", connector="building", point="room/temp", unit="degC", low=18.0, high=27.0, max_age_s=600.0)
TEST = RoomTest(connector="building", points={}, harm="higher", tolerated=0.5, level=0.05)


def reading(value: float | None, *, age_s: float = 0.0, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(point="room/temp", value=value, at=NOW - timedelta(seconds=age_s), quality=quality)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (reading(22.0), Verdict.PASS),
        (reading(27.5), Verdict.FAIL),
        (reading(17.5), Verdict.FAIL),
        (reading(None), Verdict.INCONCLUSIVE),
        (reading(float("nan")), Verdict.INCONCLUSIVE),
        (reading(22.0, age_s=601.0), Verdict.INCONCLUSIVE),
        (reading(22.0, quality=Quality.STALE), Verdict.INCONCLUSIVE),
        (None, Verdict.INCONCLUSIVE),
    ],
)
def test_a_guard_has_three_verdicts_and_unknown_is_not_good(seen: Reading | None, verdict: Verdict) -> None:
    assert judge_guard(GUARD, seen, NOW).verdict is verdict


def test_one_failure_beats_silence_and_silence_beats_a_pass() -> None:
    fail, pause, good = (judge_guard(GUARD, r, NOW) for r in (reading(30.0), reading(None), reading(22.0)))
    assert worst([good, pause, fail]) is Verdict.FAIL
    assert worst([good, pause]) is Verdict.INCONCLUSIVE
    assert worst([good]) is Verdict.PASS


def rooms(n: int, seed: int, effect: float = 0.0, treated: int = 4) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Rooms whose change has a common part (the weather), a part of their own that lasts, and an effect in some."""
    random = stream(seed, "rooms")
    weather = 2.0 * random.standard_normal()
    before = {f"r{i:02d}": 22.0 + float(random.standard_normal()) for i in range(n)}
    after = {
        room: value + weather + 0.4 * float(random.standard_normal()) + (effect if i < treated else 0.0)
        for i, (room, value) in enumerate(before.items())
    }
    return before, after


CANARY = tuple(f"r{i:02d}" for i in range(4))


def test_canaries_without_effect_fail_no_more_often_than_the_level() -> None:
    """400 null canaries at level 5 %, only harm in one direction counts: at most 2.5 % + 3 standard errors."""
    flags = sum(
        judge_rooms(replace(TEST, tolerated=0.0), *rooms(20, seed), CANARY).verdict is Verdict.FAIL
        for seed in range(400)
    )
    assert flags / 400 <= 0.025 + 3 * (0.025 * 0.975 / 400) ** 0.5


def test_a_real_harm_is_found_although_the_weather_moves_all_rooms() -> None:
    found = sum(judge_rooms(TEST, *rooms(20, seed, effect=1.5), CANARY).verdict is Verdict.FAIL for seed in range(50))
    assert found >= 48


def test_the_smallest_probability_is_two_over_the_number_of_choices() -> None:
    before, after = rooms(20, 1)
    assert difference_in_differences(before, after, ["r00"]).smallest_p == pytest.approx(2 / 20)
    before, after = rooms(10, 1)
    assert difference_in_differences(before, after, ["r00", "r01"]).smallest_p == pytest.approx(2 / 45)


def test_too_few_rooms_leave_the_decision_to_the_guards_and_say_so() -> None:
    before, after = rooms(20, 1, effect=9.0, treated=1)
    found = judge_rooms(TEST, before, after, ["r00"])
    assert found.verdict is Verdict.PASS
    assert "never gets below p = 0.10, so guards decide" in found.reason


def test_a_room_without_reading_makes_the_comparison_inconclusive() -> None:
    before, after = rooms(20, 1)
    assert judge_rooms(TEST, before, {k: v for k, v in after.items() if k != "r07"}, CANARY).verdict is (
        Verdict.INCONCLUSIVE
    )
