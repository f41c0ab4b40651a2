"""Command that serves the dashboard, and what joins its pages to the stores of a workspace."""

from __future__ import annotations

import secrets
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json, require_workspace, say
from twin.jobs import Lane

if TYPE_CHECKING:
    from twin.cli.dashboard.rooms import Rooms

THREADS = 8
MOST_CONNECTIONS = 1000
"""Open at once; beyond them new ones wait, so that a flood from a few clients does not keep people out."""
FIRST_ADMIN = "admin"
LOCAL = ("127.0.0.1", "localhost", "[::1]")


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command("dashboard")(dashboard)
    app.command("worker", hidden=True)(worker)


def dashboard(
    workspace: WorkspaceOption = HERE,
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="TCP port.")] = 8050,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others can reach you if it isn't local.")
    ] = ("127.0.0.1"),
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Further host names under which it is reached.")
    ] = None,
    work: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Also run the workers for pushes and long jobs.")
    ] = True,
    emulated: Annotated[
        bool, typer.Option("--emulated", help="Of a demo workspace: let its EnergyPlus building run along.")
    ] = False,
    speed: Annotated[
        float, typer.Option("--speed", min=1.0, help="With --emulated: seconds of the building in one of ours.")
    ] = 300.0,
    as_json: JsonOption = False,
) -> None:
    """Serve the dashboard; the first start makes an admin and prints the password once."""
    from waitress import create_server

    from dashboard.app import create_dashboard
    from twin.cli.dashboard.services import services_of
    from twin.errors import OutsideWorldError

    folder = require_workspace(workspace).resolve()
    if host not in LOCAL:
        note(f"warning: {host} can be reached by others, and this server speaks plain HTTP; put a TLS proxy before it")
    with ExitStack() as over:
        rooms = _rooms(folder, speed if emulated else None, over)
        password = _first_admin(rooms)
        services = services_of(rooms)
        threading.Thread(target=services.telemetry.health, name="warm-up", daemon=True).start()
        made = create_dashboard(services, hosts=(*LOCAL, host, *(name or ())))
        if work:
            _put_to_work(rooms, over, own_world=emulated)
        try:
            listening = create_server(
                made.server,
                host=host,
                port=port,
                threads=THREADS,
                connection_limit=MOST_CONNECTIONS,
                ident="understudy",
                channel_timeout=60,
            )
        except OSError as error:
            message = f"cannot listen at {host}:{port}: {error.strerror}; choose another --port or --host"
            raise OutsideWorldError(message) from None
        over.callback(listening.close)
        _announce(rooms.site.name, f"http://{host}:{port}/", password, as_json=as_json)
        listening.run()


def _rooms(folder: Path, speed: float | None, over: ExitStack) -> Rooms:
    """The workspace, with its emulated building alive where a speed is given."""
    from twin.cli.dashboard.rooms import Rooms

    if speed is None:
        return Rooms(folder)
    from twin.cli.demonstration.live import LiveWorld
    from twin.cli.demonstration.story import require_emulator
    from twin.cli.workspace import Workspace

    require_emulator()
    note("starting EnergyPlus; this takes a while")
    world = LiveWorld(Workspace.at(folder), speed)
    over.callback(world.close)
    world.start()
    return Rooms(folder, world)


def _put_to_work(rooms: Rooms, over: ExitStack, *, own_world: bool) -> None:
    from twin.cli.dashboard.worker import WorkerProcess, WorkerThread

    for lane in Lane:
        worker = WorkerThread(rooms, lane) if own_world else WorkerProcess(rooms.workspace.folder, lane)
        over.callback(worker.stop)
        worker.start()


def _announce(site: str, url: str, password: str | None, *, as_json: bool) -> None:
    """Says where it is, and once the password of the first admin."""
    if as_json:
        first = {} if password is None else {"first_admin": {"user": FIRST_ADMIN, "password": password}}
        print_json({"site": site, "url": url, **first})
    else:
        if password is not None:
            say(f"first start: user '{FIRST_ADMIN}' has the password {password} (shown once; change it under Settings)")
        say(f"the dashboard of {site} is at {url} (Ctrl-C ends it)")
    sys.stdout.flush()


def _first_admin(rooms: Rooms) -> str | None:
    """Password of an admin made where nobody has an account, stored nowhere in clear; None: there are accounts."""
    from connectors.governance import Role

    identity = rooms.room().identity
    if identity.users():
        return None
    password = secrets.token_urlsafe(12)
    identity.add(FIRST_ADMIN, password, [Role.ADMIN, Role.VIEWER])
    return password


def worker(
    workspace: WorkspaceOption = HERE,
    once: Annotated[bool, typer.Option("--once", help="End when no job waits.")] = False,
    lane: Annotated[Lane | None, typer.Option("--lane", help="Only its jobs; all by default.")] = None,
) -> None:
    """Do the long jobs that the dashboard queues."""
    from twin.cli.dashboard.worker import work_on

    work_on(require_workspace(workspace).resolve(), lane=lane, once=once)
