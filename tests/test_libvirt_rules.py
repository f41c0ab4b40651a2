"""Rules of the libvirt connector that need no host: what sights of a guest prove."""

from __future__ import annotations

import pytest

pytest.importorskip("libvirt")

from connectors.libvirt_hosts.look import GuestState
from connectors.libvirt_hosts.moving import Cause, Sight, split_of

GIVES_UP_S = 6.0


def copy(host: str, cause: Cause, stood_still_s: float | None = None, state: GuestState = GuestState.RUNNING) -> Sight:
    return Sight(host=host, reachable=True, state=state, cause=cause, stood_still_s=stood_still_s)


@pytest.mark.parametrize(
    ("stood_still_s", "kept", "proved"),
    [
        (0.4, "h2", True),  # the answer was lost: the target was first
        (2.9, "h2", True),
        (3.0, "h1", False),  # too near to the source's own patience to tell
        (5.9, "h1", False),
        (6.0, "h1", True),  # the target woke after the source had gone on
        (900.0, "h1", True),
        (-4.0, "h1", False),  # clocks that disagree prove nothing
        (None, "h1", False),
    ],
)
def test_of_two_running_copies_the_one_that_went_on_first_is_kept(
    stood_still_s: float | None, kept: str, proved: bool
) -> None:
    split = split_of([copy("h2", Cause.ARRIVED, stood_still_s), copy("h1", Cause.CANCELLED)], GIVES_UP_S)
    assert split is not None
    assert (split.keep.host, split.proved) == (kept, proved)
    assert {split.keep.host, split.surplus.host} == {"h1", "h2"}


def test_a_halted_copy_that_was_found_surplus_stays_surplus() -> None:
    halted = copy("h2", Cause.SURPLUS, state=GuestState.PAUSED)
    split = split_of([copy("h1", Cause.CANCELLED), halted], GIVES_UP_S)
    assert split is not None
    assert (split.surplus, split.proved) == (halted, True)


@pytest.mark.parametrize(
    "copies",
    [
        [copy("h1", Cause.OTHER), copy("h2", Cause.ARRIVED, 9.0)],
        [copy("h1", Cause.OTHER), copy("h2", Cause.OTHER)],
        [copy("h1", Cause.CANCELLED)],
        [copy("h1", Cause.CANCELLED), copy("h2", Cause.OTHER, state=GuestState.PAUSED)],
        [copy("h1", Cause.OTHER, state=GuestState.PAUSED), copy("h2", Cause.SURPLUS, state=GuestState.PAUSED)],
    ],
    ids=["started by hand", "both by hand", "one", "halted by a person", "nobody runs"],
)
def test_copies_that_no_broken_hand_over_explains_are_left_to_a_person(copies: list[Sight]) -> None:
    assert split_of(copies, GIVES_UP_S) is None
