"""The dossier says all, escapes everything, and keeps versions of what was saved."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

import numpy as np
from change_world import START, World, make_plan, rooms

from twin.plans.document import Interval, KpiForecast
from twin.plans.dossier import dossier
from twin.plans.dossier_page import dossier_page
from twin.plans.verification import Verification, remarks_of_push, verify_saving

KPI = KpiForecast(
    name="hvac_kwh",
    baseline=Interval(value=1000.0, low=950.0, high=1050.0, unit="kWh"),
    candidate=Interval(value=900.0, low=860.0, high=940.0, unit="kWh"),
    delta=Interval(value=-100.0, low=-130.0, high=-70.0, unit="kWh"),
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def pushed(world: World, **changes: object) -> str:
    plan_id = world.approved(make_plan(rooms(2), kpis=[KPI], **changes))
    world.push(plan_id)
    return plan_id


def saved(plan_id: str) -> Verification:
    return verify_saving(
        plan_id=plan_id,
        meter="hvac",
        start=START,
        end=START + timedelta(days=7),
        measured_kwh=np.full(168, 5.0),
        counterfactual_kwh=np.full(168, 6.0),
        residuals_kwh=np.sin(np.arange(700)) * 0.1,
    )


def test_it_holds_question_effects_targets_way_back_and_approvals(world: World) -> None:
    plan_id = pushed(world)
    document = dossier(world.store.view(plan_id), world.store.audit())
    assert document["effects"][0]["delta"]["low"] == -130.0
    assert [(t["now"], t["planned"], t["state"]) for t in document["targets"]] == [(24.0, 25.0, "verified")] * 2
    assert document["rollback"]["recipe"][0]["how"] == "release"
    assert document["approvals"][0]["by"] == "anna"
    assert any(line["what"] == "push started" for line in document["log"])


def test_the_page_is_self_contained_and_runs_no_script(world: World) -> None:
    plan_id = pushed(world, title="<img src=x onerror=alert(1)>", question="<script>alert(2)</script>")
    page = dossier_page(dossier(world.store.view(plan_id), world.store.audit(), [saved(plan_id)]))
    tags = Tags()
    tags.feed(page)
    assert not tags.seen & {"script", "img", "iframe", "a", "link"}
    assert "&lt;img src=x" in page
    assert "http" not in page


def test_a_second_report_is_a_new_version_that_names_the_first(world: World) -> None:
    plan_id = pushed(world)
    first = world.store.add_verification(saved(plan_id), "olga")
    second = world.store.add_verification(saved(plan_id), "olga")
    assert (first.version, second.version) == (1, 2)
    assert len(second.supersedes) == 64
    assert world.store.verifications(plan_id) == [first, second]
    assert world.store.verify() == []


def test_what_people_held_is_a_remark_of_the_report(world: World) -> None:
    world.building.operate("room-1/cooling_setpoint_occupied_c", 22.0)
    plan_id = pushed(world)
    view = world.store.view(plan_id)
    assert "held by people: room-1/cooling_setpoint_occupied_c" in remarks_of_push(view.plan, view.steps)[0]
