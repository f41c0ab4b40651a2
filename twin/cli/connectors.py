"""Commands on connectors: list, check."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, print_json, print_table, require_workspace
from twin.errors import BadInputError

connectors = typer.Typer(name="connector", help="The systems that plans are pushed to.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.add_typer(connectors)


@connectors.command("list")
def list_connectors(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """What the site file configures."""
    from connectors.settings import load_site

    blocks = load_site(require_workspace(workspace) / "site.yaml").connectors
    if as_json:
        print_json({"connectors": [{"name": block.name, "type": block.kind} for block in blocks.values()]})
        return
    print_table("Connectors", ["name", "type"], [[block.name, block.kind] for block in blocks.values()])


@connectors.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="NAME")], workspace: WorkspaceOption = HERE, as_json: JsonOption = False
) -> int:
    """Whether it is reached, points resolve, clocks agree, writing is allowed; writes nothing; exit 4 on a failure."""
    from twin.cli.control_room import open_control_room

    room = open_control_room(workspace)
    if name not in room.connectors:
        message = f"connector {name!r} is not configured; configured: {', '.join(sorted(room.connectors)) or 'none'}"
        raise BadInputError(message)
    from connectors.self_test import self_test

    connector = room.connectors[name]
    try:
        facts = self_test(connector)
    finally:
        getattr(connector, "close", lambda: None)()
    ok = all(fact.ok for fact in facts)
    can = sorted(capability.value for capability in connector.capabilities)
    if as_json:
        told = [{"what": fact.what, "ok": fact.ok, "told": fact.told} for fact in facts]
        print_json({"name": name, "capabilities": can, "facts": told, "ok": ok})
    else:
        print_table(
            f"{name}: {', '.join(can)}",
            ["check", "", ""],
            [[fact.what, "ok" if fact.ok else "fails", fact.told] for fact in facts],
        )
    return 0 if ok else 4
