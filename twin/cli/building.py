"""Command that serves the EnergyPlus building to others: emulate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, print_json, say

if TYPE_CHECKING:
    from connectors.bacnet.served import ServedBuilding


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command()(emulate)


def emulate(
    bind: Annotated[str, typer.Option(help="Address to serve at, with prefix and port.")] = "127.0.0.1/8:47808",
    instance: Annotated[int, typer.Option(help="BACnet device instance.")] = 1001,
    speed: Annotated[
        float, typer.Option(min=1.0, help="1 is real time; 900 passes a quarter of an hour a second.")
    ] = 1.0,
    silence_s: Annotated[
        float, typer.Option(help="Empty a writer's slots when its heartbeat stops so long [s].")
    ] = 180.0,
    steps: Annotated[int | None, typer.Option(help="End after so many steps; runs until stopped if left out.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Serves the bundled EnergyPlus building as a BACnet/IP device, with a local controller that keeps it safe."""
    import asyncio
    import sys

    from connectors.bacnet.served import ServedBuilding, ServiceSettings, site_fragment
    from twin.cli.demonstration.story import require_emulator
    from twin.cli.demonstration.world import EmbeddedWorld
    from twin.cli.workspace import Workspace

    require_emulator()
    settings = ServiceSettings(bind=bind, instance=instance, speed=speed, silence_s=silence_s)
    world = EmbeddedWorld.of(Workspace.at(workspace))
    typer.echo("starting EnergyPlus; this takes a while", err=True)
    world.start()
    with world.building as building:
        served = ServedBuilding(building, settings)

        def announce() -> None:
            if as_json:
                print_json({"bind": bind, "instance": instance, "objects": served.object_names()})
            else:
                say(f"serving {len(served.object_names())} points at {bind}; add to site.yaml:\n")
                say(site_fragment(served, settings, "127.0.0.1/8:47809"))
            sys.stdout.flush()  # who waits for the address at the other end of a pipe shall see it

        asyncio.run(_serve(served, settings.step_s / speed, steps, announce))


async def _serve(served: ServedBuilding, step_wall_s: float, steps: int | None, announce: Callable[[], None]) -> None:
    """Runs until a signal comes, or for a number of steps; announces once the socket is open."""
    import asyncio
    import contextlib
    import signal

    stop, ready = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    if steps is not None:
        loop.call_later((steps + 0.5) * step_wall_s, stop.set)
    serving = asyncio.create_task(served.run(stop, ready))
    opened = asyncio.create_task(ready.wait())
    await asyncio.wait({serving, opened}, return_when=asyncio.FIRST_COMPLETED)
    if opened.done():
        announce()
    opened.cancel()
    await serving
