"""Tables of the documentation, made from the schemas: so the page and the program never disagree."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scenarios.spec import DriversSpec, OverrideSpec, PeriodSpec, ScenarioSpec
from twin.kpi import KPIS
from twin.policy_text import policy_rows


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in lines)


def _limits(field: FieldInfo) -> str:
    """Limits of a number as ``from … to …``; empty for anything else."""
    low = next((item.ge for item in field.metadata if getattr(item, "ge", None) is not None), None)
    high = next((item.le for item in field.metadata if getattr(item, "le", None) is not None), None)
    return f"{low:g} … {high:g}" if low is not None and high is not None else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return "replay"
    shown = {None: "–", (): "–", "": "–", (0,): "1"}
    if isinstance(value, dict):
        return "–"
    return shown[value] if value in shown else f"{value:g}" if isinstance(value, float) else str(value)


def _fields(model: type[BaseModel], without: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [
        (f"`{field.alias or name}`", _limits(field), _default(field), field.description or "")
        for name, field in model.model_fields.items()
        if name not in without
    ]


def scenario_table() -> str:
    """Keys of a scenario file."""
    rows = [(name, default, text) for name, _, default, text in _fields(ScenarioSpec)]
    rows += [(f"`period.{name.strip('`')}`", default, text) for name, _, default, text in _fields(PeriodSpec)]
    return _table(("key", "default", "meaning"), rows)


def drivers_table() -> str:
    """Options of drivers."""
    return _table(("option", "limits", "default", "meaning"), _fields(DriversSpec, without=("kind",)))


def override_table() -> str:
    """Keys of an override."""
    return _table(("key", "limits", "default", "meaning"), _fields(OverrideSpec))


def policy_table() -> str:
    """Every key of a policy."""
    return _table(("key", "accepted", "meaning"), [(f"`{key}`", words, text) for key, words, text in policy_rows()])


def kpi_table() -> str:
    """Every KPI."""
    return _table(
        ("KPI", "unit", "better", "meaning"),
        [(f"`{kpi.name}`", kpi.unit, kpi.better, kpi.description) for kpi in KPIS.values()],
    )


TABLES = {
    "scenario": scenario_table,
    "drivers": drivers_table,
    "override": override_table,
    "policy": policy_table,
    "kpi": kpi_table,
}


def with_tables(text: str) -> str:
    """A page with the table after each ``<!-- table: NAME -->`` made anew, up to ``<!-- end -->``."""
    for name, make in TABLES.items():
        begin = f"<!-- table: {name} -->"
        if begin in text:
            head, rest = text.split(begin, 1)
            _, tail = rest.split("<!-- end -->", 1)
            text = f"{head}{begin}\n{make()}\n<!-- end -->{tail}"
    return text
