"""Command that serves the EnergyPlus building to others: emulate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, print_json, say
from twin.cli.workspace import Workspace

if TYPE_CHECKING:
    from connectors.bacnet.served import ServedBuilding

AHEAD_DAYS = 21
"""How long the served building can run: what it meets is known for so many days."""


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command()(emulate)


def emulate(
    bind: Annotated[str, typer.Option(help="Address to serve at, with prefix and port.")] = "127.0.0.1/8:47808",
    instance: Annotated[int, typer.Option(help="BACnet device instance.")] = 1001,
    speed: Annotated[
        float, typer.Option(min=1.0, help="1 is real time; 900 passes a quarter of an hour a second.")
    ] = 1.0,
    lockstep: Annotated[
        bool, typer.Option("--lockstep", help="Time passes only as far as the other side waits, as fast as it can.")
    ] = False,
    silence_s: Annotated[
        float, typer.Option(help="Empty a writer's slots when its heartbeat stops so long [s].")
    ] = 180.0,
    steps: Annotated[int | None, typer.Option(help="End after so many steps; runs until stopped if left out.")] = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Let the workspace's site.yaml lead to the served building.")
    ] = False,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Serves the bundled EnergyPlus building as a BACnet/IP device, with a local controller that keeps it safe."""
    import asyncio
    import sys

    from connectors.bacnet.served import ServedBuilding, ServiceSettings
    from connectors.settings.edit import blocks_text, put_blocks
    from twin.cli.demonstration.serving import TRENDS, WholeSite, blocks_of
    from twin.cli.demonstration.story import require_emulator
    from twin.cli.demonstration.world import EmbeddedWorld

    require_emulator()
    settings = ServiceSettings(bind=bind, instance=instance, speed=speed, lockstep=lockstep, silence_s=silence_s)
    here = Workspace.at(workspace)
    world = EmbeddedWorld.of(here, days=AHEAD_DAYS, hosts_file=here.var("simulated", "hosts.json"))
    typer.echo("starting EnergyPlus; this takes a while", err=True)
    world.start()
    with world.building:
        served = ServedBuilding(WholeSite(world, here.folder / TRENDS), settings)
        blocks = blocks_of(here.site, served, settings)

        def announce() -> None:
            if connect:
                put_blocks(here.folder / "site.yaml", blocks)
            if as_json:
                print_json({"bind": bind, "instance": instance, "objects": served.object_names()})
            elif connect:
                say(f"serving {len(served.object_names())} points at {bind}; site.yaml leads there now")
            else:
                say(f"# serving {len(served.object_names())} points at {bind}; for site.yaml:\n{blocks_text(blocks)}")
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
