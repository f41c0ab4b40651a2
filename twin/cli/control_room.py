"""All that plan commands need of a workspace, put together: store, people, rules, connectors, change control."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from twin.cli.output import require_workspace
from twin.errors import BadInputError, RefusedError
from twin.plans.premises import Ground
from twin.ports import Clock, Connector
from twin.site import Site

if TYPE_CHECKING:
    from connectors.change_control import ChangeControl, PushSettings
    from connectors.governance import Approvals, Identity, PolicyFolder, Principal, Rulebook
    from connectors.plan_store import PlanStore, StoreFolder
    from connectors.settings import SiteFile
    from twin.plans.document import Plan

AsOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--as",
        envvar="UNDERSTUDY_USER",
        help="Who you are; the password comes from UNDERSTUDY_PASSWORD or a prompt (or a token from UNDERSTUDY_TOKEN).",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRoom:
    """A workspace from which plans are decided and pushed."""

    folder: StoreFolder
    store: PlanStore
    identity: Identity
    approvals: Approvals
    policies: PolicyFolder
    rulebook: Rulebook
    control: ChangeControl
    connectors: Mapping[str, Connector]
    clock: Clock
    site: Site


def works_at(site: Site) -> Callable[[datetime], bool]:
    """Whether a moment lies in the business hours of a site: working days, 8 to 18 h local time."""

    def is_open(moment: datetime) -> bool:
        local = moment.astimezone(site.time_zone)
        return local.weekday() < 5 and local.date() not in site.holidays and 8 <= local.hour < 18

    return is_open


def open_control_room(
    workspace: Path,
    *,
    clock: Clock | None = None,
    connectors: Mapping[str, Connector] | None = None,
    settings: PushSettings | None = None,
    site_file: SiteFile | None = None,
) -> ControlRoom:
    """The control room of a workspace; a demo passes its own clock and embedded systems, a server its read site file.

    Raises:
        BadInputError: no workspace, or a faulty site file.
        RefusedError: the plan store is not the one that belongs here.
    """
    from connectors.change_control import ChangeControl, FileLock
    from connectors.governance import Approvals, GovernedGate, Identity, PolicyFolder, Rulebook, write_defaults
    from connectors.plan_store import StoreFolder
    from connectors.settings import load_site
    from twin.cli.drift import blocking_drifts
    from twin.cli.worlds import build_connectors, clock_of, pace_of

    site_file = site_file or load_site(require_workspace(workspace) / "site.yaml")
    clock = clock or clock_of(site_file)
    folder = StoreFolder(workspace / "var" / "plans")
    store = folder.open(site_file.site.name, clock)
    if not (workspace / "policies").exists():
        write_defaults(workspace / "policies")
    policies = PolicyFolder(workspace / "policies")
    identity = Identity(store, clock)
    world = dict(connectors) if connectors is not None else build_connectors(site_file, clock, workspace)
    rulebook = Rulebook(store, identity, clock)
    if rulebook.in_force() is None:
        with suppress(RefusedError):
            rulebook.look(policies.bundle())
    drift = partial(blocking_drifts, workspace)
    gate = GovernedGate(
        store,
        identity,
        policies.bundle,
        business_hours=works_at(site_file.site),
        ground=lambda plan: ground_of(workspace, plan),
        rulebook=rulebook,
        drift=drift,
    )
    lock = FileLock(folder.lock_file)
    control = ChangeControl(
        store,
        world,
        clock,
        gate,
        lock,
        settings or pace_of(clock),
        proof=lambda: folder.verify(store),
        doubts=lambda: flagged_points(workspace, clock.now()),
    )
    return ControlRoom(
        folder=folder,
        store=store,
        identity=identity,
        approvals=Approvals(store, identity, clock, drift=drift),
        policies=policies,
        rulebook=rulebook,
        control=control,
        connectors=world,
        clock=clock,
        site=site_file.site,
    )


def present_ground(workspace: Path) -> dict[str, str]:
    """Digest of the site file and id of the model in use, as they are now; a workspace without a model has only one."""
    from twin.cli.workspace import Workspace

    here = Workspace.at(workspace)
    ground = {"site_digest": here.site_file.digest}
    with suppress(BadInputError, RefusedError):
        ground["model_id"] = here.models.current().model_id
    return ground


def ground_of(workspace: Path, plan: Plan) -> Ground:
    """What the workspace shows now of that on which a plan stands; the weather only of the days that the plan names."""
    from twin.cli.outlook import outdoor_means
    from twin.cli.proposals import present
    from twin.cli.workspace import Workspace

    days = [date.fromisoformat(day) for day in plan.evidence.outdoor_mean_c]
    here = Workspace.at(workspace)
    weather: Mapping[str, float] = {}
    if days:
        with suppress(BadInputError):
            weather = outdoor_means(here, present(here), days)
    return Ground(outdoor_mean_c=weather, **present_ground(workspace))


def flagged_points(workspace: Path, now: datetime) -> dict[str, str]:
    """Points whose data are excluded by a finding that reaches into the last day; they prove nothing now."""
    from connectors.ingest import Telemetry

    found = Telemetry(workspace / "var" / "telemetry").findings()
    return {
        one.point: one.sentence
        for one in found
        if one.excluded and one.point and (one.end is None or one.end >= now - timedelta(days=1))
    }


def principal_of(room: ControlRoom, name: str | None) -> Principal:
    """Who gives this command, proved by token or password.

    Raises:
        RefusedError: nobody said who they are, they sign in through an identity provider, which no terminal can ask, or
            the proof fails. The user of the operating system is no proof.
    """
    token = os.environ.get("UNDERSTUDY_TOKEN")
    if token and name is None:
        return room.identity.authenticate_token(token)
    if name is None:
        message = "say who you are with --as NAME; 'understudy user add NAME --role ROLE' makes an account"
        raise RefusedError(message)
    if (account := room.identity.user(name)) is not None and account.external:
        raise RefusedError(account.no_password)
    return room.identity.authenticate(name, password_for(name))


def password_for(name: str, variable: str = "UNDERSTUDY_PASSWORD") -> str:
    """A password from the environment, or asked for at the terminal; never from the command line.

    Raises:
        RefusedError: neither is there.
    """
    given = os.environ.get(variable)
    if given:
        return given
    if sys.stdin.isatty():
        return getpass.getpass(f"Password of {name}: ")
    message = f"no password for {name}: set {variable}, or run at a terminal"
    raise RefusedError(message)
