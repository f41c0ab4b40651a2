"""Two people approve at once, as the stores of a workspace take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from connectors.governance import Role, propose
from connectors.plan_store import StaleVersionError
from connectors.settings.template import TEMPLATE
from connectors.simulated.trial_site import room_step, trial_plan
from twin.cli.control_room import open_control_room
from twin.cli.dashboard.plans import StoredPlans, early_words
from twin.cli.dashboard.rooms import Rooms
from twin.plans.records import Approval, PlanRecord
from twin.plans.verification import verify_saving

PASSWORD = "correct horse battery"


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    (tmp_path / "site.yaml").write_text(TEMPLATE, encoding="utf-8")
    room = open_control_room(tmp_path, connectors={})
    for name, role in (("paula", Role.PROPOSER), ("anna", Role.APPROVER), ("aron", Role.APPROVER)):
        room.identity.add(name, PASSWORD, [role])
    return Rooms(tmp_path)


def proposed(rooms: Rooms) -> str:
    room = rooms.room()
    steps = [room_step(f"room-{i}") for i in range(10)]
    plan = trial_plan(steps, site=room.site.name, created_at=room.clock.now())
    return propose(room.store, plan, room.identity.authenticate("paula", PASSWORD)).plan_id


def between(rooms: Rooms, plan_id: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another person's word lands between the look and the commit of the next approval, or so many times a change."""
    store = rooms.room().store
    add, left = store.add_approval, [times]

    def late(word: Approval, version: int, state: object, why: str) -> PlanRecord:
        if word.person == "aron" and left[0]:
            left[0] -= 1
            if left[0] == times - 1:
                StoredPlans(rooms).approve(plan_id, "anna", PASSWORD, "looked at")
            message = "someone changed it"
            raise StaleVersionError(message)
        return add(word, version, state, why)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store), "add_approval", lambda _, *given: late(*given))


def people(rooms: Rooms, plan_id: str) -> Sequence[str]:
    return sorted(word.person for word in rooms.room().store.approvals(plan_id))


def test_a_word_that_meets_another_is_put_after_it(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_id = proposed(rooms)
    between(rooms, plan_id, 1, monkeypatch)
    StoredPlans(rooms).approve(plan_id, "aron", PASSWORD, "looked at")
    assert people(rooms, plan_id) == ["anna", "aron"]


def test_who_is_overtaken_again_and_again_is_told(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_id = proposed(rooms)
    between(rooms, plan_id, 9, monkeypatch)
    with pytest.raises(StaleVersionError):
        StoredPlans(rooms).approve(plan_id, "aron", PASSWORD, "looked at")
    assert people(rooms, plan_id) == ["anna"]


def test_a_day_of_a_week_is_not_held_against_the_promise_of_the_week() -> None:
    plan = trial_plan([room_step("room-0")])
    kwh = np.full(24, 10.0)
    report = verify_saving(
        plan_id=plan.id,
        meter="hvac_kwh",
        start=plan.not_before,
        end=plan.not_before + timedelta(hours=24),
        measured_kwh=kwh,
        counterfactual_kwh=2 * kwh,
        residuals_kwh=np.array([0.1, -0.1, 0.05, 0.0]),
    )
    assert early_words(plan, [report]) == "measured for 24 of 168 h: too early to compare"
    assert early_words(plan, [replace(report, end=plan.hold_until)]) == ""
