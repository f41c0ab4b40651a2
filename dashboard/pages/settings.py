"""Settings: people and roles, one's own password, policies to read, connectors with a check."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, ctx, html
from dash.exceptions import PreventUpdate

from dashboard.callbacks import Callbacks, Visit, tell
from dashboard.pages.dialogs import EYE
from dashboard.pages.page import Page, Query, badge, card, heading
from dashboard.views import ConnectorView, Role

_STATE_COLOURS = {"ok": "green", "failed": "red"}


def draw(visit: Visit, rest: str, query: Query) -> Any:
    """The screen."""
    half = {"base": 12, "lg": 6}
    columns = [
        dmc.GridCol(html.Div(_connectors(visit), id="connectors"), span=half),
        dmc.GridCol(_password(), span=half),
        dmc.GridCol(_policies(visit), span=12),
    ]
    if visit.may(Role.ADMIN):
        columns.insert(0, dmc.GridCol(html.Div(_people(visit), id="people"), span=12))
    return [heading("Settings"), dmc.Grid(columns)]


def _people(visit: Visit) -> Any:
    rows = [
        dmc.TableTr(
            [
                dmc.TableTd(person.user),
                dmc.TableTd(person.name),
                dmc.TableTd(
                    dmc.MultiSelect(
                        id={"roles": person.user},
                        data=[role.value for role in Role],
                        value=sorted(role.value for role in person.roles),
                        disabled=person.user == visit.person.user,
                        size="xs",
                        **{"aria-label": f"Roles of {person.user}"},
                    )
                ),
            ]
        )
        for person in visit.services.identity.people()
    ]
    head = dmc.TableThead(dmc.TableTr([dmc.TableTh(name) for name in ("User", "Name", "Roles")]))
    new = dmc.Group(
        [
            dmc.TextInput(id="new-user", label="User"),
            dmc.TextInput(id="new-name", label="Name"),
            dmc.PasswordInput(id="new-password", visibilityToggleButtonProps=EYE, label="First password", w=200),
            dmc.MultiSelect(id="new-roles", label="Roles", data=[role.value for role in Role], value=["viewer"], w=260),
            dmc.Button("Add", id="new-add"),
        ],
        align="flex-end",
        mt="md",
    )
    table = dmc.TableScrollContainer(dmc.Table([head, dmc.TableTbody(rows)]), minWidth=500)
    return card("People and roles", dmc.Text("Nobody changes the own roles.", size="sm", c="dimmed"), table, new)


def _password() -> Any:
    return card(
        "Your password",
        dmc.Stack(
            [
                dmc.PasswordInput(id="old-password", visibilityToggleButtonProps=EYE, label="Present password"),
                dmc.PasswordInput(id="next-password", visibilityToggleButtonProps=EYE, label="New password"),
                dmc.Button("Change", id="change-password", w=120),
            ]
        ),
    )


def _connector(one: ConnectorView, may: bool) -> Any:
    check = dmc.Button("Check", id={"check": one.name}, size="compact-xs", variant="light", disabled=not may)
    state = badge(one.state, _STATE_COLOURS.get(one.state, "gray"))
    words = ", ".join(one.capabilities)
    return dmc.Paper(
        [
            dmc.Group([dmc.Group([dmc.Text(one.name, fw=600), state]), check], justify="space-between"),
            dmc.Text(f"{one.kind.replace('_', ' ')}{': ' + words if words else ''}", size="sm", c="dimmed"),
            *([dmc.Text(one.detail, size="sm")] if one.detail else []),
        ],
        withBorder=True,
        p="sm",
        mb="sm",
    )


def _connectors(visit: Visit, checked: ConnectorView | None = None) -> Any:
    known = [
        checked if checked is not None and one.name == checked.name else one
        for one in visit.services.settings.connectors()
    ]
    rows = [_connector(one, visit.may(Role.OPERATOR)) for one in known]
    return card("Connectors", *(rows or [dmc.Text("The site file names none.", c="dimmed", size="sm")]))


def _policies(visit: Visit) -> Any:
    items = [
        dmc.AccordionItem(
            [
                dmc.AccordionControl(dmc.Group([one.name, dmc.Text(one.digest[:12], className="mono", c="dimmed")])),
                dmc.AccordionPanel(html.Pre(one.text, className="mono")),
            ],
            value=one.name,
        )
        for one in visit.services.settings.policies()
    ]
    words = dmc.Text("The workspace has no policy files; the built-in defaults hold.", c="dimmed", size="sm")
    return card("Policies (to read; edit the files in the workspace)", dmc.Accordion(items) if items else words)


def register(callbacks: Callbacks) -> None:
    """Registers the screen's callbacks."""

    @callbacks.on(
        Output("connectors", "children"), Input({"check": ALL}, "n_clicks"), role=Role.OPERATOR, initial=False
    )
    def check(visit: Visit, clicks: list[int | None]) -> Any:
        if not any(clicks) or not isinstance(ctx.triggered_id, dict):
            raise PreventUpdate
        return _connectors(visit, visit.services.settings.check(ctx.triggered_id["check"]))

    @callbacks.on(
        Output("people", "children"),
        Input("new-add", "n_clicks"),
        State("new-user", "value"),
        State("new-name", "value"),
        State("new-password", "value"),
        State("new-roles", "value"),
        role=Role.ADMIN,
        initial=False,
    )
    def add(
        visit: Visit, clicks: int | None, user: str | None, name: str | None, password: str | None, roles: list[str]
    ) -> Any:
        if not clicks:
            raise PreventUpdate
        wanted = frozenset(Role(role) for role in roles)
        visit.services.identity.add(visit.person.user, user or "", name or user or "", password or "", wanted)
        tell("Added", f"{user} may sign in now.", "green")
        return _people(visit)

    @callbacks.on(
        Output("people", "children", allow_duplicate=True),
        Input({"roles": ALL}, "value"),
        role=Role.ADMIN,
        initial=False,
    )
    def change(visit: Visit, values: list[list[str]]) -> Any:
        if not isinstance(ctx.triggered_id, dict):
            raise PreventUpdate
        user = ctx.triggered_id["roles"]
        wanted = frozenset(Role(role) for role in ctx.triggered[0]["value"] or ())
        person = visit.services.identity.person(user)
        if person is None or person.roles == wanted:
            raise PreventUpdate
        visit.services.identity.change_roles(visit.person.user, user, wanted)
        tell("Changed", f"{user} is now {', '.join(sorted(wanted)) or 'without roles'}.", "green")
        return _people(visit)

    _register_password(callbacks)


def _register_password(callbacks: Callbacks) -> None:
    @callbacks.on(
        [Output("old-password", "value"), Output("next-password", "value")],
        Input("change-password", "n_clicks"),
        State("old-password", "value"),
        State("next-password", "value"),
        initial=False,
    )
    def change(visit: Visit, clicks: int | None, old: str | None, new: str | None) -> Any:
        if not clicks:
            raise PreventUpdate
        visit.services.identity.change_password(visit.person.user, old or "", new or "")
        tell("Changed", "Sign in again with the new password.", "green")
        return "", ""


PAGE = Page(path="settings", title="Settings", icon="settings", draw=draw, register=register)
