"""Now: the floors by a chosen measure, the hosts, one room close up, open findings, and the way to release all.

The screen comes with its numbers in it; callbacks only change them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.figures.floor import MEASURES
from dashboard.figures.plan_drawing import drawn_zones
from dashboard.pages import now_shown, room_card, status_strip
from dashboard.pages.dialogs import signing
from dashboard.pages.now_shown import ALL_FLOORS, HOST_MEASURES, Shown, moment_of
from dashboard.pages.page import Page, Query, card, empty, heading, tiles, view
from dashboard.views import Role

STEP_MIN = 15


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    span = visit.services.telemetry.span()
    release = dmc.Button("Release all", id="release-open", color="red", variant="outline")
    top = heading("Now", *([release] if visit.may(Role.OPERATOR) else []), note="Rooms and hosts as last measured.")
    if span is None:
        return [top, empty("No telemetry yet. Bring some in with “understudy ingest”, or over the REST interface.")]
    shown = now_shown.shown_of(visit.services, query, span[1])
    at = shown.at(visit.services)
    dialog = signing(
        "release",
        "Release all",
        "Every point that Understudy holds goes back to its own program, and running pushes take the way back.",
        "Release all",
        "red",
    )
    strip = html.Div(status_strip.draw(visit, at), id="now-strip")
    drawn = dcc.Store(id="now-shown", data=now_shown.key(shown.measure, shown.floor, shown.room, at))
    return [top, strip, _controls(visit, shown, at, span), _parts(visit, shown, at), drawn, dialog]


def _parts(visit: Visit, shown: Shown, at: datetime) -> Any:
    floors = now_shown.rooms(visit, shown.measure, shown.floor, shown.room, at)
    close_up = room_card.draw(visit, shown.room, at) if shown.room else None
    parts = [
        dmc.GridCol(
            card("Rooms", tiles(floors, "Floor plan coloured by the chosen measure", "floor")),
            span={"base": 12, "lg": 9},
        ),
        dmc.GridCol(html.Div(now_shown.side(visit), id="now-side"), span={"base": 12, "lg": 3}),
        dmc.GridCol(html.Div(close_up, id="room-card"), span=12),
    ]
    if visit.services.site.hosts:
        control = dmc.SegmentedControl(
            id=view("host"),
            data=[{"value": key, "label": facts[1]} for key, facts in HOST_MEASURES.items()],
            value=shown.host,
            size="xs",
        )
        racks = tiles(now_shown.hosts(visit, shown.host, at), "Hosts by rack", "racks")
        parts.append(dmc.GridCol(card("Hosts", racks, right=control), span=12))
    return dmc.Grid(parts, gutter="md")


def _controls(visit: Visit, shown: Shown, at: datetime, span: tuple[datetime, datetime]) -> Any:
    site = visit.services.site
    live = shown.clock == "live"
    floors = now_shown.floor_choices(visit.services)
    return dmc.Group(
        [
            dmc.SegmentedControl(
                id=view("measure"),
                data=[{"value": key.value, "label": facts.label} for key, facts in MEASURES.items()],
                value=shown.measure,
            ),
            dmc.Select(
                id=view("floor"),
                data=[{"value": f, "label": "All floors" if f == ALL_FLOORS else f"Floor {f}"} for f in floors],
                value=shown.floor,
                w=120,
                allowDeselect=False,
                **{"aria-label": "Floor"},
            ),
            dmc.Select(
                id=view("room"),
                data=[zone.id for zone in drawn_zones(site)],
                value=shown.room,
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
                value=shown.clock,
            ),
            dmc.DatePickerInput(
                id=view("day"),
                value=shown.day,
                minDate=span[0].astimezone(site.time_zone).date().isoformat(),
                maxDate=span[1].astimezone(site.time_zone).date().isoformat(),
                valueFormat="ddd DD MMM YYYY",
                disabled=live,
                w=160,
                **{"aria-label": "Day"},
            ),
            dmc.Slider(
                id=view("minute"),
                min=0,
                max=1440,
                step=STEP_MIN,
                value=shown.minute,
                marks=[{"value": 60 * hour, "label": f"{hour:02d}"} for hour in (0, 6, 12, 18, 24)],
                label=None,
                disabled=live,
                w=220,
                mb=12,
                thumbLabel="Time of day in minutes since midnight, site time",
            ),
            html.Div(now_shown.moment_line(visit, at, shown.clock), id="now-at"),
        ],
        gap="md",
        mb="md",
    )


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""
    clock = (Input(view("clock"), "value"), Input(view("day"), "value"), Input(view("minute"), "value"))

    @callbacks.on(
        [
            Output("floor", "drawing"),
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
        initial=False,
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
        key = now_shown.key(measure, floor, room, at)
        if shown == key:
            raise PreventUpdate
        drawing = now_shown.rooms(visit, measure, floor, room, at)
        return drawing, now_shown.moment_line(visit, at, mode), now_shown.side(visit), key

    @callbacks.on(Output("now-strip", "children"), *clock, Input("now-shown", "data"), initial=False)
    def first_look(visit: Visit, mode: str, day: str | None, minute: float, shown: list[str] | None) -> Any:
        return status_strip.draw(visit, moment_of(visit.services, mode, day, minute))

    @callbacks.on(Output(view("room"), "value"), Input("floor", "picked"), initial=False)
    def pick(visit: Visit, picked: dict[str, Any] | None) -> Any:
        return picked["tile"] if picked else no_update

    @callbacks.on(
        [Output(view("day"), "disabled"), Output(view("minute"), "disabled")],
        Input(view("clock"), "value"),
        initial=False,
    )
    def clocked(visit: Visit, mode: str) -> Any:
        return mode == "live", mode == "live"

    @callbacks.on(Output("room-card", "children"), Input(view("room"), "value"), *clock, initial=False)
    def room_close_up(visit: Visit, room: str | None, mode: str, day: str | None, minute: float) -> Any:
        return room_card.draw(visit, room, moment_of(visit.services, mode, day, minute)) if room else None

    @callbacks.on(Output("racks", "drawing"), Input(view("host"), "value"), *clock, initial=False)
    def hosts(visit: Visit, measure: str, mode: str, day: str | None, minute: float) -> Any:
        return now_shown.hosts(visit, measure, moment_of(visit.services, mode, day, minute))

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


PAGE = Page(path="now", title="Now", icon="now", draw=draw, register=register)
