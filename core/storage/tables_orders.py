"""Tables of what trading keeps current: orders, guards, instructions, questions, brakes, models and their scores."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Index, Text, text
from sqlmodel import Field, SQLModel

from core.domain.decisions import BrakeKind, ModelState
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.records import InstructionState, QuestionKind, QuestionState
from core.storage.fields import decimal_field, json_field, time_field, word_field


class OrderRow(SQLModel, table=True):
    """`number` is the order of writing. `holds_entry` marks the one live entry of an account and symbol.

    A late fill may bring a cancelled entry back to life while its successor is live already; what happened must be
    writable, so a revived order does not claim the mark again.
    """

    __tablename__: ClassVar[str] = "orders"
    __table_args__ = (
        Index(
            "uq_orders_live_entry",
            "account",
            "symbol",
            unique=True,
            sqlite_where=text("holds_entry"),
            postgresql_where=text("holds_entry"),
        ),
    )
    number: int = Field(primary_key=True)
    client_order_id: str = Field(unique=True)
    account: str = Field(foreign_key="accounts.id")
    symbol: str
    side: Side = word_field(Side)
    quantity: Decimal = decimal_field()
    purpose: Purpose = word_field(Purpose)
    origin: str
    attempt: int
    created_at: datetime = time_field(index=True)
    state: OrderState = word_field(OrderState)
    type: OrderType = word_field(OrderType)
    limit_price: Decimal | None = decimal_field(nullable=True)
    stop_price: Decimal | None = decimal_field(nullable=True)
    bracket_stop: Decimal | None = decimal_field(nullable=True)
    bracket_target: Decimal | None = decimal_field(nullable=True)
    parent_id: str | None
    reference_price: Decimal = decimal_field()
    filled_quantity: Decimal = decimal_field()
    venue_order_id: str | None
    reason: str = Field(sa_type=Text)
    updated_at: datetime | None = time_field(nullable=True)
    tags: list[str] = json_field()
    is_live: bool = Field(index=True)
    holds_entry: bool


class GuardRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "guards"
    account: str = Field(primary_key=True, foreign_key="accounts.id")
    symbol: str = Field(primary_key=True)
    stop: Decimal = decimal_field()
    target: Decimal = decimal_field()
    kind: GuardKind = word_field(GuardKind)
    venue_order_id: str | None
    last_seen_at: datetime = time_field()
    peak: Decimal | None = decimal_field(nullable=True)
    placed_at: datetime | None = time_field(nullable=True)


class InstructionRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "instructions"
    number: int = Field(primary_key=True)
    version: int
    client_order_id: str = Field(index=True)
    account: str
    symbol: str
    side: Side = word_field(Side)
    purpose: Purpose = word_field(Purpose)
    quantity: Decimal = decimal_field()
    price: Decimal = decimal_field()
    band_low: Decimal = decimal_field()
    band_high: Decimal = decimal_field()
    stop: Decimal | None = decimal_field(nullable=True)
    target: Decimal | None = decimal_field(nullable=True)
    probability: float | None
    why: str = Field(sa_type=Text)
    needs_approval: bool
    created_at: datetime = time_field()
    expires_at: datetime | None = time_field(nullable=True)
    state: InstructionState = word_field(InstructionState)
    is_open: bool = Field(index=True)


class QuestionRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "questions"
    number: int = Field(primary_key=True)
    version: int
    kind: QuestionKind = word_field(QuestionKind)
    account: str
    symbol: str
    ours: Decimal = decimal_field()
    theirs: Decimal = decimal_field()
    stop: Decimal | None = decimal_field(nullable=True)
    target: Decimal | None = decimal_field(nullable=True)
    text: str = Field(sa_type=Text)
    asked_at: datetime = time_field()
    state: QuestionState = word_field(QuestionState)
    answer: str | None
    answered_at: datetime | None = time_field(nullable=True)
    is_open: bool = Field(index=True)


class BrakeRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "brakes"
    kind: BrakeKind = word_field(BrakeKind, primary_key=True)
    scope: str = Field(primary_key=True)
    reason: str = Field(sa_type=Text)
    since: datetime = time_field()
    until: datetime | None = time_field(nullable=True)


class ModelRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "models"
    number: int = Field(primary_key=True)
    version: str = Field(unique=True)
    trained_at: datetime = time_field()
    last_bar_at: datetime = time_field()
    event: str
    feature_names: list[str] = json_field()
    feature_version: int
    rows: int
    path: str
    sha256: str
    flat_path: str
    flat_sha256: str
    validation_rows: int
    validation_auc: float
    validation_log_loss: float
    baseline_log_loss: float
    base_rate: float
    state: ModelState = word_field(ModelState)
    recipe: str = Field(default="", sa_column_kwargs={"server_default": ""})


class PredictionScoreRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "prediction_scores"
    symbol: str = Field(primary_key=True)
    bar_closed_at: datetime = time_field(primary_key=True, index=True)
    model: str = Field(primary_key=True)
    hit: bool
    ended_at: datetime | None = time_field(nullable=True)
    known_at: datetime | None = time_field(nullable=True)
    base_rate: float | None = None


class PredictionRow(SQLModel, table=True):
    """What a model foresaw from a daily bar; the first prediction of a symbol and bar stands."""

    __tablename__: ClassVar[str] = "prediction_journal"
    symbol: str = Field(primary_key=True)
    bar_closed_at: datetime = time_field(primary_key=True, index=True)
    model: str
    event: str
    probability: float
