"""Column types: what a value looks like in the database, and the refusal of values that have no exact form there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from core.domain.codec import canonical
from core.domain.values import plain


class DecimalText(TypeDecorator[Decimal]):
    """Money and quantities as plain text, exact to the last digit. Refuses floats, NaN and infinities."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"a Decimal is stored here, not {type(value).__name__}: {value!r}")
        if not value.is_finite():
            raise ValueError(f"not a finite number: {value}")
        return plain(value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times, in UTC on the way in and out. Refuses naive ones.

    SQLite has no type for time: there it is ISO text of fixed width with microseconds and a Z, whose order as text is
    the order in time. Elsewhere it is a timestamp with time zone.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind: TypeEngine[Any] = String(27) if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not isinstance(value, datetime) or value.utcoffset() is None:
            raise ValueError(f"an aware time is stored here, not {value!r}")
        in_utc = value.astimezone(UTC)
        return f"{in_utc.isoformat(timespec='microseconds')[:26]}Z" if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
        return read.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """A JSON value (or a dataclass) as canonical text; read back as plain JSON values."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else canonical(value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class EnumText(TypeDecorator[StrEnum]):
    """A domain word as its text. Refuses any other word, on the way in and on the way out."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: Any, _dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)
