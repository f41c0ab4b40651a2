"""The form of a what-if, made from the table of policy keys: so limits and help are those of the scenario file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc

from twin.errors import BadInputError
from twin.policy_text import POLICY_KEYS, HoursReader, SetpointReader
from twin.text.readers import (
    BuiltReader,
    ChoiceReader,
    EitherReader,
    FlagReader,
    NumberReader,
    Reader,
    RecordReader,
)

DAY_GROUPS = ("mon-fri", "sat", "sun", "holidays")
_AS_OPERATED = "as operated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input of the form."""

    path: str
    """Dotted key in the policy tree."""
    reader: Reader | None
    """None: hours as text."""
    label: str
    help: str


def fields_of(name: str, reader: Reader, help_text: str, label: str = "") -> Iterator[Field]:
    """The inputs of a key, in order."""
    label = label or name.rsplit(".", maxsplit=1)[-1].replace("_", " ")
    if isinstance(reader, BuiltReader):
        yield from fields_of(name, reader.reader, help_text, label)
    elif isinstance(reader, EitherReader):
        yield from fields_of(name, reader.plain, reader.words(), label)
        yield from fields_of(name, reader.longer, help_text, label)
    elif isinstance(reader, RecordReader):
        for key, below in reader.keys.items():
            yield from fields_of(f"{name}.{key}", below.reader, below.help)
    elif isinstance(reader, SetpointReader):
        number = NumberReader(reader.low, reader.high, "°C")
        yield Field(path=f"{name}.occupied", reader=number, label="occupied", help="while the unit of the zone runs")
        yield Field(path=f"{name}.unoccupied", reader=number, label="unoccupied", help="otherwise")
    elif isinstance(reader, HoursReader):
        for days in DAY_GROUPS:
            yield Field(path=f"{name}.{days}", reader=None, label=days, help="06:00-22:00, or off")
        called = NumberReader(0, 100_000, "people", whole=True)
        text = "also run when so many people are inside"
        yield Field(path=f"{name}.called_by_occupancy", reader=called, label="called by occupancy", help=text)
    else:
        yield Field(path=name, reader=reader, label=label, help=help_text)


def form(values: Mapping[str, object]) -> Any:
    """All policy keys as a folding list; an empty input means: as the site operates."""
    items = []
    for name, key in POLICY_KEYS.items():
        inputs = [_input(field, values.get(field.path)) for field in fields_of(name, key.reader, key.help)]
        items.append(
            dmc.AccordionItem(
                [
                    dmc.AccordionControl(
                        dmc.Stack(
                            [
                                dmc.Text(name.removesuffix("_c").replace("_", " ").capitalize(), fw=600, size="sm"),
                                dmc.Text(key.help, size="xs", c="dimmed"),
                            ],
                            gap=0,
                        )
                    ),
                    dmc.AccordionPanel(dmc.SimpleGrid(inputs, cols={"base": 1, "sm": 2}, spacing="sm")),
                ],
                value=name,
            )
        )
    filled = sorted({path.split(".")[0] for path, value in values.items() if value not in (None, "")})
    return dmc.Accordion(items, multiple=True, value=filled or ["cooling_setpoint_c"], variant="separated")


def _input(field: Field, value: object) -> Any:
    about: dict[str, Any] = {
        "id": {"policy": field.path},
        "label": field.label,
        "description": field.help,
        "size": "xs",
    }
    reader = field.reader
    if isinstance(reader, NumberReader):
        unit = f" {reader.unit}" if reader.unit else ""
        span = f"{reader.low:g} to {reader.high:g}{unit}"
        about["description"] = f"{field.help} ({span})"
        # Limits are said and checked on the server: clamping would change what a person typed without a word.
        return dmc.NumberInput(
            **about, value=value if value is not None else "", suffix=unit, placeholder=_AS_OPERATED, step=0.5
        )
    if isinstance(reader, ChoiceReader | FlagReader):
        words = list(reader.choices) if isinstance(reader, ChoiceReader) else ["true", "false"]
        return dmc.Select(**about, data=words, value=value, clearable=True, placeholder=_AS_OPERATED)
    return dmc.TextInput(**about, value=value or "", placeholder=_AS_OPERATED)


def policy_tree(values: Mapping[str, object]) -> dict[str, object]:
    """The policy tree of filled inputs, as a scenario file has it.

    Raises:
        BadInputError: a key has both a plain value and a longer one.
    """
    filled = {path: value for path, value in values.items() if value not in (None, "")}
    tree: dict[str, object] = {}
    for path, value in filled.items():
        if any(other.startswith(f"{path}.") for other in filled):
            message = f"{path}: {value!r} and further settings exclude each other; empty one of them"
            raise BadInputError(message)
        node = tree
        *parents, last = path.split(".")
        for parent in parents:
            below = node.setdefault(parent, {})
            node = below if isinstance(below, dict) else {}
        node[last] = _plain(path, value)
    return tree


def _plain(path: str, value: object) -> object:
    if path.startswith("operating_hours.") and isinstance(value, str) and value.strip() != "off":
        start, _, stop = value.replace("–", "-").partition("-")
        return [start.strip(), stop.strip()]
    if path == "power_down_idle_hosts":
        return {"true": True, "false": False}.get(str(value), value)
    return value.strip() if isinstance(value, str) else value


def form_values(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The inverse of ``policy_tree``: inputs of a preset or of a scenario that was run before."""
    values: dict[str, object] = {}
    for key, node in tree.items():
        path = f"{prefix}{key}"
        if isinstance(node, Mapping):
            values |= form_values(node, f"{path}.")
        elif isinstance(node, list | tuple):
            values[path] = "-".join(str(part) for part in node)
        else:
            values[path] = {True: "true", False: "false"}.get(node, node) if isinstance(node, bool) else node
    return values
