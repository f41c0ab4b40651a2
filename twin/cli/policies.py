"""Commands on the policy text: check, propose, accept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.control_room import AsOption, ControlRoom, open_control_room, principal_of
from twin.cli.output import HERE, JsonOption, WorkspaceOption, print_json, say

if TYPE_CHECKING:
    from connectors.governance.rulebook import Rules

policies = typer.Typer(name="policy", help="The rules of the workspace, and who let them be.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.add_typer(policies)


def _answer(room: ControlRoom, rules: Rules, *, as_json: bool) -> int:
    why = room.rulebook.refusal(room.policies.bundle())
    if as_json:
        facts = {"digest": rules.digest, "in_force": not why, "loosened": list(rules.loosened)}
        print_json({**facts, "replaces": rules.replaces, "proposed_by": rules.proposed_by, "refusal": why})
    else:
        say(f"policy {rules.digest[:12]} is {'not in force: ' + why if why else 'in force'}")
        for example in rules.loosened:
            say(f"  allows what was refused: {example}")
    return 3 if why else 0


@policies.command("check")
def check(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> int:
    """Whether the text is valid and in force; exit code 3 while a looser text waits for two people."""
    room = open_control_room(workspace, connectors={})
    return _answer(room, room.rulebook.look(room.policies.bundle()), as_json=as_json)


@policies.command("propose")
def propose(as_user: AsOption = None, workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Puts a looser text forward; another person must accept it."""
    room = open_control_room(workspace, connectors={})
    rules = room.rulebook.propose(room.policies.bundle(), principal_of(room, as_user))
    _answer(room, rules, as_json=as_json)


@policies.command("accept")
def accept(
    as_user: AsOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays in the audit log.")] = "",
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> int:
    """Signs a looser text; it is in force from then on, and open plans must be proposed anew."""
    room = open_control_room(workspace, connectors={})
    rules = room.rulebook.accept(room.policies.bundle(), principal_of(room, as_user), reason)
    return _answer(room, rules, as_json=as_json)
