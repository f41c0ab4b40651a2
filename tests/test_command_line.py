"""The command line answers at once, speaks one JSON document, and leaves with the exit code of the contract."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from twin.cli import run

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"numba", "pandas", "prophet", "plotly", "scipy", "simpy", "pydantic", "optuna", "dash", "pyarrow", "networkx"}


def test_help_imports_nothing_heavy() -> None:
    """Time is noisy, imports are not: what takes long to load is not loaded."""
    code = "import sys; from twin.cli import run; run(['--help']); sys.stderr.write(','.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stderr.strip().split(","))


COMMANDS = (
    "demo|init|site check|site schema|ingest|calibrate|forecast|forecast backtest|run|compare|plan propose|plan list|"
    "plan show|plan approve|plan reject|plan push|plan pause|plan rollback|plan release-all|audit show|audit verify|"
    "connector list|connector check|dashboard"
)


@pytest.mark.parametrize("command", COMMANDS.split("|"))
def test_every_command_takes_a_workspace_and_speaks_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    options = capsys.readouterr().out
    assert "--workspace" in options
    assert "--json" in options


def test_a_workspace_is_made_where_the_option_says(tmp_path: Path) -> None:
    """The folder is named by the argument, by the option, or by both: one below the other."""
    assert run(["init", "--workspace", str(tmp_path / "one")]) == 0
    assert run(["init", "two", "--workspace", str(tmp_path)]) == 0
    assert (tmp_path / "one" / "site.yaml").exists()
    assert (tmp_path / "two" / "site.yaml").exists()


def test_an_unknown_command_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rehearse", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2


@pytest.mark.parametrize("command", [["ingest"], ["calibrate"], ["forecast"], ["plan", "list"], ["audit", "verify"]])
def test_a_folder_without_site_yaml_is_no_workspace(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--workspace", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "is not a workspace" in said.err
    assert "understudy init" in said.err
