"""A stop in real time: a process pushes to a slow gateway, another stops it, in every state that is not final."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from change_world import ROOMS, room_step, setpoint
from gateway import Gateway, serving
from pushing_process import SETTINGS, desk_at

from connectors.simulated.trial_desk import TrialDesk
from twin.errors import RefusedError
from twin.plan import NEXT, PlanState
from twin.plans.document import Guard

DELAY_S = 0.1
"""Each request to the gateway; a step is three of them and takes longer than its write."""
AT_MOST_S = 1.0
HERE = Path(__file__).parent


class Stopped:
    """A gateway, the desk of those who stop, and a process that pushes."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.folder, self.gateway = folder, gateway
        self.desk = desk_at(folder, gateway.port)
        self.pusher: subprocess.Popen[str] | None = None
        self.plan_id = ""

    def begin(self, rooms: int = 6, **changes: object) -> None:
        """A push in a process of its own, of which the first write has reached the world."""
        self.plan_id = self.desk.approved([room_step(room) for room in ROOMS[:rooms]], **changes)
        command = [sys.executable, str(HERE / "pushing_process.py"), str(self.folder), str(self.gateway.port)]
        self.pusher = subprocess.Popen([*command, self.plan_id], cwd=HERE.parents[1], stdout=subprocess.PIPE, text=True)
        until(lambda: self.gateway.writes >= 1)

    def ended(self) -> str:
        """What the pusher said last."""
        assert self.pusher is not None
        return self.pusher.communicate(timeout=60)[0].strip()

    def state(self) -> PlanState:
        return self.desk.store.record(self.plan_id).state

    def stop(self) -> float:
        """Asks for the way back as the command line does; the moment at which it was asked."""
        other: TrialDesk = desk_at(self.folder, self.gateway.port)
        asked = time.monotonic()
        thread = Thread(target=lambda: desk_at(self.folder, self.gateway.port).control.rollback(self.plan_id, "gina"))
        thread.start()
        until(lambda: other.store.record(self.plan_id).state in {PlanState.ROLLING_BACK, PlanState.ROLLED_BACK}, 30.0)
        self.turned_s = time.monotonic() - asked
        thread.join()
        return asked

    def last_forward(self) -> float:
        """Moment of the last write that set a value."""
        return max(at for at, _, value in self.gateway.log if value is not None)

    def first_release(self) -> float:
        return min(at for at, _, value in self.gateway.log if value is None)


def until(holds: Callable[[], bool], at_most_s: float = 60.0) -> None:
    """Waits until something holds."""
    end = time.monotonic() + at_most_s
    while not holds():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.005)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Stopped]:
    with serving({setpoint(room): 24.0 for room in ROOMS}) as gateway:
        gateway.delay_s = DELAY_S
        made = Stopped(tmp_path / "plans", gateway)
        yield made
        if made.pusher is not None and made.pusher.poll() is None:
            made.pusher.kill()
            made.pusher.communicate()


def in_the_middle_of_a_write(site: Stopped) -> None:
    site.begin()


def while_a_wave_settles(site: Stopped) -> None:
    site.begin(rooms=2, settle_s=60.0)
    until(lambda: site.gateway.writes == 2)
    time.sleep(0.5)


def while_it_waits_for_its_next_try(site: Stopped) -> None:
    site.gateway.next_faults = ["ok", "lost", "lost"]
    site.begin()
    until(lambda: site.gateway.writes >= 3)


@pytest.mark.parametrize("moment", [in_the_middle_of_a_write, while_a_wave_settles, while_it_waits_for_its_next_try])
def test_a_stop_ends_a_running_push_within_a_second(site: Stopped, moment: Callable[[Stopped], None]) -> None:
    moment(site)
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.last_forward() - asked < AT_MOST_S
    assert site.first_release() - asked < AT_MOST_S
    assert site.ended() == PlanState.ROLLED_BACK
    assert site.gateway.own == {}


def test_a_stop_turns_a_plan_whose_pusher_was_killed_within_a_second(site: Stopped) -> None:
    """The state turns at once; the releases wait until no write of the dead can be on its way any more."""
    site.begin()
    assert site.pusher is not None
    site.pusher.kill()
    site.pusher.communicate()
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.last_forward() < asked
    assert site.first_release() - asked >= SETTINGS.write_timeout_s
    assert (site.state(), site.gateway.own) == (PlanState.ROLLED_BACK, {})


def test_a_stop_ends_a_paused_plan_within_a_second(site: Stopped) -> None:
    site.begin(settle_s=60.0)
    site.desk.control.pause(site.plan_id, "gina", "wait")
    assert site.ended() == PlanState.PAUSED
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.first_release() - asked < AT_MOST_S
    assert site.gateway.own == {}


def test_a_stop_ends_a_pushed_plan_within_a_second(site: Stopped) -> None:
    site.begin(rooms=3)
    assert site.ended() == PlanState.PUSHED
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.first_release() - asked < AT_MOST_S
    assert site.state() is PlanState.ROLLED_BACK


def test_a_second_stop_while_it_rolls_back_changes_nothing(site: Stopped) -> None:
    site.begin()
    site.desk.store.request_stop(site.plan_id, "gina", "smells odd", hold=False)
    until(lambda: site.state() is PlanState.ROLLING_BACK)
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.last_forward() < asked
    assert site.ended() == PlanState.ROLLED_BACK


def test_a_stop_of_a_stuck_plan_takes_the_way_back_anew_within_a_second(site: Stopped) -> None:
    guard = Guard(name="gone", connector="building", point="nowhere", low=0.0, high=1.0)
    site.begin(rooms=2, guards=[guard], settle_s=0.5)
    assert site.ended() == PlanState.PAUSED
    site.gateway.dies_after = site.gateway.writes
    assert site.desk.control.rollback(site.plan_id, "gina").state is PlanState.STUCK
    site.gateway.dies_after = None
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.first_release() - asked < AT_MOST_S
    assert site.state() is PlanState.ROLLED_BACK


def test_a_plan_that_was_never_pushed_has_nothing_to_stop_and_never_starts_once_withdrawn(site: Stopped) -> None:
    """Proposed and approved plans hold nothing: a stop names the way, and what is off the table is not pushed."""
    plan_id = site.desk.approved([room_step("room-0")])
    with pytest.raises(RefusedError, match="nothing was pushed; 'plan reject'"):
        site.desk.control.rollback(plan_id, "gina")
    assert {PlanState.PROPOSED, PlanState.APPROVED} <= set(NEXT)
    assert site.gateway.log == []
