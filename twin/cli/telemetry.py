"""Command that fills the telemetry store: ingest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import (
    HERE,
    JsonOption,
    WorkspaceOption,
    note,
    print_json,
    print_table,
    progress_bar,
    require_workspace,
    say,
    var,
)
from twin.errors import BadInputError, UnderstudyError
from twin.ports import Clock, LiveSource

if TYPE_CHECKING:
    from connectors.ingest import Ingested, Telemetry
    from connectors.settings import SiteFile

LISTED = 40
OVERLAP = timedelta(days=1)
"""Fetched again when a connector goes on where the store ends, so that what came late then is there too."""


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command()(ingest)


def ingest(
    file: Annotated[list[Path] | None, typer.Option("--file", help="File to read instead of the source's own.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Source to read; all by default.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="First moment, e.g. 2023-01-01; connectors go on where the store ends."),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="End, this moment itself left out.")] = None,
    anew: Annotated[
        bool,
        typer.Option("--anew", help="Forget first what the store holds of these sources' points (a corrected unit)."),
    ] = False,
    follow: Annotated[
        float | None,
        typer.Option("--follow", min=0.1, help="Then go on with the connectors, every so many seconds, until stopped."),
    ] = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> int:
    """Read telemetry into the store and say what is wrong with it; reading it again changes nothing."""
    from connectors.gather import delivered
    from connectors.ingest import LiveIntake, Telemetry
    from connectors.ingest import ingest as read_sources
    from connectors.settings import load_site
    from twin.cli.drift import blocking_drifts
    from twin.cli.following import Follower, misplaced
    from twin.cli.worlds import clock_of

    if anew and (since or until):
        raise BadInputError("--anew replaces whole series; leave out --since and --until")
    site_file = load_site(require_workspace(workspace) / "site.yaml")
    zone = site_file.site.time_zone
    telemetry = Telemetry(var(workspace, "telemetry", ".keep").parent)
    clock = clock_of(site_file)
    first, last, now = moment(since, zone, "--since"), moment(until, zone, "--until"), clock.now()
    live = _live(site_file, clock, workspace, source or ())
    starts = _starts(site_file, telemetry, live, first, anew=anew)
    histories, health = delivered(live, starts, last or now)
    with progress_bar("ingest") as tell:
        done = read_sources(
            site_file,
            telemetry,
            now=now,
            names=source or (),
            files=file or (),
            since=first,
            until=last,
            histories=histories,
            anew=anew,
            progress=tell,
        )
    if moved := misplaced(site_file.site, live.values()):
        done = replace(done, findings=(*done.findings, *moved))
        telemetry.record(done.findings)
    drifts, anew_reports = blocking_drifts(workspace), reopened_reports(workspace)
    dead = {name: state.told for name, state in health.items() if not state.ok}
    for name, why in dead.items():
        note(f"connector {name} delivered nothing: {why}")
    if as_json:
        print_json(
            done.to_json()
            | {
                "health_file": str(telemetry.health_file),
                "failed_connectors": dead,
                "drift": list(drifts),
                "reopened": anew_reports,
            }
        )
    else:
        _show(done)
        for sentence in drifts:
            say(f"  ! drift: {sentence}")
        for one in anew_reports:
            say(f"  ! savings: plan {str(one['plan_id'])[:12]}, {one['meter']}: version {one['version']}, {one['why']}")
    if follow is not None:
        reached = starts | {name: state.reached for name, state in health.items() if state.reached}
        Follower(LiveIntake(site_file, telemetry, source or ()), telemetry, live, clock).run(follow, reached)
    for connector in live.values():
        connector.close()
    return 4 if dead and follow is None else 0


def reopened_reports(folder: Path) -> list[dict[str, object]]:
    """Savings reports that got a new version since telemetry of their period has come late; none without plans.

    Telemetry is taken in whatever the journal does: what is wrong with it is said.
    """
    from twin.cli.control_room import open_control_room
    from twin.cli.savings import reopened
    from twin.cli.workspace import Workspace

    if not (folder / "var" / "plans").is_dir():
        return []
    try:
        found = reopened(Workspace.at(folder), open_control_room(folder, connectors={}), "ingest")
    except UnderstudyError as error:
        note(f"savings reports were not looked at again: {error}")
        return []
    return [
        {"plan_id": one.plan_id, "meter": one.meter, "version": one.version, "why": one.sentences[-1]} for one in found
    ]


def _starts(
    site_file: SiteFile, telemetry: Telemetry, live: Mapping[str, LiveSource], since: datetime | None, *, anew: bool
) -> dict[str, datetime]:
    """Where each connector begins: as asked, else a day before where the store of its points ends, if it holds any."""
    if since is not None:
        return dict.fromkeys(live, since)
    if anew:
        return {}
    ends: dict[str, datetime] = {}
    for mapping in site_file.sources.values():
        name = mapping.block.connector
        newest = telemetry.store.newest([point.id for point in mapping.points]) if name in live else None
        if name is not None and newest is not None:
            ends[name] = min(newest - OVERLAP, ends.get(name, newest))
    return ends


def _live(site_file: SiteFile, clock: Clock, workspace: Path, wanted: Sequence[str]) -> Mapping[str, LiveSource]:
    """Connectors that the wanted sources name and that can be fetched from."""
    chosen = [mapping for name, mapping in site_file.sources.items() if not wanted or name in wanted]
    named = {mapping.block.connector for mapping in chosen} - {None}
    if not named:
        return {}
    from twin.cli.worlds import build_connectors

    built = build_connectors(site_file, clock, workspace)
    return {name: connector for name, connector in built.items() if name in named and isinstance(connector, LiveSource)}


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
