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
    if value.tzinfo is UTC:
        return value.isoformat()
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


def _decode(kind: Any, data: Any) -> Any:
    return _decoder(kind)(data)


@cache
def _decoder(kind: Any) -> Callable[[Any], Any]:
    """How values of a kind are read, found out once: records are read several times a tick."""
    origin, items = typing.get_origin(kind), typing.get_args(kind)
    if origin is None:
        return _plain_decoder(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (item for item in items if item is not type(None))
        return lambda data: None if data is None else _decode(inner, data)
    if origin is tuple:
        return lambda data: _decode_tuple(items, data)
    if origin in (list, frozenset, set):
        return lambda data: origin(_decode(items[0], entry) for entry in data)
    if issubclass(origin, Mapping):
        return lambda data: {key: _decode(items[1], entry) for key, entry in data.items()}
    raise TypeError(f"cannot be read: {kind}")


def _decode_tuple(items: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(items[0], entry) for entry in data)
    return tuple(_decode(item, entry) for item, entry in zip(items, data, strict=True))


def _plain_decoder(kind: Any) -> Callable[[Any], Any]:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = [(field.name, hints[field.name]) for field in dataclasses.fields(kind)]
        made = typing.cast(type, kind)
        return lambda data: made(**{name: _decode(hint, data[name]) for name, hint in fields if name in data})
    if kind is Decimal:
        return _decode_decimal
    if kind in (datetime, date):
        return typing.cast(Callable[[Any], Any], kind.fromisoformat)
    if (isinstance(kind, type) and issubclass(kind, Enum)) or kind is float:
        return typing.cast(Callable[[Any], Any], kind)
    return lambda data: data


def _decode_decimal(data: Any) -> Decimal:
    try:
        return Decimal(data)
    except InvalidOperation:
        raise ValueError(f"not a number: {data!r}") from None
