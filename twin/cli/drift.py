"""Whether the building still does what its twin says: the errors since calibration against those at calibration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from twin.cli.output import HERE, JsonOption, WorkspaceOption, note, print_json, print_table, say
from twin.cli.workspace import Workspace
from twin.errors import BadInputError, RefusedError
from twin.text.canonical import plain, thing_from

if TYPE_CHECKING:
    from twin.calibration.drifted import Drift
    from twin.calibration.residuals import HourlyErrors
    from twin.health.finding import Finding
    from twin.model import Model

ALARMS_PER_MONTH = 0.3
"""Chance of a false alarm within a month over all series of a site together."""
LEAST_CHANCE = 0.01
"""Of one series, which three hundred resamples can still tell."""
IN_FORCE_H = 168
"""A drift whose last sign is older has ended."""


def register(app: typer.Typer) -> None:
    """Adds the command of this area to the application."""
    app.command("drift")(drift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the telemetry since calibration says of the twin."""

    model_id: str
    watched_h: int
    """Hours of telemetry that are newer than the calibration."""
    drifts: tuple[Drift, ...]
    """Those in force, the largest first; empty also where nothing could be judged."""
    unjudged: str = ""
    """Why nothing could be judged."""

    def blocking(self) -> tuple[str, ...]:
        """A sentence for each drift that no plan may rest on."""
        return tuple(one.sentence() for one in self.drifts if one.blocks)

    def findings(self) -> tuple[Finding, ...]:
        """Every drift as the screens show it."""
        return tuple(one.finding() for one in self.drifts)


def watch(here: Workspace) -> Watch:
    """The present judgement; kept beside the models and made anew when telemetry, its health or the model changed.

    Raises:
        RefusedError: there is no model.
    """
    model, kept = here.models.current(), _kept_file(here)
    stamp = _stamp(here, model)
    if (before := _read(kept)) is not None and before[0] == stamp:
        return before[1]
    found = _judged(here, model)
    _write(kept, stamp, found)
    return found


def kept_findings(folder: Path) -> tuple[Finding, ...]:
    """Drifts that the last judgement found, for the screens; none when another model is in use since."""
    here = Workspace.at(folder)
    before = _read(_kept_file(here))
    try:
        model_id = here.models.current_id()
    except RefusedError:
        return ()
    return before[1].findings() if before is not None and before[1].model_id == model_id else ()


def blocking_drifts(folder: Path) -> tuple[str, ...]:
    """Why no plan may rest on the twin of a workspace now; a workspace without a model has no twin to leave."""
    try:
        return watch(Workspace.at(folder)).blocking()
    except (RefusedError, BadInputError):
        return ()


def require_no_drift(here: Workspace) -> None:
    """Nothing when the building still does what the twin says.

    Raises:
        RefusedError: it does not; series, since when and size are named.
    """
    if found := watch(here).blocking():
        raise RefusedError(f"no plan is proposed from a twin that the building has left: {'; '.join(found)}")


def _kept_file(here: Workspace) -> Path:
    return here.var("models", "drift.json")


def _stamp(here: Workspace, model: Model) -> str:
    """Changes with the model, with every month of telemetry and with its health."""
    files = sorted(here.var("telemetry", "x").parent.glob("*.*"))
    return ":".join([model.model_id, here.site_file.digest, *(f"{f.name}@{f.stat().st_mtime_ns}" for f in files)])


def _read(file: Path) -> tuple[str, Watch] | None:
    from twin.calibration.drifted import Drift

    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        drifts = tuple(thing_from(Drift, one) for one in document["drifts"])
        told = Watch(
            model_id=document["model_id"],
            watched_h=document["watched_h"],
            drifts=drifts,
            unjudged=document["unjudged"],
        )
        return str(document["stamp"]), told
    except (OSError, ValueError, KeyError, TypeError, BadInputError):
        return None


def _write(file: Path, stamp: str, found: Watch) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps({"stamp": stamp, **plain(found)}, indent=1), encoding="utf-8")
    fresh.replace(file)


def _judged(here: Workspace, model: Model) -> Watch:
    from twin.calibration.residuals import hourly_errors
    from twin.cli.models import record_of

    try:
        data = record_of(here, model.start)
        errors = hourly_errors(here.site, model.parameters, data)
        calibrated_h = round((model.end - data.drivers.start) / timedelta(hours=1))
        return judged(model.model_id, errors, data.drivers.start, calibrated_h)
    except BadInputError as error:
        return Watch(model_id=model.model_id, watched_h=0, drifts=(), unjudged=str(error))


def judged(model_id: str, errors: Sequence[HourlyErrors], start: datetime, calibrated_h: int) -> Watch:
    """Drifts in force of errors of which the first hours are those at calibration.

    Args:
        model_id: of the twin.
        errors: of all series, hourly from ``start`` on.
        start: the first hour.
        calibrated_h: hours of the record that the twin was calibrated to.
    """
    watched = max((len(one.errors) for one in errors), default=0) - calibrated_h
    if watched <= 0:
        return Watch(model_id=model_id, watched_h=0, drifts=(), unjudged="no telemetry is newer than the calibration")
    chance = max(ALARMS_PER_MONTH / len(errors), LEAST_CHANCE)
    found = [drift for one in errors if (drift := _drift(one, start, calibrated_h, chance)) is not None]
    found.sort(key=lambda one: (not one.blocks, -abs(one.sigma)))
    return Watch(model_id=model_id, watched_h=watched, drifts=tuple(found))


def _drift(one: HourlyErrors, start: datetime, calibrated_h: int, chance: float) -> Drift | None:
    """The drift of one series that is in force at its end; None too where calibration had less than a week of it."""
    import numpy as np

    from forecasting.drift import DriftDetector
    from twin.calibration.drifted import Drift

    try:
        detector = DriftDetector.configured(one.errors[:calibrated_h], alarms_per_month=chance)
    except BadInputError:
        return None
    errors = one.errors[calibrated_h:]
    known = np.flatnonzero(~np.isnan(errors))
    alarms = [alarm for alarm in detector.alarms(errors) if known[-1] - alarm.last <= IN_FORCE_H]
    if not alarms:
        return None
    alarm = max(alarms, key=lambda each: each.last)
    size = float(np.nanmean(errors[alarm.since :])) - detector.centre
    begin = start + timedelta(hours=calibrated_h)
    return Drift(
        series=one.series,
        unit=one.unit,
        since=begin + timedelta(hours=alarm.since),
        until=begin + timedelta(hours=int(known[-1]) + 1),
        size=size,
        sigma=size / detector.scale,
        level=one.level,
    )


def drift(workspace: WorkspaceOption = HERE, as_json: JsonOption = False) -> int:
    """Say whether the building still does what its twin says; exit code 3 while plans are blocked."""
    found = watch(Workspace.at(workspace))
    blocked = found.blocking()
    if as_json:
        rows = [{**plain(one), "blocks": one.blocks, "sentence": one.sentence()} for one in found.drifts]
        print_json({**plain(found), "drifts": rows, "plans_blocked": bool(blocked)})
    else:
        _show(found)
    if blocked:
        note(f"no plan is proposed, approved or started: {len(blocked)} series have left the twin")
    return 3 if blocked else 0


def _show(found: Watch) -> None:
    if found.unjudged:
        say(f"not judged: {found.unjudged}")
        return
    rows = [
        [
            one.series,
            f"{one.since:%Y-%m-%d %H:%M}",
            f"{one.size:+.2f} {one.unit}",
            f"{one.sigma:+.1f}",
            str(one.blocks),
        ]
        for one in found.drifts
    ]
    if rows:
        print_table("Series that have left the twin", ["series", "since (UTC)", "by", "sigma", "blocks plans"], rows)
    say(f"{found.watched_h} h of telemetry since calibration; {len(rows)} series have left the twin")
