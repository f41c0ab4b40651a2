"""A batch as one HTML file that needs nothing else: deltas with intervals, end uses, comfort, all KPIs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from scenarios.expand import Scenario, Tree
from twin.kpi import KPIS
from twin.text.html_page import chart, heading, page, paragraph

if TYPE_CHECKING:
    import plotly.graph_objects as go

_END_USES = (("fan_kwh", "fans"), ("cooling_kwh", "cooling"), ("gas_kwh", "heating by gas"), ("it_kwh", "IT"))
_POWER = ("power_fan_w", "power_cooling_w", "power_heating_electric_w", "power_heating_gas_w")
_MAIN = ("hvac_kwh", "gas_kwh", "electricity_kwh", "peak_kw", "cost", "co2_kg", "occupied_discomfort_kh")


def report_html(
    summary: Mapping[str, object], folder: Path, scenarios: Sequence[Scenario], currency: str = "currency"
) -> str:
    """The report as HTML; Plotly is inside, nothing is fetched.

    Args:
        summary: the document of ``summary.json``.
        folder: the results, with their series.
        scenarios: in the order of the summary.
        currency: code of the site's currency.
    """
    entries = _entries(summary)
    gas = [("Change of gas against the baseline", deltas_figure(entries, "gas_kwh"))] if _burns_gas(entries) else []
    figures = [
        ("Change of HVAC electricity against the baseline", deltas_figure(entries, "hvac_kwh")),
        *gas,
        ("Energy by end use", end_uses_figure(entries)),
        ("HVAC electricity against comfort", comfort_figure(entries)),
    ]
    if scenarios:
        figures.append(("Power through the period", power_figure(folder, scenarios)))
    parts = [
        _model_note(summary),
        paragraph(
            "Median and 80 % interval of paired runs. A delta is scenario − baseline: negative energy is a saving. "
            "“HVAC” is electricity of fans, cooling and electric heating; gas has a column of its own."
        ),
        kpi_table(entries, currency),
    ]
    for index, (title, figure) in enumerate(figures):
        parts += [heading(title), chart(f"figure-{index}", figure)]
    parts.append(heading("Policies"))
    parts.extend(_policy_note(entry) for entry in entries)
    return page(f"Scenarios of {summary['site']}", parts)


def _entries(summary: Mapping[str, object]) -> list[Tree]:
    return cast("list[Tree]", summary["scenarios"])


def _model_note(summary: Mapping[str, object]) -> str:
    model = cast("Mapping[str, object]", summary["model"])
    text = f"<p><small>batch {escape(str(summary['id']))}, model {escape(str(model.get('model_id', '')))}</small></p>"
    if model.get("accepted") is False:
        reasons = "; ".join(str(reason) for reason in cast("list[object]", model.get("reasons") or []))
        text += paragraph(f"This model was not accepted by calibration: {reasons}", "warn")
    return text


def _policy_note(entry: Tree) -> str:
    policy = escape(json.dumps(entry["policy"], indent=1, ensure_ascii=False))
    findings = "".join(f"<li>{escape(str(finding))}</li>" for finding in cast("list[object]", entry["findings"]))
    head = f"<h3>{escape(str(entry['name']))}</h3><p>{escape(str(entry['description']))}</p>"
    return f"{head}<pre>{policy}</pre><ul>{findings}</ul>"


def _number(entry: Tree, block: str, kpi: str, bound: str = "value") -> float | None:
    kpis = cast("dict[str, dict[str, float]]", entry.get(block) or {})
    return kpis[kpi][bound] if kpi in kpis else None


def _burns_gas(entries: Sequence[Tree]) -> bool:
    return any(_number(entry, "kpis", "gas_kwh") for entry in entries)


def kpi_table(entries: Sequence[Tree], currency: str) -> str:
    """Main KPIs of all scenarios with their intervals, and their deltas in units and per cent."""
    names = [name for name in _MAIN if _number(entries[0], "kpis", name) is not None]
    units = {name: currency if KPIS[name].unit == "currency" else KPIS[name].unit for name in names}
    head = "".join(f"<th>{name}<br><small>{escape(units[name])}</small></th>" for name in names)
    rows = []
    for entry in entries:
        cells = "".join(f"<td>{_cell(entry, name)}</td>" for name in names)
        rows.append(f"<tr><td>{escape(str(entry['name']))}</td>{cells}</tr>")
    return f"<table><thead><tr><th>scenario</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(entry: Tree, name: str) -> str:
    kpis = cast("dict[str, dict[str, float]]", entry["kpis"])
    deltas = cast("dict[str, dict[str, Any]]", entry.get("delta_vs_baseline") or {})
    lines = []
    if name in kpis:
        own = kpis[name]
        lines.append(f"{own['value']:,.1f}<br><small>({own['low']:,.1f} … {own['high']:,.1f})</small>")
    if name in deltas:
        lines.append(f"<small>Δ {_signed(deltas[name])}</small>")
        if "percent" in deltas[name]:
            lines.append(f"<small>Δ {_signed(deltas[name]['percent'])} %</small>")
    return "<br>".join(lines)


def _signed(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:+,.1f} ({interval['low']:+,.1f} … {interval['high']:+,.1f})"


def deltas_figure(entries: Sequence[Tree], kpi: str) -> go.Figure:
    """Delta of one KPI with its interval, a bar per scenario that has a baseline."""
    import plotly.graph_objects as go

    shown = [entry for entry in entries if _number(entry, "delta_vs_baseline", kpi) is not None]
    values = [_number(entry, "delta_vs_baseline", kpi) or 0.0 for entry in shown]
    lows = [_number(entry, "delta_vs_baseline", kpi, "low") or 0.0 for entry in shown]
    highs = [_number(entry, "delta_vs_baseline", kpi, "high") or 0.0 for entry in shown]
    bars = go.Bar(
        x=values,
        y=[str(entry["name"]) for entry in shown],
        orientation="h",
        error_x={
            "type": "data",
            "array": [high - value for high, value in zip(highs, values, strict=True)],
            "arrayminus": [value - low for low, value in zip(lows, values, strict=True)],
        },
    )
    figure = go.Figure(bars)
    unit = KPIS[kpi].unit
    return figure.update_layout(xaxis_title=f"scenario − baseline [{unit}]", height=160 + 34 * len(shown))


def end_uses_figure(entries: Sequence[Tree]) -> go.Figure:
    """Energy by end use, a stacked bar per scenario."""
    import plotly.graph_objects as go

    names = [str(entry["name"]) for entry in entries]
    figure = go.Figure()
    for label, energy in _energies(entries).items():
        figure.add_bar(y=names, x=energy, name=label, orientation="h")
    return figure.update_layout(barmode="stack", xaxis_title="energy [kWh]", height=200 + 34 * len(names))


def _energies(entries: Sequence[Tree]) -> dict[str, list[float]]:
    """Energy by end use, of every scenario. [kWh]"""
    energies = {label: [_number(entry, "kpis", kpi) or 0.0 for entry in entries] for kpi, label in _END_USES}
    heating = [_number(entry, "kpis", "heating_kwh") or 0.0 for entry in entries]
    pairs = zip(heating, energies["heating by gas"], strict=True)
    energies["heating by electricity"] = [max(total - gas, 0.0) for total, gas in pairs]
    return energies


def comfort_figure(entries: Sequence[Tree]) -> go.Figure:
    """HVAC electricity against occupied discomfort, a point per scenario."""
    import plotly.graph_objects as go

    points = go.Scatter(
        x=[_number(entry, "kpis", "hvac_kwh") for entry in entries],
        y=[_number(entry, "kpis", "occupied_discomfort_kh") for entry in entries],
        text=[str(entry["name"]) for entry in entries],
        mode="markers+text",
        textposition="top center",
    )
    return go.Figure(points).update_layout(
        xaxis_title="HVAC electricity [kWh]", yaxis_title="occupied discomfort [K·h]", height=460
    )


def power_figure(folder: Path, scenarios: Sequence[Scenario], most: int = 6) -> go.Figure:
    """Mean power of HVAC, gas included, of the first scenarios, from their series."""
    import plotly.graph_objects as go
    import pyarrow.parquet as pq

    figure = go.Figure()
    for scenario in scenarios[:most]:
        file = folder / "series" / f"{scenario.index:04d}.parquet"
        if not file.is_file():
            continue
        frame = pq.read_table(file).to_pandas().set_index("timestamp")
        columns = [name for name in _POWER if name in frame]
        power = frame[columns].astype(float).sum(axis=1) / 1000.0
        every = "1h" if len(power) <= 21 * 96 else "1D"
        mean = power.resample(every).mean().round(4)
        figure.add_scatter(x=mean.index.strftime("%Y-%m-%dT%H:%M").tolist(), y=mean.tolist(), name=scenario.name)
    return figure.update_layout(yaxis_title="HVAC electricity and gas, first run [kW]", xaxis_title="UTC", height=420)
