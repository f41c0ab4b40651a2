"""YAML 1.2 text to a plain tree that knows line and column of each node.

Only the core schema: null, true and false, numbers, strings, lists, mappings with text keys. ``on``, ``off``, ``22:30``
and dates are text. Refused: anchors, aliases, tags, duplicate keys, several documents, more than 1 MB, deep nesting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from twin.errors import BadInputError
from twin.text.tree import MarkedTree, Path, dotted

MAX_BYTES = 1_000_000
MAX_DEPTH = 24
MAX_NODES = 100_000
MAX_DIGITS = 300
_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def read_yaml(data: bytes | str, name: str) -> MarkedTree:
    """The tree of a YAML text.

    Args:
        data: the text, or its bytes in UTF-8 (a byte order mark is skipped).
        name: name of the file, for messages.

    Raises:
        BadInputError: with ``name:LINE:COL:`` where the text breaks a rule.
    """
    text = _decoded(data, name)
    builder = _Builder(name)
    try:
        for event in _events(text):
            builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        problem = " ".join(str(error.problem or error.context or "cannot be read").split())
        message = f"{place}: not valid YAML: {problem}; check indentation, quotes and brackets here"
        raise BadInputError(message) from None
    except (YAMLError, YAMLStreamError) as error:
        message = f"{name}: not valid YAML: {' '.join(str(error).split())[:200]}"
        raise BadInputError(message) from None
    return MarkedTree(name=name, root=builder.root, values=builder.values, keys=builder.keys)


def _decoded(data: bytes | str, name: str) -> str:
    """The text, after the checks that need no parser."""
    raw = data.encode() if isinstance(data, str) else data
    if len(raw) > MAX_BYTES:
        message = f"{name}: {len(raw)} bytes are above the limit of {MAX_BYTES}; keep data out of the file"
        raise BadInputError(message)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"{name}:{line}:1: byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise BadInputError(message) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        message = f"{name}:{line}:1: NUL character; this is not a text file, or it was cut off; restore it"
        raise BadInputError(message)
    return text


def _events(text: str) -> Iterator[Event]:
    """Events of the pure parser, one by one, so that a limit stops it early."""
    parser = YAML(typ="safe", pure=True)
    yield from parser.parse(text)


def _scalar(event: ScalarEvent) -> object:
    """Value of a scalar by the core schema; quoted text stays text."""
    text = str(event.value)
    if event.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text) if len(text) <= MAX_DIGITS else text
    return float(text) if _FLOAT.match(text) else text


class _Builder:
    """Builds the tree from events without recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: object = None
        self.values: dict[Path, tuple[int, int]] = {}
        self.keys: dict[Path, tuple[int, int]] = {}
        self._open: list[tuple[Path, Any]] = []
        """Containers that are open, outermost first, with their paths."""
        self._key: list[str | None] = []
        """For each open container: the key that waits for its value (mappings only)."""
        self._documents = 0

    def take(self, event: Event) -> None:
        """Adds one event to the tree."""
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(event, (), "a second document begins; keep one document per file and drop the '---'")
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._open.pop()
            self._key.pop()
        elif isinstance(event, NodeEvent):
            self._node(event)

    def _refuse(self, event: Event, path: Path, why: str) -> None:
        mark = event.start_mark
        raise BadInputError(f"{self.name}:{mark.line + 1}:{mark.column + 1}: {dotted(path)}: {why}")

    def _node(self, event: NodeEvent) -> None:
        above = self._open[-1][0] if self._open else ()
        if isinstance(event, AliasEvent) or event.anchor is not None:
            sign = "*" if isinstance(event, AliasEvent) else "&"
            self._refuse(event, above, f"{sign}{event.anchor} is an anchor or alias; write the value out instead")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(event, above, f"tag {tag} is not allowed; write the plain value")
        if self._takes_key():
            self._start_pair(event, above)
            return
        path = self._place(event)
        value: object = (
            _scalar(event) if isinstance(event, ScalarEvent) else {} if isinstance(event, MappingStartEvent) else []
        )
        self._store(path, value)
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._open.append((path, value))
            self._key.append(None)
            if len(self._open) > MAX_DEPTH:
                self._refuse(event, path[:3], f"nested deeper than {MAX_DEPTH} levels; flatten the file")

    def _takes_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][1], dict) and self._key[-1] is None

    def _start_pair(self, event: NodeEvent, above: Path) -> None:
        """Notes a key and waits for its value."""
        if not isinstance(event, ScalarEvent):
            self._refuse(event, above, "a key must be a word; quote it if it holds brackets or colons")
            return
        key = str(event.value)
        path = (*above, key)
        if key in self._open[-1][1]:
            self._refuse(event, path, f"key {key!r} stands twice in one mapping; keep one of them")
        self.keys[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        self._key[-1] = key

    def _place(self, event: NodeEvent) -> Path:
        """Path of the node that begins, with its place noted."""
        path: Path = ()
        if self._open:
            above, container = self._open[-1]
            path = (*above, len(container)) if isinstance(container, list) else (*above, str(self._key[-1]))
        self.values[path] = (event.start_mark.line + 1, event.start_mark.column + 1)
        if len(self.values) > MAX_NODES:
            self._refuse(event, path[:1], f"more than {MAX_NODES} values; keep data out of the file")
        return path

    def _store(self, path: Path, value: object) -> None:
        if not self._open:
            self.root = value
            return
        container = self._open[-1][1]
        if isinstance(container, list):
            container.append(value)
        else:
            container[path[-1]] = value
            self._key[-1] = None
