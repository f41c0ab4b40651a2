"""Command that fills the telemetry store: ingest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from twin.cli.output import (
    HERE,
    JsonOption,
    WorkspaceOption,
    print_json,
    print_table,
    progress_bar,
    require_workspace,
    say,
    var,
)
from twin.errors import BadInputError
from twin.plan import Capability

if TYPE_CHECKING:
    from connectors.ingest import Ingested
    from connectors.settings import SiteFile
    from twin.ports import TelemetrySource

LISTED = 40


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command()(ingest)


def ingest(
    file: Annotated[list[Path] | None, typer.Option("--file", help="File to read instead of the source's own.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Source to read; all by default.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="First moment, e.g. 2023-01-01.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="End, this moment itself left out.")] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Read telemetry into the store and say what is wrong with it; reading it again changes nothing."""
    from connectors.ingest import Telemetry
    from connectors.ingest import ingest as read_sources
    from connectors.settings import load_site

    site_file = load_site(require_workspace(workspace) / "site.yaml")
    zone = site_file.site.time_zone
    telemetry = Telemetry(var(workspace, "telemetry", ".keep").parent)
    with progress_bar("ingest") as tell:
        done = read_sources(
            site_file,
            telemetry,
            now=datetime.now(tz=UTC),
            names=source or (),
            files=file or (),
            since=moment(since, zone, "--since"),
            until=moment(until, zone, "--until"),
            histories=_histories(site_file, workspace),
            progress=tell,
        )
    if as_json:
        print_json(done.to_json() | {"health_file": str(telemetry.health_file)})
    else:
        _show(done)


def _histories(site_file: SiteFile, workspace: Path) -> Mapping[str, TelemetrySource]:
    """Connectors that sources name and that can tell the past."""
    named = {mapping.block.connector for mapping in site_file.sources.values()} - {None}
    if not named:
        return {}
    from connectors.change_control.clocks import SystemClock
    from twin.cli.worlds import build_connectors

    built = build_connectors(site_file, SystemClock(), workspace)
    return {
        name: cast("TelemetrySource", connector)
        for name, connector in built.items()
        if name in named and Capability.HISTORY in connector.capabilities
    }


def moment(text: str | None, zone: object, what: str) -> datetime | None:
    """A moment that a person typed; without offset it is meant in site time.

    Raises:
        BadInputError: it cannot be read.
    """
    from zoneinfo import ZoneInfo

    if text is None:
        return None
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        message = f"{what} {text!r} is no time; write 2023-01-31, 2023-01-31T06:00 or 2023-01-31T06:00+01:00"
        raise BadInputError(message) from None
    if typed.tzinfo is None and isinstance(zone, ZoneInfo):
        typed = typed.replace(tzinfo=zone)
    return typed.astimezone(UTC)


def _show(done: Ingested) -> None:
    told = done.total
    rows = [(name, f"{one.rows:,}", f"{one.new:,}", f"{one.duplicates:,}") for name, one in done.sources.items()]
    print_table("telemetry", ("source", "rows", "new rows", "already there"), rows)
    if done.quarantined:
        say(f"{done.quarantined:,} rows lie in the future and were quarantined")
    if not done.findings:
        say(f"{told.new:,} new rows; data health: nothing found")
        return
    excluded = sum(finding.excluded for finding in done.findings)
    say(f"{told.new:,} new rows; data health: {len(done.findings)} findings, {excluded} of them exclude their span")
    for finding in sorted(done.findings, key=lambda one: not one.excluded)[:LISTED]:
        say(f"  {'!' if finding.excluded else '-'} {finding.kind}: {finding.sentence}")
    if len(done.findings) > LISTED:
        say(f"  … {len(done.findings) - LISTED} more in var/telemetry/health.json")
