"""Command of the watchdog near the building: agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json
from twin.errors import BadInputError

if TYPE_CHECKING:
    from connectors.change_control import Round


def register(app: typer.Typer) -> None:
    """Adds the command of this area to the application."""
    app.command("agent")(agent)


def agent(
    every_s: Annotated[float, typer.Option("--every-s", help="Seconds between two rounds.")] = 10.0,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="So many rounds, then leave.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Takes up interrupted pushes, enforces deadlines, releases values whose hold time is over."""
    from connectors.change_control import Watchdog
    from twin.cli.control_room import open_control_room
    from twin.text.canonical import plain

    if every_s <= 0:
        message = f"--every-s {every_s:g}: must be greater than 0"
        raise BadInputError(message)
    room = open_control_room(workspace)
    told: list[Round] = []

    def tell(found: Round) -> None:
        told.append(found)
        for line in (*found.acted, found.trouble):
            if line:
                note(f"{found.at} {line}")

    watchdog = Watchdog(room.control, room.clock, every_s=every_s)
    if rounds is None:
        note(f"watching {room.site.name} every {every_s:g} s; Ctrl-C ends it and leaves every point as it is")
    watchdog.run(tell, rounds=rounds)
    if as_json:
        print_json({"rounds": rounds, "told": plain(told)})
