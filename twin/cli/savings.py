"""What a pushed plan really saved: meters against the twin under the operation that the plan replaced."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.control_room import AsOption, ControlRoom, open_control_room, principal_of
from twin.cli.output import HERE, JsonOption, WorkspaceOption, print_json, print_table
from twin.cli.plans import PlanArgument, plans
from twin.cli.workspace import Workspace
from twin.plan import PlanState
from twin.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from twin.model import Model
    from twin.plans.document import Interval, Plan
    from twin.plans.reckoning import Compared
    from twin.plans.records import AuditRow, PlanView
    from twin.plans.verification import Difference, Verification
    from twin.telemetry import CalibrationData

    Array = NDArray[np.float64]

LEAD_DAYS = 3
"""Days before the period that the twin runs along, so that its mass has forgotten its start."""
HOST_DAYS = 28
"""Days before the push on which the twin's hosts are held against the measured ones."""
HOURS_PER_DAY = 24
LEAST_HOURS = HOURS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """Meters and the twin over a period."""

    data: CalibrationData
    kpis: Mapping[str, Compared]
    outdoor_c: Array


def register(_: typer.Typer) -> None:
    """Adds the command of this area to those on plans."""
    plans.command("verify")(verify)


def verify(
    plan: PlanArgument,
    until: Annotated[str | None, typer.Option("--until", help="End; the plan's own end or the last telemetry.")] = None,
    as_user: AsOption = None,
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """What a pushed plan really saved, by the meters and the twin without the plan, with an interval."""
    from twin.cli.telemetry import moment
    from twin.text.canonical import plain

    here, room = Workspace.at(workspace), open_control_room(workspace, connectors={})
    who = principal_of(room, as_user)
    end = moment(until, here.site.time_zone, "--until")
    reports = verified(here, room, room.store.resolve(plan), who.name, end)
    if as_json:
        print_json({"plan_id": reports[0].plan_id, "savings": [plain(report) for report in reports]})
        return
    first = reports[0]
    title = f"saved from {first.start:%d %B %Y %H:%M} to {first.end:%d %B %Y %H:%M} UTC"
    rows = [[r.meter, _span(r.predicted_pct), _span(r.saving_pct), _span(r.saving_kwh), r.verdict] for r in reports]
    print_table(title, ("saved", "predicted", "realised", "realised", "verdict"), rows)


def verified(
    here: Workspace, room: ControlRoom, plan_id: str, actor: str, until: datetime | None = None
) -> list[Verification]:
    """Reports of a pushed plan, a report per KPI that a meter shows; each is kept in the journal.

    Raises:
        RefusedError: the plan was never in force, or not for a day yet.
    """
    return [room.store.add_verification(report, actor) for report in measured(here, room, plan_id, until)]


def reopened(here: Workspace, room: ControlRoom, actor: str) -> list[Verification]:
    """New versions of reports whose period has got other telemetry since, as by rows that came late; old ones stay."""
    done = []
    for record in room.store.records():
        known = {report.meter: report for report in room.store.verifications(record.plan_id)}
        start, end = next(((one.start, one.end) for one in known.values()), (None, None))
        digests = {one.data_digest for one in known.values()} - {""}
        if start is None or end is None or not digests or digests == {_held(here, start, end)}:
            continue
        for report in measured(here, room, record.plan_id, end):
            if (before := known.get(report.meter)) is not None:
                late = f"{report.points - before.points:+d} hours of telemetry since version {before.version}"
                report = replace(report, sentences=(*report.sentences, late))  # noqa: PLW2901 - the same report
            done.append(room.store.add_verification(report, actor))
    return done


def _held(here: Workspace, start: datetime, end: datetime) -> str:
    """Digest of the telemetry of a period, whatever the order in which it came."""
    import pandas as pd

    rows = here.rows(start, end).astype({"point": "str"}).sort_values(["point", "timestamp", "value"])
    return hashlib.sha256(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes()).hexdigest()


def measured(here: Workspace, room: ControlRoom, plan_id: str, until: datetime | None = None) -> list[Verification]:
    """What the meters say of a pushed plan now; nothing is kept.

    Raises:
        RefusedError: the plan was never in force, or not for a day yet.
    """
    import numpy as np

    from twin.errors import RefusedError
    from twin.plans.verification import remarks_of_push, verify_saving

    view = room.store.view(plan_id)
    start, end = in_force(here, room.store.audit(), view, until)
    model = here.models.load(view.plan.evidence.model_id)
    period, errors = counterfactual(here, model, start, end), unseen(here, model, start)
    reports = [
        verify_saving(
            plan_id=view.plan.id,
            meter=kpi,
            start=start,
            end=end,
            measured_kwh=one.measured_kwh,
            counterfactual_kwh=one.modelled_kwh,
            residuals_kwh=errors[kpi].residuals_at(float(np.nanmean(one.modelled_kwh))),
            predicted_pct=predicted_pct(view.plan, kpi),
            differences=_differences(view.plan, period, start, here),
            block=HOURS_PER_DAY,
            remarks=remarks_of_push(view.plan, view.steps),
        )
        for kpi, one in period.kpis.items()
        if kpi in errors and len(errors[kpi].residuals_kwh) >= LEAST_HOURS
    ]
    if not reports:
        message = (
            f"no meter of {here.site.name} shows what plan {plan_id[:12]} saves; map one in site.yaml (docs/site.md)"
        )
        raise RefusedError(message)
    held = _held(here, start, end)
    return [replace(report, data_digest=held) for report in reports]


def in_force(
    here: Workspace, rows: Sequence[AuditRow], view: PlanView, until: datetime | None
) -> tuple[datetime, datetime]:
    """Begin and end of whole hours in which every wave of a plan was in force and telemetry is there.

    Raises:
        RefusedError: it was never pushed in whole, or is in force for less than a day.
    """
    from twin.errors import RefusedError

    own = [(row, json.loads(row.payload)) for row in rows if row.subject == view.plan.id]
    pushed = [_at(row) for row, payload in own if payload.get("state") == PlanState.PUSHED.value]
    if not pushed:
        message = f"plan {view.plan.id[:12]} is {view.record.state} and was never pushed in whole; nothing to measure"
        raise RefusedError(message)
    undone = [_at(row) for row, _ in own if row.event.startswith(("revert", "release")) and _at(row) > pushed[0]]
    held = here.telemetry.period()
    last = held[1] + timedelta(seconds=here.site.step_s) if held else pushed[0]
    ends = [view.plan.hold_until, last, *undone[:1], *([until] if until else [])]
    hour = timedelta(seconds=SECONDS_PER_HOUR)
    start, end = _floor(pushed[0] + hour - timedelta(microseconds=1)), _floor(min(ends))
    if end - start < LEAST_HOURS * hour:
        hours = max((end - start) / hour, 0.0)
        message = f"plan {view.plan.id[:12]}: {hours:.0f} h of telemetry since its push, {LEAST_HOURS} h are the least"
        raise RefusedError(f"{message}; run 'understudy ingest', or wait")
    return start, end


def counterfactual(here: Workspace, model: Model, start: datetime, end: datetime) -> Reckoning:
    """Meters of a period beside the twin under the site's own operation, met by the days as they were."""
    from twin.cli.models import record_of
    from twin.cli.recorded_drivers import TelemetryDrivers
    from twin.plans.reckoning import compared, uses_w
    from twin.run import simulate

    held = here.telemetry.period()
    early = max(start - timedelta(days=LEAD_DAYS), held[0]) if held else start
    drivers = TelemetryDrivers(here).recorded(early, end)
    run = simulate(here.site, model.parameters, drivers, here.site.operation)
    first = round((start - early).total_seconds() / drivers.step_s)
    data = record_of(here, start, end)
    power = uses_w(drivers, run.building.power_w, run.it_power_w)
    modelled = {use: watts[first:] for use, watts in power.items()}
    kpis = compared(here.site, data, modelled, _hosts_w(here, start, end))
    return Reckoning(data=data, kpis=kpis, outdoor_c=drivers.weather.outdoor_c[first:])


def unseen(here: Workspace, model: Model, before: datetime) -> dict[str, Compared]:
    """Meters beside the twin by KPI, on what no fit saw.

    Of the building on the weeks that calibration held out, with the commands of the time; of the hosts, which are not
    fitted, on the days before the push.
    """
    import numpy as np

    from twin.calibration.bench import Bench
    from twin.calibration.targets import COLUMN
    from twin.cli.models import record_of
    from twin.plans.reckoning import compared, uses_w
    from twin.units import SECONDS_PER_DAY

    data = record_of(here, model.start, model.end)
    bench = Bench(here.site, data)
    run = bench.run(model.parameters)
    steps = data.drivers.steps
    power = {use: np.full(steps, np.nan) for use in COLUMN}
    for use, column in COLUMN.items():
        power[use][bench.rows[bench.settled]] = run.power_w[bench.settled, column]
    hosts = data.drivers.host_power_w
    known = uses_w(data.drivers, power, np.zeros(steps) if hosts is None else hosts.sum(axis=1))
    weeks = np.arange(steps) * data.drivers.step_s // (7 * SECONDS_PER_DAY)
    held_out = np.isin(weeks, model.hold_out_weeks) | (not model.hold_out_weeks)
    modelled = {use: np.where(held_out, watts, np.nan) for use, watts in known.items()}
    of_building = compared(here.site, data, modelled)
    of_hosts = _before(here, model, before).kpis.get("it_kwh")
    return of_building if of_hosts is None else {**of_building, "it_kwh": of_hosts}


def _before(here: Workspace, model: Model, before: datetime) -> Reckoning:
    """Unbroken days before the push, at most four weeks."""
    from twin.cli.recorded_drivers import TelemetryDrivers

    history = TelemetryDrivers(here).history(before)
    return counterfactual(here, model, max(history.start, history.end - timedelta(days=HOST_DAYS)), history.end)


def _hosts_w(here: Workspace, start: datetime, end: datetime) -> Array | None:
    """Measured power of all hosts, NaN where one is unknown; None where none is measured. [W]"""
    import numpy as np

    from twin.telemetry import regular_grid
    from twin.vocab import PointKind

    hosts = [host.id for host in here.site.hosts]
    if not hosts or not here.site.points_of(PointKind.HOST_POWER):
        return None
    grid = regular_grid(here.site, here.rows(start, end), start, end)
    watts: Array = grid.of(PointKind.HOST_POWER, hosts).sum(axis=1)
    return None if np.isnan(watts).all() else watts


def _differences(plan: Plan, period: Reckoning, start: datetime, here: Workspace) -> tuple[Difference, ...]:
    """What was otherwise than the plan counted on."""
    from twin.plans.verification import Difference

    days = plan.evidence.outdoor_mean_c
    local = start.astimezone(here.site.time_zone).date()
    steps = round(86_400.0 / period.data.drivers.step_s)
    count = -(-len(period.outdoor_c) // steps)
    assumed = [days[key] for k in range(count) if (key := (local + timedelta(days=k)).isoformat()) in days]
    if not assumed:
        return ()
    mean, was = sum(assumed) / len(assumed), float(period.outdoor_c.mean())
    return (Difference(name="outdoor temperature, mean", assumed=mean, realised=was, unit="°C"),)


def predicted_pct(plan: Plan, kpi: str) -> Interval | None:
    """What a plan promised to save of a KPI; None where it does not speak of it. [%]"""
    from twin.plans.document import Interval

    for told in plan.kpis:
        if told.name == kpi and told.baseline.value:
            scale = -100.0 / told.baseline.value
            delta = told.delta
            return Interval(value=delta.value * scale, low=delta.high * scale, high=delta.low * scale, unit="%")
    return None


def _at(row: AuditRow) -> datetime:
    return datetime.fromisoformat(row.at)


def _floor(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _span(interval: Interval | None) -> str:
    if interval is None:
        return "–"
    return f"{interval.value:.1f} ({interval.low:.1f} … {interval.high:.1f}) {interval.unit}".strip()
