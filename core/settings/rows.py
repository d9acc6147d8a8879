"""The table of settings as rows, and the text of .env.example made from it."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from core.settings.table import Settings

_HEADER = """\
# AutoTrader's settings: copy this file to .env and take the # away from the lines you change.
# Each has one line that says what it is, in which unit, and its default. The real environment beats .env.
# Fractions are written as fractions (0.25 is 25 %); an empty value means the default.
"""
_GROUPS = {
    "TELEGRAM_BOT_TOKEN": "Telegram",
    "ALPACA_KEY_ID": "Alpaca and prices",
    "STATE_DIR": "Where things are kept",
    "SYMBOLS": "Trading",
    "RETRAIN_MIN_NEW_LABELS": "Learning",
    "WORLD": "Simulation",
    "LOCAL_PHONE": "Local phone and looks",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: `default` as it would be written, `words` where that does not say it, an accepted `example`."""

    name: str
    about: str
    default: str
    words: str
    example: str
    is_secret: bool


def _row(field: FieldInfo) -> Row:
    extra = typing.cast(dict[str, str], field.json_schema_extra)
    return Row(
        name=field.alias or "",
        about=field.description or "",
        default=text_of(field.default),
        words=extra["words"],
        example=str((field.examples or [""])[0]),
        is_secret=SecretStr in _parts(field.annotation),
    )


def _parts(kind: object) -> Iterator[object]:
    """A type and all that it is made of."""
    yield kind
    for part in typing.get_args(kind):
        yield from _parts(part)


def text_of(default: object) -> str:
    """A value as it would be written in the file; empty for none."""
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return str(default) if isinstance(default, str | int | Decimal | StrEnum) else ""


def _in_groups() -> Iterator[Row]:
    """Every setting, group by group in the order of the example file."""
    groups: dict[str, list[Row]] = {name: [] for name in _GROUPS}
    group = ""
    for row in map(_row, (field for field in Settings.model_fields.values() if field.alias)):
        group = row.name if row.name in groups else group
        groups[group].append(row)
    for rows in groups.values():
        yield from rows


ROWS = {row.name: row for row in _in_groups()}


def env_example() -> str:
    """The whole text of .env.example."""
    return _HEADER + "".join(f"{line}\n" for row in ROWS.values() for line in _lines(row))


def _lines(row: Row) -> Iterator[str]:
    if row.name in _GROUPS:
        yield ""
        yield f"# --- {_GROUPS[row.name]} ---"
    yield f"# {row.about} (default: {row.words or row.default or 'none'})"
    yield f"#{row.name}={row.default}"
