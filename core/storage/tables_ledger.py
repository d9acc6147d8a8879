"""Tables of the record that only grows: the hash chain, the kinds of entry, and the decisions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.domain.accounts import AccountKind, World
from core.domain.orders import Purpose, Side
from core.domain.portfolio import AdjustmentKind, CashKind, EntryKind
from core.storage.fields import decimal_field, time_field, word_field


class InstallationRow(SQLModel, table=True):
    """One row: who this ledger is."""

    __tablename__: ClassVar[str] = "installation"
    id: int = Field(primary_key=True)
    installation_id: str
    epoch: int
    world: World = word_field(World)
    created_at: datetime = time_field()


class AccountRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "accounts"
    id: str = Field(primary_key=True)
    kind: AccountKind = word_field(AccountKind)
    world: World = word_field(World)
    currency: str


class ChainRow(SQLModel, table=True):
    """One link. `hash` is SHA-256 (hex) over previous hash, kind and payload; `seq` counts from 1 without a gap."""

    __tablename__: ClassVar[str] = "chain"
    seq: int = Field(primary_key=True, sa_type=Integer)
    kind: str
    reference: str
    payload: str = Field(sa_type=Text)
    previous: str
    hash: str


class FillRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "fills"
    __table_args__ = (UniqueConstraint("account", "id", name="uq_fills_account_id"),)
    seq: int = Field(primary_key=True, foreign_key="chain.seq")
    recorded_at: datetime = time_field()
    id: str
    account: str = Field(foreign_key="accounts.id")
    client_order_id: str = Field(index=True)
    symbol: str
    side: Side = word_field(Side)
    quantity: Decimal = decimal_field()
    price: Decimal = decimal_field()
    fee: Decimal = decimal_field()
    fee_currency: str
    at: datetime = time_field()
    purpose: Purpose = word_field(Purpose)


class CashMovementRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "cash_movements"
    __table_args__ = (UniqueConstraint("account", "id", name="uq_cash_movements_account_id"),)
    seq: int = Field(primary_key=True, foreign_key="chain.seq")
    recorded_at: datetime = time_field()
    id: str
    account: str = Field(foreign_key="accounts.id")
    kind: CashKind = word_field(CashKind)
    amount: Decimal = decimal_field()
    at: datetime = time_field()
    note: str = Field(sa_type=Text)


class PositionAdjustmentRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "position_adjustments"
    __table_args__ = (UniqueConstraint("account", "id", name="uq_position_adjustments_account_id"),)
    seq: int = Field(primary_key=True, foreign_key="chain.seq")
    recorded_at: datetime = time_field()
    id: str
    account: str = Field(foreign_key="accounts.id")
    symbol: str
    kind: AdjustmentKind = word_field(AdjustmentKind)
    quantity: Decimal = decimal_field()
    cost: Decimal = decimal_field()
    at: datetime = time_field()
    note: str = Field(sa_type=Text)


class ReversalRow(SQLModel, table=True):
    """An entry that counts no more; `of` is its id in the same account and kind, `instead` of what replaces it."""

    __tablename__: ClassVar[str] = "reversals"
    __table_args__ = (
        UniqueConstraint("account", "id", name="uq_reversals_account_id"),
        UniqueConstraint("account", "kind", "of", name="uq_reversals_account_kind_of"),
    )
    seq: int = Field(primary_key=True, foreign_key="chain.seq")
    recorded_at: datetime = time_field()
    id: str
    account: str = Field(foreign_key="accounts.id")
    kind: EntryKind = word_field(EntryKind)
    of: str
    instead: str
    at: datetime = time_field()
    note: str = Field(sa_type=Text)


class DecisionRow(SQLModel, table=True):
    """What one tick concluded; its signals with every verdict and its orders stand in the chain's payload."""

    __tablename__: ClassVar[str] = "decisions"
    seq: int = Field(primary_key=True, foreign_key="chain.seq")
    recorded_at: datetime = time_field()
    at: datetime = time_field(index=True)
    account: str
    signals: int
    orders: int


class LastSignalRow(SQLModel, table=True):
    """Which decision evaluated a symbol of an account last, which of its signals that was, and what bar it judged."""

    __tablename__: ClassVar[str] = "last_signals"
    account: str = Field(primary_key=True)
    symbol: str = Field(primary_key=True)
    seq: int = Field(foreign_key="chain.seq")
    place: int
    bar_closed_at: datetime | None = time_field(nullable=True)
