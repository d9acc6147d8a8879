"""Dataclasses to plain JSON values and back, exactly: the one form that is stored, hashed and sent to the outbox."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from core.domain.values import plain

T = TypeVar("T")
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def encode(value: object) -> Json:
    """JSON values for a dataclass (or any value in one). Decimal and datetime become text. Raises TypeError."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return encode(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset | set):
        items = sorted(value, key=str) if isinstance(value, frozenset | set) else value
        return [encode(item) for item in items]
    raise TypeError(f"cannot be stored: {type(value).__name__}")


def decode(kind: type[T], data: Json) -> T:
    """The `kind` that `encode` made `data` from. Raises KeyError, TypeError or ValueError where it does not fit."""
    return typing.cast(T, _decode(kind, data))


def canonical(value: object) -> str:
    """One text per value: sorted keys, no spaces, ASCII. What hashes are taken over."""
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@cache
def _fields(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _decode(kind: Any, data: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(kind, data)
    if origin in (tuple, list):
        item = typing.get_args(kind)[0]
        return origin(_decode(item, entry) for entry in data)
    if origin is not None and issubclass(origin, Mapping):
        item = typing.get_args(kind)[1]
        return {key: _decode(item, entry) for key, entry in data.items()}
    return _decode_plain(kind, data)


def _decode_plain(kind: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        hints = _fields(typing.cast(type, kind))
        return typing.cast(type, kind)(**{name: _decode(hints[name], data[name]) for name in hints if name in data})
    if kind is Decimal:
        return Decimal(data)
    if kind in (datetime, date):
        return kind.fromisoformat(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float:
        return float(data)
    return data


def _decode_optional(kind: Any, data: Any) -> Any:
    if data is None:
        return None
    (inner,) = (arg for arg in typing.get_args(kind) if arg is not type(None))
    return _decode(inner, data)
