"""Hypothesis strategies for every event and view, made from their types: any text, any number, any moment."""

from __future__ import annotations

import types
import typing
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from core.domain.events import EVENT_TYPES

TEXTS = st.text(max_size=12) | st.sampled_from(["", "<b>", "&amp;", "</pre>", "a" * 900, "𝔸" * 2500, "x\ny", "\ud800"])
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**14), max_value=10**14)
MOMENTS = st.integers(0, 7 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def strategy_of(kind: Any) -> st.SearchStrategy[Any]:
    """A strategy for any field type that the domain uses."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(strategy_of(part) for part in typing.get_args(kind)))
    if origin is tuple:
        return _tuples(typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if hasattr(kind, "__dataclass_fields__"):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: strategy_of(hints[name]) for name in kind.__dataclass_fields__})
    return _PLAIN[kind]


def _tuples(parts: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return st.lists(strategy_of(parts[0]), max_size=3).map(tuple)
    return st.tuples(*(strategy_of(part) for part in parts))


_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    int: st.integers(-(2**62), 2**62),
    float: st.floats(allow_nan=True),
    Decimal: DECIMALS,
    datetime: MOMENTS,
    date: st.dates(date(1980, 1, 1), date(2200, 1, 1)),
    type(None): st.none(),
}

EVENTS = st.one_of(*(strategy_of(kind) for kind in EVENT_TYPES.values()))
