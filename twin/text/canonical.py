"""Things as canonical JSON (RFC 8785), their SHA-256 names, and back again by their type hints."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import rfc8785

from twin.clock import require_aware
from twin.errors import BadInputError

LATER: Mapping[str, bool] = types.MappingProxyType({"later": True})
"""Metadata of a field that a later version added: unsaid while it has its default, so that older digests hold."""
Plain = None | bool | int | float | str | Sequence["Plain"] | Mapping[str, "Plain"]
T = TypeVar("T")


def plain(thing: object) -> Any:
    """Dataclasses, enums, moments and collections as what JSON knows; fields in any order, times in UTC."""
    if is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: plain(getattr(thing, f.name)) for f in fields(thing) if not _is_unsaid(thing, f)}
    if isinstance(thing, Mapping):
        return {str(key): plain(value) for key, value in thing.items()}
    if isinstance(thing, (set, frozenset)):
        return sorted(plain(item) for item in thing)
    if isinstance(thing, (list, tuple)):
        return [plain(item) for item in thing]
    return _plain_value(thing)


def _is_unsaid(thing: object, of: Field[Any]) -> bool:
    return bool(of.metadata.get("later")) and getattr(thing, of.name) == of.default


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


Reader = Callable[[Any], Any]


def thing_from(hint: type[T], data: Any) -> T:
    """The inverse of ``plain`` for frozen dataclasses, enums, moments, numbers, tuples and maps.

    Raises:
        BadInputError: a key is missing, unknown, or a value has the wrong form.
    """
    try:
        return cast("T", _reader(cast("Any", hint))(data))
    except (TypeError, ValueError, KeyError, AttributeError, StopIteration) as error:
        message = f"cannot read a {getattr(hint, '__name__', hint)} from the document: {error}"
        raise BadInputError(message) from error


@cache
def _reader(hint: Any) -> Reader:
    """What makes a thing of a type from plain data; built once for each type."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union_reader(get_args(hint))
    if origin is not None and isinstance(origin, type):
        return _collection_reader(get_args(hint), origin)
    if is_dataclass(hint):
        return _dataclass_reader(cast("Any", hint))
    if hint is datetime:
        return lambda data: datetime.fromisoformat(data).astimezone(UTC)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return float if hint is float else lambda data: data


def _dataclass_reader(kind: Any) -> Reader:
    hints = get_type_hints(kind)

    def read(data: Any) -> Any:
        return kind(**{key: _reader(hints[key])(value) for key, value in data.items()})

    return read


def _union_reader(options: tuple[Any, ...]) -> Reader:
    rest = [option for option in options if option is not type(None)]
    other = next((option for option in rest if option is not str), str)

    def read(data: Any) -> Any:
        if data is None and type(None) not in options:
            message = "a value is null"
            raise TypeError(message)
        if data is None or (isinstance(data, str) and str in rest):
            return data
        return _reader(other)(data)

    return read


def _collection_reader(args: tuple[Any, ...], origin: type) -> Reader:
    if issubclass(origin, Mapping):
        return lambda data: {key: _reader(args[1])(value) for key, value in data.items()}
    if origin is tuple and args[-1:] != (Ellipsis,):
        return lambda data: tuple(_reader(kind)(item) for kind, item in zip(args, data, strict=True))
    gather = frozenset if origin is frozenset else tuple
    return lambda data: gather(_reader(args[0])(item) for item in data)
