"""Commands on people: add, list, roles, disable, token."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from twin.cli.control_room import AsOption, ControlRoom, open_control_room, password_for, principal_of
from twin.cli.output import HERE, JsonOption, WorkspaceOption, print_json, print_table, say
from twin.errors import BadInputError

users = typer.Typer(name="user", help="Who may propose, approve, push and read.", no_args_is_help=True)
ROLES = ("viewer", "proposer", "approver", "operator", "auditor", "admin")
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
RoleOption = Annotated[list[str], typer.Option("--role", help=f"One of {', '.join(ROLES)}; may be given again.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.add_typer(users)


def _answer(room: ControlRoom, name: str, done: str, *, as_json: bool) -> None:
    user = room.identity.user(name)
    roles = sorted(user.roles) if user is not None else []
    waiting = list(user.waiting.roles) if user is not None and user.waiting is not None else []
    if as_json:
        print_json({"user": name, "roles": roles, "waiting": waiting, "done": done})
        return
    say(f"{name} {done}: {', '.join(roles) or 'no roles'}")
    if waiting:
        say(f"{', '.join(waiting)} wait for a second admin: understudy user confirm {name} --as ADMIN")


def _checked(roles: list[str]) -> list[str]:
    wrong = [role for role in roles if role not in ROLES]
    if wrong or not roles:
        message = f"--role {', '.join(wrong) or 'is missing'}: roles are {', '.join(ROLES)}"
        raise BadInputError(message)
    return roles


@users.command("add")
def add(
    name: NameArgument,
    role: RoleOption,
    person: Annotated[str, typer.Option("--person", help="Who stands behind it, if not the name.")] = "",
    service: Annotated[bool, typer.Option("--service", help="A program; it never approves.")] = False,
    as_user: AsOption = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Makes an account; its password comes from UNDERSTUDY_NEW_PASSWORD, UNDERSTUDY_PASSWORD or a prompt."""
    import os

    from connectors.governance import Role

    room = open_control_room(workspace, connectors={})
    roles = [Role(text) for text in _checked(role)]
    by = principal_of(room, as_user) if as_user else None
    variable = "UNDERSTUDY_NEW_PASSWORD"
    if variable not in os.environ and by is None:
        variable = "UNDERSTUDY_PASSWORD"
    room.identity.add(name, password_for(name, variable), roles, person=person, service=service, by=by)
    _answer(room, name, "added", as_json=as_json)


@users.command("list")
def list_users(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """All accounts with their roles."""
    room = open_control_room(workspace, connectors={})
    now = room.clock.now()
    rows = [
        {
            "user": user.name,
            "person": user.person,
            "roles": sorted(room.identity.roles_of(user, now)),
            "cooling_off": sorted(role for role, start in user.roles.items() if start > now),
            "service": user.service,
            "disabled": user.disabled,
        }
        for user in room.identity.users()
    ]
    if as_json:
        print_json({"users": rows})
        return
    table = [[str(row["user"]), str(row["person"]), ", ".join(map(str, row["roles"]))] for row in rows]  # type: ignore[call-overload]
    print_table("Users", ["user", "person", "roles"], table)


@users.command("roles")
def set_roles(
    name: NameArgument,
    role: RoleOption,
    as_user: AsOption = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Changes the roles of another person; needs an admin, and new roles count after a day."""
    from connectors.governance import Role

    room = open_control_room(workspace, connectors={})
    room.identity.set_roles(name, [Role(text) for text in _checked(role)], principal_of(room, as_user))
    _answer(room, name, "changed", as_json=as_json)


@users.command("confirm")
def confirm(
    name: NameArgument, as_user: AsOption = None, workspace: WorkspaceOption = HERE, as_json: JsonOption = False
) -> None:
    """Confirms, as a second admin, the roles that another admin asked for."""
    room = open_control_room(workspace, connectors={})
    room.identity.confirm_roles(name, principal_of(room, as_user))
    _answer(room, name, "confirmed", as_json=as_json)


@users.command("disable")
def disable(
    name: NameArgument, as_user: AsOption = None, workspace: WorkspaceOption = HERE, as_json: JsonOption = False
) -> None:
    """Closes an account at once."""
    room = open_control_room(workspace, connectors={})
    room.identity.disable(name, principal_of(room, as_user))
    _answer(room, name, "disabled", as_json=as_json)


@users.command("token")
def token(
    scope: Annotated[list[str], typer.Option("--scope", help="propose, push, pause, rollback, release or close.")],
    hours: Annotated[float, typer.Option("--hours", min=0.01, help="How long it is valid.")] = 24.0,
    as_user: AsOption = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Issues a token of one's own; it is shown once and never approves."""
    room = open_control_room(workspace, connectors={})
    text = room.identity.issue_token(principal_of(room, as_user), scope, timedelta(hours=hours))
    if as_json:
        print_json({"token": text})
    else:
        say(text)
