"""The way forward and back, one story each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from change_world import ROOMS, START, World, make_plan, migrate, power_off, room_step, rooms, setpoint, temperature

from connectors.simulated import Fault, FaultyConnector
from twin.errors import OutsideWorldError, RefusedError, StoppedError
from twin.plan import Action, PlanState, StepState


def test_an_approved_plan_is_pushed_in_waves_and_every_value_stands(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(6)))
    record = world.push(plan_id)
    assert record.state is PlanState.PUSHED
    assert world.own() == {setpoint(room): 25.0 for room in ROOMS[:6]}
    assert set(world.states(plan_id).values()) == {StepState.VERIFIED}
    assert record.waves_passed == 3
    assert world.store_folder.verify(world.store) == []


def test_rollback_releases_what_was_written_and_nothing_else(world: World) -> None:
    world.building.program(setpoint("room-1"), 25.0)
    plan_id = world.approved(make_plan([*rooms(1), room_step("room-1", 25.0, 25.0)]))
    world.push(plan_id)
    assert world.states(plan_id)["set-room-1"] is StepState.ALREADY_DONE
    record = world.control.rollback(plan_id, "olga")
    assert record.state is PlanState.ROLLED_BACK
    assert world.own() == {}
    assert ("release", setpoint("room-1")) not in world.calls


def test_hosts_are_emptied_switched_off_and_brought_back_in_reverse(world: World) -> None:
    plan_id = world.approved(make_plan([migrate("v2", "h1", "h0"), migrate("v3", "h1", "h0"), power_off("h1")]))
    assert world.push(plan_id).state is PlanState.PUSHED
    assert not world.hosts.is_on("h1")
    assert world.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert world.hosts.is_on("h1")
    assert world.hosts.placement()["v2"] == "h1"


def test_a_plan_that_is_not_approved_is_refused(world: World) -> None:
    plan = make_plan(rooms(1))
    world.store.add(plan)
    with pytest.raises(RefusedError, match="must be approved"):
        world.push(plan.id)
    assert world.writes() == []


def test_pushing_twice_gives_the_first_outcome_and_writes_nothing(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    first = world.push(plan_id)
    written = len(world.writes())
    assert world.push(plan_id) == first
    assert len(world.writes()) == written


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.LOST_REQUEST, Fault.DOUBLED, Fault.LATE])
def test_a_write_whose_reply_is_lost_is_judged_by_the_read_back(world: World, fault: Fault) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.fail("apply", setpoint("room-0"), fault)
    assert world.push(plan_id).state is PlanState.PUSHED
    assert world.states(plan_id)["set-room-0"] is StepState.VERIFIED
    assert world.own()[setpoint("room-0")] == 25.0


def test_a_device_that_lies_is_found_and_the_push_is_rolled_back(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(4)))
    world.fail("apply", setpoint("room-3"), *[Fault.LIE] * 9)
    assert world.push(plan_id).state is PlanState.ROLLED_BACK
    assert world.own() == {}
    assert "ok, but its point does not show it" in " ".join(row.payload for row in world.store.audit())


def test_an_unreadable_point_after_a_write_is_unknown_and_pauses(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(1)))
    reads = [Fault.NONE, Fault.NONE, *[Fault.BAD_READING] * 3]
    world.fail("read", setpoint("room-0"), *reads)
    assert world.push(plan_id).state is PlanState.PAUSED
    assert world.states(plan_id)["set-room-0"] is StepState.UNKNOWN
    assert world.control.resume(plan_id, "olga").state is PlanState.PUSHED


def test_an_operator_who_takes_over_while_a_wave_settles_wins_and_the_way_back_leaves_him(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))

    def take_over(_: float) -> None:
        if len(world.own()) == 2:
            world.building.operate(setpoint("room-1"), 22.0)

    world.clock._advance = take_over
    assert world.push(plan_id).state is PlanState.PUSHED
    assert world.states(plan_id)["set-room-1"] is StepState.OVERRIDDEN
    written = len([point for operation, point in world.writes() if point == setpoint("room-1")])
    assert written == 1
    assert world.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert (world.building.read([setpoint("room-1")])[0].value, world.own()) == (22.0, {})


def test_a_dead_device_opens_its_own_circuit_and_the_others_are_reverted(world: World) -> None:
    """The building is gone on the way back: it is asked a bounded number of times, the VM goes home all the same."""
    plan_id = world.approved(make_plan([*rooms(4), migrate("v2", "h1", "h0")]))
    assert world.push(plan_id).state is PlanState.PUSHED
    for room in ROOMS[:4]:
        for operation in ("read", "release"):
            world.fail(operation, setpoint(room), *[Fault.OFFLINE] * 999)
    before = len(world.calls)
    record = world.control.rollback(plan_id, "olga")
    assert record.state is PlanState.STUCK
    assert all(setpoint(room) in record.reason for room in ROOMS[:4])
    assert "vm/v2/host" not in record.reason
    assert world.hosts.placement()["v2"] == "h1"
    asked = [point for operation, point in world.calls[before:] if operation in {"read", "release"} and "room" in point]
    assert len(asked) <= world.settings.circuit_failures * world.settings.tries


def test_an_operator_keeps_what_he_holds(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.building.operate(setpoint("room-1"), 22.0)
    assert world.push(plan_id).state is PlanState.PUSHED
    assert world.states(plan_id)["set-room-1"] is StepState.OVERRIDDEN
    assert world.building.read([setpoint("room-1")])[0].value == 22.0


def test_a_changed_world_supersedes_the_plan_and_names_the_change(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.building.program(setpoint("room-1"), 23.0)
    with pytest.raises(RefusedError, match=r"room-1.*expected 24.0, shows 23.0"):
        world.push(plan_id)
    assert world.store.record(plan_id).state is PlanState.SUPERSEDED
    assert world.writes() == []


def test_a_breached_guard_rolls_the_canary_back(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(6)))
    world.building.program(temperature("room-0"), 29.0)
    record = world.push(plan_id)
    assert record.state is PlanState.ROLLED_BACK
    assert world.own() == {}
    assert {point for operation, point in world.writes() if operation == "apply"} == {
        setpoint("room-0"),
        setpoint("room-1"),
    }


def test_a_silent_guard_pauses_and_the_deadline_rolls_back(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(6)))
    world.fail("read", temperature("room-0"), *[Fault.BAD_READING] * 99)
    assert world.push(plan_id).state is PlanState.PAUSED
    world.clock.wait(3601.0)
    world.control.enforce()
    assert world.store.record(plan_id).state is PlanState.ROLLED_BACK
    assert world.own() == {}


def test_an_unreadable_target_refuses_the_start(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.fail("read", setpoint("room-1"), Fault.OFFLINE)
    with pytest.raises(OutsideWorldError, match="room-1"):
        world.push(plan_id)
    assert world.store.record(plan_id).state is PlanState.APPROVED
    assert world.writes() == []


def test_a_target_that_stays_unknown_on_the_way_back_is_stuck_and_locks_the_site(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(3)))
    other = world.approved(make_plan([room_step("room-9")]))
    world.push(plan_id)
    world.fail("release", setpoint("room-1"), *[Fault.LOST_REQUEST] * 99)
    record = world.control.rollback(plan_id, "olga")
    assert record.state is PlanState.STUCK
    assert setpoint("room-1") in record.reason
    assert world.own() == {setpoint("room-1"): 25.0}
    with pytest.raises(RefusedError, match="takes no other push"):
        world.push(other)
    world.faults.clear()
    assert world.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert world.push(other).state is PlanState.PUSHED


@pytest.mark.parametrize("seconds", [-3600.0, 86_400.0])
def test_a_calendar_that_jumps_pauses_the_push(world: World, seconds: float) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.clock._advance = lambda _: world.clock.jump(seconds)
    record = world.push(plan_id)
    assert record.state is PlanState.PAUSED
    assert "jumped" in record.reason


def test_a_pushed_plan_is_confirmed_after_its_soak_and_released_after_its_hold(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    world.clock.wait(timedelta(days=1, seconds=1).total_seconds())
    world.control.enforce()
    assert world.store.record(plan_id).state is PlanState.CONFIRMED
    world.clock.wait(timedelta(days=7).total_seconds())
    world.control.enforce()
    assert world.own() == {}


def test_a_proposal_that_is_never_decided_expires(world: World) -> None:
    record = world.store.add(make_plan(rooms(1)))
    world.clock.wait(13 * 3600.0)
    world.control.enforce()
    assert world.store.record(record.plan_id).state is PlanState.SUPERSEDED


def test_a_stop_from_elsewhere_is_obeyed_before_the_next_write(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(6)))

    def stop(_: float) -> None:
        world.clock._advance = None
        world.open_store().request_stop(plan_id, "gina", "smells odd", hold=False)

    world.clock._advance = stop
    assert world.push(plan_id).state is PlanState.ROLLED_BACK
    assert len([w for w in world.writes() if w[0] == "apply"]) == 2
    assert world.own() == {}


def test_a_newer_plan_for_the_same_target_supersedes_the_older(world: World) -> None:
    old = world.approved(make_plan(rooms(2)))
    world.store.add(make_plan([room_step("room-1", 26.0)]))
    assert world.store.record(old).state is PlanState.SUPERSEDED


def test_the_document_keeps_its_id_through_the_store(world: World) -> None:
    plan = make_plan([*rooms(3), migrate("v2", "h1", "h0")], hold_until=START + timedelta(days=3))
    world.store.add(plan)
    assert world.store.plan(plan.id) == plan


def test_a_guard_breached_while_a_wave_settles_stops_it_before_its_end(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2), settle_s=3600.0))
    world.clock._advance = lambda _: world.building.program(temperature("room-0"), 29.0)
    assert world.push(plan_id).state is PlanState.ROLLED_BACK
    assert world.clock.monotonic() < 400.0


def test_a_value_that_the_device_drops_is_applied_once_more_and_then_left_alone(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(1)))
    drops = 0

    def drop(_: float) -> None:
        nonlocal drops
        if world.own() and drops < 5:
            drops += 1
            world.building.drop(setpoint("room-0"))

    world.clock._advance = drop
    assert world.push(plan_id).state is PlanState.PUSHED
    assert world.states(plan_id)["set-room-0"] is StepState.OVERRIDDEN
    assert [operation for operation, _ in world.writes()] == ["apply", "apply"]


def test_a_destination_that_filled_up_pauses_before_the_move(world: World) -> None:
    plan_id = world.approved(make_plan([migrate("v2", "h1", "h0"), migrate("v3", "h1", "h0")]))
    world.hosts._types["g1"] = replace(world.hosts._types["g1"], ram_mb=3072.0)
    record = world.push(plan_id)
    assert record.state is PlanState.PAUSED
    assert "h0 has 0 MB free" in record.reason
    assert world.hosts.placement()["v3"] == "h1"


def test_a_vm_that_moved_after_approval_makes_the_plan_stale(world: World) -> None:
    plan_id = world.approved(make_plan([migrate("v2", "h1", "h0")]))
    world.hosts._state["vm/v2/host"] = "h2"
    with pytest.raises(RefusedError, match="expected h1, shows h2"):
        world.push(plan_id)
    assert world.store.record(plan_id).state is PlanState.SUPERSEDED


def test_a_vm_moved_by_hand_after_our_move_is_not_moved_back(world: World) -> None:
    plan_id = world.approved(make_plan([migrate("v2", "h1", "h0")]))
    world.push(plan_id)
    world.hosts.operate("vm/v2/host", "h2")
    assert world.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert world.hosts.placement()["v2"] == "h2"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_host_that_people_switch_themselves_stays_as_they_left_it(world: World, when: str) -> None:
    """Off by hand before our step: nothing of ours to undo. On by hand after it: that is theirs, and stays on."""
    plan_id = world.approved(make_plan([power_off("h2")]))
    if when == "before":
        world.hosts.operate("host/h2/power", "off")
    world.push(plan_id)
    if when == "after":
        world.hosts.operate("host/h2/power", "on")
    assert world.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert world.hosts.is_on("h2") is (when == "after")
    assert len(world.writes()) == (0 if when == "before" else 1)


@pytest.mark.parametrize("way", ["resume", "rollback"])
def test_two_copies_left_by_a_broken_move_are_settled_on_the_record(world: World, monkeypatch, way: str) -> None:
    """The guest cannot be read while it runs twice."""
    plan_id = world.approved(make_plan([migrate("v2", "h1", "h0")]))
    point = "vm/v2/host"
    world.fail("apply", point, Fault.LOST_REPLY)
    world.fail("read", point, Fault.NONE, Fault.NONE, *[Fault.BAD_READING] * 99)
    assert world.push(plan_id).state is PlanState.PAUSED

    def settle(_: object, action: Action) -> str:
        assert action.point == point
        world.faults.clear()
        return "the surplus copy at h1 was destroyed"

    monkeypatch.setattr(FaultyConnector, "settle", settle, raising=False)
    ended = {"resume": PlanState.PUSHED, "rollback": PlanState.ROLLED_BACK}[way]
    assert getattr(world.control, way)(plan_id, "olga").state is ended
    assert world.hosts.placement()["v2"] == {"resume": "h0", "rollback": "h1"}[way]
    settled = [row.payload for row in world.store.audit() if row.event == "settled"]
    assert len(settled) == 1
    assert "vm/v2/host: the surplus copy at h1 was destroyed" in settled[0]


def test_a_way_back_that_is_blocked_ends_stuck_with_the_point_named(world: World) -> None:
    plan_id = world.approved(make_plan([migrate("v2", "h1", "h0")]))
    world.push(plan_id)
    world.hosts._state["vm/v3/host"] = "h2"
    world.hosts._state["host/h1/power"] = "off"
    record = world.control.rollback(plan_id, "olga")
    assert record.state is PlanState.STUCK
    assert "vm/v2/host" in record.reason
    closed = world.control.close_by_hand(plan_id, "olga", "v2 runs on h0 and stays there")
    assert closed.state is PlanState.CLOSED_BY_HAND


def test_a_paused_push_goes_on_where_it_stopped(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(6)))

    def pause(_: float) -> None:
        world.clock._advance = None
        world.open_store().request_stop(plan_id, "gina", "lunch", hold=True)

    world.clock._advance = pause
    assert world.push(plan_id).state is PlanState.PAUSED
    assert world.control.resume(plan_id, "olga").state is PlanState.PUSHED
    assert len([w for w in world.writes() if w[0] == "apply"]) == 6


def test_a_watching_point_that_goes_silent_during_the_push_pauses_it(world: World) -> None:
    """The feed stops while the wave settles: the push holds within the age that the guard allows."""
    plan = make_plan(rooms(2))
    plan_id, silent = world.approved(plan), list[float]()

    def stop_the_feed(_: float) -> None:
        silent.append(world.clock.monotonic())
        world.fail("read", temperature("room-0"), *[Fault.OFFLINE] * 99)

    world.clock._advance = stop_the_feed
    record = world.push(plan_id)
    assert record.state is PlanState.PAUSED
    assert "cannot be read; unknown is not good" in record.reason
    assert world.clock.monotonic() - silent[0] <= min(guard.max_age_s for guard in plan.guards)


def test_a_document_changed_while_its_values_are_in_force_can_still_be_rolled_back(world: World) -> None:
    plan_id = world.approved(make_plan([*rooms(2), migrate("v2", "h1", "h0")]))
    world.push(plan_id)
    world.store.ledger._db.execute("UPDATE record SET body = replace(body, '25', '26') WHERE kind = 'document'")
    with pytest.raises(RefusedError, match="document was changed"):
        world.store.plan(plan_id)
    assert world.new_control("p2").rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
    assert world.own() == {}
    assert world.hosts.placement()["v2"] == "h1"


def test_a_stop_of_a_moment_ago_is_not_taken_back_by_resuming(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.store.request_stop(plan_id, "gina", "smells odd", hold=False)
    with pytest.raises(StoppedError, match="gina asked to stop"):
        world.store.clear_stop(plan_id, "olga")


def test_a_plan_that_somebody_asked_to_stop_is_never_confirmed(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    world.store.request_stop(plan_id, "gina", "smells odd", hold=False)
    world.clock.wait(2 * 86_400.0)
    world.control.enforce()
    assert world.store.record(plan_id).state is PlanState.ROLLED_BACK
    assert world.own() == {}


def test_a_look_that_fails_after_a_write_without_reply_is_no_proof_of_the_way_back(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(1)))
    world.fail("apply", setpoint("room-0"), Fault.LOST_REPLY)
    world.push(plan_id)
    looks = [Fault.NONE] * 2 + [Fault.OFFLINE] * 40
    world.fail("read", setpoint("room-0"), *looks)
    assert world.control.rollback(plan_id, "olga").state is PlanState.STUCK
    world.faults.clear()
    assert world.control.rollback(plan_id, "olga").state is PlanState.ROLLED_BACK
