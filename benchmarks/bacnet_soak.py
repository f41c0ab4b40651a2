"""A BACnet device over a lossy network: polled, watched and commanded through a restart, a cut cable, an operator.

The device stands in a network namespace; ``iptables`` drops packets both ways. 1000 points are polled each minute as
``ingest --follow`` does, 200 are watched by change of value, three are commanded. Needs root.

Run: ``python benchmarks/bacnet_soak.py`` (``--quick``: a tenth of the time and a cut of ten seconds). Prints one JSON
document; exit code 1 when a promise was broken.
"""

# ruff: noqa: E402  # run as a file, it must find the packages beside its folder first

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "real")]

from peers import BacnetPeer, Wire, free_port, wait_until

from connectors.bacnet.connector import BacnetConnector
from connectors.bacnet.settings import BacnetDevice, BacnetPoint, BacnetSettings
from connectors.gather import RETRY_S, Gatherer
from connectors.set_point import Allowance
from twin.errors import OutsideWorldError, RefusedError
from twin.plan import Action, ActionKind, Quality

POINTS, WATCHED, CHANGE_S = 1000, 200, 5.0
LOST_SHARE = 0.02
COMMANDED, WANTED_C, OPERATOR_C = (1, 2, 3), 24.0, 19.0
LOOK_S = 0.5


class Polls:
    """When each polled point came, for the largest gap."""

    def __init__(self) -> None:
        self.last: dict[str, datetime] = {}
        self.largest_gap_s, self.rows, self.failures = 0.0, 0, 0

    def take(self, _: str, rows: pd.DataFrame) -> None:
        """Rows as the gatherer hands them over."""
        self.rows += len(rows)
        for at, point in zip(rows["timestamp"], rows["point"], strict=True):
            self.age(point, at)
            self.last[point] = at

    def age(self, point: str, now: datetime) -> None:
        """Counts the time since a point's last row."""
        if point in self.last:
            self.largest_gap_s = max(self.largest_gap_s, (now - self.last[point]).total_seconds())


class Soak:
    """The run: what happens when, and what is seen of it."""

    def __init__(self, device: BacnetPeer, wire: Wire, connector: BacnetConnector, length_s: float) -> None:
        self.device, self.wire, self.connector, self.length_s = device, wire, connector, length_s
        self.watched = [f"input-{n}" for n in range(1, WATCHED + 1)]
        self.polls, self.polled, self.poll_every_s = Polls(), Polled(connector), length_s / 10
        self.cut_s = min(30.0, length_s / 6)
        self.outages: dict[str, tuple[float, float]] = {}
        self.oldest_s = {"in or after an outage": 0.0, "otherwise": 0.0}
        self.called_good_though_old = self.operator_overruled = self.samples = 0
        self.operated: set[int] = set()
        self.refused: list[str] = []

    def run(self) -> dict[str, object]:
        """Everything in order."""
        self.device.ramp(range(1, WATCHED + 1), CHANGE_S)
        self.connector.watch(self.watched)
        wait_until(lambda: all(r.value is not None for r in self.connector.latest(self.watched)), 60.0, "first values")
        for number in COMMANDED:
            self._command(number)
        self.wire.lose(LOST_SHARE)
        stop = threading.Event()
        polling = threading.Thread(target=self._poll, args=(stop,), daemon=True)
        polling.start()
        began = time.monotonic()
        events = [(0.15, self._operator_comes), (0.3, self._restart), (0.6, self._cut), (0.8, self._ask_again)]
        while time.monotonic() - began < self.length_s:
            if events and time.monotonic() - began > events[0][0] * self.length_s:
                events.pop(0)[1]()
            self._look()
        stop.set()
        polling.join(20.0)
        return self._summary()

    # ---- what happens ----------------------------------------------------------------------------------------------

    def _command(self, number: int) -> None:
        self.connector.apply(
            Action(
                id=f"hold {number}",
                kind=ActionKind.SET_POINT,
                connector="bms",
                point=f"command-{number}",
                value=WANTED_C,
                expected=None,
            )
        )

    def _poll(self, stop: threading.Event) -> None:
        def told(state: object) -> None:
            self.polls.failures += not state.ok

        gatherer = Gatherer({"bms": self.polled}, self.polls.take)
        gatherer.follow(stop, lambda: datetime.now(UTC), self.poll_every_s, told)

    def _operator_comes(self) -> None:
        self.operated.add(2)
        self.device.operator(2, OPERATOR_C)

    def _restart(self) -> None:
        def again() -> None:
            self.device.restart()
            self.device.operator(2, OPERATOR_C)  # its memory is empty, so the operator sets it again
            self.device.ramp(range(1, WATCHED + 1), CHANGE_S)

        self._outage("restart", again)

    def _cut(self) -> None:
        def silent() -> None:
            self.wire.lose(1.0)
            self.operated.add(3)
            self.device.operator(3, OPERATOR_C)
            end = time.monotonic() + self.cut_s
            while time.monotonic() < end:
                self._look()
            self.wire.lose(LOST_SHARE)

        self._outage("cut cable", silent)

    def _outage(self, name: str, happens: Callable[[], None]) -> None:
        began = time.monotonic()
        self.outages[name] = (began, began + 3600.0)
        happens()
        self.outages[name] = (began, time.monotonic())

    def _ask_again(self) -> None:
        """A plan that wants what an operator holds is refused."""
        for number in sorted(self.operated):
            wait_until(lambda number=number: self._is_answered(number), 60.0, f"an answer on command {number}")

    def _is_answered(self, number: int) -> bool:
        try:
            self._command(number)
        except RefusedError as error:
            self.refused.append(str(error))
        except OutsideWorldError:
            return False
        return True

    # ---- what is seen ----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        now, age_limit_s = time.time(), self.connector.settings.max_age_s + 1.0
        for reading in self.connector.latest(self.watched):
            if reading.value is not None:
                age_s = now - reading.at.timestamp()
                self._note_age(age_s)
                self.called_good_though_old += age_s > age_limit_s and reading.quality is Quality.GOOD
        self.samples += 1
        for number in self.operated:
            shown = self.device.tell(do="look", type="analog-value", number=number)["value"]
            self.operator_overruled += shown != OPERATOR_C
        time.sleep(LOOK_S)

    def _note_age(self, age_s: float) -> None:
        """Counts an age to an outage when the value comes from before its end."""
        came = time.monotonic() - age_s
        hit = any(began - CHANGE_S < came < ended for began, ended in self.outages.values())
        key = "in or after an outage" if hit else "otherwise"
        self.oldest_s[key] = max(self.oldest_s[key], age_s)

    def _summary(self) -> dict[str, object]:
        for point in self.polls.last:
            self.polls.age(point, datetime.now(UTC))
        outages = {name: round(ended - began, 1) for name, (began, ended) in self.outages.items()}
        slots = {number: self.device.slots(number) for number in COMMANDED}
        return {
            "polled": POINTS,
            "poll_every_s": self.poll_every_s,
            "polled_rows": self.polls.rows,
            "spells_without_an_answer_to_polls": self.polls.failures,
            "longest_poll_s": round(self.polled.longest_s, 1),
            "largest_poll_gap_s": round(self.polls.largest_gap_s, 1),
            "watched": WATCHED,
            "oldest_watched_s": {name: round(age, 1) for name, age in self.oldest_s.items()},
            "old_but_called_good": self.called_good_though_old,
            "outages_s": outages,
            "packets_lost_after_the_cut": self.wire.lost(),
            "loss_each_way": LOST_SHARE,
            "samples": self.samples,
            "samples_in_which_the_operator_was_overruled": self.operator_overruled,
            "refusals_of_what_the_operator_holds": self.refused,
            "slots_at_the_end": slots,
            "findings": [f"{finding.point}: {finding.what}" for finding in self.connector.findings()],
            "kept": {
                "no value older than the longest outage, a change and a repeat": self.oldest_s["in or after an outage"]
                <= max(outages.values()) + CHANGE_S + self.connector.settings.cov_renew_s,
                "no poll gap beyond its pause, the longest outage, a retry and two polls": self.polls.largest_gap_s
                <= self.poll_every_s + max(outages.values()) + RETRY_S + 2 * self.polled.longest_s,
                "nothing old called good": self.called_good_though_old == 0,
                "our command stands again": slots[1].get("13") == WANTED_C,
                "the operator's value stood everywhere": self.operator_overruled == 0
                and len(self.refused) == len(self.operated),
            },
        }


class Polled:
    """All inputs of the device, as a source that is followed."""

    name = "bms"

    def __init__(self, connector: BacnetConnector) -> None:
        self._connector = connector
        self.longest_s = 0.0
        """Of the polls that were answered."""

    def fetch(self, since: datetime | None, until: datetime | None) -> pd.DataFrame:  # only now is known
        """One row per input."""
        began = time.monotonic()
        rows = self._connector.fetch(since, until)
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        return rows[rows["point"].str.startswith("input-")]


def connected(device: BacnetPeer, wire: Wire) -> BacnetConnector:
    """The connector under test."""
    points = {f"input-{n}": BacnetPoint(device="it", object=f"analog-input,{n}") for n in range(1, POINTS + 1)}
    allowed = Allowance(min=15, max=30)
    points |= {f"command-{n}": BacnetPoint(device="it", object=f"analog-value,{n}", write=allowed) for n in COMMANDED}
    return BacnetConnector(
        "bms",
        BacnetSettings(
            bind=f"{wire.here}/24:{free_port(socket.SOCK_DGRAM)}",
            devices={"it": BacnetDevice(instance=device.instance, address=device.address)},
            points=points,
            timeout_s=1.0,  # many short tries, as a network that loses packets wants it
            retries=2,
            breaker_s=5.0,
            reconcile_s=20.0,
            probe_s=5.0,
        ),
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="the output is JSON either way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire("undsoak", "10.214.7")
        device = BacnetPeer(Path(folder) / "log", points=POINTS, inside=wire)
        connector = connected(device, wire)
        try:
            told = Soak(device, wire, connector, 60.0 if options.quick else options.seconds).run()
        finally:
            connector.close()
            device.stop()
            wire.close()
    print(json.dumps(told, indent=1))
    return 0 if all(told["kept"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
