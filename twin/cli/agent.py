"""Command of the watchdog near the building: agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.control_room import AsOption, ControlRoom, open_control_room, principal_of
from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json, say
from twin.errors import BadInputError, UnderstudyError
from twin.units import SECONDS_PER_DAY

if TYPE_CHECKING:
    from connectors.change_control import Round
    from connectors.retention import Forgotten


def register(app: typer.Typer) -> None:
    """Adds the command of this area to the application."""
    app.command("agent")(agent)
    app.command("forget")(forget)


def agent(
    every_s: Annotated[float, typer.Option("--every-s", help="Seconds between two rounds.")] = 10.0,
    rounds: Annotated[int | None, typer.Option("--rounds", min=1, help="So many rounds, then leave.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Takes up interrupted pushes, enforces deadlines, releases values whose hold time is over."""
    from connectors.change_control import Watchdog
    from connectors.retention import KEEP_PEOPLE_DAYS
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
    left, per_day = rounds, max(1, round(SECONDS_PER_DAY / every_s))
    while left is None or left > 0:
        try:
            prove_log(room, "agent")
            forget_old(room, workspace, "agent", KEEP_PEOPLE_DAYS)
        except UnderstudyError as error:  # releasing values must go on whatever log and telemetry store do
            note(f"a daily duty failed: {error}")
        part = per_day if left is None else min(left, per_day)
        watchdog.run(tell, rounds=part)
        left = None if left is None else left - part
    if as_json:
        print_json({"rounds": rounds, "told": plain(told)})


def prove_log(room: ControlRoom, actor: str) -> list[str]:
    """Proves the log as ``audit verify`` does, says what it found, and leaves a row that it was looked at."""
    found = [f"{finding.row}: {finding.sentence}" for finding in room.folder.verify(room.store)]
    if trouble := room.folder.trouble():
        note(f"ALARM {trouble}")
    for sentence in found:
        note(f"ALARM the audit log does not hold: {sentence}")
    room.store.note(actor, "log proved" if not found else "log does not hold", "audit", {"findings": found[:10]})
    return found


def forget_old(room: ControlRoom, workspace: Path, actor: str, days: int) -> Forgotten:
    """Removes counts of people beyond their retention limit; each run has its audit row, an empty one too."""
    from connectors.retention import forget_people
    from twin.cli.workspace import Workspace

    done = forget_people(Workspace.at(workspace).telemetry, room.site, room.clock.now(), days)
    room.store.note(
        actor, "people forgotten", "telemetry", {"before": done.before, "points": len(done.points), "rows": done.rows}
    )
    return done


def forget(
    days: Annotated[int, typer.Option("--days", min=1, help="How long counts of people are kept.")] = 400,
    as_user: AsOption = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Removes counts of people that are older than the retention limit; the agent does so once a day."""
    from connectors.governance import Role

    room = open_control_room(workspace, connectors={})
    who = principal_of(room, as_user)
    who.require(Role.OPERATOR, Role.ADMIN, scope="forget")
    done = forget_old(room, workspace, who.name, days)
    if as_json:
        print_json({"before": done.before.isoformat(), "points": list(done.points), "rows": done.rows})
    else:
        say(f"{done.rows} counts of people from before {done.before:%Y-%m-%d} are gone")
