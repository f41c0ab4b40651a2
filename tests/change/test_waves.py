"""Plans are built small first, refuse what may never be, and keep their identity."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from change_world import ROOMS, START, make_plan, migrate, power_off, room_step, rooms
from hypothesis import given
from hypothesis import strategies as st

from twin.errors import BadInputError, IllegalTransitionError
from twin.plan import NEXT, Action, ActionKind, PlanState, require_transition
from twin.plans.document import Plan, Step, Target, TargetKind
from twin.plans.guardrails import approvers_needed, envelope_faults, plan_faults
from twin.plans.waves import build_waves


@given(count=st.integers(1, 40), site=st.integers(1, 200))
def test_no_wave_reaches_more_than_a_fifth_of_the_rooms_and_none_is_lost(count: int, site: int) -> None:
    steps = [room_step(f"room-{i}") for i in range(count)]
    waves = build_waves(steps, rooms_in_site=site, settle_s=1.0)
    assert all(len(wave.rooms) <= max(1, site // 5) for wave in waves)
    assert sorted(step.action.id for wave in waves for step in wave.steps) == sorted(s.action.id for s in steps)


def test_rooms_come_first_then_units_alone_then_hosts_one_at_a_time() -> None:
    unit = Target(kind=TargetKind.UNIT, id="ahu", rooms=ROOMS[:5], group="ahu")
    hours = Action(
        id="hours",
        kind=ActionKind.SET_POINT,
        connector="building",
        point="ahu/hours_mon_start_h",
        value=7.0,
        expected=6.0,
        unit="h",
    )
    steps = [
        power_off("h2"),
        Step(action=hours, target=unit, inside_calibrated_range=True),
        migrate("v2", "h1", "h0"),
        power_off("h1"),
        *rooms(3),
    ]
    waves = build_waves(steps, rooms_in_site=10, settle_s=1.0)
    kinds = [[step.target.kind for step in wave.steps] for wave in waves]
    assert kinds[:3] == [[TargetKind.ZONE] * 2, [TargetKind.ZONE], [TargetKind.UNIT]]
    assert all(sum(s.action.kind is ActionKind.POWER_OFF_HOST for s in wave.steps) <= 1 for wave in waves)


def test_no_steps_are_never_all() -> None:
    with pytest.raises(BadInputError, match="empty never means all"):
        make_plan([])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 60.0, -5.0, 1e300])
def test_a_value_outside_the_hard_envelope_is_no_plan(value: float) -> None:
    with pytest.raises(BadInputError):
        make_plan([room_step("room-0", value)])


@pytest.mark.parametrize("name", ["../x", "a b", "<img>", "", "a//b", "/abs", "a/\u202eb"])
def test_a_point_name_is_plain(name: str) -> None:
    action = Action(id="x", kind=ActionKind.SET_POINT, connector="building", point=name, value=1.0, expected=0.0)
    assert envelope_faults(action)


def test_one_target_twice_and_a_missing_prior_are_faults_told_together() -> None:
    first, second = room_step("room-0"), room_step("room-0", 26.0)
    blind = replace(room_step("room-1"), action=replace(room_step("room-1").action, expected=None))
    with pytest.raises(BadInputError, match=r"(?s)changed by two steps.*no expected prior value"):
        make_plan([first, second, blind])


def test_both_of_a_redundant_pair_are_never_switched_off() -> None:
    pair = [
        replace(power_off(a), target=replace(power_off(a).target, redundant_with=b))
        for a, b in (("h1", "h2"), ("h2", "h1"))
    ]
    assert any("redundant pair" in fault for fault in plan_faults(make_plan(pair)))


def test_risk_grows_with_reach_reversibility_and_distance_from_calibration() -> None:
    small, hosts, wide = make_plan(rooms(2)), make_plan([migrate("v2", "h1", "h0")]), make_plan(rooms(6))
    outside = make_plan([replace(step, inside_calibrated_range=False) for step in rooms(6)])
    assert [plan.risk_class for plan in (small, hosts, wide, outside)] == [0, 1, 2, 3]
    assert [approvers_needed(risk) for risk in (0, 1, 2)] == [1, 1, 2]
    assert approvers_needed(3) > 1000


def test_a_plan_is_named_by_its_content_and_any_edit_is_another_plan() -> None:
    plan = make_plan(rooms(2))
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json()).id == plan.id
    assert replace(plan, hold_until=START + timedelta(days=8)).id != plan.id


@given(before=st.sampled_from(PlanState), after=st.sampled_from(PlanState))
def test_only_moves_of_the_table_are_legal(before: PlanState, after: PlanState) -> None:
    if after in NEXT.get(before, frozenset()):
        require_transition(before, after)
    else:
        with pytest.raises(IllegalTransitionError):
            require_transition(before, after)


def test_nothing_in_the_product_unpickles() -> None:
    root = Path(__file__).resolve().parents[2]
    forbidden = {"pickle", "joblib", "dill", "shelve", "marshal", "torch"}
    found = []
    for package in ("twin", "connectors", "scenarios", "forecasting", "optimizer", "dashboard"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found += [f"{path}: {name}" for name in names if name.split(".")[0] in forbidden]
    assert found == []


def test_apply_is_called_by_change_control_alone() -> None:
    """Only the pusher calls ``apply`` of a connector; connectors may call their own kind."""
    root = Path(__file__).resolve().parents[2]
    found = set()
    for package in ("twin", "scenarios", "forecasting", "optimizer", "dashboard", "connectors/change_control"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "apply":
                    found.add(str(path.relative_to(root)))
    assert found <= {"connectors/change_control/pusher.py"}
