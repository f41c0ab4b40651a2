"""The REST interface for other tools: telemetry in, scenarios, plans, KPIs, health, and metrics for Prometheus."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, Response, abort, g, request

from dashboard.api_document import openapi
from dashboard.pages.what_if import scenario_request
from dashboard.services import Services
from dashboard.views import BatchView, Role
from twin.errors import BadInputError, OutsideWorldError, RefusedError, UnderstudyError
from twin.jobs import Job

MOST_ROWS = 100_000
STATUS: Mapping[type[UnderstudyError], int] = {BadInputError: 400, RefusedError: 403, OutsideWorldError: 503}


def install(server: Flask, services: Services) -> None:
    """Adds the interface below ``/api/v1`` to a server."""
    blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
    blueprint.register_error_handler(UnderstudyError, _refusal)
    _reading_routes(blueprint, services)
    _scenario_routes(blueprint, services)
    _plan_routes(blueprint, services)
    _telemetry_routes(blueprint, services)

    @blueprint.get("/live")
    def live() -> Response:
        return answer({"status": "ok"})

    @blueprint.get("/openapi.json")
    def document() -> Response:
        return answer(openapi())

    server.register_blueprint(blueprint)


def answer(document: object, status: int = 200) -> Response:
    """A JSON document; numbers that are not finite become null."""
    text = json.dumps(_finite(document), ensure_ascii=False, allow_nan=False, default=str)
    return Response(text, status=status, mimetype="application/json")


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_finite(item) for item in value]
    return value


def _refusal(error: UnderstudyError) -> Response:
    return answer({"error": {"message": str(error), "exit_code": error.exit_code}}, STATUS.get(type(error), 403))


def _require(role: Role) -> str:
    if not g.person.may(role):
        abort(403, f"{g.person.user} is no {role}")
    user: str = g.person.user
    return user


def body() -> dict[str, Any]:
    """The request's JSON object, read strictly: no NaN, no key twice.

    Raises:
        BadInputError: it is none.
    """
    if not request.is_json:
        raise BadInputError("the body is not JSON; send Content-Type: application/json")
    try:
        document = json.loads(request.get_data(), parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"the body cannot be read as JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadInputError("the body is not a JSON object")
    return document


def _no_constant(word: str) -> float:
    message = f"{word} is no number of JSON"
    raise ValueError(message)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        message = "a key stands twice in one object"
        raise ValueError(message)
    return dict(pairs)


def batch_document(batch: BatchView) -> dict[str, object]:
    """A batch of results for other tools."""
    return {
        "id": batch.id,
        "made_at": batch.made_at,
        "model_id": batch.model_id,
        "model_accepted": batch.model_accepted,
        "scenarios": [asdict(one) for one in batch.scenarios],
    }


def job_document(job: Job) -> dict[str, object]:
    """A job for other tools."""
    return {**asdict(job), "state": job.state.value, "share": job.share}


def _reading_routes(blueprint: Blueprint, services: Services) -> None:
    @blueprint.get("/health")
    def health() -> Response:
        findings = services.telemetry.findings()
        points = services.telemetry.health()
        model = services.models.latest()
        trouble = services.audit.trouble()
        return answer(
            {
                "journal": {"ok": not trouble, "trouble": trouble},
                "findings": [asdict(one) for one in findings],
                "points": [asdict(one) for one in points],
                "model": asdict(model) if model else None,
            },
            503 if trouble else 200,
        )

    @blueprint.get("/metrics")
    def metrics() -> Response:
        return Response(metrics_text(services), mimetype="text/plain; version=0.0.4")

    @blueprint.get("/audit")
    def audit() -> Response:
        since = request.args.get("since", default=0, type=int)
        return answer({"rows": [asdict(row) for row in services.audit.rows() if row.seq > since]})

    @blueprint.get("/jobs/<job_id>")
    def job(job_id: str) -> Response:
        found = services.jobs.get(job_id)
        return answer(job_document(found)) if found else answer({"error": {"message": "no such job"}}, 404)


def _scenario_routes(blueprint: Blueprint, services: Services) -> None:
    @blueprint.get("/results")
    def results() -> Response:
        return answer({"results": [batch_document(batch) for batch in services.results.batches()]})

    @blueprint.get("/results/<batch_id>")
    def one(batch_id: str) -> Response:
        batch = services.results.batch(batch_id)
        return answer(batch_document(batch)) if batch else answer({"error": {"message": "no such results"}}, 404)

    @blueprint.get("/kpis")
    def kpis() -> Response:
        batches = services.results.batches()
        rows = [
            {"result": batch.id, "scenario": one.name, "kpi": name, **asdict(kpi)}
            for batch in batches[:50]
            for one in batch.scenarios
            for name, kpi in one.kpis.items()
        ]
        return answer({"kpis": rows, "savings": [asdict(one) for one in services.plans.savings()]})

    @blueprint.post("/scenarios")
    def run() -> Response:
        user = _require(Role.PROPOSER)
        asked = body()
        period = asked.get("period") or {}
        policy = asked.get("policy")
        if not isinstance(policy, dict) or not isinstance(period, dict):
            raise BadInputError("policy and period must be objects; see /api/v1/openapi.json")
        days = [str(period["from"]), str(period["to"])] if {"from", "to"} <= period.keys() else None
        wanted = scenario_request(str(asked.get("name", "")), str(asked.get("drivers", "replay")), days, policy)
        return answer(job_document(services.jobs.submit("run", wanted, user)), 202)


def _plan_routes(blueprint: Blueprint, services: Services) -> None:
    @blueprint.get("/plans")
    def plans() -> Response:
        rows = [
            {
                "id": one.plan.id,
                "title": one.plan.title,
                "state": one.record.state.value,
                "risk_class": one.plan.risk_class,
                "proposer": one.plan.proposer,
                "created_at": one.plan.created_at,
                "expires_at": one.plan.expires_at,
            }
            for one in services.plans.all()
        ]
        return answer({"mode": services.plans.mode().value, "plans": rows})

    @blueprint.get("/plans/<plan_id>")
    def plan(plan_id: str) -> Response:
        one = services.plans.get(plan_id)
        return answer(
            {"plan": one.plan.to_json(), "record": asdict(one.record), "steps": [asdict(s) for s in one.steps]}
        )


def _telemetry_routes(blueprint: Blueprint, services: Services) -> None:
    @blueprint.post("/telemetry")
    def take() -> Response:
        _require(Role.OPERATOR)
        rows = body().get("rows")
        if not isinstance(rows, list) or not rows:
            raise BadInputError("rows is missing or empty; send a list of [timestamp, point, value]")
        if len(rows) > MOST_ROWS:
            message = f"{len(rows)} rows are more than {MOST_ROWS}; send them in parts"
            raise BadInputError(message)
        known = {point.id for point in services.site.points}
        frame = _frame([_row(index, row, known) for index, row in enumerate(rows)])
        return answer({"received": len(rows), "new": services.telemetry.append(frame)}, 201)


def _row(index: int, row: object, known: set[str]) -> tuple[datetime, str, float]:
    where = f"rows[{index}]"
    if not isinstance(row, list) or len(row) != 3:
        raise BadInputError(f"{where} is not [timestamp, point, value]")
    at, point, value = row
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise BadInputError(f"{where}: value {value!r} is not a finite number")
    if point not in known:
        raise BadInputError(f"{where}: the site file has no point {point!r}; add it there first")
    try:
        moment = datetime.fromisoformat(str(at))
    except ValueError:
        raise BadInputError(f"{where}: {at!r} is not a time; write 2023-07-01T06:00:00Z") from None
    if moment.tzinfo is None:
        raise BadInputError(f"{where}: time {at} has no time zone; add an offset such as Z or +01:00")
    return moment.astimezone(UTC), point, float(value)


def _frame(rows: list[tuple[datetime, str, float]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=["timestamp", "point", "value"])


def metrics_text(services: Services) -> str:
    """What Prometheus scrapes: ages, findings, plans by state, jobs by state."""
    lines: list[str] = []
    health = services.telemetry.health()
    _family(lines, "understudy_point_age_seconds", "Age of the newest row of a point.")
    lines += [
        f'understudy_point_age_seconds{{point="{_label(one.point)}"}} {one.age_s:.0f}'
        for one in health
        if one.age_s is not None
    ]
    _family(lines, "understudy_findings", "Open findings on the data.")
    lines.append(f"understudy_findings {len(services.telemetry.findings())}")
    _counted(lines, "understudy_plans", "Plans by state.", [one.record.state.value for one in services.plans.all()])
    _counted(lines, "understudy_jobs", "Jobs by state.", [job.state.value for job in services.jobs.all()])
    _family(lines, "understudy_journal_ok", "0 while the journal cannot take the next row: nothing is pushed.")
    lines.append(f"understudy_journal_ok {int(not services.audit.trouble())}")
    model = services.models.latest()
    _family(lines, "understudy_model_accepted", "1 while the model in use is accepted.")
    lines.append(f"understudy_model_accepted {int(model is not None and model.accepted)}")
    return "\n".join(lines) + "\n"


def _family(lines: list[str], name: str, text: str) -> None:
    lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]


def _counted(lines: list[str], name: str, text: str, states: list[str]) -> None:
    _family(lines, name, text)
    lines += [f'{name}{{state="{_label(state)}"}} {states.count(state)}' for state in sorted(set(states))]


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
