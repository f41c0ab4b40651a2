"""Reports for people who have no account: whole HTML pages that need nothing from elsewhere and print to PDF."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dashboard.formats import interval
from dashboard.views import BatchView, SavingView, kpi_label

_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1f2933; }}
table {{ border-collapse: collapse; width: 100%; }} th, td {{ text-align: left; padding: .4rem .6rem;
border-bottom: 1px solid #d5dbe1; }} caption {{ text-align: left; padding: .5rem 0; color: #5b6875; }}
</style></head><body>"""


def savings_page(site: str, savings: Sequence[SavingView]) -> str:
    """The savings report as one page."""
    rows = [
        (
            one.title,
            one.month,
            kpi_label(one.kpi),
            interval(one.predicted),
            interval(one.realised) if one.realised else "not measured",
            one.verdict,
        )
        for one in savings
    ]
    head = ("Plan", "Month", "KPI", "Predicted", "Realised", "Verdict")
    return page(f"Savings of {site}", [table(head, rows, "A saving is positive; brackets hold the 80 % interval.")])


def results_page(site: str, batch: BatchView) -> str:
    """What-if results as one page: a table a scenario, with its difference to the baseline."""
    about = "Brackets hold the 80 % interval; a difference is scenario − baseline."
    judged = "" if batch.model_accepted else " The model behind them was not accepted by its calibration."
    parts = [f"<p>{escape(about + judged)}</p>"]
    for one in batch.scenarios:
        rows = [
            (
                kpi_label(name),
                interval(kpi),
                interval(one.delta.get(name), signed=True),
                interval(one.delta_percent.get(name), signed=True),
            )
            for name, kpi in one.kpis.items()
        ]
        parts += [f"<h2>{escape(one.name)}</h2>", f"<p>{escape(one.description)}</p>"]
        parts.append(table(("KPI", "Value", f"Against {one.baseline or 'nothing'}", "In per cent"), rows, ""))
    return page(f"What-if results {batch.id} of {site}", parts)


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """An HTML table of escaped cells."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><tr>{top}</tr>{body}</table>"


def page(title: str, parts: Sequence[str]) -> str:
    """A page that needs nothing from elsewhere."""
    shown = escape(title)
    return f"{_HEAD.format(title=shown)}<h1>{shown}</h1>{''.join(parts)}</body></html>"
