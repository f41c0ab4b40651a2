"""Calm and evidence: no back and forth, and no proof from a sensor that is flagged."""

from __future__ import annotations

from pathlib import Path

import pytest
from change_world import ROOMS, GovernedWorld, World, make_plan, room_step, rooms, setpoint, temperature

from connectors.change_control import REVERSAL_REFUSED
from connectors.governance import propose
from twin.errors import RefusedError
from twin.plan import PlanState, StepState
from twin.plans.document import Deadlines, RoomTest

FLAGGED = "held 23.0 degC for 6 h while its neighbours moved"


def pushed(world: GovernedWorld, value: float, expected: float) -> PlanState:
    """Proposes, approves and pushes a plan that is confirmed after ten minutes."""
    plan = world.plan([room_step("room-0", value, expected)], deadlines=Deadlines(soak_s=600.0))
    propose(world.store, plan, world.login("paula"))
    world.approvals.approve(plan.id, world.login("anna"), "fine")
    return world.push(plan.id).state


def test_a_reversal_inside_the_dwell_is_refused_and_counted(tmp_path: Path) -> None:
    world = GovernedWorld(tmp_path)
    pushed(world, 25.0, 24.0)
    world.clock.wait(601.0)
    world.control.enforce()
    with pytest.raises(RefusedError, match="would take that change back to 24"):
        pushed(world, 24.0, 25.0)
    assert world.store.ledger.count(REVERSAL_REFUSED) == 1


def test_back_and_forth_while_the_first_plan_still_soaks_is_counted_too(tmp_path: Path) -> None:
    world = GovernedWorld(tmp_path)
    pushed(world, 25.0, 24.0)
    with pytest.raises(RefusedError, match="still soaks"):
        pushed(world, 24.0, 25.0)
    assert world.store.ledger.count(REVERSAL_REFUSED) == 1


def test_another_change_inside_the_dwell_is_refused_but_is_no_reversal(tmp_path: Path) -> None:
    world = GovernedWorld(tmp_path)
    pushed(world, 25.0, 24.0)
    world.clock.wait(601.0)
    world.control.enforce()
    with pytest.raises(RefusedError, match="it is left alone"):
        pushed(world, 26.0, 25.0)
    assert world.store.ledger.count(REVERSAL_REFUSED) == 0


def test_a_plan_whose_guard_is_a_stuck_sensor_is_not_started(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(1)))
    world.control._doubts = lambda: {temperature("room-0"): FLAGGED}
    with pytest.raises(RefusedError, match="what should guard it is flagged: room-0/air_temperature: held 23"):
        world.push(plan_id)
    assert world.writes() == []


def test_a_guard_that_gets_stuck_during_the_push_is_no_evidence_and_pauses_it(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(4)))
    world.control._doubts = lambda: {temperature("room-0"): FLAGGED} if world.writes() else {}
    record = world.push(plan_id)
    assert record.state is PlanState.PAUSED
    assert "no evidence while it is flagged" in record.reason
    assert record.waves_passed == 0


def test_a_room_whose_sensor_is_stuck_is_missing_from_the_test_of_rooms(world: World) -> None:
    test = RoomTest(connector="building", points={room: temperature(room) for room in ROOMS})
    plan_id = world.approved(make_plan(rooms(2), room_test=test, guards=[]))
    world.control._doubts = lambda: {temperature("room-5"): FLAGGED} if world.writes() else {}
    record = world.push(plan_id)
    assert record.state is PlanState.PAUSED
    assert "a room lacks a reading" in record.reason


def test_a_target_that_is_flagged_is_not_written_since_its_read_back_proves_nothing(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.control._doubts = lambda: {setpoint("room-1"): FLAGGED}
    assert world.push(plan_id).state is PlanState.PAUSED
    assert world.states(plan_id)["set-room-1"] is StepState.PENDING
    assert set(world.own()) == {setpoint("room-0")}
    assert world.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
