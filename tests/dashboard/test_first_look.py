"""What the first line of Now and the findings say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dashboard_example import example
from example_plans import example_plan, plan_view

from dashboard.callbacks import Visit
from dashboard.figures.theme import LIGHT
from dashboard.pages.findings import gathered
from dashboard.pages.now_shown import moment_line
from dashboard.pages.plans import about, action_rows
from dashboard.pages.status_strip import outside
from dashboard.views import FindingView, Person, Sample, Severity
from twin.plan import PlanState, StepState
from twin.site import ComfortBand

AT = datetime(2023, 7, 12, 14, tzinfo=UTC)


def sampled(**values: float) -> dict[str, Sample]:
    return {name: Sample(value=value, at=AT) for name, value in values.items()}


def test_only_rooms_with_people_are_uncomfortable_and_the_worst_comes_first() -> None:
    temperatures = sampled(warm=27.0, hot=29.5, empty=31.0, cold=18.0, fine=22.0)
    people = sampled(warm=1, hot=2, empty=0, cold=1, fine=3)
    found = outside(temperatures, people, ComfortBand(min_c=20.0, max_c=26.0))
    assert found == [("hot", 3.5), ("cold", 2.0), ("warm", 1.0)]


def test_the_same_trouble_at_many_points_is_one_line() -> None:
    findings = [
        FindingView(id=f"{room}/1", severity=Severity.INFO, subject=room, sentence=f"{room}: 4 steps are missing")
        for room in ("a", "b", "c")
    ]
    other = FindingView(id="d", severity=Severity.WARNING, subject="d", sentence="d: stuck at 21.0 °C")
    assert [one.text for one in gathered([*findings, other])] == [
        "3 points: 4 steps are missing (a …)",
        "d: stuck at 21.0 °C",
    ]


def test_telemetry_that_ended_is_shown_with_its_age_and_never_as_the_present() -> None:
    """Fault A13: three hours of silence are said beside the moment; a chosen moment of the past is no silence."""
    world = example()
    person = Person(user="otto", name="Otto", roles=frozenset())
    visit = Visit(person=person, services=world.services, theme=LIGHT)
    then = world.clock.now() - timedelta(hours=3)
    assert "telemetry ended 3 h ago" in str(moment_line(visit, then, "live"))
    assert "ended" not in str(moment_line(visit, then, "pick"))
    assert "ended" not in str(moment_line(visit, world.clock.now(), "live"))


def test_the_screens_say_what_holds_which_point_and_until_when() -> None:
    """Fault B19: a plan whose pusher is gone is in force; each of its points has its state and the end of its hold."""
    world = example()
    person = Person(user="otto", name="Otto", roles=frozenset())
    visit = Visit(person=person, services=world.services, theme=LIGHT)
    left = plan_view(example_plan(), PlanState.PUSHING, (StepState.VERIFIED, StepState.INTENT, StepState.PENDING))
    rows = action_rows(visit, left)
    assert [(row["point"], row["state"]) for row in rows] == [
        ("ahu 0/supply_air_max_c", "verified"),
        ("ahu 1/supply_air_max_c", "intent"),
        ("ahu 2/supply_air_max_c", "pending"),
    ]
    until = left.plan.hold_until.astimezone(world.services.site.time_zone)
    assert all(f"{until:%H:%M}" in row["expiry"] for row in rows)
    page = str(about(visit, left))
    assert "Released at" in page
    assert f"{until:%H:%M}" in page
