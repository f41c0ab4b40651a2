"""A BACnet device for ten minutes: 1000 points polled, 200 watched, a restart and a freeze; how long values were old.

Run: ``python benchmarks/bacnet_soak.py`` (``--quick``: one minute). Prints one JSON document.
"""

# ruff: noqa: E402  # run as a file, it must find the packages beside its folder first

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "real")]

from peers import BacnetPeer, free_port, wait_until

from connectors.bacnet.connector import BacnetConnector
from connectors.bacnet.settings import BacnetDevice, BacnetPoint, BacnetSettings
from connectors.set_point import Allowance
from twin.errors import OutsideWorldError
from twin.plan import Action, ActionKind, Quality

POINTS, WATCHED, CHANGE_S = 1000, 200, 5.0
FREEZE_S = 30.0


class Soak:
    """The run: what happens when, and the age of every watched value second by second."""

    def __init__(self, device: BacnetPeer, connector: BacnetConnector, length_s: float) -> None:
        self.device, self.connector, self.length_s = device, connector, length_s
        self.watched = [f"input-{n}" for n in range(1, WATCHED + 1)]
        self.polled = [name for name in connector.settings.points if name != "command"]
        self.facts: dict[str, object] = {"polls": 0, "failed_polls": 0, "late_but_not_stale": 0}
        self.oldest_s, self.outages = 0.0, []

    def run(self) -> dict[str, object]:
        """Ten minutes, or what was asked for."""
        self._ramp()
        self.connector.watch(self.watched)
        wait_until(self._all_seen, 60.0, "a first value of every watched point")
        self._hold()
        began = time.monotonic()
        next_poll, events = began, [(0.3, self._restart), (0.6, self._freeze)]
        while (now := time.monotonic()) - began < self.length_s:
            if events and now - began > events[0][0] * self.length_s:
                events.pop(0)[1]()
            if now >= next_poll:
                next_poll += self.length_s / 10
                self._poll()
            self._ages(now - began)
            time.sleep(0.5)
        return self._summary()

    def _ramp(self) -> None:
        self.device.process.stdin.write(
            json.dumps(
                {
                    "do": "ramp",
                    "type": "analog-input",
                    "number": 1,
                    "numbers": list(range(1, WATCHED + 1)),
                    "every_s": CHANGE_S,
                }
            )
            + "\n"
        )
        self.device.process.stdin.flush()
        self.device.process.stdout.readline()

    def _all_seen(self) -> bool:
        return all(reading.value is not None for reading in self.connector.latest(self.watched))

    def _hold(self) -> None:
        self.connector.apply(
            Action(id="hold", kind=ActionKind.SET_POINT, connector="bms", point="command", value=24.0, expected=None)
        )

    def _restart(self) -> None:
        began = time.monotonic()
        self.device.restart()
        self._ramp()
        self.outages.append(("restart", time.monotonic() - began))

    def _freeze(self) -> None:
        began = time.monotonic()
        self.device.signal(signal.SIGSTOP)
        while time.monotonic() - began < FREEZE_S:
            self._ages(0.0)
            time.sleep(0.5)
        self.device.signal(signal.SIGCONT)
        self.outages.append(("silence", time.monotonic() - began))

    def _poll(self) -> None:
        self.facts["polls"] += 1
        try:
            readings = self.connector.read(self.polled)
            self.facts["failed_polls"] += any(reading.value is None for reading in readings)
        except OutsideWorldError:
            self.facts["failed_polls"] += 1

    def _ages(self, _: float) -> None:
        now = time.time()
        for reading in self.connector.latest(self.watched):
            age_s = now - reading.at.timestamp()
            if reading.value is not None:
                self.oldest_s = max(self.oldest_s, age_s)
                late = age_s > self.connector.settings.max_age_s + 1.0
                self.facts["late_but_not_stale"] += late and reading.quality is Quality.GOOD

    def _summary(self) -> dict[str, object]:
        held = self.device.slots(1).get("13")
        return {
            **self.facts,
            "watched": WATCHED,
            "polled": len(self.polled),
            "oldest_watched_s": round(self.oldest_s, 1),
            "outages_s": {name: round(seconds, 1) for name, seconds in self.outages},
            "renewal_s": self.connector.settings.cov_renew_s,
            "command_in_slot_at_the_end": held,
            "findings": [finding.what for finding in self.connector.findings()],
        }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="the output is JSON either way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        device = BacnetPeer(Path(folder) / "log", points=POINTS)
        points = {f"input-{n}": BacnetPoint(device="it", object=f"analog-input,{n}") for n in range(1, POINTS + 1)}
        points["command"] = BacnetPoint(device="it", object="analog-value,1", write=Allowance(min=15, max=30))
        connector = BacnetConnector(
            "bms",
            BacnetSettings(
                bind=f"127.0.0.1/8:{free_port(socket.SOCK_DGRAM)}",
                devices={"it": BacnetDevice(instance=device.instance, address=device.address)},
                points=points,
                timeout_s=2.0,
                breaker_s=5.0,
                reconcile_s=20.0,
                probe_s=5.0,
            ),
        )
        try:
            print(json.dumps(Soak(device, connector, 60.0 if options.quick else options.seconds).run()))
        finally:
            connector.close()
            device.stop()


if __name__ == "__main__":
    main()
