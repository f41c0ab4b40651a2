"""The reference part of ``docs/site.md``, written from the models so that page and program cannot disagree.

``python -m connectors.settings.reference docs/site.md`` renews the generated parts of the page in place.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors.settings.document import SiteDocument
from twin.policy_text import policy_rows
from twin.units import ENERGY_PER_STEP_J, TO_INSIDE
from twin.vocab import KIND_FACTS, EndUse

_MARK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def key_tables() -> str:
    """A table per block of the site file: every key, what it takes, its default and meaning."""
    parts: list[str] = []
    for title, model in _blocks("", SiteDocument):
        parts += [f"### {title or 'Top level'}", ""]
        if title:
            parts += [" ".join((model.__doc__ or "").split()), ""]
        parts += ["| key | takes | default | meaning |", "|---|---|---|---|"]
        parts += [_row(name, info) for name, info in model.model_fields.items()]
        parts.append("")
    return "\n".join(parts)


def _row(name: str, info: FieldInfo) -> str:
    takes = ", ".join(part for part in (_takes(info.annotation), _limits(info)) if part)
    return f"| `{name}` | {takes} | {_default(info)} | {_cell(info.description or '')} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    value = info.default
    if value is None or value in ((), {}, "") or isinstance(value, BaseModel):
        return "–"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value if item)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`".replace("|", "\\|").replace("\t", "\\t")


def _limits(info: FieldInfo) -> str:
    """Numeric limits of a field, for people."""
    words = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [
        f"{sign} {getattr(part, name):g}"
        for part in info.metadata
        for name, sign in words.items()
        if isinstance(getattr(part, name, None), int | float)
    ]
    return " and ".join(found)


def _takes(annotation: Any) -> str:
    """What a field takes, for people."""
    bare = _bare(annotation)
    origin = get_origin(bare)
    if origin is Literal:
        return ", ".join(f"`{value}`".replace("|", "\\|").replace("\t", "\\t") for value in get_args(bare))
    if origin is tuple:
        return f"list of {_takes(get_args(bare)[0])}"
    if origin is not None and len(get_args(bare)) == 2:
        return f"name → {_takes(get_args(bare)[1])}"
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return f"[block](#{_anchor(bare)})"
    if isinstance(bare, type) and issubclass(bare, StrEnum):
        return "see below" if len(bare) > 12 else ", ".join(f"`{value}`" for value in bare)
    plain = {float: "number", int: "whole number", bool: "true or false", str: "text"}
    return plain.get(bare, "date" if getattr(bare, "__name__", "") == "date" else "mapping")


def _anchor(model: type[BaseModel]) -> str:
    found = next((title for title, one in _blocks("", SiteDocument) if one is model), "")
    return re.sub(r"[^a-z_]", "", found.lower())


def _bare(annotation: Any) -> Any:
    if get_origin(annotation) in {Union, types.UnionType}:
        return _bare(next(item for item in get_args(annotation) if item is not type(None)))
    return _bare(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else annotation


def _blocks(title: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Blocks with their path in the file, outermost first."""
    yield title, model
    for name, info in model.model_fields.items():
        inner = _bare(info.annotation)
        many = get_origin(inner) is tuple
        while get_args(inner) and get_origin(inner) is not Literal:
            inner = _bare([item for item in get_args(inner) if item is not Ellipsis][-1])
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _blocks(f"{title}.{name}".strip(".") + ("[]" if many else ""), inner)


def kind_table() -> str:
    """Every kind of point: what it is of, its units, its range."""
    lines = ["| kind | of | units | possible range inside | meaning |", "|---|---|---|---|---|"]
    for kind, facts in KIND_FACTS.items():
        units = [*TO_INSIDE[facts.unit], *(ENERGY_PER_STEP_J if facts.unit == "W" else ())]
        shown = "power" if facts.unit == "W" else ", ".join(f"`{unit}`" for unit in units)
        span = f"{facts.low:g} to {facts.high:g} {facts.unit}"
        lines.append(f"| `{kind}` | {facts.subject} | {shown} | {span} | {facts.description} |")
    powers = ", ".join(f"`{unit}`" for unit in TO_INSIDE["W"])
    energies = ", ".join(f"`{unit}`" for unit in ENERGY_PER_STEP_J)
    lines += ["", f"Power is {powers}, or energy of the step or a counter in {energies}."]
    lines += ["", f"End uses that a meter can cover: {', '.join(f'`{use}`' for use in EndUse)}."]
    return "\n".join(lines) + "\n"


def operation_table() -> str:
    """Every key of ``operation``."""
    lines = ["| key | takes | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {_cell(takes)} | {_cell(meaning)} |" for name, takes, meaning in policy_rows()]
    return "\n".join(lines) + "\n"


PARTS = {"keys": key_tables, "kinds": kind_table, "operation": operation_table}


def renewed(page: str) -> str:
    """The page with its generated parts as the program is now."""
    return _MARK.sub(lambda match: f"{match[1]}{PARTS[match[2]]()}{match[3]}", page)


def main(arguments: Sequence[str]) -> int:
    """Renews pages in place."""
    for name in arguments:
        path = Path(name)
        path.write_text(renewed(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
