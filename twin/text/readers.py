"""Readers of plain values (numbers, clock times, records) with faults that name path, value, limit and remedy.

A reader turns a node of a tree into a value of the domain, or notes a fault and returns ``INVALID``. It also describes
itself as JSON schema and as words for the documentation, so that check, editor and page never disagree.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from twin.text.tree import Fault, Path


class Invalid(Enum):
    """The mark of a value that could not be read; its fault has been noted."""

    INVALID = "invalid"


INVALID = Invalid.INVALID
Schema = dict[str, object]


class Reader(Protocol):
    """Reads one node."""

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """The value, or ``INVALID`` after noting why."""
        ...

    def schema(self) -> Schema:
        """JSON schema of what is accepted."""
        ...

    def words(self) -> str:
        """What is accepted, for people."""
        ...


def shown(node: object) -> str:
    """A node as short text for a message."""
    text = repr(node)
    return text if len(text) <= 60 else text[:57] + "..."


def unknown_key(key: object, known: list[str]) -> str:
    """Sentence about a key that nobody knows, with the nearest known one."""
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown key; {hint}known keys: {', '.join(known)}"


@dataclass(frozen=True, slots=True)
class NumberReader:
    """A finite number between two limits."""

    low: float
    high: float
    unit: str = ""
    whole: bool = False

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """The number, an int when ``whole``."""
        number = isinstance(node, int | float) and not isinstance(node, bool)
        if not number or not math.isfinite(node) or (self.whole and node != int(node)):  # type: ignore[arg-type,call-overload]
            hint = "; write the number without quotes" if isinstance(node, str) else ""
            faults.append(Fault(path=path, message=f"{shown(node)} is not {self.words()}{hint}"))
            return INVALID
        value = float(node)  # type: ignore[arg-type]
        if not self.low <= value <= self.high:
            faults.append(Fault(path=path, message=f"{node} is outside the limits; use {self.words()}"))
            return INVALID
        return int(value) if self.whole else value

    def schema(self) -> Schema:
        """A number with its limits."""
        return {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}

    def words(self) -> str:
        """The limits and the unit."""
        kind = "a whole number" if self.whole else "a number"
        unit = f" {self.unit}" if self.unit else ""
        return f"{kind} from {self.low:g} to {self.high:g}{unit}"


_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$|^24:00$")


@dataclass(frozen=True, slots=True)
class ClockReader:
    """A time of the local day, as hours."""

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """Hours since local midnight, 24.0 for the end of the day."""
        if not isinstance(node, str) or not _CLOCK.match(node):
            faults.append(Fault(path=path, message=f"{shown(node)} is not {self.words()}"))
            return INVALID
        hours, minutes = node.split(":")
        return int(hours) + int(minutes) / 60.0

    def schema(self) -> Schema:
        """A string by pattern."""
        return {"type": "string", "pattern": _CLOCK.pattern}

    def words(self) -> str:
        """The form."""
        return 'a time of day "HH:MM" in site time, from "00:00" to "24:00"'


@dataclass(frozen=True, slots=True)
class ChoiceReader:
    """One of a closed list of words."""

    choices: tuple[str, ...]

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """The word."""
        word = "off" if node is False else node
        if word not in self.choices:
            faults.append(Fault(path=path, message=f"{shown(node)} is not {self.words()}"))
            return INVALID
        return word

    def schema(self) -> Schema:
        """An enumeration."""
        return {"enum": [*self.choices, *([False] if "off" in self.choices else [])]}

    def words(self) -> str:
        """The list."""
        return f"one of {', '.join(self.choices)}" if len(self.choices) > 1 else self.choices[0]


@dataclass(frozen=True, slots=True)
class FlagReader:
    """True or false."""

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """The flag; ``on`` and ``off`` are accepted."""
        flag = {"on": True, "off": False}.get(node, node) if isinstance(node, str) else node
        if not isinstance(flag, bool):
            faults.append(Fault(path=path, message=f"{shown(node)} is not {self.words()}"))
            return INVALID
        return flag

    def schema(self) -> Schema:
        """A boolean."""
        return {"enum": [True, False, "on", "off"]}

    def words(self) -> str:
        """The two words."""
        return "true or false"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a record: how its value is read, whether it must be there, what it means."""

    reader: Reader
    help: str
    required: bool = False
    field: str = ""
    """Name of the field when it differs from the key."""


@dataclass(frozen=True, slots=True)
class RecordReader:
    """A mapping with known keys, built into a value."""

    keys: Mapping[str, Key]
    build: Callable[..., object]

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """The built value; None counts as absent."""
        if not isinstance(node, Mapping):
            faults.append(Fault(path=path, message=f"{shown(node)} is not {self.words()}"))
            return INVALID
        before = len(faults)
        known = list(self.keys)
        faults.extend(
            Fault(path=(*path, str(key)), message=unknown_key(key, known), on_key=True)
            for key in node
            if key not in known
        )
        missing = [name for name, key in self.keys.items() if key.required and node.get(name) is None]
        faults.extend(Fault(path=path, message=f"{name!r} is missing; add {self._hint(name)}") for name in missing)
        read = {
            key.field or name: key.reader.read(node[name], (*path, name), faults)
            for name, key in self.keys.items()
            if node.get(name) is not None
        }
        return INVALID if len(faults) > before else self.build(**read)

    def _hint(self, name: str) -> str:
        return f"'{name}: …', {self.keys[name].reader.words()}"

    def schema(self) -> Schema:
        """An object without other keys."""
        return {
            "type": "object",
            "additionalProperties": False,
            "required": [name for name, key in self.keys.items() if key.required],
            "properties": {name: {**key.reader.schema(), "description": key.help} for name, key in self.keys.items()},
        }

    def words(self) -> str:
        """The keys."""
        return "a mapping with the keys " + ", ".join(self.keys)


@dataclass(frozen=True, slots=True)
class EitherReader:
    """A word such as ``off``, a plain number, or something longer."""

    plain: Reader
    longer: Reader
    """Its faults are the ones to report when the node is a mapping."""

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """What the first fitting reader gives."""
        value = self.plain.read(node, path, [])
        if value is not INVALID:
            return value
        inner: list[Fault] = []
        value = self.longer.read(node, path, inner)
        if value is INVALID:
            whole = Fault(path=path, message=f"{shown(node)} is not {self.words()}")
            faults.extend(inner if isinstance(node, Mapping) else [whole])
        return value

    def schema(self) -> Schema:
        """Any of the two."""
        return {"anyOf": [self.plain.schema(), self.longer.schema()]}

    def words(self) -> str:
        """Both."""
        return f"{self.plain.words()}, or {self.longer.words()}"


@dataclass(frozen=True, slots=True)
class BuiltReader:
    """A reader whose value is turned into another one."""

    reader: Reader
    build: Callable[..., object]

    def read(self, node: object, path: Path, faults: list[Fault]) -> object:
        """The built value."""
        value = self.reader.read(node, path, faults)
        return value if value is INVALID else self.build(value)

    def schema(self) -> Schema:
        """As the inner reader."""
        return self.reader.schema()

    def words(self) -> str:
        """As the inner reader."""
        return self.reader.words()
