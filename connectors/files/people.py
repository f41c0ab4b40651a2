"""What a file of occupancy may say of people: how many, never who."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from connectors.settings.mapping import SourceMapping
from twin.errors import BadInputError
from twin.vocab import PointKind

_IDENTITY = re.compile(
    r"(?:^|[^a-z])(?:badge|card|employee|staff|person|people|user|member|visitor|attendee|organi[sz]er|first|last|sur|full)"
    r"[ _.-]?(?:id|no|nr|number|name|names|uid|code|mail)(?:[^a-z]|$)"
    r"|(?:^|[^a-z])(?:name|surname|badge|e-?mail|mail|phone|mobile|upn|login|username|mac)(?:[^a-z]|$)",
    re.IGNORECASE,
)
"""Heads of columns that hold who somebody is."""
_ADDRESS = re.compile(r"[^@\s/]+@[^@\s/]+\.[^@\s/]+")


def carries_people(mapping: SourceMapping) -> bool:
    """Whether a source counts people."""
    return any(column.kind is PointKind.ZONE_OCCUPANCY for column in mapping.columns)


def require_counts_only(path: Path, present: Iterable[str], mapping: SourceMapping) -> None:
    """Nothing when no column of a file that counts people says who they are.

    Columns that the site file maps are numbers by their kind and unit; all others are judged by their head, read or
    not, because a file with identifiers should not have come this far at all.

    Raises:
        BadInputError: a column identifies people.
    """
    if not carries_people(mapping):
        return
    block = mapping.block
    own = {block.timestamp.column, *(column.column for column in mapping.columns)}
    own |= {block.point_column, block.value_column} if block.layout == "long" else set()
    own |= {block.key.column} if block.key is not None else set()
    for name in present:
        if (name not in own and _IDENTITY.search(name)) or _ADDRESS.search(name):
            message = (
                f"{path}: column {name!r} says who people are; occupancy is taken as counts per room only. Export the "
                "file without it, nothing of it was read"
            )
            raise BadInputError(message)


def require_no_address(path: Path, keys: Iterable[object], mapping: SourceMapping) -> None:
    """Nothing when no key of a file that counts people is an e-mail address.

    Raises:
        BadInputError: one is.
    """
    if not carries_people(mapping):
        return
    if any(_ADDRESS.search(str(key)) for key in keys):
        message = f"{path}: column of keys holds e-mail addresses; occupancy is taken as counts per room only"
        raise BadInputError(message)
