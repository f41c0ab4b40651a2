"""Silence, crashes and deadlines end in the building's own control, without a person."""

from __future__ import annotations

import pytest
from change_world import World, make_plan, room_step, rooms, setpoint

from connectors.change_control import Watchdog
from connectors.simulated import Fault
from twin.plan import PlanState


class Killed(BaseException):
    """The process is gone."""


def kill_in_the_middle(world: World, plan_id: str) -> None:
    """A push dies between intent and write of its third room."""
    real = world.building.apply
    count = 0

    def apply(action):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        if count == 3:
            raise Killed
        return real(action)

    world.building.apply = apply  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.push(plan_id)
    world.building.apply = real  # type: ignore[method-assign]


def test_a_push_whose_process_died_is_finished_by_looking_at_the_world(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(4)))
    kill_in_the_middle(world, plan_id)
    found = Watchdog(world.new_control("watchdog"), world.clock).round()
    assert world.store.record(plan_id).state is PlanState.PUSHED
    assert found.acted
    assert len(world.own()) == 4


def test_a_plan_that_kills_its_process_again_and_again_is_rolled_back(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(4)))
    kill_in_the_middle(world, plan_id)
    real = world.building.apply

    def deadly(_: object) -> None:
        raise Killed

    world.building.apply = deadly  # type: ignore[assignment,method-assign]
    for number in range(3):
        with pytest.raises(Killed):
            world.new_control(f"w{number}").recover()
    world.new_control("w9").recover()
    world.building.apply = real  # type: ignore[method-assign]
    assert world.store.record(plan_id).state is PlanState.ROLLED_BACK
    assert world.own() == {}
    other = world.approved(make_plan([room_step("room-9")]))
    assert world.push(other).state is PlanState.PUSHED


def test_values_are_released_when_their_hold_time_is_over(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    world.clock.wait(8 * 86_400.0)
    Watchdog(world.new_control("watchdog"), world.clock).run(lambda _: None, rounds=2)
    assert world.own() == {}
    assert world.store.record(plan_id).state is PlanState.CONFIRMED


def test_a_stop_that_nobody_obeyed_yet_is_obeyed(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    world.store.request_stop(plan_id, "gina", "smells odd", hold=False)
    Watchdog(world.new_control("watchdog"), world.clock).round()
    assert world.store.record(plan_id).state is PlanState.ROLLED_BACK


def test_an_unreachable_device_is_trouble_to_report_not_to_die_of(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(1)))
    world.push(plan_id)
    world.clock.wait(8 * 86_400.0)
    world.fail("read", setpoint("room-0"), *[Fault.OFFLINE] * 99)
    world.fail("release", setpoint("room-0"), *[Fault.OFFLINE] * 99)
    told = []
    Watchdog(world.new_control("watchdog"), world.clock).run(told.append, rounds=2)
    assert "not known to be released" in told[-1].trouble
    world.faults.clear()
    Watchdog(world.new_control("watchdog"), world.clock).round()
    assert world.own() == {}


class Forgetful:
    """The building as a connector that must be looked after: tells which of the kept values its device has lost."""

    def __init__(self, world: World) -> None:
        self.world, self.name, self.capabilities = world, "building", world.building.capabilities
        self.kept: list[str] = []

    def keep(self, actions) -> list[str]:  # type: ignore[no-untyped-def]
        self.kept = [action.point for action in actions]
        return [reading.point for reading in self.world.building.read(self.kept) if reading.own_value is None]

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return getattr(self.world.building, name)


def watched(world: World) -> tuple[Forgetful, Watchdog]:
    keeper = Forgetful(world)
    control = world.new_control("watchdog")
    control._connectors = {"building": keeper, "hosts": world.hosts}
    return keeper, Watchdog(control, world.clock)


def test_what_a_device_lost_is_written_again_on_the_record_and_at_most_three_times(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    keeper, watchdog = watched(world)
    assert watchdog.round().acted == ()
    for _ in range(3):
        world.building.drop(setpoint("room-0"))
        assert "the device lost our value" in watchdog.round().acted[0]
        assert len(world.own()) == 2
    world.building.drop(setpoint("room-0"))
    assert watchdog.round().acted == ()
    assert sorted(keeper.kept) == sorted([setpoint("room-0"), setpoint("room-1")])
    assert len([row for row in world.store.audit() if row.event == "written again"]) == 3


def test_what_a_person_gave_back_is_not_written_again(world: World) -> None:
    plan_id = world.approved(make_plan(rooms(2)))
    world.push(plan_id)
    keeper, watchdog = watched(world)
    watchdog.round()
    world.control.rollback(plan_id, "olga")
    watchdog.round()
    assert (keeper.kept, world.own()) == ([], {})
