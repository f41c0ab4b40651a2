"""The table of faults names tests that exist, and every fault has a row."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {"A": 13, "B": 20, "C": 9, "D": 14, "E": 8}


def test_every_test_named_in_the_table_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TABLE))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*def (test_\w+)\(", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    assert named - defined == set()
    assert len(named) > 100


def test_every_fault_has_its_row_and_a_verdict() -> None:
    rows = dict(re.findall(r"^\| ([A-E]\d+) \|[^|]*\| (yes|partly|no) \|", TABLE, flags=re.MULTILINE))
    assert list(rows) == [f"{letter}{number}" for letter, count in ROWS.items() for number in range(1, count + 1)]
