"""The OpenAPI document of the REST interface."""

from __future__ import annotations

from typing import Any

from twin.policy_text import policy_schema

_JOB = {"$ref": "#/components/schemas/Job"}


def openapi() -> dict[str, Any]:
    """The document, version 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Understudy",
            "version": "1",
            "description": "Telemetry in, what-if runs, results, plans, health, metrics. Plans are approved and pushed "
            "by people, on the dashboard or the command line, never here.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": {
            "/live": {"get": {**_operation("Whether the server answers"), "security": []}},
            "/openapi.json": {"get": _operation("This document")},
            "/health": {
                "get": _operation("Journal (503 while it is full), findings, health of every point, model in use")
            },
            "/metrics": {"get": _operation("Metrics for Prometheus", media="text/plain")},
            "/audit": {"get": _operation("Rows of the audit log", parameters=[_query("since", "integer")])},
            "/jobs/{job_id}": {"get": _operation("A job", parameters=[_path("job_id")], schema=_JOB)},
            "/results": {"get": _operation("All batches of results")},
            "/results/{batch_id}": {"get": _operation("One batch", parameters=[_path("batch_id")])},
            "/kpis": {"get": _operation("KPIs of all scenarios, and savings")},
            "/scenarios": {"post": _operation("Run a what-if against the baseline", body=_scenario(), status="202")},
            "/plans": {"get": _operation("All plans with their states")},
            "/plans/{plan_id}": {"get": _operation("A plan's document and state", parameters=[_path("plan_id")])},
            "/telemetry": {
                "post": _operation(
                    "Add rows of telemetry, idempotently; 429 with Retry-After while others are in work",
                    body=_rows(),
                    status="201",
                )
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Job": _job(), "Policy": policy_schema()},
        },
    }


def _operation(
    summary: str,
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    schema: dict[str, Any] | None = None,
    status: str = "200",
    media: str = "application/json",
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {
            status: {"description": "done", "content": {media: {"schema": schema or {}}}},
            "400": {"description": "bad input: the message names thing, value, limit and remedy"},
            "401": {"description": "no valid token"},
            "403": {"description": "the person's roles, or a policy, forbid it"},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}}


def _scenario() -> dict[str, Any]:
    day = {"type": "string", "format": "date"}
    return {
        "type": "object",
        "required": ["name", "policy"],
        "properties": {
            "name": {"type": "string", "maxLength": 80},
            "drivers": {"enum": ["replay", "forecast", "synthetic"], "default": "replay"},
            "period": {"type": "object", "properties": {"from": day, "to": day}, "description": "both days included"},
            "policy": {"$ref": "#/components/schemas/Policy"},
        },
    }


def _rows() -> dict[str, Any]:
    row = {
        "type": "array",
        "prefixItems": [{"type": "string", "format": "date-time"}, {"type": "string"}, {"type": "number"}],
        "minItems": 3,
        "maxItems": 3,
    }
    return {"type": "object", "required": ["rows"], "properties": {"rows": {"type": "array", "items": row}}}


def _job() -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    return {
        "type": "object",
        "properties": {"id": text, "kind": text, "state": text, "share": number, "what": text, "message": text},
    }
