"""What Now shows for the chosen measure, floor, room and moment; its controls and its callbacks both ask here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dash_mantine_components as dmc
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Visit
from dashboard.figures.floor import MEASURES, Measure, floor_drawing
from dashboard.figures.plan_drawing import drawn_zones, floors_of, sheet
from dashboard.figures.racks import rack_drawing
from dashboard.figures.tile_drawing import Drawing, nothing
from dashboard.formats import day_end, day_start, parse_moment
from dashboard.formats import span as age
from dashboard.pages.findings import finding_line, gathered
from dashboard.pages.page import Query, badge, card, chosen, link, when
from dashboard.services import Services
from twin.plan import ActionKind, StepState
from twin.plans.records import PlanView
from twin.vocab import PointKind

HOST_MEASURES = {
    "cpu": (PointKind.HOST_CPU_UTILIZATION, "CPU", "%", 100.0, 100.0),
    "power": (PointKind.HOST_POWER, "Power", "W", 1.0, None),
    "inlet": (PointKind.HOST_INLET_TEMPERATURE, "Inlet air", "°C", 1.0, 35.0),
}
ALL_FLOORS = "all"
MANY_ROOMS = 120
"""With more rooms a first look shows one floor."""
SHOWN_FINDINGS = 3
OLD_S = 3600.0
"""Telemetry older than this is said to be old. [s]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The choices that the address and the controls carry."""

    measure: str
    floor: str
    room: str | None
    host: str
    clock: str
    """``live`` or ``pick``."""
    day: str
    minute: float
    """Since midnight, site time. [min]"""

    def at(self, services: Services) -> datetime:
        """The moment that is shown."""
        return moment_of(services, self.clock, self.day, self.minute)


def shown_of(services: Services, query: Query, newest: datetime) -> Shown:
    """The choices of an address; what it leaves open is live and the usual."""
    site = services.site
    floors = floor_choices(services)
    local = (parse_moment(query.get("at")) or newest).astimezone(site.time_zone)
    usual = floors[1] if len(drawn_zones(site)) > MANY_ROOMS else ALL_FLOORS
    return Shown(
        measure=chosen(query.get("measure"), list(Measure), Measure.TEMPERATURE),
        floor=chosen(query.get("floor"), floors, usual),
        room=query.get("room"),
        host=chosen(query.get("host"), list(HOST_MEASURES), "cpu"),
        clock=chosen(query.get("clock"), ("live", "pick"), "live"),
        day=query.get("day") or local.date().isoformat(),
        minute=_whole(query.get("minute"), local.hour * 60 + local.minute),
    )


def floor_choices(services: Services) -> list[str]:
    """What the floor control offers."""
    return [ALL_FLOORS, *(str(floor) for floor in floors_of(services.site))]


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() and int(text) <= 1440 else otherwise


def moment_of(services: Services, clock: str, day: str | None, minute: float | None) -> datetime:
    """The moment that the controls name: the newest data when live."""
    span = services.telemetry.span()
    if span is None:
        raise PreventUpdate
    if clock == "live" or not day:
        return span[1]
    zone = services.site.time_zone
    start = day_start(datetime.fromisoformat(day[:10]).replace(hour=12, tzinfo=zone), zone)
    return min(start + timedelta(minutes=minute or 0), day_end(start, zone) - timedelta(seconds=1))


def key(measure: str, floor: str, room: str | None, at: datetime) -> list[str]:
    """What the drawing of the rooms depends on."""
    return [measure, floor, room or "", at.isoformat()]


def rooms(visit: Visit, measure: str, floor: str, room: str | None, at: datetime) -> Drawing:
    """The floors at a moment."""
    site = visit.services.site
    plan = sheet(site, () if floor == ALL_FLOORS else (int(floor),))
    values = _room_values(visit.services, Measure(measure), at)
    return floor_drawing(plan, Measure(measure), values, site.comfort, visit.theme, chosen=room)


def _room_values(services: Services, measure: Measure, at: datetime) -> dict[str, float]:
    """The measure of every room, in its unit; kinds of one measure are added."""
    values: dict[str, float] = {}
    for kind in MEASURES[measure].kinds:
        for zone, sample in services.telemetry.snapshot(kind, at).items():
            values[zone] = values.get(zone, 0.0) + sample.value
    return values


def hosts(visit: Visit, measure: str, at: datetime) -> Drawing:
    """The racks at a moment."""
    kind, label, unit, factor, top = HOST_MEASURES[measure]
    samples = visit.services.telemetry.snapshot(kind, at)
    if not samples:
        return nothing(f"{label} of the hosts was not measured at this time.")
    values = {host: sample.value * factor for host, sample in samples.items()}
    placed = _vms_by_host(visit.services)
    return rack_drawing(visit.services.site.hosts, values, placed, visit.theme, label=label, unit=unit, top=top)


def _vms_by_host(services: Services) -> dict[str, list[str]]:
    """VMs on each host, as the site file says and the moves of plans in force have changed it."""
    moved = _moves_in_force(services.plans.all())
    placed: dict[str, list[str]] = {host.id: [] for host in services.site.hosts}
    for vm in services.site.vms:
        host = moved.get(vm.id, vm.host)
        if host in placed:
            placed[host].append(vm.id)
    return placed


def _moves_in_force(plans: Sequence[PlanView]) -> dict[str, str]:
    """VM → host of every move that was read back and not undone; of two the newer plan's counts."""
    moved: dict[str, str] = {}
    for one in sorted(plans, key=lambda view: view.plan.created_at):
        done = {step.action_id for step in one.steps if step.state is StepState.VERIFIED}
        for step in one.plan.steps() if done else ():
            if step.action.kind is ActionKind.LIVE_MIGRATE and step.action.id in done:
                moved[step.target.id] = str(step.action.value)
    return moved


def moment_line(visit: Visit, at: datetime, clock: str) -> Any:
    """The moment that is shown; old data is never passed off as the present."""
    age_s = (visit.services.clock.now() - at).total_seconds()
    late = clock == "live" and age_s > OLD_S
    old = [badge(f"telemetry ended {age(age_s)} ago", "orange")] if late else []
    return dmc.Group([when(at, visit.services.site.time_zone), *old], gap="xs")


def side(visit: Visit) -> Any:
    """The comfort band and what is wrong."""
    findings = gathered(visit.services.telemetry.findings())
    rows = [finding_line(one) for one in findings[:SHOWN_FINDINGS]]
    more = [link(f"All {len(findings)} findings", "/health")] if len(findings) > SHOWN_FINDINGS else []
    return dmc.Stack(
        [
            card("Comfort band", _band(visit)),
            card("Open findings", dmc.Stack([*(rows or [dmc.Text("None.", c="dimmed", size="sm")]), *more], gap="sm")),
        ],
        gap="md",
    )


def _band(visit: Visit) -> Any:
    band = visit.services.site.comfort
    return dmc.Text(
        f"{band.min_c:g} to {band.max_c:g} °C while people are there; CO₂ up to {band.co2_max_ppm:g} ppm.", size="sm"
    )
