"""The result of the demo, at the terminal and as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twin.cli.output import print_table, say
from twin.text.html_page import chart, figures, heading, page, paragraph, table

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from twin.model import Model


def show(facts: Mapping[str, Any]) -> None:
    """The result for a person."""
    calibration, plan, push = facts["calibration"], facts["plan"], facts["push"]
    errors = calibration["metrics"]
    meters = [(name, value) for name, value in errors.items() if isinstance(value, dict) and "nmbe_pct" in value]
    print_table(
        f"Calibration on unseen weeks: zones {errors['zone_rmse_k']:.2f} K, "
        f"{'accepted' if calibration['accepted'] else 'NOT accepted'}",
        ("meter", "hourly CV(RMSE)", "NMBE"),
        [[name, f"{v['cvrmse_pct']:.1f} %", f"{v['nmbe_pct']:+.1f} %"] for name, v in meters],
    )
    print_table(
        "What if (last four weeks)", ("scenario", "HVAC", "IT", "discomfort"), _scenario_rows(facts["scenarios"])
    )
    say(f"plan {plan['id'][:12]}: {plan['title']}; risk class {plan['risk_class']}, {plan['waves']} waves")
    say(f"  proposer's own approval: {facts['approval']['by_proposer_refused']}")
    say(f"  approved by {', '.join(facts['approval']['approved_by'])}")
    counted = ", ".join(f"{count} {state}" for state, count in push["steps"].items())
    say(
        f"  push: {push['state']} ({counted}); after a week {push['state_after_a_week']}; "
        f"points still held after release-all: {push['points_still_held']}"
    )
    print_table("Predicted and realised saving of the week", *_saving_rows(facts["verification"]))
    comfort = facts["discomfort_kh"]
    say(f"occupied discomfort: {comfort['untouched']:.0f} K·h untouched, {comfort['plan']:.0f} K·h with the plan")
    say(
        f"accounts to play on with (--as NAME, UNDERSTUDY_PASSWORD={facts['accounts']['password']}): "
        f"{', '.join(facts['accounts']['names'])}"
    )
    say(f"audit log: {facts['audit_rows']} rows, {'proved' if facts['audit_ok'] else 'BROKEN'}")


_LEAST_BASE = {"occupied_discomfort_kh": 20.0}
"""Below this value of the baseline a change is said as it is: a share of next to nothing means nothing. [K·h]"""


def _scenario_rows(entries: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    def cell(entry: Mapping[str, Any], kpi: str, digits: int = 1) -> str:
        delta = entry.get("delta_vs_baseline", {}).get(kpi)
        if delta is None:
            return f"{entry['kpis'][kpi]['value']:,.0f} {entry['kpis'][kpi]['unit']}"
        base = entry["kpis"][kpi]["value"] - delta["value"]
        relative = "percent" in delta and abs(base) >= _LEAST_BASE.get(kpi, 0.0)
        share, unit = (delta["percent"], " %") if relative else (delta, f" {delta['unit']}")
        digits = digits if relative else 1
        return f"{share['value']:+.{digits}f} ({share['low']:+.{digits}f} … {share['high']:+.{digits}f}){unit}"

    return [
        [str(e["name"]), cell(e, "hvac_kwh"), cell(e, "it_kwh"), cell(e, "occupied_discomfort_kh", 0)] for e in entries
    ]


def _saving_rows(rows: Mapping[str, Any]) -> tuple[tuple[str, ...], list[list[str]]]:
    columns = ("energy", "predicted", "80 % interval", "realised", "inside", "by meters and twin")
    return columns, [
        [
            kpi.removesuffix("_kwh"),
            f"{row['predicted_pct']['value']:.1f} %",
            f"{row['predicted_pct']['low']:.1f} … {row['predicted_pct']['high']:.1f} %",
            f"{row['realised_pct']:.1f} %",
            "yes" if row["inside"] else "no",
            _measured(row),
        ]
        for kpi, row in rows.items()
    ]


def _measured(row: Mapping[str, Any]) -> str:
    if "measured_pct" not in row:
        return "no meter"
    of = row["measured_pct"]
    return f"{of['value']:.1f} ({of['low']:.1f} … {of['high']:.1f}) %"


def demo_page(model: Model, facts: Mapping[str, Any]) -> str:
    """The report of the demo: fit, forecast, scenarios, plan, push, and what came true."""
    from twin.cli.calibration_report import sections
    from twin.cli.forecasts import warnings_of

    predicted, plan, push = facts["predicted_saving_pct"], facts["plan"], facts["push"]
    interval = f"{predicted['low']:.1f} … {predicted['high']:.1f} %"
    columns, rows = _saving_rows(facts["verification"])
    parts = [
        paragraph("The whole loop on the bundled site: learned, rehearsed, approved, pushed, verified, given back."),
        figures(
            [
                ("HVAC electricity that came true in the building", f"{facts['realised_saving_pct']:.1f} %"),
                (f"predicted by the twin ({interval})", f"{predicted['value']:.1f} %"),
                ("zone temperature error on unseen weeks", f"{model.metrics['zone_rmse_k']:.2f} K"),
                ("audit log", "proved" if facts["audit_ok"] else "BROKEN"),
            ]
        ),
        heading("Predicted and realised saving of the week"),
        chart("savings", savings_figure(facts["verification"])),
        table(columns, rows),
        heading("What if: scenarios against the baseline, last four weeks"),
        chart("scenarios", scenarios_figure(facts["scenarios"])),
        table(("scenario", "HVAC", "IT", "discomfort"), _scenario_rows(facts["scenarios"])),
        heading("Forecast of the next two days"),
        *(chart(f"forecast-{i}", forecast_figure(one)) for i, one in enumerate(facts["forecast"]["series"])),
        *(paragraph(text) for one in facts["forecast"]["series"] for text in warnings_of(one)),
        heading(f"Plan {plan['id'][:12]}: {plan['title']}"),
        paragraph(f"Risk class {plan['risk_class']}, {plan['waves']} waves. {plan['rehearsal']}."),
        paragraph(f"Approved by {', '.join(facts['approval']['approved_by'])}. {push['state']}: {push['reason']}."),
        table(("point", "wave", "now", "planned", "unit"), [_step_row(step) for step in plan["steps"]]),
        *sections(model),
    ]
    return page("Understudy: the demo", parts)


def _step_row(step: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(step["point"]), str(step["wave"]), _shown(step["now"]), _shown(step["planned"]), str(step["unit"]))


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def savings_figure(rows: Mapping[str, Any]) -> go.Figure:
    """Predicted saving with its interval beside the realised one, by energy."""
    import plotly.graph_objects as go

    names = [kpi.removesuffix("_kwh") for kpi in rows]
    predicted = [row["predicted_pct"] for row in rows.values()]
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=[p["value"] for p in predicted],
        name="predicted by the twin, 80 % interval",
        error_y={
            "type": "data",
            "array": [p["high"] - p["value"] for p in predicted],
            "arrayminus": [p["value"] - p["low"] for p in predicted],
        },
    )
    figure.add_bar(x=names, y=[row["realised_pct"] for row in rows.values()], name="came true in the building")
    return figure.update_layout(yaxis_title="saving [%]", height=420, barmode="group")


def scenarios_figure(entries: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Change of HVAC electricity by scenario, with its interval."""
    import plotly.graph_objects as go

    shown = [(e["name"], e["delta_vs_baseline"]["hvac_kwh"]["percent"]) for e in entries if "delta_vs_baseline" in e]
    bars = go.Bar(
        y=[name for name, _ in shown],
        x=[share["value"] for _, share in shown],
        orientation="h",
        error_x={
            "type": "data",
            "array": [share["high"] - share["value"] for _, share in shown],
            "arrayminus": [share["value"] - share["low"] for _, share in shown],
        },
    )
    return go.Figure(bars).update_layout(
        xaxis_title="HVAC electricity, scenario − baseline [%]", height=160 + 34 * len(shown), margin={"l": 240}
    )


def forecast_figure(row: Mapping[str, Any]) -> go.Figure:
    """Median and 80 % band of one series."""
    import plotly.graph_objects as go

    times = [value["timestamp"] for value in row["values"]]
    figure = go.Figure()
    figure.add_scatter(x=times, y=[v["high"] for v in row["values"]], line={"width": 0}, showlegend=False)
    figure.add_scatter(
        x=times, y=[v["low"] for v in row["values"]], fill="tonexty", line={"width": 0}, name="80 % interval"
    )
    figure.add_scatter(x=times, y=[v["median"] for v in row["values"]], name="median")
    unit = "people" if row["name"] == "people" else "W"
    return figure.update_layout(
        title=f"{row['name']} ({row['forecaster']})", yaxis_title=unit, xaxis_title="UTC", height=340
    )
