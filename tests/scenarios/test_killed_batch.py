"""A batch that is killed with SIGKILL and resumed ends in the same bytes as one that was left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from killed_batch import batch

HERE = Path(__file__).parent


def killed_after(parts: int, folder: Path) -> int:
    """Starts the batch, kills it when so many scenarios are done; how many were left done."""
    paths = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    child = subprocess.Popen(
        [sys.executable, str(HERE / "killed_batch.py"), str(folder)], env={**os.environ, "PYTHONPATH": paths}
    )
    deadline = time.monotonic() + 60
    while len(list(folder.glob("results/*/parts/*.npz"))) < parts and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    return len(list(folder.glob("results/*/parts/*.npz")))


def test_a_killed_and_resumed_batch_has_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = batch(tmp_path / "whole", slow=False)
    assert 2 <= killed_after(2, tmp_path / "killed") < 6
    assert not list((tmp_path / "killed").glob("results/*/summary.json"))
    resumed = batch(tmp_path / "killed", slow=False)
    for name in ("summary.json", "report.html", "manifest.json", "series/0005.parquet"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
