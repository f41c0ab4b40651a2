"""The script for an auditor proves an export by itself, outside the product, and finds what a liar changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_cli_plans import proposed, workspace

from connectors.audit.standalone import FIELDS, GENESIS, canonical
from twin.cli import run

__all__ = ["workspace"]
Lines = list[dict[str, Any]]


@pytest.fixture
def office(workspace: Path, tmp_path: Path) -> Path:
    """A folder with export, script, and key and checkpoints that were kept apart."""
    plan, at = proposed(workspace, title="Wärmer, später"), ["--workspace", str(workspace)]
    assert run(["plan", "approve", plan.id, "--as", "anna", *at]) == 0
    out = tmp_path / "auditor"
    out.mkdir()
    assert run(["audit", "checkpoint", "--to", str(out / "checkpoints.jsonl"), *at]) == 0
    assert run(["audit", "export", str(out / "log.jsonl"), "--script", str(out / "verify_audit.py"), *at]) == 0
    (out / "audit.pub").write_bytes((workspace / "var" / "plans" / "keys" / "audit.pub").read_bytes())
    return out


def prove(folder: Path, *, apart: bool = True) -> subprocess.CompletedProcess[str]:
    kept = ["--public-key", "audit.pub", "--checkpoints", "checkpoints.jsonl"] if apart else []
    command = [sys.executable, "-I", "verify_audit.py", "log.jsonl", *kept]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def edit(folder: Path, change: Callable[[Lines], Lines]) -> None:
    file = folder / "log.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    file.write_bytes(b"".join(canonical(line) + b"\n" for line in change(lines)))


def forged(lines: Lines) -> Lines:
    """Everything written anew with fresh digests, one actor replaced."""
    previous = GENESIS
    for line in lines:
        if line["kind"] == "row":
            line["actor"] = "ben" if line["actor"] == "anna" else line["actor"]
            line["previous"] = previous
            previous = line["digest"] = hashlib.sha256(canonical([line[name] for name in FIELDS])).hexdigest()
    return lines


def test_a_true_export_holds_and_the_script_needs_nothing_of_the_product(office: Path) -> None:
    done = prove(office)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows hold" in done.stdout
    text = (office / "verify_audit.py").read_text(encoding="utf-8")
    assert all(f"{verb} {name}" not in text for verb in ("import", "from") for name in ("twin", "connectors"))


def test_without_what_was_kept_apart_the_script_says_so(office: Path) -> None:
    done = prove(office, apart=False)
    assert done.returncode == 0
    assert "take both from where they were kept apart" in done.stdout


def test_an_edited_row_is_named(office: Path) -> None:
    edit(
        office,
        lambda lines: [
            {**one, "actor": "eve"} if one.get("seq") == 3 and one["kind"] == "row" else one for one in lines
        ],
    )
    done = prove(office)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        3,
        "audit row 3: its content does not match its digest",
    )


def test_a_cut_tail_is_found(office: Path) -> None:
    edit(office, lambda lines: lines[:-2])
    done = prove(office)
    assert done.returncode == 3
    assert "rows are gone" in done.stdout


def test_a_full_rewrite_with_fresh_digests_is_found_by_the_script(office: Path) -> None:
    edit(office, forged)
    done = prove(office)
    assert done.returncode == 3
    assert "it was written anew" in done.stdout
    assert "does not match its digest" not in done.stdout


def test_a_checkpoint_signed_by_somebody_else_does_not_count(office: Path) -> None:
    file = office / "checkpoints.jsonl"
    points = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    points[0]["signature"] = "00" * 64
    file.write_bytes(b"".join(canonical(point) + b"\n" for point in points))
    done = prove(office)
    assert done.returncode == 3
    assert "checkpoint 1: its signature or form is wrong" in done.stdout
