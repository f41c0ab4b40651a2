"""The page of duties names artefacts that are there: files, commands, fields of the plan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from twin.cli import app

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "governance.md").read_text(encoding="utf-8")
DUTIES = TEXT[TEXT.index("## NIST") : TEXT.index("## What is not done")]
NAMED = sorted(set(re.findall(r"`([^`]+)`", DUTIES)))
GROUPS = ("plan", "audit", "forecast", "policy")


def commands() -> set[str]:
    """Every command, with its group where it has one."""
    groups = getattr(typer.main.get_command(app), "commands", {})
    inner = {f"{name} {one}" for name, group in groups.items() for one in getattr(group, "commands", {})}
    return set(groups) | inner


def is_there(name: str) -> bool:
    """Whether a name in code type is a file, a folder, a pattern of files of a workspace, or a command."""
    if name == "policies/*.cedar":  # written into each workspace
        return True
    if "/" in name:
        return (ROOT / name).exists()
    words = name.removeprefix("understudy ").split(" --")[0]
    return any(known in commands() for known in (words, *(f"{group} {words}" for group in GROUPS)))


@pytest.mark.parametrize("name", NAMED)
def test_every_artefact_of_a_duty_exists(name: str) -> None:
    assert is_there(name), name


@pytest.mark.parametrize("page", sorted(set(re.findall(r"\]\(([a-z_]+\.md)\)", TEXT))))
def test_every_page_that_is_linked_exists(page: str) -> None:
    assert (ROOT / "docs" / page).is_file()


def test_a_made_up_artefact_would_be_found() -> None:
    assert not is_there("plan teleport")
    assert not is_there("twin/plans/teleport.py")
