"""Command that calibrates the twin: calibrate."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from twin.cli.output import (
    HERE,
    JsonOption,
    Progress,
    WorkspaceOption,
    note,
    print_json,
    print_table,
    progress_bar,
    say,
)
from twin.cli.telemetry import moment
from twin.cli.workspace import Workspace

if TYPE_CHECKING:
    from twin.model import Model
    from twin.telemetry import CalibrationData


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    app.command("calibrate")(calibrate)


def calibrate(
    workspace: WorkspaceOption = HERE,
    since: Annotated[str | None, typer.Option("--from", help="First moment; all telemetry by default.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="End, this moment itself left out.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A coarser fit in less than a minute.")] = False,
    seed: Annotated[int, typer.Option(help="Of the ensemble of parameters.")] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put the model in force even if it is worse than the one that is.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit the twin to the telemetry, say how well it does on weeks that it never saw, and keep the model.

    A model that is worse than the one in force on recent weeks is kept, but does not take its place.
    """
    here = Workspace.at(workspace)
    zone = here.site.time_zone
    begin, end = moment(since, zone, "--from"), moment(until, zone, "--to")
    with progress_bar("calibrate") as tell:
        model = calibrated(here, begin, end, quick=quick, seed=seed, replace=replace, tell=tell)
    if not model.accepted:
        note(
            f"warning: the model was NOT ACCEPTED: {'; '.join(model.reasons)}. It is kept and can run scenarios, each "
            "marked so; 'plan propose' refuses it. Mend what the findings name or bring in more weeks"
        )
    report = here.var("models", f"{model.model_id}.html")
    in_force = here.models.current().model_id == model.model_id
    if as_json:
        print_json({**document(model), "in_force": in_force, "report": str(report)})
        return
    show(model)
    say(f"report: {report}")
    if not in_force:
        say("the model in force stays; 'understudy calibrate --replace' puts the new one in its place all the same")


def record_of(here: Workspace, since: datetime | None = None, until: datetime | None = None) -> CalibrationData:
    """What the telemetry tells of a period, without the spans that data health excludes."""
    from connectors.ingest import Telemetry
    from twin.telemetry import calibration_data

    rows = here.rows(since, until)
    begin, last = (rows["timestamp"].agg(which).to_pydatetime() for which in ("min", "max"))
    end = last + timedelta(seconds=here.site.step_s)
    return calibration_data(
        here.site, rows, since or begin, until or end, excluded=Telemetry(here.var("telemetry")).findings()
    )


def calibrated(
    here: Workspace,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    quick: bool = False,
    seed: int = 0,
    replace: bool = False,
    tell: Progress | None = None,
) -> Model:
    """Fits, keeps and reports a model, and makes it the one in use unless that does better; findings say which."""
    from twin.calibration import calibrate as fit
    from twin.cli.calibration_report import calibration_page

    def progress(stage: str, share: float) -> None:
        if tell is not None:
            tell(share, 1.0, stage)

    data = record_of(here, since, until)
    model = fit(here.site, data, seed=seed, quick=quick, progress=progress)
    worse = () if replace else _against_incumbent(here, data, model)
    model = dataclasses.replace(model, findings=worse + model.findings)
    here.models.save(model, use=not worse)
    here.var("models", f"{model.model_id}.html").write_text(calibration_page(model), encoding="utf-8")
    return model


def _against_incumbent(here: Workspace, data: CalibrationData, model: Model) -> tuple[str, ...]:
    """Findings about a model that is worse than the one in force; none where it may take its place."""
    from twin.calibration.incumbent import worse_than
    from twin.errors import RefusedError

    try:
        old = here.models.current()
    except RefusedError:
        return ()
    return tuple(f"not put in force: {why}" for why in worse_than(here.site, data, model, old))


def document(model: Model) -> dict[str, object]:
    """What a calibration came to, for a JSON document; errors on weeks that no fit saw, in per cent."""
    meters = {
        fit.meter: {
            "cvrmse_pct": 100.0 * fit.hourly_cvrmse,
            "cvrmse_monthly_pct": 100.0 * fit.monthly_cvrmse,
            "nmbe_pct": 100.0 * fit.nmbe,
        }
        for fit in model.meters
    }
    prefix = "zone_rmse_k/"
    zones = {name.removeprefix(prefix): value for name, value in model.metrics.items() if name.startswith(prefix)}
    return {
        "model_id": model.model_id,
        "accepted": model.accepted,
        "reasons": list(model.reasons),
        "metrics": {"zone_rmse_k": model.metrics["zone_rmse_k"], **meters, "zones_rmse_k": zones},
        "findings": list(model.findings),
        "period": {"from": model.start.isoformat(), "to": model.end.isoformat()},
        "hold_out_weeks": list(model.hold_out_weeks),
    }


def meter_rows(model: Model) -> list[list[str]]:
    """A row per meter: hourly and monthly CV(RMSE) and NMBE."""
    return [
        [f.meter, f"{f.hourly_cvrmse:.1%}", f"{f.monthly_cvrmse:.1%}", f"{f.nmbe:+.1%}", f"{f.share:.0%}"]
        for f in model.meters
    ]


METER_COLUMNS = ("meter", "hourly CV(RMSE)", "monthly CV(RMSE)", "NMBE", "share of HVAC")


def verdict_of(model: Model) -> str:
    """Accepted, or why not, in a sentence."""
    bars = "ASHRAE Guideline 14: hourly 30 % and ±10 %, monthly 15 % and ±5 %"
    return f"accepted ({bars})" if model.accepted else f"not accepted: {'; '.join(model.reasons)}"


def show(model: Model) -> None:
    """The result for a person."""
    print_table("Errors on weeks that no fit saw", METER_COLUMNS, meter_rows(model))
    say(f"zone temperatures: {model.metrics['zone_rmse_k']:.2f} K RMSE in the mean, open loop")
    say(f"model {model.model_id[:12]}: {verdict_of(model)}")
    for finding in model.findings:
        say(f"  - {finding}")
