"""Puts the services of the dashboard together over the stores of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cli.dashboard.plans import StoredAudit, StoredIdentity, StoredPlans, StoredSettings
from twin.cli.dashboard.results import StoredModels, StoredResults
from twin.cli.dashboard.rooms import Rooms
from twin.cli.dashboard.telemetry import StoredTelemetry

if TYPE_CHECKING:
    from connectors.job_table import JobTable
    from dashboard.services import Services
    from twin.cli.dashboard.sso import StoredSignOn


def job_table(rooms: Rooms) -> JobTable:
    """The job table of a workspace."""
    from connectors.change_control import SystemClock
    from connectors.job_table import JobTable

    return JobTable(rooms.workspace.var("jobs", "jobs.sqlite"), SystemClock())


def services_of(rooms: Rooms) -> Services:
    """The services of a workspace."""
    from connectors.change_control import SystemClock
    from connectors.ingest import Telemetry
    from dashboard.services import Services
    from twin.cli.drift import kept_findings
    from twin.cli.forecasts import kept_warnings

    folder = rooms.workspace.folder
    clock = rooms.clock
    identity, plans = StoredIdentity(rooms), StoredPlans(rooms)
    telemetry = Telemetry(rooms.workspace.var("telemetry", ".keep").parent)
    return Services(
        site=rooms.site,
        clock=clock,
        telemetry=StoredTelemetry(
            rooms.site, telemetry, clock, further=lambda: (*kept_findings(folder), *kept_warnings(folder))
        ),
        models=StoredModels(rooms.workspace, clock),
        results=StoredResults(rooms.workspace),
        plans=plans,
        jobs=job_table(rooms),
        audit=StoredAudit(rooms),
        identity=identity,
        settings=StoredSettings(rooms),
        sso=sign_on(rooms, identity, plans),
        wall=SystemClock(),
    )


def sign_on(rooms: Rooms, identity: StoredIdentity, plans: StoredPlans) -> StoredSignOn | None:
    """Sign-in through the provider that ``oidc.json`` names; None without that file."""
    from connectors.governance.oidc import Provider, read_settings
    from twin.cli.dashboard.sso import StoredSignOn

    folder = rooms.workspace.folder
    settings = read_settings(folder / "oidc.json")
    return None if settings is None else StoredSignOn(rooms, identity, plans, Provider(settings, folder))
