"""Commands on connectors: list, check."""

from __future__ import annotations

from typing import Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, print_json, print_table, require_workspace, say
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
    """Reads every point once and writes nothing; exit code 4 when one cannot be read."""
    from twin.cli.control_room import open_control_room

    room = open_control_room(workspace)
    if name not in room.connectors:
        message = f"connector {name!r} is not configured; configured: {', '.join(sorted(room.connectors)) or 'none'}"
        raise BadInputError(message)
    connector = room.connectors[name]
    points = tuple(getattr(connector, "points", lambda: ())())
    readings = connector.read(points)
    bad = [reading.point for reading in readings if reading.value is None]
    can = sorted(capability.value for capability in connector.capabilities)
    if as_json:
        print_json({"name": name, "capabilities": can, "points": len(points), "unreadable": bad, "ok": not bad})
    else:
        say(f"{name}: {', '.join(can)}; {len(points) - len(bad)} of {len(points)} points can be read")
        for point in bad:
            say(f"  cannot be read: {point}")
    return 4 if bad else 0
