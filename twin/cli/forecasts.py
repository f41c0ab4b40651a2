"""Commands on forecasts: forecast, forecast backtest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twin.cli.output import HERE, JsonOption, Progress, WorkspaceOption, print_json, print_table, progress_bar, say

if TYPE_CHECKING:
    from forecasting.series import Series
    from twin.cli.workspace import Workspace
    from twin.health.finding import Finding

SeriesOption = Annotated[
    list[str] | None,
    typer.Option("--series", help="'people', a kind of site point such as electric_power, or a point id; repeatable."),
]
AtOption = Annotated[str | None, typer.Option("--at", help="Origin: aware time or local date; default: end of data.")]
HorizonOption = Annotated[str, typer.Option("--horizon", help="How far ahead, such as 48h or 7d.")]
MOST_DAYS = 400
BROKEN_DAYS = 14
_ROWS = 16
HISTORY_HOURS = 7 * 24
"""How much of the past is shown before a forecast."""
KEPT = Path("var", "forecasts", "latest.json")


def register(app: typer.Typer) -> None:
    """Adds the commands of this area to the application."""
    group = typer.Typer(invoke_without_command=True, help="Forecast people and loads, with 80 % intervals.")
    group.callback()(forecast)
    group.command("backtest")(backtest)
    app.add_typer(group, name="forecast")


def forecast(
    context: typer.Context,
    series: SeriesOption = None,
    at: AtOption = None,
    horizon: HorizonOption = "48h",
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Forecast series of the site: median and 80 % interval, by the forecaster that was best lately."""
    if context.invoked_subcommand is not None:
        context.obj = {"series": series, "at": at, "horizon": horizon, "workspace": workspace, "json": as_json}
        return
    hours = hours_of(horizon)
    with progress_bar("forecast") as tell:
        rows = forecast_rows(workspace, hours, tell, series, at)
    if as_json:
        print_json({"horizon_h": hours, "interval": "80 %", "series": rows})
        return
    for row in rows:
        _show_forecast(row)


def backtest(
    context: typer.Context,
    series: SeriesOption = None,
    horizon: HorizonOption = "48h",
    workspace: WorkspaceOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Errors of past forecasts against the baselines, and how often the interval held."""
    above = context.obj or {}
    names = series or above.get("series")
    folder = workspace if workspace != HERE else above.get("workspace", HERE)
    hours = hours_of(horizon if horizon != "48h" else above.get("horizon", "48h"))
    with progress_bar("backtest") as tell:
        rows = backtest_rows(folder, hours, tell, names, above.get("at"))
    if as_json or above.get("json"):
        print_json({"horizon_h": hours, "series": rows})
        return
    columns = ["series", "forecaster", "MAE", "to seasonal-naive", "coverage of 80 %", "lately"]
    print_table("Errors of past forecasts, rolling origins", columns, [cell for row in rows for cell in _lines(row)])
    for row in rows:
        if row["intervals_lie"]:
            say(f"{row['name']}: the 80 % intervals of the last weeks held too seldom; trust them less than they say")


def forecast_rows(
    folder: Path, hours: int, tell: Progress, names: Sequence[str] | None = None, at: str | None = None
) -> list[dict[str, object]]:
    """A forecast per series of a workspace; the newest of each is kept for the dashboard."""
    rows = _rows_of(series_of(folder, names, at), lambda one: _forecast_row(one, hours), tell)
    _keep(folder, rows)
    return rows


def kept_forecasts(folder: Path) -> dict[str, dict[str, Any]]:
    """Series → its newest forecast, as ``forecast --json`` gave it, with ``made_at``; empty before the first."""
    file = folder / KEPT
    if not file.is_file():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def kept_warnings(folder: Path) -> tuple[Finding, ...]:
    """Intervals of the newest forecasts that held too seldom, for the screens."""
    from twin.health.finding import finding_from_json

    rows = kept_forecasts(folder).values()
    return tuple(finding_from_json(one) for row in rows for one in row.get("findings", ()))


def _keep(folder: Path, rows: Sequence[dict[str, object]]) -> None:
    made_at = datetime.now(UTC).isoformat()
    together = kept_forecasts(folder) | {str(row["name"]): {**row, "made_at": made_at} for row in rows}
    file = folder / KEPT
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".partial")
    beside.write_text(json.dumps(together, ensure_ascii=False), encoding="utf-8")
    beside.replace(file)


def backtest_rows(
    folder: Path, hours: int, tell: Progress, names: Sequence[str] | None = None, at: str | None = None
) -> list[dict[str, object]]:
    """The errors of past forecasts per series of a workspace."""
    return _rows_of(series_of(folder, names, at), lambda one: _backtest_row(one, hours), tell)


def _rows_of(
    found: Sequence[Series], row: Callable[[Series], dict[str, object]], tell: Progress
) -> list[dict[str, object]]:
    rows = []
    for number, one in enumerate(found):
        tell(number, len(found), one.name)
        rows.append(row(one))
    return rows


def hours_of(text: str) -> int:
    """Hours of a horizon such as ``48h`` or ``7d``.

    Raises:
        BadInputError: another form, or more than two weeks.
    """
    from twin.errors import BadInputError

    match = re.fullmatch(r"(\d{1,4})(h|d)", text)
    hours = int(match[1]) * (24 if match[2] == "d" else 1) if match else 0
    if not 1 <= hours <= 336:
        raise BadInputError(f"horizon {text!r} is not between 1h and 14d; write for example 48h or 7d")
    return hours


def series_of(folder: Path, names: Sequence[str] | None, at: str | None) -> list[Series]:
    """Hourly series of a workspace by name, up to a moment.

    Raises:
        BadInputError: an unknown name, or no telemetry.
    """
    from twin.cli.workspace import Workspace
    from twin.vocab import PointKind

    here = Workspace.at(folder)
    end = _moment(at, here) if at is not None else None
    chosen = names or [name for name in ("people", PointKind.ELECTRIC_POWER.value) if _points(here, name)]
    return [_hourly(here, name, end) for name in chosen]


def _moment(text: str, here: Workspace) -> datetime:
    from twin.errors import BadInputError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"time {text!r} is not ISO 8601; write 2023-10-30 or 2023-10-30T06:00-06:00") from None
    if moment.tzinfo is None and len(text) > 10:
        raise BadInputError(f"time {text!r} has no time zone; add an offset such as 'Z' or '-06:00', or give a date")
    return moment.replace(tzinfo=moment.tzinfo or here.site.time_zone).astimezone(UTC)


def _points(here: Workspace, name: str) -> list[str]:
    """Points that a series is the sum of."""
    from twin.vocab import PointKind

    kind = PointKind.ZONE_OCCUPANCY.value if name == "people" else name
    if kind in {item.value for item in PointKind}:
        return [point.id for point in here.site.points_of(PointKind(kind))]
    return [point.id for point in here.site.points if point.id == name]


def _hourly(here: Workspace, name: str, end: datetime | None) -> Series:
    """The series as hourly means, from the last long hole on."""
    from forecasting.series import Series, SeriesKind
    from twin.errors import BadInputError
    from twin.vocab import KIND_FACTS, PointKind

    points = _points(here, name)
    if not points:
        kinds = sorted({point.kind.value for point in here.site.points})
        raise BadInputError(f"there is no series {name!r}; use people, a point id, or a kind: {', '.join(kinds)}")
    frame = here.telemetry.read(points=points, until=end)
    if frame.empty:
        raise BadInputError(f"no telemetry of {name} before {end}; run 'understudy ingest', or choose another time")
    wide = frame.pivot_table(index="timestamp", columns="point", values="value", observed=True)
    hourly = wide.resample("1h").mean()
    total = hourly.sum(axis=1, min_count=len(hourly.columns))
    total = total.iloc[-MOST_DAYS * 24 :]
    holes = total.isna().astype(int).groupby(total.notna().cumsum()).cumsum()
    broken = holes[holes >= BROKEN_DAYS * 24]
    total = total.loc[broken.index[-1] :].iloc[1:] if len(broken) else total
    kind = next(point.kind for point in here.site.points if point.id == points[0])
    is_people = kind is PointKind.ZONE_OCCUPANCY
    of_load = KIND_FACTS[kind].unit == "W"
    return Series(
        name=name,
        start=total.index[0].to_pydatetime(),
        step_s=3600.0,
        values=total.to_numpy(dtype=float),
        time_zone=here.site.time_zone,
        holidays=here.site.holidays,
        kind=SeriesKind.OCCUPANCY if is_people else SeriesKind.LOAD if of_load else SeriesKind.SIGNAL,
    )


def _forecast_row(series: Series, hours: int) -> dict[str, object]:
    import numpy as np

    from forecasting.choice import candidates, choose
    from forecasting.drift_watch import drifts
    from forecasting.series import SeriesKind

    chosen = choose(series, hours, candidates(series, hours, prophet=True))
    origin = np.array([len(series.values)])
    made = chosen.forecast(series, origin, hours)
    times = [series.start + timedelta(hours=len(series.values) + k) for k in range(hours)]
    values = [
        {"timestamp": time.isoformat(), "median": float(median), "low": float(low), "high": float(high)}
        for time, median, low, high in zip(times, made.median[0], made.low[0], made.high[0], strict=True)
    ]
    past = series.values[-HISTORY_HOURS:]
    first = len(series.values) - len(past)
    history = [
        {
            "timestamp": (series.start + timedelta(hours=first + k)).isoformat(),
            "value": None if np.isnan(v) else float(v),
        }
        for k, v in enumerate(past)
    ]
    return {
        "name": series.name,
        "unit": "people" if series.kind is SeriesKind.OCCUPANCY else "W" if series.kind is SeriesKind.LOAD else "",
        "at": times[0].isoformat(),
        "forecaster": "+".join(chosen.names),
        "recent_mae": chosen.scores,
        "coverage_pct": chosen.hindsight.coverage_pct,
        "coverage_days": round(chosen.hindsight.days, 1),
        "findings": [one.to_json() for one in chosen.findings(series)],
        "drift": [moment.isoformat() for moment in drifts(series)],
        "history": history,
        "values": values,
    }


def _backtest_row(series: Series, hours: int) -> dict[str, object]:
    from forecasting.backtest import backtest as tested
    from forecasting.profile import WeeklyProfile
    from forecasting.prophet_model import Prophet
    from forecasting.regression import Regression

    result = tested(series, hours, others=(WeeklyProfile(), Regression(horizon_h=hours), Prophet()))
    return {
        "name": series.name,
        "origins": result.origins,
        "mae": result.mae,
        "mae_ratio": result.mae_ratio,
        "chosen": list(result.chosen),
        "seasonal_naive_mae": result.naive_mae,
        "others_mae": result.others_mae,
        "cvrmse_pct": result.cvrmse_pct,
        "coverage_pct": result.coverage_pct,
        "rolling_coverage_pct": list(result.rolling_coverage_pct),
        "intervals_lie": result.lies,
    }


def _show_forecast(row: Mapping[str, Any]) -> None:
    values = row["values"]
    if not isinstance(values, list):
        return
    every = max(1, len(values) // _ROWS)
    cells = [
        [item["timestamp"], *(f"{item[name]:,.1f}" for name in ("median", "low", "high"))] for item in values[::every]
    ]
    print_table(f"{row['name']} by {row['forecaster']}", ["UTC", "median", "low", "high"], cells)
    say(f"{row['name']}: {held(row)}")
    for sentence in warnings_of(row):
        say(sentence)


def held(row: Mapping[str, Any]) -> str:
    """How often the interval of a forecast held lately, in words."""
    share = row.get("coverage_pct")
    if share is None:
        return "too little telemetry to tell how often the 80 % interval holds"
    return f"the 80 % interval held {share:.0f} % of the time over the last {row['coverage_days']:.0f} days"


def warnings_of(row: Mapping[str, Any]) -> list[str]:
    """What a reader of a forecast must know: intervals that did not hold, errors that drifted."""
    moments = ", ".join(map(str, row["drift"]))
    drift = [f"{row['name']}: errors drifted at {moments} UTC; look at what changed then"] if moments else []
    return [*(str(one["sentence"]) for one in row.get("findings", ())), *drift]


def _lines(row: dict[str, object]) -> list[list[str]]:
    naive = float(str(row["seasonal_naive_mae"]))
    others, lately = row["others_mae"], row["rolling_coverage_pct"]
    errors = {"seasonal_naive": naive, **(others if isinstance(others, dict) else {})}
    ours = [
        str(row["name"]),
        "automatic",
        f"{row['mae']:,.2f}",
        f"{row['mae_ratio']:.2f}",
        f"{row['coverage_pct']:.0f} %",
        f"{lately[-1]:.0f} %" if isinstance(lately, list) and lately else "–",
    ]
    return [
        ours,
        *(["", name, f"{mae:,.2f}", f"{mae / naive:.2f}" if naive else "–", "", ""] for name, mae in errors.items()),
    ]
