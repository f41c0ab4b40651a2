"""Files for people: tables as CSV that no spreadsheet takes for formulas, reports as HTML that prints to PDF."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from flask import Flask, Response, abort

from dashboard.callbacks import current_visit
from dashboard.formats import csv_cell
from dashboard.reports import results_page, savings_page
from dashboard.services import Services
from dashboard.views import SavingView


def install(server: Flask, services: Services) -> None:
    """Adds the routes to a server; all of them need a signed-in person."""
    _results_routes(server, services)

    @server.get("/download/savings.csv")
    def savings_table() -> Response:
        visit = current_visit(services)
        header = (
            "plan",
            "title",
            "month",
            "kpi",
            "unit",
            "predicted",
            "low",
            "high",
            "realised",
            "low",
            "high",
            "verdict",
        )
        return csv_file("savings.csv", header, [_saving_row(one) for one in visit.services.plans.savings()])

    @server.get("/download/savings.html")
    def savings_report() -> Response:
        visit = current_visit(services)
        return Response(savings_page(visit.services.site.name, visit.services.plans.savings()), mimetype="text/html")

    @server.get("/download/audit.csv")
    def audit() -> Response:
        visit = current_visit(services)
        header = ("seq", "at", "actor", "event", "subject", "payload", "previous", "digest")
        rows = [tuple(getattr(row, name) for name in header) for row in visit.services.audit.rows()]
        return csv_file("audit.csv", header, rows)

    @server.get("/download/dossier/<plan_id>.html")
    def dossier(plan_id: str) -> Response:
        visit = current_visit(services)
        text = visit.services.plans.dossier(plan_id)
        if text is None:
            abort(404)
        response = Response(text, mimetype="text/html")
        response.headers["Content-Disposition"] = "attachment; filename=dossier.html"
        return response


def _results_routes(server: Flask, services: Services) -> None:
    @server.get("/download/results/<path:batch_id>.csv")
    def results(batch_id: str) -> Response:
        visit = current_visit(services)
        batch = visit.services.results.batch(batch_id)
        if batch is None:
            abort(404)
        header = ("scenario", "baseline", "kpi", "unit", "value", "low", "high", "delta", "delta_low", "delta_high")
        rows = []
        for one in batch.scenarios:
            for name, kpi in one.kpis.items():
                delta = one.delta.get(name)
                parts = (delta.value, delta.low, delta.high) if delta else (None, None, None)
                rows.append((one.name, one.baseline, name, kpi.unit, kpi.value, kpi.low, kpi.high, *parts))
        return csv_file("results.csv", header, rows)

    @server.get("/download/results/<path:batch_id>.html")
    def results_report(batch_id: str) -> Response:
        visit = current_visit(services)
        batch = visit.services.results.batch(batch_id)
        if batch is None:
            abort(404)
        return Response(results_page(visit.services.site.name, batch), mimetype="text/html")


def csv_file(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A table as a CSV file with guarded cells."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    response = Response(out.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return response


def _saving_row(one: SavingView) -> tuple[object, ...]:
    real = (one.realised.value, one.realised.low, one.realised.high) if one.realised else (None, None, None)
    promised = (one.predicted.value, one.predicted.low, one.predicted.high)
    return (one.plan_id, one.title, one.month, one.kpi, one.predicted.unit, *promised, *real, one.verdict)
