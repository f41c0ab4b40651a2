"""The allow-list: what may be written to a point, and what every connector says of a wish."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from connectors.set_point import OURS, Allowance, judge
from twin.errors import BadInputError
from twin.plan import Action, ActionKind, CheckVerdict, Quality, Reading

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ALLOWED = Allowance(min=18.0, max=26.0, max_step=3.0)
WISH = Action(id="a", kind=ActionKind.SET_POINT, connector="c", point="p", value=23.0, expected=None)
SEEN = Reading(point="p", value=22.0, at=NOON)


def verdict(action: Action = WISH, allowance: Allowance | None = ALLOWED, reading: Reading = SEEN, **changes: object):
    return judge(action, allowance, reading, NOON, slotted=bool(changes.get("slotted"))).verdict


def test_a_wish_within_its_limits_is_ready() -> None:
    assert verdict() is CheckVerdict.READY


@pytest.mark.parametrize(
    ("action", "allowance", "reading"),
    [
        (WISH, None, SEEN),
        (replace(WISH, value=17.9), ALLOWED, SEEN),
        (replace(WISH, value=26.1), ALLOWED, SEEN),
        (replace(WISH, value=float("inf")), ALLOWED, SEEN),
        (replace(WISH, value="23"), ALLOWED, SEEN),
        (replace(WISH, value=25.5), ALLOWED, SEEN),
        (replace(WISH, expires_at=NOON), ALLOWED, SEEN),
        (replace(WISH, kind=ActionKind.START_VM), ALLOWED, SEEN),
        (WISH, replace(ALLOWED, allowed_from=time(6), allowed_to=time(11)), SEEN),
        (WISH, ALLOWED, replace(SEEN, value=None, quality=Quality.BAD)),
        (WISH, ALLOWED, replace(SEEN, quality=Quality.STALE)),
        (WISH, ALLOWED, replace(SEEN, held_by="operator")),
    ],
    ids=["not listed", "too low", "too high", "infinite", "text", "big step", "expired", "kind", "hours", "bad",
         "stale", "operator"],
)  # fmt: skip
def test_each_fault_refuses(action: Action, allowance: Allowance | None, reading: Reading) -> None:
    assert verdict(action, allowance, reading) is CheckVerdict.REFUSED


def test_without_slots_a_value_that_is_there_is_already_done() -> None:
    assert verdict(reading=replace(SEEN, value=23.0)) is CheckVerdict.ALREADY_DONE


def test_with_slots_only_our_own_slot_counts_as_done() -> None:
    same_by_chance = replace(SEEN, value=23.0)
    ours = replace(same_by_chance, own_value=23.0, held_by=OURS)
    assert verdict(reading=same_by_chance, slotted=True) is CheckVerdict.READY
    assert verdict(reading=ours, slotted=True) is CheckVerdict.ALREADY_DONE


def test_hours_are_local_and_may_pass_midnight() -> None:
    night = Allowance(min=0, max=1, allowed_from=time(22), allowed_to=time(13, 30), time_zone="Europe/Berlin")
    assert night.covers(NOON)
    assert not night.covers(NOON.replace(hour=13))
    assert night.covers(NOON.replace(hour=21))


@pytest.mark.parametrize(("low", "high"), [(3.0, 2.0), (float("nan"), 2.0), (0.0, float("inf"))])
def test_limits_that_are_no_interval_are_bad_input(low: float, high: float) -> None:
    with pytest.raises(BadInputError, match="not an interval"):
        Allowance(min=low, max=high)
