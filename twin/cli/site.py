"""Commands on the workspace: init, site check, site schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json, print_table, require_workspace, say
from twin.errors import BadInputError, OutsideWorldError

if TYPE_CHECKING:
    from connectors.settings import SiteFile
    from twin.ports import PlacementSource

site = typer.Typer(no_args_is_help=True, help="Check the site file of a workspace.")


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command()(init)
    app.add_typer(site, name="site")


def init(
    directory: Annotated[
        Path | None, typer.Argument(help="Folder to create.", metavar="DIR", show_default="here")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="The bundled office with ten weeks of telemetry instead.")
    ] = False,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Create a workspace with a commented site.yaml to start from."""
    from connectors.settings.template import TEMPLATE
    from twin.cli.demonstration.story import copy_bundled_site

    directory = workspace if directory is None else workspace / directory
    path = directory / "site.yaml"
    if path.exists():
        raise BadInputError(f"{path} exists already; edit it, or name another folder")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if example:
            copy_bundled_site(directory)
        else:
            (directory / "scenarios").mkdir(exist_ok=True)
            path.write_text(TEMPLATE, encoding="utf-8")
        ignore = directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text("var/\n", encoding="utf-8")
    except OSError as error:
        raise OutsideWorldError(f"{directory}: cannot be created ({error.strerror or error})") from None
    if as_json:
        print_json({"workspace": str(directory), "site_file": str(path)})
    else:
        what = "look at it" if example else "describe your building in it"
        say(f"created {path}; {what}, then run 'understudy site check --workspace {directory}'")


@site.command()
def check(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Check site.yaml, say what it describes, and whether its telemetry files have the columns that it names."""
    from connectors.settings import load_site

    site_file = load_site(require_workspace(workspace) / "site.yaml")
    obstacles = _obstacles(site_file)
    described = site_file.site
    facts = {
        "zones": len(described.zones),
        "air_handlers": len(described.air_handlers),
        "hosts": len(described.hosts),
        "vms": len(described.vms),
        "points": len(described.points),
        "sources": len(site_file.sources),
        "connectors": len(site_file.connectors),
    }
    if as_json:
        meters = {str(meter.kind): [str(use) for use in meter.covers] for meter in described.meters}
        document = {"ok": True, "name": described.name, **facts, "meters": meters, "digest": site_file.digest}
        print_json({**document, "sources_not_ready": obstacles})
        return
    files = {name: list(one.block.files) for name, one in site_file.sources.items() if one.block.connector is None}
    if files and len(obstacles) == len(files):
        named = ", ".join(dict.fromkeys(pattern for patterns in files.values() for pattern in patterns))
        verdict = "the site file is well formed, but none of the telemetry files that it names can be read"
        note(f"warning: {verdict}: {named} (below {site_file.folder.resolve()}); nothing can be ingested")
    else:
        verdict = "the site file is fine"
    rows = [(name.replace("_", " "), str(count)) for name, count in facts.items()]
    print_table(f"{described.name}: {verdict}", ("what", "count"), rows)
    for name, why in obstacles.items():
        say(f"source {name} cannot be read yet: {why}")


def _obstacles(site_file: SiteFile) -> dict[str, str]:
    """Source → why its files cannot be read; those that can are left out."""
    from connectors.files import FileSource

    sources = {name: one for name, one in site_file.sources.items() if one.block.connector is None}
    found = {name: FileSource(one, site_file.folder).obstacle() for name, one in sources.items()}
    return {name: why for name, why in found.items() if why}


@site.command()
def schema(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> None:
    """Print the JSON schema of site.yaml, for editors; it is the same for every workspace."""
    from connectors.settings import site_schema

    _ = workspace, as_json  # as every command takes them: the schema is one, and a JSON document either way
    print_json(site_schema())


@site.command()
def discover(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A connector of the site file.")],
    brick: Annotated[
        Path | None, typer.Option("--brick", help="A Brick model of the devices (Turtle), instead of asking them.")
    ] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Propose points from what a system says of itself, as lines of a site file to review; writes nothing."""
    from contextlib import closing
    from dataclasses import asdict

    from connectors.brick_model import read_brick
    from connectors.change_control import SystemClock
    from connectors.mapping_proposals import Discoverer, fragment, propose
    from connectors.registry import build
    from connectors.settings import load_site
    from twin.ports import PlacementSource

    site_file = load_site(require_workspace(workspace) / "site.yaml")
    if name not in site_file.connectors:
        message = (
            f"connector {name!r} is not configured; configured: {', '.join(sorted(site_file.connectors)) or 'none'}"
        )
        raise BadInputError(message)
    block = site_file.connectors[name]
    connector = build(block, SystemClock().now)
    if isinstance(connector, PlacementSource):
        document, text = _machines(connector, name, [zone.id for zone in site_file.site.zones])
        print_json({**document, "fragment": text}) if as_json else say(text)
        return
    if brick is not None:
        devices = getattr(getattr(connector, "settings", None), "devices", {})
        found = read_brick(brick, {device.instance: key for key, device in devices.items()})
    elif isinstance(connector, Discoverer):
        with closing(connector) as asked:
            found = asked.discover()
    else:
        message = f"connector {name!r} of type {block.kind} cannot say what it holds; map its points by hand"
        raise BadInputError(f"{message}, or give a model of the building with --brick")
    text = fragment(found, block, site_file.site)
    if as_json:
        print_json({"proposals": [asdict(one) for one in propose(found.points, site_file.site)], "fragment": text})
    else:
        say(text)


def _machines(connector: PlacementSource, name: str, zones: Sequence[str]) -> tuple[dict[str, object], str]:
    from dataclasses import asdict

    from connectors.emulator.bundled_site import bundled_site_folder
    from connectors.host_types import read_host_types
    from connectors.machine_proposals import machine_fragment, propose_machines

    servers = read_host_types(bundled_site_folder().parent / "host_types.csv")
    proposal = propose_machines(connector.live_placement(), servers, zones)
    return asdict(proposal), machine_fragment(proposal, name)
