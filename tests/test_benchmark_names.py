"""Benchmarks are scripts; one of them has the name of a package of the product."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_process_that_searches_the_benchmarks_first_still_gets_the_package() -> None:
    code = "import sys; sys.path[:0] = ['benchmarks']; import connectors.set_point as found; print(found.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == ROOT / "connectors" / "set_point.py"
