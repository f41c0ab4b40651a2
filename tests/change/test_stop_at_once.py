"""A stop in real time: a process pushes to a slow gateway, another stops it, in every state that is not final."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread, Timer

import pytest
from change_world import ROOMS, room_step, setpoint
from gateway import Gateway, serving
from pushing_process import SETTINGS, desk_at

from connectors.change_control import PushSettings
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

    def begin(self, rooms: Sequence[str] = ROOMS[:6], **changes: object) -> None:
        """A push in a process of its own, of which the first write has reached the world."""
        self.plan_id = self.desk.approved([room_step(room) for room in rooms], **changes)
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
        self.ended_at = time.monotonic()
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
    site.begin(ROOMS[:2], settle_s=60.0)
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
    """State and slots turn at once; that nothing came late is looked at when no write of the dead can come any more."""
    site.begin()
    assert site.pusher is not None
    site.pusher.kill()
    site.pusher.communicate()
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.last_forward() < asked
    assert site.first_release() - asked < AT_MOST_S
    assert site.ended_at - asked >= SETTINGS.write_timeout_s
    assert (site.state(), site.gateway.own) == (PlanState.ROLLED_BACK, {})


def test_a_write_of_a_killed_pusher_that_lands_after_the_release_is_taken_back(site: Stopped) -> None:
    """The dead pusher's last write reaches the gateway a second after our release: the look at the end finds it."""
    site.begin()
    assert site.pusher is not None
    site.pusher.kill()
    site.pusher.communicate()
    room = setpoint("room-0")
    late = Timer(SETTINGS.write_timeout_s / 2, lambda: site.gateway.own.update({room: 25.0}))
    late.start()
    asked = site.stop()
    late.join()
    assert site.first_release() - asked < SETTINGS.write_timeout_s / 2
    assert (site.state(), site.gateway.own) == (PlanState.ROLLED_BACK, {})


def test_a_hundred_points_are_given_back_within_five_seconds_of_a_stop_after_a_kill(tmp_path: Path) -> None:
    """Acceptance of the way back, with a patience for the dead pusher's last write that is longer than that."""
    points = [f"room-{number}" for number in range(100)]
    with serving({setpoint(room): 24.0 for room in points}) as gateway:
        site = Stopped(tmp_path / "plans", gateway)
        site.begin(points, settle_s=60.0, rooms_in_site=500)
        until(lambda: gateway.writes >= 100)
        assert site.pusher is not None
        site.pusher.kill()
        site.pusher.communicate()
        patient = TrialDesk(site.folder, site.desk.control._connectors, PushSettings(write_timeout_s=6.0))
        asked = time.monotonic()
        patient.control.release_all("gina")
        released = [at - asked for at, _, value in gateway.log if value is None]
        assert (len(released), gateway.own) == (100, {})
        assert max(released) < 5.0
        assert time.monotonic() - asked > 6.0
        assert site.state() is PlanState.ROLLED_BACK


def test_a_stop_ends_a_paused_plan_within_a_second(site: Stopped) -> None:
    site.begin(settle_s=60.0)
    site.desk.control.pause(site.plan_id, "gina", "wait")
    assert site.ended() == PlanState.PAUSED
    asked = site.stop()
    assert site.turned_s < AT_MOST_S
    assert site.first_release() - asked < AT_MOST_S
    assert site.gateway.own == {}


def test_a_stop_ends_a_pushed_plan_within_a_second(site: Stopped) -> None:
    site.begin(ROOMS[:3])
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
    site.begin(ROOMS[:2], guards=[guard], settle_s=0.5)
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
