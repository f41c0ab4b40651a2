"""A calibration as one HTML page: verdict, errors by meter and zone, residuals by week, parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.text.html_page import chart, figures, heading, page, paragraph, table

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from twin.model import Model, Residuals


def calibration_page(model: Model) -> str:
    """The report page of a model; needs nothing but itself."""
    return page(f"Calibration of {model.site}", sections(model))


def sections(model: Model) -> list[str]:
    """The parts of the page, to stand in a larger one too."""
    from twin.cli.models import METER_COLUMNS, meter_rows, verdict_of

    zones = sorted(
        (name.partition("/")[2], value) for name, value in model.metrics.items() if name.startswith("zone_rmse_k/")
    )
    parts = [
        figures(
            [
                ("mean error of zone temperatures on unseen weeks, open loop", f"{model.metrics['zone_rmse_k']:.2f} K"),
                *((f"NMBE of {fit.meter} on unseen weeks", f"{fit.nmbe:+.1%}") for fit in model.meters[:1]),
                ("weeks held out", f"{len(model.hold_out_weeks)}"),
            ]
        ),
        paragraph(f"Model {model.model_id[:12]}: {verdict_of(model)}", "" if model.accepted else "warn"),
        heading("Meters on unseen weeks"),
        table(METER_COLUMNS, meter_rows(model)),
        heading("Energy by week"),
    ]
    parts += [chart(f"residuals-{i}", residuals_figure(one)) for i, one in enumerate(model.residuals)]
    parts += [
        heading("Zone temperatures on unseen weeks"),
        table(("zone", "RMSE [K]"), [(zone, f"{value:.2f}") for zone, value in zones]),
        heading("What the data could not tell"),
        *(paragraph(finding) for finding in model.findings),
        heading("What single weeks decide"),
        table(
            ("week of the record", "HVAC energy without it", "parameter that moves most", "over its half interval"),
            [(f"{one.week}", f"{one.energy:+.2%}", one.parameter, f"{one.reach:.0%}") for one in model.influence],
        ),
        heading("Parameters"),
        paragraph("At 80 %, all parameters lie within their intervals at once."),
        table(
            ("parameter", "value", "interval", "unit", "identified", "at bound"),
            [
                (
                    r.name,
                    f"{r.value:.4g}",
                    f"{r.low:.4g} … {r.high:.4g}",
                    r.unit,
                    "yes" if r.identified else "no",
                    "yes" if r.at_bound else "",
                )
                for r in model.reports
            ],
        ),
    ]
    return parts


def residuals_figure(series: Residuals) -> go.Figure:
    """Measured and simulated energy of a meter by week; weeks that no fit saw are hatched."""
    import plotly.graph_objects as go

    pattern = {"shape": ["/" if held else "" for held in series.held_out]}
    weeks = list(series.week)
    figure = go.Figure()
    figure.add_bar(x=weeks, y=list(series.measured_kwh), name="measured", marker={"pattern": pattern})
    figure.add_bar(x=weeks, y=list(series.simulated_kwh), name="twin", marker={"pattern": pattern})
    return figure.update_layout(
        title=f"{series.meter} (hatched: held out)",
        xaxis_title="week of the record",
        yaxis_title="energy [kWh]",
        height=320,
    )
