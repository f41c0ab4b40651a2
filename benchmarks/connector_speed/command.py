"""Speed of each connector against its real peer, and live migrations under faults: the table of docs/connectors.md.

``--only bacnet,modbus`` for some of them, ``--quick`` for a short look without migrations; ``--moves N`` migrations
with faults drawn from the seed (200, some 45 minutes). A peer that is not installed is named on stderr and left out.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import cast

import frame

from connector_speed.benches import BENCHES
from connector_speed.rows import Effort, MissingPeerError, Row, markdown
from twin.errors import UnderstudyError

QUICK = Effort(read_s=1.0, writes=10, moves=2)
SLOW_TO_START = frozenset({"home_assistant", "libvirt"})
Document = dict[str, object]


def measure(chosen: argparse.Namespace) -> Document:
    """All peers one after the other, then the migrations."""
    names = chosen.only.split(",") if chosen.only else list(BENCHES)
    if chosen.quick:
        names = [name for name in names if name not in SLOW_TO_START]
    rows = [row for name in names if (row := _row(name, QUICK if chosen.quick else Effort())) is not None]
    if chosen.markdown:
        frame.note(markdown(rows))
    return {"connectors": [asdict(row) for row in rows], "libvirt_faults": _faults(chosen)}


def _row(name: str, effort: Effort) -> Row | None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return BENCHES[name](Path(folder), effort)
        except (MissingPeerError, ModuleNotFoundError, UnderstudyError, OSError) as error:
            frame.note(f"{name}: left out, {error}")
            return None


def _faults(chosen: argparse.Namespace) -> Document | None:
    """Counts of seeded migrations; None where none were asked for."""
    if chosen.quick or not chosen.moves:
        return None
    import libvirt_faults

    counted = libvirt_faults.run(chosen.moves, chosen.seed, told=frame.note)
    faults = cast("dict[str, int]", counted["faults"])
    return {
        **{key: counted[key] for key in ("migrations", "lost", "doubled", "untrue_states")},
        "faults": sum(count for kind, count in faults.items() if kind != "none"),
        "faults_by_kind": faults,
    }


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", help=f"some of {','.join(BENCHES)}")
    parser.add_argument("--moves", type=int, default=200, help="live migrations under faults; 0: none")
    parser.add_argument("--markdown", action="store_true", help="also the table of docs/connectors.md, on stderr")


def main() -> None:
    """The command line."""
    frame.run(__doc__, measure, _more)
