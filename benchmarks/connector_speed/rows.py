"""A line of the table of connectors: how it is timed, and how it is printed."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "real"))

from peers import Peer, wait_for_port  # noqa: E402  # the peers are those of the tests

from connectors.set_point import Allowance  # noqa: E402
from twin.plan import Action, ActionKind, PointId  # noqa: E402
from twin.ports import Connector  # noqa: E402

ALLOWED = Allowance(min=0.0, max=60.0)


class MissingPeerError(Exception):
    """A peer is not installed here; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how often is timed."""

    read_s: float = 4.0
    writes: int = 40
    moves: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    peer: str
    peer_version: str
    points: int
    """Points of one read."""
    reads_per_s: float
    """Points read in a second, all of them in each read."""
    writes_per_s: float | None
    p99_ms: float
    """99th percentile of a read of all points."""
    write_p99_ms: float | None


def p99_ms(times_s: Sequence[float]) -> float:
    """The 99th percentile in ms; of fewer than 100 samples, the largest."""
    return 1000.0 * (statistics.quantiles(times_s, n=100)[98] if len(times_s) >= 100 else max(times_s))


def timed(
    name: str,
    peer: tuple[str, str],
    connector: Connector,
    points: Sequence[PointId],
    effort: Effort,
    write: Callable[[int], object] | None = None,
    writes: int | None = None,
) -> Row:
    """Reads all points again and again, then writes; the first of each warms up and is not counted.

    Args:
        name: of the connector.
        peer: the peer and its version.
        connector: to be timed.
        points: read together.
        effort: how long.
        write: does one write, told its number.
        writes: how many, where it is not what the effort says.
    """
    connector.read(points)
    reads: list[float] = []
    end = time.monotonic() + effort.read_s
    while time.monotonic() < end or len(reads) < 3:
        reads.append(_seconds(lambda: connector.read(points)))
    count = writes or effort.writes
    written = [_seconds(lambda i=i: write(i)) for i in range(count + 1)][1:] if write else []
    return Row(
        name=name,
        peer=peer[0],
        peer_version=peer[1],
        points=len(points),
        reads_per_s=len(reads) * len(points) / sum(reads),
        writes_per_s=len(written) / sum(written) if written else None,
        p99_ms=p99_ms(reads),
        write_p99_ms=p99_ms(written) if written else None,
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def setting(connector: Connector, point: PointId) -> Callable[[int], object]:
    """Sets a point to and fro, as a push does: a look, the verdict, the write."""

    def write(number: int) -> object:
        value = 20.0 + number % 2
        return connector.apply(
            Action(
                id=f"set {value}",
                kind=ActionKind.SET_POINT,
                connector=connector.name,
                point=point,
                value=value,
                expected=None,
                tolerance=1e-6,
            )
        )

    return write


@contextmanager
def served(argv: Sequence[object], folder: Path, port: int, timeout_s: float = 20.0) -> Iterator[None]:
    """A peer that runs until the block ends."""
    process = Peer([str(part) for part in argv], log=folder / f"{port}.log")
    try:
        wait_for_port(port, process, timeout_s)
        yield
    finally:
        process.stop()


def program(name: str) -> str:
    """Path of an installed program.

    Raises:
        MissingPeerError: it is not installed.
    """
    beside = str(Path(sys.executable).parent)
    for folder in (*os.get_exec_path(), "/usr/sbin", "/sbin", beside):
        if os.access(found := Path(folder) / name, os.X_OK):
            return str(found)
    message = f"{name} is not installed"
    raise MissingPeerError(message)


def told_version(command: Sequence[str], word: int) -> str:
    """One word of what a program says of itself."""
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return (told.stdout or told.stderr).split()[word]


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| connector | peer | points | reads/s | p99 of a read of all, ms | writes/s | p99 of a write, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = (row.reads_per_s, row.p99_ms, row.writes_per_s, row.write_p99_ms)
        cells = [row.name, f"{row.peer} {row.peer_version}", str(row.points), *map(_short, numbers)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _short(number: float | None) -> str:
    if number is None:
        return "–"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
