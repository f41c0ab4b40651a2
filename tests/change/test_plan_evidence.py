"""Where a plan comes from: the data set of its twin is in it by name (fault A12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from change_world import EVIDENCE, make_plan, rooms
from drifting_building import model_of
from test_cli_plans import workspace

from optimizer.goals import Goal
from twin.cli.plan_evidence import evidence_of
from twin.cli.proposals import Proposal
from twin.cli.workspace import Workspace
from twin.policy import Policy

__all__ = ["workspace"]


def test_a_plan_names_the_data_set_that_its_twin_was_fitted_to(workspace: Path) -> None:
    here = Workspace.at(workspace)
    model = replace(model_of(here.site), data_digest="5e" * 32)
    proposal = cast("Proposal", SimpleNamespace(policy=Policy(), goal=Goal(name="energy"), votes=()))
    evidence = evidence_of(here, proposal, model, "p" * 64, 0, timedelta(0))
    assert (evidence.data_digest, evidence.model_id) == (model.data_digest, model.model_id)


def test_the_same_plan_from_another_data_set_is_another_plan() -> None:
    plan = make_plan(rooms(1))
    other = replace(plan, evidence=replace(EVIDENCE, data_digest="0f" * 32))
    assert other.evidence != plan.evidence
    assert other.id != plan.id
