"""Live migrations between real libvirt hosts with faults drawn from a seed; every outcome is compared with the kernel.

Run as root: ``python benchmarks/libvirt_faults.py --moves 200 --seed 1 --workers 4`` (``--quick``: 5 moves).
Prints one JSON line per move and a summary.
Needs the libvirt rig (README of the rig names the packages), found beside the repository or by UNDERSTUDY_SHARED.
"""

# ruff: noqa: E402  # run as a file, it must find the packages beside its folder first

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from connectors.libvirt_hosts.connector import LibvirtConnector
from connectors.libvirt_hosts.mover import Move
from connectors.libvirt_hosts.moving import Outcome, Sight
from connectors.libvirt_hosts.settings import LibvirtHost, LibvirtSettings, MoveRules
from twin.errors import OutsideWorldError
from twin.streams import stream

CLOCK = "clock broken"
GUESTS = 4
DIRTY_CALM, DIRTY_WILD = 40, 900
MBIT_S = 100
START_S = 120.0
"""How long a daemon may take to start on a busy machine; it is no part of what is measured."""


def cluster(number: int = 0) -> Any:
    """The rig's Python view of the hosts of one worker."""
    shared = Path(os.environ.get("UNDERSTUDY_SHARED", ROOT.parent / "shared"))
    folder = shared / "rigs" / "libvirt_cluster"
    sys.path.insert(0, str(folder))
    from rig import Cluster

    made = Cluster(name=f"undb{number}", subnet=f"10.213.{90 + number}")
    made.folder = folder
    made.number = number
    return made


def rig_command(rig: Any, *argv: object) -> None:
    """Runs the rig's command line, which leaves no child process with us."""
    environment = {**os.environ, "RIG_NAME": rig.name, "RIG_SUBNET": rig.subnet}
    command = [sys.executable, str(rig.folder / "rig.py"), *map(str, argv)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)


def connector_for(rig: Any) -> LibvirtConnector:
    """A connector to all hosts of the rig over its network."""
    return LibvirtConnector(
        "cloud",
        LibvirtSettings(
            hosts={host: LibvirtHost(uri=rig.uri(host, "tcp")) for host in rig.hosts},
            rules=MoveRules(
                shortest_deadline_s=12.0,
                verify_s=25.0,
                source_gives_up_s=6.0,
                shared_paths=[str(rig.dir / "shared")],
                moves_per_host=4,
                memory_margin_bytes=16e6,
            ),
            guests=rig.guests,
            timeout_s=4.0,
            keepalive_s=2,
            keepalive_count=3,
        ),
    )


def _signal_daemon(rig: Any, host: str, number: signal.Signals) -> None:
    if pid := rig.libvirtd_pid(host):
        os.kill(pid, number)


def _hang(rig: Any, host: str, hang_s: float = 5.0) -> None:
    _signal_daemon(rig, host, signal.SIGSTOP)
    time.sleep(hang_s)
    _signal_daemon(rig, host, signal.SIGCONT)


def _limit_memory(rig: Any, host: str) -> None:
    pid = rig.libvirtd_pid(host)
    subprocess.run(["prlimit", "--pid", str(pid), "--as=150000000"], check=True)


def _cut(rig: Any, host: str, peer: str | None) -> None:
    rig.cut(host, peer)
    time.sleep(9.0)
    rig.heal(host)
    rig.rate(host, MBIT_S)


def _restart_daemon(rig: Any, host: str) -> None:
    rig.daemon_kill(host)
    time.sleep(1.5)
    rig.daemon_start(host, START_S)


def _power_cycle(rig: Any, host: str) -> None:
    rig.power_off(host)
    time.sleep(3.0)
    rig_command(rig, "power-on", host)


Strike = Callable[[Any, str, str], None]
DURING: Mapping[str, Strike] = {
    "none": lambda rig, source, target: None,
    "source daemon killed": lambda rig, source, target: _restart_daemon(rig, source),
    "target daemon killed": lambda rig, source, target: _restart_daemon(rig, target),
    "source power cut": lambda rig, source, target: _power_cycle(rig, source),
    "target power cut": lambda rig, source, target: _power_cycle(rig, target),
    "target unplugged": lambda rig, source, target: _cut(rig, target, None),
    "data path cut": lambda rig, source, target: _cut(rig, target, source),
    "control path cut": lambda rig, source, target: _cut(rig, source, "ctl"),
    "source daemon hangs": lambda rig, source, target: _hang(rig, source),
    "target daemon hangs": lambda rig, source, target: _hang(rig, target),
    "target daemon hangs through the hand-over": lambda rig, source, target: _hang(rig, target, 12.0),
}
SPECIAL = ("never converges", "target out of memory", "duplicate request", "pusher killed")
FAULTS = (*DURING, "none", "none", *SPECIAL)
LETHAL = frozenset({"source power cut", "target power cut"})
"""Faults that kill a guest if it stands there: not counted as lost."""


class Run:
    """One seeded run of many moves."""

    def __init__(self, rig: Any, seed: int) -> None:
        self.rig = rig
        self.seed = seed
        self.checked_from: dict[str, int] = dict.fromkeys(rig.guests, 0)
        """Line of each guest's log from which on its clock has to be unbroken: its last boot, or the end of a split."""

    def step(self, index: int) -> dict[str, object]:
        """One move with one fault, and what was claimed against what is."""
        rng = stream(self.seed, "libvirt_faults", str(index))
        guest, fault, source, target = self._draw(rng)
        self._prepare(guest, source, fault)
        connector = connector_for(self.rig)
        move = self._moved(connector, guest, target, fault, float(rng.uniform(0.0, 3.0)))
        before_healing = self.rig.where(guest)
        self._heal()
        truth = self._settled(guest)
        shown = connector.look().named(guest)
        connector.close()
        row = {
            "move": index,
            "guest": guest,
            "fault": fault,
            "claimed": str(move.outcome),
            "adopted": move.adopted,
            "took_s": round(move.took_s, 2),
            "said": move.error[:120],
            "mended": move.mended,
            "kernel_then": before_healing,
            "kernel": truth,
            "connector": shown.host if shown is not None and shown.active else None,
            "faults_of_ours": self._verdicts(move, fault, truth, before_healing, shown),
        }
        self._revive(guest)
        return row

    def _draw(self, rng: np.random.Generator) -> tuple[str, str, str, str]:
        guest = self.rig.guests[int(rng.integers(GUESTS))]
        fault = FAULTS[int(rng.integers(len(FAULTS)))]
        source = self.rig.where(guest)[0]
        others = [host for host in self.rig.hosts if host != source]
        return guest, fault, source, others[int(rng.integers(len(others)))]

    def _prepare(self, guest: str, source: str, fault: str) -> None:
        for host in self.rig.hosts:
            self.rig.rate(host, MBIT_S)
        self.rig.control(guest, dirty=DIRTY_WILD if fault == "never converges" else DIRTY_CALM, window=48)
        time.sleep(1.5)

    def _moved(self, connector: LibvirtConnector, guest: str, target: str, fault: str, delay_s: float) -> Move:
        if fault == "target out of memory":
            _limit_memory(self.rig, target)
        found = connector.look().named(guest)
        if found is None:
            message = f"{guest} is not found before its move"
            raise OutsideWorldError(message)
        if fault == "pusher killed":
            return self._after_killed_pusher(connector, guest, target, delay_s)
        helper = self._helper(guest, found.host, target, fault, delay_s)
        try:
            return connector.move(found, target)
        except OutsideWorldError as error:  # a host could not even be asked beforehand, so nothing was begun
            return _not_begun(found.name, found.host, target, str(error))
        finally:
            if helper is not None:
                helper.join(90.0)
            if fault == "target out of memory":
                _restart_daemon(self.rig, target)

    def _helper(self, guest: str, source: str, target: str, fault: str, delay_s: float) -> threading.Thread | None:
        if fault == "duplicate request":
            return _started(lambda: self._duplicate(guest, target), delay_s)
        strike = DURING.get(fault)
        if strike is None or fault == "none":
            return None
        return _started(lambda: strike(self.rig, source, target), delay_s)

    def _duplicate(self, guest: str, target: str) -> None:
        other = connector_for(self.rig)
        found = other.look().named(guest)
        if found is not None and found.host != target:
            with contextlib.suppress(OutsideWorldError):
                other.move(found, target)
        other.close()

    def _after_killed_pusher(self, connector: LibvirtConnector, guest: str, target: str, delay_s: float) -> Move:
        pusher = subprocess.Popen([sys.executable, __file__, "--push", str(self.rig.number), guest, target], cwd=ROOT)
        time.sleep(2.0 + delay_s)
        pusher.kill()
        pusher.wait()
        found = connector.look().named(guest)
        if found is None:
            message = f"{guest} is gone after its pusher was killed"
            raise OutsideWorldError(message)
        return connector.move(found, target)

    def _heal(self) -> None:
        for host in self.rig.hosts:
            if not self.rig.init_pid(host):
                rig_command(self.rig, "power-on", host)
            _signal_daemon(self.rig, host, signal.SIGCONT)
            self.rig.daemon_start(host, START_S)
            self.rig.heal(host)

    def _settled(self, guest: str) -> list[str]:
        """Hosts with a process of the guest, once that stays the same for a second."""
        end = time.monotonic() + 30.0
        last, since = self.rig.where(guest), time.monotonic()
        while time.monotonic() < end and time.monotonic() - since < (1.0 if len(last) == 1 else 8.0):
            time.sleep(0.2)
            now = self.rig.where(guest)
            if now != last:
                last, since = now, time.monotonic()
        return last

    def _verdicts(self, move: Move, fault: str, truth: list[str], then: list[str], shown: Any) -> list[str]:
        """What is wrong with the claim or the guest; empty when all is well."""
        wrong = []
        if len(truth) > 1:
            wrong.append("doubled")
        if not truth and fault not in LETHAL:
            wrong.append("lost")
        seen = [shown.host] if shown is not None and shown.active else []
        if seen != truth:
            wrong.append("connector and kernel differ")
        expected = {Outcome.ARRIVED: [move.target], Outcome.STAYED: [move.source], Outcome.DOWN: []}
        if move.outcome in expected and expected[move.outcome] not in (truth, then):
            wrong.append("claimed state is not true")
        if move.outcome not in expected and move.outcome is not Outcome.UNKNOWN:
            wrong.append(f"ended as {move.outcome}")
        if move.outcome is Outcome.UNKNOWN and all(sight.reachable for sight in move.sights):
            wrong.append("unknown although both hosts answered")
        if move.mended:  # while a split lasts, two copies write one log
            self.checked_from[move.guest] = len(self.rig.ticks(move.guest))
        if truth and not self._unbroken(move.guest):
            wrong.append(CLOCK)
        return wrong

    def _unbroken(self, guest: str) -> bool:
        count = len(self.rig.ticks(guest))
        end = time.monotonic() + 8.0
        while len(self.rig.ticks(guest)) <= count and time.monotonic() < end:
            time.sleep(0.2)
        ticks = self.rig.ticks(guest)
        clock = ticks[self.checked_from[guest] :]
        return len(ticks) > count and clock == list(range(clock[0], clock[0] + len(clock)))

    def _revive(self, _: str) -> None:
        """Guests that a power cut killed are booted again; their clocks begin anew."""
        for guest in self.rig.guests:
            if not self.rig.where(guest):
                host = next(h for h in self.rig.hosts if self._defined(h, guest))
                self.checked_from[guest] = len(self.rig.ticks(guest))
                self.rig.virsh(host, "start", guest)

    def _defined(self, host: str, guest: str) -> bool:
        return bool(self.rig.virsh(host, "domstate", guest, check=False).returncode == 0)


def _not_begun(guest: str, source: str, target: str, error: str) -> Move:
    sights = (Sight(host=source, reachable=False, error=error), Sight(host=target, reachable=False, error=error))
    return Move(
        guest=guest,
        source=source,
        target=target,
        outcome=Outcome.STAYED,
        sights=sights,
        adopted=False,
        error=error,
        took_s=0.0,
    )


def _started(work: Callable[[], None], delay_s: float) -> threading.Thread:
    def run() -> None:
        time.sleep(delay_s)
        work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def push(number: str, guest: str, target: str) -> None:
    """The pusher that is to be killed."""
    connector = connector_for(cluster(int(number)))
    found = connector.look().named(guest)
    if found is not None:
        connector.move(found, target)


def work(number: int, workers: int, moves: int, seed: int) -> None:
    """The moves of one worker on a rig of its own, each told as a line of JSON on stdout."""
    rig = cluster(number)
    rig_command(rig, "up", "-n", 3, "-m", GUESTS, "--mem", 96, "--fresh")
    try:
        steps = Run(rig, seed)
        for index in range(number, moves, workers):
            print(json.dumps(steps.step(index)), flush=True)
    finally:
        rig_command(rig, "down")


def run(moves: int, seed: int, told: Callable[[str], object] = print, workers: int = 1) -> dict[str, object]:
    """All moves on as many rigs as there are workers, each told as a line of JSON, then the summary."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--moves", str(moves), "--seed", str(seed), "--workers", str(workers)]
    rows: list[dict[str, Any]] = []

    def follow(number: int) -> None:
        process = subprocess.Popen([*command, "--worker", str(number)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for line in process.stdout or ():
            rows.append(json.loads(line))
            told(line.strip())
        process.wait()

    followers = [_started(lambda n=number: follow(n), 0.0) for number in range(workers)]
    for follower in followers:
        follower.join()
    return counted(rows) | {"asked": moves, "seed": seed, "minutes": round((time.monotonic() - began) / 60, 1)}


def counted(rows: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """The counts of the contract and what they consist of, from the rows of moves."""
    wrong = Counter(fault for row in rows for fault in row["faults_of_ours"])
    untrue = [row for row in rows if set(row["faults_of_ours"]) - {"lost", "doubled"}]
    return {
        "migrations": len(rows),
        "faults": dict(Counter(row["fault"] for row in rows)),
        "lost": wrong["lost"],
        "doubled": wrong["doubled"],
        "untrue_states": len(untrue),
        "splits_ended": sum(bool(row["mended"]) for row in rows),
        "claimed": dict(Counter(row["claimed"] for row in rows)),
        "wrong": dict(wrong),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="rigs at once")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--push", nargs=3, metavar=("RIG", "GUEST", "TARGET"))
    parser.add_argument("--quick", action="store_true", help="5 moves")
    options = parser.parse_args()
    if options.push:
        push(*options.push)
    elif options.worker is not None:
        work(options.worker, options.workers, options.moves, options.seed)
    elif os.geteuid() or shutil.which("libvirtd", path="/usr/sbin:/usr/bin") is None:
        print("libvirt_faults: skipped, needs root and libvirtd", file=sys.stderr)
    else:
        print(json.dumps(run(5 if options.quick else options.moves, options.seed, workers=options.workers)))


if __name__ == "__main__":
    main()
