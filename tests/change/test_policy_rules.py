"""Each default rule forbids what it says; a looser text is in force only when another person has accepted it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from change_world import PASSWORD, GovernedWorld, migrate, power_off, room_step, rooms
from test_cli_plans import proposed, workspace

from connectors.governance import PolicyBundle, Role, Rulebook
from connectors.governance.loosening import loosened
from connectors.governance.policy import Circumstances
from twin.cli import run
from twin.errors import RefusedError
from twin.plan import PlanState
from twin.plans.document import Plan, Step, Target, TargetKind

__all__ = ["workspace"]


@pytest.fixture
def office(tmp_path: Path) -> GovernedWorld:
    return GovernedWorld(tmp_path)


def refusal(office: GovernedWorld, plan: Plan, step: Step, *, approvals: int = 1, hours: bool = False) -> str:
    around = Circumstances.of(plan, "paula", approvals, business_hours=hours)
    wave = next(wave for wave in plan.waves if any(one.action.id == step.action.id for one in wave.steps))
    return office.bundle().refusal(plan, wave, step, around)


def production(step: Step) -> Step:
    return replace(step, target=replace(step.target, production=True))


@pytest.mark.parametrize(
    ("approvals", "hours", "forbidden"), [(1, True, True), (2, True, False), (1, False, False), (0, False, True)]
)
def test_a_production_vm_in_business_hours_takes_two_approvals(
    office: GovernedWorld, approvals: int, hours: bool, forbidden: bool
) -> None:
    step = production(migrate("v0", "h0", "h1"))
    plan = replace(office.plan([step]), risk_class=1)
    said = refusal(office, plan, step, approvals=approvals, hours=hours)
    assert bool(said) is forbidden
    assert not (forbidden and approvals) or "two approvals for production in business hours" in said


def test_at_most_a_fifth_of_the_rooms_are_in_one_wave(office: GovernedWorld) -> None:
    plan = office.plan(rooms(3), rooms_in_site=10)
    wide = replace(plan, waves=(replace(plan.waves[0], steps=tuple(rooms(3))),), risk_class=1)
    assert "at most 20 percent of rooms in a wave" in refusal(office, wide, wide.waves[0].steps[0])
    narrow = office.plan(rooms(2), rooms_in_site=10)
    assert refusal(office, narrow, narrow.waves[0].steps[0]) == ""


def test_never_both_of_a_redundant_pair(office: GovernedWorld) -> None:
    def off(host: str, other: str) -> Step:
        return replace(power_off(host), target=Target(kind=TargetKind.HOST, id=host, redundant_with=other, group=host))

    both, one = office.plan([off("h0", "h1"), off("h1", "h0")]), office.plan([off("h0", "h1")])
    assert "never both of a redundant pair" in refusal(office, both, both.waves[0].steps[0], approvals=2)
    assert refusal(office, one, one.waves[0].steps[0]) == ""


def test_no_high_risk_action_outside_the_calibrated_range(office: GovernedWorld) -> None:
    step = replace(room_step("room-0"), inside_calibrated_range=False)
    plan = office.plan([step])
    assert plan.risk_class == 2
    assert "outside the calibrated range" in refusal(office, plan, step, approvals=2)
    assert refusal(office, replace(plan, risk_class=1), step) == ""


def test_the_defaults_are_written_into_the_workspace_with_their_reasons(workspace: Path) -> None:
    assert run(["policy", "check", "--workspace", str(workspace)]) == 0
    text = (workspace / "policies" / "understudy.cedar").read_text(encoding="utf-8")
    rules = [block for block in text.split("\n\n") if "@id(" in block and not block.startswith("// Examples")]
    assert len(rules) == 8
    assert all(block.lstrip().startswith("//") for block in rules)
    assert (workspace / "policies" / "understudy.cedarschema").is_file()


# ---- loosening -------------------------------------------------------------------------------------------------

LOOSER = {
    "a limit is moved up": lambda text: text.replace("27000", "27500"),
    "a limit is moved down": lambda text: text.replace("value_milli < 18000", "value_milli < 17999"),
    "a rule is deleted": lambda text: (
        text.partition('@id("never both')[0] + text.partition("breaks_redundant_pair };")[2]
    ),
    "fewer approvals": lambda text: text.replace("context.risk_class >= 2 && context.approvals < 2", "false"),
    "one person may do more": lambda text: text.replace(
        "context.breaks_redundant_pair }", 'context.breaks_redundant_pair && principal != User::"max" }'
    ),
    "a permit is added": lambda text: text + '\npermit (principal, action == Action::"start_vm", resource);',
}
TIGHTER = {
    "a comment": lambda text: text + "\n// nothing",
    "a narrower limit": lambda text: text.replace("27000", "26000"),
    "a new forbid": lambda text: text + '\nforbid (principal, action == Action::"resize_vm", resource);',
}


def changed(office: GovernedWorld, change: Callable[[str], str]) -> PolicyBundle:
    before = office.bundle()
    text = change(before.text)
    assert text != before.text
    return PolicyBundle(text, "f" * 64)


@pytest.mark.parametrize("change", LOOSER.values(), ids=LOOSER)
def test_a_looser_text_is_told_with_an_example(office: GovernedWorld, change: Callable[[str], str]) -> None:
    found = loosened(office.bundle(), changed(office, change))
    assert found
    assert "approvals" in found[0]


@pytest.mark.parametrize("change", TIGHTER.values(), ids=TIGHTER)
def test_a_text_that_allows_nothing_new_is_not_looser(office: GovernedWorld, change: Callable[[str], str]) -> None:
    assert loosened(office.bundle(), changed(office, change)) == ()


def test_a_looser_text_takes_two_people_and_leaves_its_rows(office: GovernedWorld) -> None:
    book = Rulebook(office.store, office.identity, office.clock)
    assert book.refusal(office.bundle()) == ""
    looser = changed(office, LOOSER["a limit is moved up"])
    assert "is looser than" in book.refusal(looser)
    with pytest.raises(RefusedError, match="nobody put it forward"):
        book.accept(looser, office.login("anna"), "warm summer")
    book.propose(looser, office.login("paula"))
    with pytest.raises(RefusedError, match="another person must accept it"):
        book.accept(looser, office.login("paula"), "I say so")
    with pytest.raises(RefusedError, match="needs the role approver"):
        book.accept(looser, office.login("olga"), "fine")
    assert "is looser than" in book.refusal(looser)
    book.accept(looser, office.login("anna"), "warm summer")
    assert book.refusal(looser) == ""
    events = [row.event for row in office.store.audit() if row.subject.startswith("policy ")]
    assert events == ["policy in force", "policy loosened", "policy proposed", "policy accepted"]
    assert office.store.verify() == []


def test_a_text_tightened_and_loosened_again_needs_two_people_too(office: GovernedWorld) -> None:
    book = Rulebook(office.store, office.identity, office.clock)
    first = office.bundle()
    book.look(first)
    assert book.refusal(changed(office, TIGHTER["a narrower limit"])) == ""
    assert "is looser than" in book.refusal(first)


def test_a_second_account_of_the_same_person_does_not_accept(office: GovernedWorld) -> None:
    office.identity.add("paula2", PASSWORD, [Role.APPROVER], person="paula", by=office.login("root"))
    book = Rulebook(office.store, office.identity, office.clock)
    book.look(office.bundle())
    looser = changed(office, LOOSER["a rule is deleted"])
    book.propose(looser, office.login("paula"))
    with pytest.raises(RefusedError, match="another person must accept it"):
        book.accept(looser, office.login("paula2"), "me again")


def test_under_a_looser_text_nothing_is_pushed_until_it_is_accepted(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(workspace)]
    file = workspace / "policies" / "understudy.cedar"
    file.write_text(LOOSER["a limit is moved up"](file.read_text(encoding="utf-8")), encoding="utf-8")
    plan = proposed(workspace)
    assert run(["plan", "approve", plan.id, "--as", "anna", *at]) == 0
    assert run(["plan", "push", plan.id, "--as", "olga", *at]) == 3
    assert "is looser than" in capsys.readouterr().err
    assert run(["policy", "check", *at]) == 3
    assert run(["policy", "propose", "--as", "paula", *at]) == 0
    capsys.readouterr()
    assert run(["policy", "accept", "--as", "anna", "--reason", "warm summer", *at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["in_force"] is True
    assert run(["plan", "push", plan.id, "--as", "olga", *at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == PlanState.PUSHED
