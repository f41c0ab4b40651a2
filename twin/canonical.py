"""Things as canonical JSON (RFC 8785), their SHA-256 names, and back again by their type hints."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import rfc8785

from twin.clock import require_aware
from twin.errors import BadInputError

Plain = None | bool | int | float | str | Sequence["Plain"] | Mapping[str, "Plain"]
T = TypeVar("T")


def plain(thing: object) -> Any:
    """Dataclasses, enums, moments and collections as what JSON knows; fields in any order, times in UTC."""
    if is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: plain(getattr(thing, f.name)) for f in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(key): plain(value) for key, value in thing.items()}
    if isinstance(thing, (set, frozenset)):
        return sorted(plain(item) for item in thing)
    if isinstance(thing, (list, tuple)):
        return [plain(item) for item in thing]
    return _plain_value(thing)


def _plain_value(thing: object) -> Any:
    if isinstance(thing, Enum):
        return thing.value
    if isinstance(thing, datetime):
        return require_aware(thing, "document").isoformat().replace("+00:00", "Z")
    if isinstance(thing, date):
        return thing.isoformat()
    if isinstance(thing, ZoneInfo):
        return thing.key
    return thing


def canonical(thing: object) -> bytes:
    """The one spelling of a thing as bytes.

    Raises:
        BadInputError: it holds NaN, an infinity, an integer beyond 2**53 or a type JSON lacks.
    """
    try:
        return rfc8785.dumps(plain(thing))
    except rfc8785.CanonicalizationError as error:
        message = (
            f"cannot be written as canonical JSON: {error}; only finite numbers, text, lists and maps can be signed"
        )
        raise BadInputError(message) from error


def digest(thing: object) -> str:
    """SHA-256 of the canonical bytes, in hex."""
    return hashlib.sha256(canonical(thing)).hexdigest()


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _union(hint: Any, data: Any) -> Any:
    options = get_args(hint)
    if data is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    if len(rest) > 1 and isinstance(data, str) and str in rest:
        return data
    return _thing_from(next(option for option in rest if option is not str), data) if rest != [str] else data


def _collection(hint: Any, origin: Any, data: Any) -> Any:
    args = get_args(hint)
    if origin is tuple and args[-1:] != (Ellipsis,):
        return tuple(_thing_from(kind, item) for kind, item in zip(args, data, strict=True))
    if issubclass(origin, Mapping):
        return {key: _thing_from(args[1], value) for key, value in data.items()}
    items = (_thing_from(args[0], item) for item in data)
    return frozenset(items) if origin is frozenset else tuple(items)


def thing_from(hint: type[T], data: Any) -> T:
    """The inverse of ``plain`` for frozen dataclasses, enums, moments, numbers, tuples and maps.

    Raises:
        BadInputError: a key is missing, unknown, or a value has the wrong form.
    """
    try:
        return cast("T", _thing_from(hint, data))
    except (TypeError, ValueError, KeyError, AttributeError, StopIteration) as error:
        message = f"cannot read a {getattr(hint, '__name__', hint)} from the document: {error}"
        raise BadInputError(message) from error


def _thing_from(hint: Any, data: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(hint, data)
    if origin is not None and isinstance(origin, type):
        return _collection(hint, origin, data)
    if is_dataclass(hint):
        hints = _hints(cast("Any", hint))
        return cast("Any", hint)(**{key: _thing_from(hints[key], value) for key, value in data.items()})
    if hint is datetime:
        return datetime.fromisoformat(data).astimezone(UTC)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    return float(data) if hint is float else data
