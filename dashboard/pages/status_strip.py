"""The first line of Now: is anybody uncomfortable, what is running, what needs a decision, what is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc

from dashboard.callbacks import Visit
from dashboard.formats import number, quantity
from dashboard.pages.page import link
from dashboard.views import Sample
from twin.plan import PlanState, StepState
from twin.plans.records import PlanView
from twin.site import ComfortBand
from twin.vocab import PointKind

RUNNING = frozenset({PlanState.PUSHING, PlanState.PAUSED, PlanState.ROLLING_BACK, PlanState.STUCK})
HELD = frozenset({PlanState.PUSHED, PlanState.CONFIRMED})


def draw(visit: Visit, at: datetime) -> Any:
    """Four tiles that answer what a first look is for."""
    plans = visit.services.plans.all()
    trouble = visit.services.audit.trouble()
    needed = _tile("Needs you", "The journal is full", trouble, "red") if trouble else _waiting(plans)
    tiles = [_comfort(visit, at), _running(plans), needed, _power(visit, at)]
    return dmc.SimpleGrid(tiles, cols={"base": 2, "lg": 4}, spacing="md", mb="md")


def outside(
    temperatures: Mapping[str, Sample], people: Mapping[str, Sample], comfort: ComfortBand
) -> list[tuple[str, float]]:
    """Rooms with people that are outside the band, the worst first, with their distance from it. [K]"""
    found = [
        (room, max(comfort.min_c - sample.value, sample.value - comfort.max_c))
        for room, sample in temperatures.items()
        if room in people and people[room].value > 0
    ]
    return sorted(((room, by) for room, by in found if by > 0), key=lambda one: -one[1])


def _comfort(visit: Visit, at: datetime) -> Any:
    telemetry = visit.services.telemetry
    people = telemetry.snapshot(PointKind.ZONE_OCCUPANCY, at)
    temperatures = telemetry.snapshot(PointKind.ZONE_AIR_TEMPERATURE, at)
    uncomfortable = outside(temperatures, people, visit.services.site.comfort)
    used = sum(1 for sample in people.values() if sample.value > 0)
    if not temperatures:
        return _tile("Comfort", "not measured", "No room temperature at this time.", "gray")
    if not used:
        return _tile("Comfort", "Nobody is there", f"None of {len(temperatures)} rooms is in use.", "gray")
    if not uncomfortable:
        return _tile("Comfort", "All within the band", f"{used} of {len(people)} rooms have people.", "green")
    room, by = uncomfortable[0]
    words = [link(room, _address(visit, room, at)), f" is {number(by, 2)} K outside, the most."]
    return _tile("Comfort", f"{len(uncomfortable)} of {used} used rooms outside", words, "red")


def _address(visit: Visit, room: str, at: datetime) -> str:
    """Where a room is shown at a moment: live when that is the newest, else at its own time."""
    span = visit.services.telemetry.span()
    if span is not None and at >= span[1]:
        return f"/now?{urlencode({'room': room})}"
    local = at.astimezone(visit.services.site.time_zone)
    query = {"room": room, "clock": "pick", "day": f"{local:%Y-%m-%d}", "minute": 60 * local.hour + local.minute}
    return f"/now?{urlencode(query)}"


def _running(plans: Sequence[PlanView]) -> Any:
    running = [one for one in plans if one.record.state in RUNNING]
    held = [one for one in plans if one.record.state in HELD and _holds(one)]
    for some, word, colour in ((running, "", "orange"), (held, "in force", "blue")):
        if some:
            words = [link(some[0].plan.title, f"/push/{some[0].plan.id}")]
            return _tile("Running", f"{len(some)} {_plans(some)} {word or some[0].record.state.value}", words, colour)
    return _tile("Running", "Nothing of ours", "The site runs its own program.", "gray")


def _waiting(plans: Sequence[PlanView]) -> Any:
    waiting = [one for one in plans if one.record.state is PlanState.PROPOSED]
    stuck = [one for one in plans if one.record.state is PlanState.STUCK]
    if stuck:
        return _tile("Needs you", "A plan is stuck", [link(stuck[0].plan.title, f"/push/{stuck[0].plan.id}")], "red")
    if waiting:
        words = [link(waiting[0].plan.title, f"/plans/{waiting[0].plan.id}")]
        return _tile("Needs you", f"{len(waiting)} {_plans(waiting)} to decide", words, "orange")
    return _tile("Needs you", "Nothing", "No plan waits for approval.", "gray")


def _holds(one: PlanView) -> bool:
    """Whether any action of a plan still stands; a plan that was given back holds nothing."""
    return any(step.state is StepState.VERIFIED for step in one.steps)


def _plans(some: Sequence[PlanView]) -> str:
    return "plan" if len(some) == 1 else "plans"


def _power(visit: Visit, at: datetime) -> Any:
    samples = visit.services.telemetry.snapshot(PointKind.ELECTRIC_POWER, at).values()
    hvac = visit.services.telemetry.snapshot(PointKind.HVAC_ELECTRIC_POWER, at).values()
    if not samples:
        return _tile("Electricity", "not measured", "No meter of the whole site at this time.", "gray")
    part = f"HVAC {quantity(sum(one.value for one in hvac) / 1000.0, 'kW')}" if hvac else ""
    return _tile("Electricity", quantity(sum(one.value for one in samples) / 1000.0, "kW"), part, "gray")


def _tile(title: str, value: str, words: Any, colour: str) -> Any:
    return dmc.Paper(
        [
            dmc.Text(title, size="xs", c="dimmed"),
            dmc.Text(value, fw=700, size="lg", className="wrap"),
            dmc.Text(words, size="sm", className="wrap"),
        ],
        withBorder=True,
        p="sm",
        radius="md",
        style={"borderLeft": f"4px solid var(--mantine-color-{colour}-6)"},
    )
