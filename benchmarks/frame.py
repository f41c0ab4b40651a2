"""What every benchmark shares: its options, where the data is, the keys of every document, the readable table."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

Document = dict[str, object]


def shared_folder(*parts: str) -> Path:
    """A folder of real data: below ``UNDERSTUDY_SHARED`` or ``../shared``; leaves with exit code 2 without it."""
    folder = Path(os.environ.get("UNDERSTUDY_SHARED") or ROOT.parent / "shared")
    place = folder.joinpath(*parts)
    if not place.exists():
        sys.exit(_no_data(place))
    return place


def _no_data(place: Path) -> int:
    print(f"{place} does not exist; set UNDERSTUDY_SHARED to the folder with the real data", file=sys.stderr)
    return 2


def options(
    description: str | None, more: Callable[[argparse.ArgumentParser], object] | None = None
) -> argparse.Namespace:
    """``--json``, ``--quick`` and ``--seed``, and what ``more`` adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--quick", action="store_true", help="the same on less data, under 50 s")
    parser.add_argument("--seed", type=int, default=0)
    if more is not None:
        more(parser)
    return parser.parse_args()


def run(
    description: str | None,
    measure: Callable[[argparse.Namespace], Document],
    more: Callable[[argparse.ArgumentParser], object] | None = None,
) -> None:
    """Measures and prints."""
    chosen = options(description, more)
    begun = time.perf_counter()
    document = measure(chosen) | {
        "git_commit": commit(),
        "seed": chosen.seed,
        "quick": chosen.quick,
        "machine": machine(),
        "wall_s": time.perf_counter() - begun,
    }
    print(json.dumps(document, indent=1) if chosen.json else readable(document))


def commit() -> str:
    """The commit that is measured; with a ``+`` when files differ from it."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "-uno"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def machine() -> Document:
    """Cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": os.cpu_count(), "memory_gb": memory / 1e9}


def note(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def readable(document: Mapping[str, object]) -> str:
    """A document as text: numbers in lines, lists of records as tables."""
    lines: list[str] = []
    for key, value in document.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += ["", key, *_table(value)]
        elif isinstance(value, dict) and any(isinstance(item, list) for item in value.values()):
            lines += ["", f"{key}:", *("  " + line for line in readable(value).splitlines())]
        else:
            lines.append(f"{key}: {_short(value)}")
    return "\n".join(lines)


def _table(rows: list[dict[str, object]]) -> list[str]:
    columns = list(rows[0])
    cells = [columns, *([_short(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return str(value)
