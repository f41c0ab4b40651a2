"""Two running copies of one guest, made for real: how they come about, and that they are found and ended."""

from __future__ import annotations

import fcntl
import time

import pytest

pytest.importorskip("libvirt")

from libvirt_moves import Background, job, moving, reason, settings, slow_down, stop_daemon, to_host, wake_daemon
from peers import wait_until

from connectors.libvirt_hosts.connector import LibvirtConnector
from twin.plan import CheckVerdict, Quality

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def source_goes_on_alone(rig) -> None:
    wait_until(lambda: "migration canceled" in reason(rig, "h1"), 60.0, "the source to give its target up")


def hang_through_the_hand_over(rig) -> None:
    """The target's daemon sleeps until the source has given it up, and long enough to prove that.

    The source counts from the last answer, which may be seconds before the hand-over.
    """
    stop_daemon(rig, "h2")
    source_goes_on_alone(rig)
    time.sleep(6.5)


def lose_the_answer(rig) -> None:
    """The target hears the source, takes the guest over and starts it; the source hears nothing of it."""
    wait_until(lambda: int(job(rig, "h1").get("memory_iteration", 0)) >= 2, 60.0, "the last pages")
    lost = ["INPUT", "-s", rig.addr("h2"), "-p", "tcp", "--sport", "16509", "-j", "DROP"]
    rig.run("h1", "iptables", "-I", *lost)
    source_goes_on_alone(rig)
    rig.run("h1", "iptables", "-D", *lost)


def nothing_left_at(rig, host: str) -> bool:
    return "g1" not in rig.virsh(host, "list", "--all", "--name").stdout.split()


def begin(rig, connector: LibvirtConnector) -> Background:
    slow_down(rig)
    work = Background(connector, to_host("h2"))
    moving(rig)
    return work


def test_the_hosts_are_for_one_user_at_a_time(rig) -> None:
    """Two workers that share them reset each other's guests, and the first to end switches the hosts off."""
    with rig.lock_file().open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_target_that_wakes_too_late_loses_its_copy(fresh, connector) -> None:
    work = begin(fresh, connector)
    hang_through_the_hand_over(fresh)
    wake_daemon(fresh, "h2")
    error = str(work.end())
    assert "stayed" in error
    assert fresh.where("g1") == ["h1"]
    assert nothing_left_at(fresh, "h2")
    if "it ran on both" in error:  # else libvirt itself cleared the half away before it ran
        assert "the surplus copy at h2 was destroyed: h2 went on" in error


def test_a_source_that_did_not_hear_of_the_arrival_loses_its_copy(fresh, connector) -> None:
    """A slow machine may lose the connection before the hand-over, which is another story: then again."""
    for _ in range(6):
        work = begin(fresh, connector)
        lose_the_answer(fresh)
        error = work.end()
        if error is None or "it ran on both" in str(error):
            break
        assert fresh.where("g1") == ["h1"], error
        fresh.reset()
    assert error is None
    assert fresh.where("g1") == ["h2"]
    assert nothing_left_at(fresh, "h1")


def left_split(rig) -> None:
    """The pusher gave up before the target woke, so that nobody ended the split.

    A woken daemon finds both the call to go on and the end of its connection, and does not always go on: then again.
    """
    for _ in range(6):
        connector = LibvirtConnector("first", settings(rig, verify_s=1.0))
        work = begin(rig, connector)
        hang_through_the_hand_over(rig)
        assert "unknown" in str(work.end())
        wake_daemon(rig, "h2")
        wait_until(lambda: "(migrated)" in reason(rig, "h2") or nothing_left_at(rig, "h2"), 60.0, "the target to wake")
        if not nothing_left_at(rig, "h2"):
            return
        rig.reset()
    pytest.fail("six hand-overs through a hanging target, and none made a split")


def test_a_split_is_shown_as_unreadable_and_refused_until_it_is_settled(fresh, connector) -> None:
    left_split(fresh)
    assert [r.quality for r in connector.read(["vm/g1/host", "vm/g1/state", "vm/g2/host"])] == [
        Quality.BAD, Quality.BAD, Quality.GOOD,
    ]  # fmt: skip
    verdict = connector.check(to_host("h3"))
    assert (verdict.verdict, "two copies of it are alive, at h1 and h2" in verdict.reason) == (
        CheckVerdict.REFUSED,
        True,
    )
    assert fresh.where("g1") == ["h1", "h2"]  # a look changes nothing
    assert "the surplus copy at h2 was destroyed" in connector.settle(to_host("h2"))
    assert fresh.where("g1") == ["h1"]
    assert connector.read(["vm/g1/host"])[0].value == "h1"
    assert connector.settle(to_host("h2")) == ""


def test_the_same_move_asked_again_settles_the_split_and_moves(fresh, connector) -> None:
    left_split(fresh)
    fresh.heal("h1")
    connector.apply(to_host("h2"))
    assert fresh.where("g1") == ["h2"]


def test_a_halted_surplus_copy_is_taken_away_by_the_next_process(fresh, connector, monkeypatch) -> None:
    """As after a pusher killed between halting and destroying."""
    left_split(fresh)
    monkeypatch.setattr("connectors.libvirt_hosts.split._destroy", lambda *_: None)
    assert "halted but not gone" in connector.settle(to_host("h2"))
    monkeypatch.undo()
    assert reason(fresh, "h2") == "paused (user)"
    other = LibvirtConnector("other", settings(fresh))
    assert "found to be surplus before" in other.settle(to_host("h2"))
    assert fresh.where("g1") == ["h1"]


def test_a_copy_whose_turn_is_not_known_is_halted_but_not_destroyed(fresh, connector) -> None:
    """A daemon that was restarted has forgotten when its copy went on."""
    left_split(fresh)
    fresh.daemon_kill("h2")
    fresh.daemon_start("h2")
    done = connector.settle(to_host("h2"))
    assert "the copy at h2 was halted, not destroyed" in done
    assert fresh.where("g1") == ["h1", "h2"]
    assert reason(fresh, "h2") == "paused (user)"
    assert connector.read(["vm/g1/host"])[0].quality is Quality.BAD
