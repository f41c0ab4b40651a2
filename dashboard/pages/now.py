"""Now: the floors by a chosen measure, the hosts, one room close up, open findings, and the way to release all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.figures.floor import MEASURES, Measure, floor_figure
from dashboard.figures.plan_drawing import drawn_zones, floors_of, sheet
from dashboard.figures.racks import rack_figure
from dashboard.figures.theme import empty as empty_figure
from dashboard.formats import day_end, day_start, parse_moment
from dashboard.formats import span as age
from dashboard.pages import room_card, status_strip
from dashboard.pages.dialogs import signing
from dashboard.pages.findings import finding_line, gathered
from dashboard.pages.page import (
    Page,
    Query,
    badge,
    card,
    chosen,
    empty,
    graph,
    heading,
    link,
    tall,
    view,
    when,
)
from dashboard.services import Services
from dashboard.views import Role
from twin.vocab import PointKind

HOST_MEASURES = {
    "cpu": (PointKind.HOST_CPU_UTILIZATION, "CPU", "%", 100.0, 100.0),
    "power": (PointKind.HOST_POWER, "Power", "W", 1.0, None),
    "inlet": (PointKind.HOST_INLET_TEMPERATURE, "Inlet air", "°C", 1.0, 35.0),
}
ALL_FLOORS = "all"
STEP_MIN = 15
OLD_S = 3600.0
"""Telemetry older than this is said to be old. [s]"""


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    site = visit.services.site
    span = visit.services.telemetry.span()
    release = dmc.Button("Release all", id="release-open", color="red", variant="outline")
    top = heading("Now", *([release] if visit.may(Role.OPERATOR) else []), note="Rooms and hosts as last measured.")
    if span is None:
        return [top, empty("No telemetry yet. Bring some in with “understudy ingest”, or over the REST interface.")]
    parts = [
        dmc.GridCol(
            card("Rooms", graph(None, "Floor plan coloured by the chosen measure", "floor", 420)),
            span={"base": 12, "lg": 9},
        ),
        dmc.GridCol(html.Div(id="now-side"), span={"base": 12, "lg": 3}),
        dmc.GridCol(html.Div(id="room-card"), span=12),
    ]
    if site.hosts:
        control = dmc.SegmentedControl(
            id=view("host"),
            data=[{"value": key, "label": facts[1]} for key, facts in HOST_MEASURES.items()],
            value=chosen(query.get("host"), list(HOST_MEASURES), "cpu"),
            size="xs",
        )
        parts.append(dmc.GridCol(card("Hosts", graph(None, "Hosts by rack", "racks", 260), right=control), span=12))
    dialog = signing(
        "release",
        "Release all",
        "Every point that Understudy holds goes back to its own program, and running pushes take the way back.",
        "Release all",
        "red",
    )
    strip = html.Div(id="now-strip")
    return [top, strip, _controls(visit, query, span), dmc.Grid(parts, gutter="md"), dcc.Store(id="now-shown"), dialog]


def _controls(visit: Visit, query: Query, span: tuple[datetime, datetime]) -> Any:
    site = visit.services.site
    floors = [ALL_FLOORS, *(str(floor) for floor in floors_of(site))]
    many = len(drawn_zones(site)) > 120
    at = parse_moment(query.get("at")) or span[1]
    local = at.astimezone(site.time_zone)
    return dmc.Group(
        [
            dmc.SegmentedControl(
                id=view("measure"),
                data=[{"value": key.value, "label": facts.label} for key, facts in MEASURES.items()],
                value=chosen(query.get("measure"), list(Measure), Measure.TEMPERATURE),
            ),
            dmc.Select(
                id=view("floor"),
                data=[{"value": f, "label": "All floors" if f == ALL_FLOORS else f"Floor {f}"} for f in floors],
                value=chosen(query.get("floor"), floors, floors[1] if many else ALL_FLOORS),
                w=120,
                allowDeselect=False,
                **{"aria-label": "Floor"},
            ),
            dmc.Select(
                id=view("room"),
                data=[zone.id for zone in drawn_zones(site)],
                value=query.get("room"),
                placeholder="Room",
                searchable=True,
                clearable=True,
                clearButtonProps={"aria-label": "No room"},
                w=190,
                **{"aria-label": "Room"},
            ),
            dmc.SegmentedControl(
                id=view("clock"),
                data=[{"value": "live", "label": "Live"}, {"value": "pick", "label": "Pick a time"}],
                value=chosen(query.get("clock"), ("live", "pick"), "live"),
            ),
            dmc.DatePickerInput(
                id=view("day"),
                value=query.get("day") or local.date().isoformat(),
                minDate=span[0].astimezone(site.time_zone).date().isoformat(),
                maxDate=span[1].astimezone(site.time_zone).date().isoformat(),
                valueFormat="ddd DD MMM YYYY",
                w=160,
                **{"aria-label": "Day"},
            ),
            dmc.Slider(
                id=view("minute"),
                min=0,
                max=1440,
                step=STEP_MIN,
                value=_whole(query.get("minute"), local.hour * 60 + local.minute),
                marks=[{"value": 60 * hour, "label": f"{hour:02d}"} for hour in (0, 6, 12, 18, 24)],
                label=None,
                w=220,
                mb=12,
                thumbLabel="Time of day in minutes since midnight, site time",
            ),
            html.Div(id="now-at"),
        ],
        gap="md",
        mb="md",
    )


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


def room_values(services: Services, measure: Measure, at: datetime) -> dict[str, float]:
    """The measure of every room, in its unit; kinds of one measure are added."""
    values: dict[str, float] = {}
    for kind in MEASURES[measure].kinds:
        for zone, sample in services.telemetry.snapshot(kind, at).items():
            values[zone] = values.get(zone, 0.0) + sample.value
    return values


def vms_by_host(services: Services) -> dict[str, list[str]]:
    """VMs on each host, as the site file and the last placement say."""
    placed: dict[str, list[str]] = {host.id: [] for host in services.site.hosts}
    for vm in services.site.vms:
        if vm.host in placed:
            placed[vm.host].append(vm.id)
    return placed


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""
    clock = (Input(view("clock"), "value"), Input(view("day"), "value"), Input(view("minute"), "value"))

    @callbacks.on(
        [
            Output("floor", "figure"),
            Output("floor", "style"),
            Output("now-at", "children"),
            Output("now-side", "children"),
            Output("now-shown", "data"),
        ],
        Input(view("measure"), "value"),
        Input(view("floor"), "value"),
        Input(view("room"), "value"),
        *clock,
        Input("beat", "n_intervals"),
        State("now-shown", "data"),
    )
    def rooms(
        visit: Visit,
        measure: str,
        floor: str,
        room: str | None,
        mode: str,
        day: str | None,
        minute: float,
        beat: int | None,
        shown: list[str] | None,
    ) -> Any:
        at = moment_of(visit.services, mode, day, minute)
        key = [measure, floor, room or "", at.isoformat()]
        if shown == key:
            raise PreventUpdate
        site = visit.services.site
        drawing = sheet(site, () if floor == ALL_FLOORS else (int(floor),))
        values = room_values(visit.services, Measure(measure), at)
        figure = floor_figure(drawing, Measure(measure), values, site.comfort, visit.theme, chosen=room)
        return figure, tall(figure), _shown_at(visit, at, mode), _side(visit), key

    @callbacks.on(Output("now-strip", "children"), *clock, Input("now-shown", "data"))
    def first_look(visit: Visit, mode: str, day: str | None, minute: float, shown: list[str] | None) -> Any:
        return status_strip.draw(visit, moment_of(visit.services, mode, day, minute))

    @callbacks.on(Output(view("room"), "value"), Input("floor", "clickData"), initial=False)
    def pick(visit: Visit, click: dict[str, Any] | None) -> Any:
        return click["points"][0].get("customdata", no_update) if click else no_update

    @callbacks.on([Output(view("day"), "disabled"), Output(view("minute"), "disabled")], Input(view("clock"), "value"))
    def clocked(visit: Visit, mode: str) -> Any:
        return mode == "live", mode == "live"

    @callbacks.on(Output("room-card", "children"), Input(view("room"), "value"), *clock)
    def room_close_up(visit: Visit, room: str | None, mode: str, day: str | None, minute: float) -> Any:
        return room_card.draw(visit, room, moment_of(visit.services, mode, day, minute)) if room else None

    @callbacks.on([Output("racks", "figure"), Output("racks", "style")], Input(view("host"), "value"), *clock)
    def hosts(visit: Visit, measure: str, mode: str, day: str | None, minute: float) -> Any:
        kind, label, unit, factor, top = HOST_MEASURES[measure]
        samples = visit.services.telemetry.snapshot(kind, moment_of(visit.services, mode, day, minute))
        if not samples:
            nothing = empty_figure(visit.theme, f"{label} of the hosts was not measured at this time.")
            return nothing, tall(nothing)
        values = {host: sample.value * factor for host, sample in samples.items()}
        placed = vms_by_host(visit.services)
        figure = rack_figure(visit.services.site.hosts, values, placed, visit.theme, label=label, unit=unit, top=top)
        return figure, tall(figure)

    _register_release(callbacks)


def _register_release(callbacks: Callbacks) -> None:
    @callbacks.on(Output("release-dialog", "opened"), Input("release-open", "n_clicks"), initial=False)
    def ask(visit: Visit, clicks: int | None) -> Any:
        return bool(clicks)

    @callbacks.on(
        [Output("release-dialog", "opened", allow_duplicate=True), Output("release-password", "value")],
        Input("release-act", "n_clicks"),
        State("release-reason", "value"),
        State("release-password", "value"),
        role=Role.OPERATOR,
        initial=False,
    )
    def release(visit: Visit, clicks: int | None, reason: str | None, password: str | None) -> Any:
        if not clicks:
            raise PreventUpdate
        done = visit.services.plans.release_all(visit.person.user, password or "", reason or "")
        tell("Released", done, "green")
        return False, ""


def _shown_at(visit: Visit, at: datetime, mode: str) -> Any:
    """The moment that is shown; old data is never passed off as the present."""
    age_s = (visit.services.clock.now() - at).total_seconds()
    late = mode == "live" and age_s > OLD_S
    old = [badge(f"telemetry ended {age(age_s)} ago", "orange")] if late else []
    return dmc.Group([when(at, visit.services.site.time_zone), *old], gap="xs")


def _side(visit: Visit) -> Any:
    findings = gathered(visit.services.telemetry.findings())
    rows = [finding_line(one) for one in findings[:6]]
    more = [link(f"All {len(findings)} findings", "/health")] if len(findings) > 6 else []
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


PAGE = Page(path="now", title="Now", icon="now", draw=draw, register=register)
