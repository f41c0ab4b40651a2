"""The one way to register a callback: it names the role it needs, and the server checks it on every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dash import Dash, no_update, set_props
from flask import abort, g, request

from dashboard.figures.theme import Theme, theme_of
from dashboard.services import Services
from dashboard.views import Person, Role
from twin.errors import UnderstudyError

Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request: who asks, with which look, and what may be used to answer."""

    person: Person
    services: Services
    theme: Theme

    def may(self, role: Role) -> bool:
        """Whether the person has a role."""
        return self.person.may(role)


def current_visit(services: Services) -> Visit:
    """The visit of the present request; ends it with 401 when nobody is signed in."""
    person = g.get("person")
    if person is None:
        abort(401)
    return Visit(person=person, services=services, theme=theme_of(request.cookies.get("look")))


def tell(title: str, message: str, colour: str = "blue") -> None:
    """Shows a notice to the person who asked."""
    note = {"action": "show", "title": title, "message": message, "color": colour, "autoClose": 8000}
    set_props("notices", {"sendNotifications": [note]})


class Callbacks:
    """Registers handlers on the application."""

    def __init__(self, app: Dash, services: Services) -> None:
        self._app = app
        self._services = services
        self.roles: list[tuple[str, Role]] = []
        """Every handler with its role, for those who check that none was forgotten."""

    def on(
        self, outputs: Any, *inputs: Any, role: Role = Role.VIEWER, initial: bool = True
    ) -> Callable[[Handler], Handler]:
        """Registers ``handler(visit, *values)`` for these outputs, inputs and states.

        Args:
            outputs: one output or a list.
            inputs: inputs and states, in the order of the handler's arguments.
            role: what the person must have; others get 403.
            initial: whether it also runs when the page appears.
        """

        def register(handler: Handler) -> Handler:
            self.roles.append((f"{handler.__module__}.{handler.__qualname__}", role))

            def checked(*values: Any) -> Any:
                return self._answer(handler, role, values, len(outputs) if isinstance(outputs, list) else 0)

            self._app.callback(outputs, list(inputs), prevent_initial_call=not initial)(checked)
            return handler

        return register

    def _answer(self, handler: Handler, role: Role, values: Sequence[Any], outputs: int) -> Any:
        visit = current_visit(self._services)
        if not visit.may(role):
            abort(403, f"{visit.person.user} is no {role}; ask an admin for the role.")
        try:
            return handler(visit, *values)
        except UnderstudyError as error:
            tell("Not done", str(error), "red")
            return [no_update] * outputs if outputs else no_update
