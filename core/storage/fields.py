"""Short names for the table fields that use our column types."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, cast

from sqlmodel import Field

from core.storage.columns import DecimalText, EnumText, JsonText, UtcDateTime


def decimal_field(*, nullable: bool = False) -> Any:
    return Field(sa_type=DecimalText, nullable=nullable)


def time_field(*, nullable: bool = False, index: bool = False, primary_key: bool = False) -> Any:
    return Field(sa_type=UtcDateTime, nullable=nullable, index=index, primary_key=primary_key)


def word_field(words: type[StrEnum], *, primary_key: bool = False) -> Any:
    # SQLModel's signature asks for a class but hands whatever it gets to Column, which takes instances too.
    return Field(sa_type=cast(Any, EnumText(words)), nullable=False, primary_key=primary_key)


def json_field() -> Any:
    return Field(sa_type=JsonText, nullable=False)
