"""What Alpaca's trading service answers, field by field: exact numbers out of texts, moments, and nothing guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from core.errors import MalformedAnswer

Row = Mapping[str, Any]


def row_of(answer: Any, what: str) -> Row:
    """Raises MalformedAnswer."""
    if not isinstance(answer, Mapping):
        raise MalformedAnswer(f"gave {what} in no known form")
    return answer


def rows_of(answer: Any, what: str) -> list[Row]:
    """Raises MalformedAnswer."""
    if not isinstance(answer, list):
        raise MalformedAnswer(f"gave {what} in no known form")
    return [row_of(each, what) for each in answer]


def text(row: Row, name: str) -> str:
    """Raises MalformedAnswer where it is missing or no text."""
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedAnswer(f"gave no usable {name}")
    return value


def word(row: Row, name: str) -> str:
    """The text, empty where there is none."""
    value = row.get(name)
    return value if isinstance(value, str) else ""


def number(row: Row, name: str) -> Decimal:
    """Raises MalformedAnswer where it is missing or no number."""
    value = number_or_none(row, name)
    if value is None:
        raise MalformedAnswer(f"gave no {name}")
    return value


def number_or_none(row: Row, name: str) -> Decimal | None:
    """Raises MalformedAnswer for what is no number; a float has lost digits already and is none."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        found = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        raise MalformedAnswer(f"gave a {name} that is no number")
    return found


def flag(row: Row, name: str) -> bool:
    """False where it is missing. Raises MalformedAnswer."""
    value = row.get(name, False)
    if not isinstance(value, bool):
        raise MalformedAnswer(f"gave a {name} that is neither true nor false")
    return value


def moment(row: Row, names: Iterable[str]) -> datetime | None:
    """The first of the fields that is filled, aware UTC; a day is its midnight. Raises MalformedAnswer."""
    for name in names:
        value = row.get(name)
        if value in (None, ""):
            continue
        try:
            if isinstance(value, str) and len(value) == 10:
                return datetime.combine(date.fromisoformat(value), time(), UTC)
            found = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise MalformedAnswer(f"gave a {name} that is no time") from None
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return None


def utc_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
