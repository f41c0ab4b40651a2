"""The dossier as one self-contained HTML page: no scripts, no links to elsewhere, every text escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from twin.kpi import KPIS

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #888; --good: #2a7f4f; --bad: #b3402f; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--quiet); font-weight: 600 } td.number { text-align: right; font-variant-numeric: tabular-nums }
code { font-size: .85em; overflow-wrap: anywhere } .quiet { color: var(--quiet) }
.tag { border: 1px solid currentColor; border-radius: 1rem; padding: .05rem .6rem; font-size: .85rem }
.scroll { overflow-x: auto } @media print { .scroll { overflow: visible } }
"""


def dossier_page(document: Mapping[str, Any]) -> str:
    """The page of a dossier document."""
    parts = [
        f"<h1>{_text(document['title'])}</h1>",
        f"<p>{_text(document['question'])}</p>",
        f"<p><span class=tag>{_text(document['state']['name'])}</span> {_text(document['state']['reason'])}</p>",
        f"<p class=quiet>plan <code>{_text(document['plan_id'])}</code>, site {_text(document['site'])}, "
        f"proposed by {_text(document['proposer'])}</p>",
        _window(document["window"]),
        _section("Predicted effect", _effects(document["effects"])),
        _section("What was really saved", _verification(document["verification"])),
        _section("Risk", _risk(document)),
        _section("Approvals", _table(document["approvals"], ("by", "decision", "reason", "at", "valid_until"))),
        _section("Every target: now, planned, until", _targets(document["targets"])),
        _section("The way back", _rollback(document["rollback"])),
        _section("Guards", _table(document["guards"], ("name", "point", "low", "high", "unit"))),
        _section("Data and calibration", _grounds(document)),
        _section("Assumptions", _list(document["assumptions"])),
        _section("Alternatives weighed", _table(document["alternatives"], ("name", "reason"))),
        _section("Digests", _pairs(document["digests"])),
        _section("Log", _table(document["log"], ("row", "at", "who", "what", "why", "steps"))),
    ]
    body = "\n".join(part for part in parts if part)
    title = f"<title>{_text(document['title'])}</title>"
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'>{title}"
    return f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{body}</body></html>\n"


def _text(value: object) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(key))} {_text(item)}" for key, item in value.items()) or "–"
    text = str(value)
    return f"{text[:10]} {text[11:16]} UTC" if _MOMENT.fullmatch(text) else escape(text)


def _window(window: Mapping[str, Any]) -> str:
    return (
        f"<p>May start from {_text(window['not_before'])}, no wave after {_text(window['no_wave_after'])}; "
        f"the values are held until {_text(window['held_until'])}, then given back.</p>"
    )


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>{body}" if body else ""


def _table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> str:
    if not rows:
        return "<p class=quiet>none</p>"
    columns = tuple(columns)
    head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
    lines = "".join(f"<tr>{''.join(_cell(row.get(column)) for column in columns)}</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"


def _cell(value: object) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"<td{' class=number' if number else ''}>{_text(value)}</td>"


def _span(interval: Mapping[str, Any]) -> str:
    return (
        f"{_text(interval['value'])} ({_text(interval['low'])} to {_text(interval['high'])}) {_text(interval['unit'])}"
    )


def _effects(kpis: Sequence[Mapping[str, Any]]) -> str:
    """What changes, with what each KPI means; what stays is named in one line."""
    moved = [k for k in kpis if _moves(k)]
    rows = [
        {
            "what": _meaning(k["name"]),
            "now": _span(k["baseline"]),
            "with the plan": _span(k["candidate"]),
            "change": _span(k["delta"]),
        }
        for k in moved
    ]
    still = ", ".join(_meaning(k["name"]) for k in kpis if not _moves(k))
    unchanged = f"<p class=quiet>Unchanged: {_text(still)}.</p>" if still else ""
    note = "<p class=quiet>Median and 80 % interval from paired runs of the calibrated twin over the time ahead.</p>"
    return _table(rows, ("what", "now", "with the plan", "change")) + unchanged + note


def _moves(kpi: Mapping[str, Any]) -> bool:
    """Whether a KPI changes by more than a ten-thousandth of what it is."""
    size = max(abs(kpi["baseline"]["value"]), abs(kpi["candidate"]["value"]))
    return bool(max(abs(kpi["delta"]["low"]), abs(kpi["delta"]["high"])) > 1e-4 * size)


def _meaning(name: str) -> str:
    known = KPIS.get(name)
    return name if known is None else f"{known.description} ({name})"


def _verification(reports: Sequence[Mapping[str, Any]]) -> str:
    if not reports:
        return "<p class=quiet>not measured yet</p>"
    newest = {report["meter"]: report for report in reports}
    last = reports[-1]
    rows = [
        {
            "saved": report["meter"],
            "predicted": _span(report["predicted_pct"]) if report["predicted_pct"] else "–",
            "realised": _span(report["saving_pct"]),
            "realised energy": _span(report["saving_kwh"]),
            "verdict": report["verdict"],
            "measured share": report["coverage"],
            "independent residuals": report["effective_points"],
            "version": report["version"],
        }
        for report in newest.values()
    ]
    said = [f"{name}: {sentence}" for name, report in newest.items() for sentence in report["sentences"][:2]]
    period = _pairs({"period": f"{last['start']} to {last['end']}"})
    return period + _table(rows, rows[0]) + _list([*said, *last["sentences"][2:]])


def _risk(document: Mapping[str, Any]) -> str:
    risk = document["risk"]
    return f"<p>Class {risk['class']}, needs {risk['approvers_needed']} approvals</p>{_list(risk['reasons'])}"


def _targets(targets: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        {
            **one,
            "wave": f"{one['wave']} (canary)" if one["canary"] else str(one["wave"]),
            "until": one["expires_at"],
            "note": "; ".join(
                part
                for part in (
                    one["note"],
                    "" if one["reversibility"] == "reversible" else f"{one['reversibility']}: {one['why']}",
                    "" if one["inside_calibrated_range"] else "outside the calibrated range",
                )
                if part
            ),
        }
        for one in targets
    ]
    return _table(rows, ("wave", "point", "now", "planned", "unit", "until", "state", "note"))


def _rollback(rollback: Mapping[str, Any]) -> str:
    rehearsal = rollback["rehearsal"]
    said = "Rehearsed in the twin" if rehearsal["ok"] else "Not rehearsed in the twin"
    return f"<p>{said}: {_text(rehearsal['summary'])}</p>" + _table(rollback["recipe"], ("point", "how", "prior"))


def _grounds(document: Mapping[str, Any]) -> str:
    metrics = _pairs(document["calibration"]["metrics"])
    return f"<p>Data <code>{_text(document['data']['digest'])}</code></p>{_list(document['data']['health'])}{metrics}"


def _pairs(facts: Mapping[str, Any]) -> str:
    return _table([{"": key, " ": value} for key, value in facts.items()], ("", " ")) if facts else ""


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(sentence)}</li>' for sentence in sentences)}</ul>" if sentences else ""
