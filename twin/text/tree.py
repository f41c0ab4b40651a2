"""A tree read from text (mappings, lists, scalars), and faults that point into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Keys and indices from the root to a node."""


def dotted(path: Path) -> str:
    """The path as a person writes it: ``zones[2].walls[0].area_m2``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or "the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong with one node: where it is and a sentence with value, limit and remedy."""

    path: Path
    message: str
    on_key: bool = False
    """The fault is of the key (unknown, twice), not of its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedTree:
    """A tree and the place of each of its nodes in the text."""

    name: str
    """Name of the file, for messages."""
    root: object
    values: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """Path → line and column of the value, counted from 1."""
    keys: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """Path → line and column of the key, counted from 1."""

    def where(self, fault: Fault) -> tuple[int, int]:
        """Line and column of a fault: its node, or the nearest node above it."""
        path = fault.path
        if fault.on_key and path in self.keys:
            return self.keys[path]
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def sentence(self, fault: Fault) -> str:
        """The fault as ``file:LINE:COL: path: message``."""
        line, column = self.where(fault)
        return f"{self.name}:{line}:{column}: {dotted(fault.path)}: {fault.message}"

    def sentences(self, faults: list[Fault]) -> list[str]:
        """All faults as sentences, in the order of the file."""
        ordered = sorted(faults, key=lambda fault: (self.where(fault), fault.message))
        return [self.sentence(fault) for fault in ordered]
