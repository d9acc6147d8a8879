"""Dataclasses to plain JSON values and back, exactly: the one form that is stored, hashed and sent to the outbox."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from core.domain.values import plain

T = TypeVar("T")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_PLAIN = frozenset({str, bool, int, float, type(None)})
_TEXT = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def encode(value: object) -> Json:
    """JSON values for a dataclass (or any value in one). Decimal and datetime (as UTC) become text.

    Raises TypeError for what has no form, ValueError for a naive time.
    """
    kind: Any = type(value)
    return _encoder(kind)(value)


def decode(kind: type[T], data: Json) -> T:
    """The `kind` that `encode` made `data` from. Raises KeyError, TypeError or ValueError where it does not fit."""
    return typing.cast(T, _decode(kind, data))


def canonical(value: object) -> str:
    """One text per value: sorted keys, no spaces, ASCII. What hashes are taken over. NaN raises ValueError."""
    return _TEXT.encode(encode(value))


@cache
def _encoder(kind: type) -> Callable[[Any], Json]:
    if dataclasses.is_dataclass(kind):
        names = tuple(field.name for field in dataclasses.fields(kind))
        return lambda value: _encode_fields(value, names)
    for base, encoder in _ENCODERS:
        if issubclass(kind, base):
            return encoder
    raise TypeError(f"cannot be stored: {kind.__name__}")


def _encode_fields(value: object, names: tuple[str, ...]) -> Json:
    encoded: dict[str, Json] = {}
    for name in names:
        found = getattr(value, name)
        # Most fields are what JSON has itself: a decision holds thousands of them.
        encoded[name] = found if type(found) in _PLAIN else encode(found)
    return encoded


def _encode_time(value: datetime) -> Json:
    if value.utcoffset() is None:
        raise ValueError(f"a time without a zone cannot be stored: {value}")
    return value.astimezone(UTC).isoformat()


# In this order: words are texts too, a time is a date too, and a truth value is a number too.
_ENCODERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Json]], ...] = (
    (Enum, lambda value: encode(value.value)),
    ((type(None), bool, int, float, str), lambda value: value),
    (Decimal, plain),
    (datetime, _encode_time),
    (date, lambda value: value.isoformat()),
    (Mapping, lambda value: {str(key): encode(item) for key, item in value.items()}),
    ((tuple, list), lambda value: [encode(item) for item in value]),
    ((frozenset, set), lambda value: [encode(item) for item in sorted(value, key=str)]),
)


@cache
def _fields(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _decode(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is None:
        return _decode_plain(kind, data)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(kind, data)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), data)
    if origin in (list, frozenset, set):
        (item,) = typing.get_args(kind)
        return origin(_decode(item, entry) for entry in data)
    if issubclass(origin, Mapping):
        item = typing.get_args(kind)[1]
        return {key: _decode(item, entry) for key, entry in data.items()}
    raise TypeError(f"cannot be read: {kind}")


def _decode_tuple(items: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(items[0], entry) for entry in data)
    return tuple(_decode(item, entry) for item, entry in zip(items, data, strict=True))


def _decode_plain(kind: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        hints = _fields(typing.cast(type, kind))
        return typing.cast(type, kind)(**{name: _decode(hints[name], data[name]) for name in hints if name in data})
    if kind is Decimal:
        return _decode_decimal(data)
    if kind in (datetime, date):
        return kind.fromisoformat(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float:
        return float(data)
    return data


def _decode_decimal(data: Any) -> Decimal:
    try:
        return Decimal(data)
    except InvalidOperation:
        raise ValueError(f"not a number: {data!r}") from None


def _decode_optional(kind: Any, data: Any) -> Any:
    if data is None:
        return None
    (inner,) = (arg for arg in typing.get_args(kind) if arg is not type(None))
    return _decode(inner, data)
