"""The demo, run once for all tests of a session however many processes share them; each test file gets its own copy."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def understudy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "twin", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1500)


def told_by_the_demo(factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A copy of the demo's workspace and what the demo told; the first to ask runs it, the others wait."""
    base = factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "demo-once"
    shared.mkdir(exist_ok=True)
    told, workspace = shared / "told.json", shared / "office"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            done = understudy("demo", "--workspace", str(workspace), "--json")
            assert done.returncode == 0, done.stderr
            told.write_text(done.stdout, encoding="utf-8")
    copy = factory.mktemp("demo") / "office"
    shutil.copytree(workspace, copy)
    return copy, json.loads(told.read_text(encoding="utf-8"))
