"""The frame around every screen: menu, mode, jobs, look, who is signed in; and the router that fills it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask import g

from dashboard.callbacks import Callbacks, Visit, current_visit
from dashboard.pages import jobs_panel
from dashboard.pages.page import Page, empty
from dashboard.services import Services
from dashboard.views import Mode

BEAT_MS = 3000
MODE_COLOURS = {Mode.SHADOW: "gray", Mode.APPROVAL: "blue", Mode.AUTO: "orange"}
MODE_NOTES = {
    Mode.SHADOW: "Plans are shown; nothing is ever pushed.",
    Mode.APPROVAL: "A plan is pushed only after people approved it.",
    Mode.AUTO: "Plans inside a standing approval are pushed without asking.",
}


def layout(services: Services, pages: Sequence[Page]) -> Any:
    """The frame for the person who asks; nothing for nobody, as when the application is set up."""
    if g.get("person") is None:
        return html.Div()
    visit = current_visit(services)
    shell = dmc.AppShell(
        [_header(visit), _menu(visit, pages), dmc.AppShellMain(html.Main(id="page", tabIndex="-1"))],
        header={"height": 56},
        navbar={"width": 236, "breakpoint": "sm", "collapsed": {"mobile": True}},
        padding="md",
        id="shell",
    )
    hidden = [
        dcc.Location(id="url", refresh=False),
        dcc.Interval(id="beat", interval=BEAT_MS),
        dcc.Store(id="address"),
        dcc.Store(id="focus"),
        dcc.Store(id="look-done"),
        dmc.NotificationContainer(id="notices", position="bottom-right"),
        jobs_panel.drawer(),
    ]
    return dmc.MantineProvider(
        [html.A("Skip to content", href="#page", className="skip"), shell, *hidden],
        forceColorScheme=visit.theme.name,
        theme={
            "primaryColor": "blue",
            "primaryShade": {"light": 8, "dark": 8},
            "autoContrast": True,
            "defaultRadius": "md",
            "fontFamily": "system-ui, 'Segoe UI', sans-serif",
        },
    )


def _header(visit: Visit) -> Any:
    mode = visit.services.plans.mode()
    left = dmc.Group(
        [
            dmc.Burger(id="burger", hiddenFrom="sm", size="sm", opened=False, **{"aria-label": "Menu"}),
            html.Span(className="logo"),
            dmc.Text("Understudy", fw=700),
            dmc.Text(visit.services.site.name, c="dimmed", visibleFrom="sm"),
        ],
        gap="sm",
    )
    right = dmc.Group(
        [
            dmc.Tooltip(dmc.Badge(mode.value, color=MODE_COLOURS[mode], id="mode"), label=MODE_NOTES[mode]),
            dmc.Button("Jobs", id="jobs-open", variant="subtle", size="compact-sm"),
            dmc.ActionIcon(
                html.Span(className="icon icon-look"),
                id="look",
                variant="subtle",
                **{"aria-label": "Switch between light and dark"},
            ),
            dmc.Text(visit.person.name, size="sm", visibleFrom="sm"),
            html.Form(
                html.Button("Sign out", type="submit", className="plain-button"), action="/signout", method="post"
            ),
        ],
        gap="sm",
    )
    return dmc.AppShellHeader(dmc.Group([left, right], justify="space-between", h="100%", px="md", wrap="nowrap"))


def _menu(visit: Visit, pages: Sequence[Page]) -> Any:
    links = [
        dmc.NavLink(
            label=page.title,
            href=f"/{page.path}",
            active="partial",
            leftSection=html.Span(className=f"icon icon-{page.icon}"),
        )
        for page in pages
        if page.in_menu and visit.may(page.role)
    ]
    return dmc.AppShellNavbar(html.Nav(links, **{"aria-label": "Screens"}), p="xs")


def register(app: Dash, callbacks: Callbacks, pages: Sequence[Page]) -> None:
    """Registers the router and what the frame does."""
    by_path = {page.path: page for page in pages}

    @callbacks.on(Output("page", "children"), Input("url", "pathname"), Input("url", "search"))
    def show(visit: Visit, path: str | None, search: str | None) -> Any:
        first, _, rest = (path or "/").strip("/").partition("/")
        page = by_path.get(first or pages[0].path)
        if page is None or not visit.may(page.role):
            return empty("There is no such screen, or your roles don't include it.")
        query = dict(parse_qsl((search or "").lstrip("?")))
        return page.draw(visit, unquote(rest), query)

    app.clientside_callback(
        ClientsideFunction("understudy", "keepAddress"),
        Output("address", "data"),
        Input({"view": ALL}, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("understudy", "title"), Output("focus", "data"), Input("page", "children")
    )
    app.clientside_callback(
        ClientsideFunction("understudy", "switchLook"),
        Output("look-done", "data"),
        Input("look", "n_clicks"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("understudy", "toggleMenu"),
        Output("shell", "navbar"),
        Input("burger", "opened"),
        Input("url", "pathname"),
        State("shell", "navbar"),
        prevent_initial_call=True,
    )
    jobs_panel.register(callbacks)
    for page in pages:
        page.register(callbacks)
