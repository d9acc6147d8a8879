"""Tables of the market data: bars, and what is known of them. Times of bars are whole seconds since 1970 (UTC)."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from core.domain.bar_records import SeamKind
from core.domain.bars import BarSize
from core.storage.fields import time_field, word_field


class BarRow(SQLModel, table=True):
    """Times in whole seconds since 1970 (UTC), so that a million rows become arrays without parsing."""

    __tablename__: ClassVar[str] = "bars"
    __table_args__ = {"sqlite_with_rowid": False}
    symbol: str = Field(primary_key=True)
    size: BarSize = word_field(BarSize, primary_key=True)
    closed_at: int = Field(primary_key=True, sa_type=BigInteger)
    opened_at: int = Field(sa_type=BigInteger)
    open: float
    high: float
    low: float
    close: float
    volume: float
    source: str


class BarGapRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "bar_gaps"
    __table_args__ = {"sqlite_with_rowid": False}
    symbol: str = Field(primary_key=True)
    size: BarSize = word_field(BarSize, primary_key=True)
    source: str = Field(primary_key=True)
    first: int = Field(primary_key=True, sa_type=BigInteger)
    last: int = Field(sa_type=BigInteger)
    bars: int
    reason: str = Field(sa_type=Text)
    asked_at: datetime = time_field()
    tries: int


class BarSeamRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "bar_seams"
    __table_args__ = (Index("ix_bar_seams_symbol_size", "symbol", "size"),)
    id: int = Field(primary_key=True)
    symbol: str
    size: BarSize = word_field(BarSize)
    at: int = Field(sa_type=BigInteger)
    kind: SeamKind = word_field(SeamKind)
    source_from: str
    source_to: str
    compared: int
    difference: float
    ratio: float
    volume_ratio: float | None
    recorded_at: datetime = time_field()


class BarRefusalRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "bar_refusals"
    __table_args__ = {"sqlite_with_rowid": False}
    symbol: str = Field(primary_key=True)
    size: BarSize = word_field(BarSize, primary_key=True)
    at: int = Field(primary_key=True, sa_type=BigInteger)
    defect: str = Field(primary_key=True)
    source: str
    sentence: str = Field(sa_type=Text)
    seen_at: datetime = time_field()
