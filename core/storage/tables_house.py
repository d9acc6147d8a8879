"""Tables of the house: outbox, job runs, named values, audit, taps, equity, and the lease."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, SQLModel

from core.domain.records import JobOutcome, OutboxState
from core.storage.fields import decimal_field, time_field, word_field


class OutboxRow(SQLModel, table=True):
    """An event (its class name, version and fields) and how far its delivery has come.

    `opening_id` is the row whose message opened the trade; `carrier_id` the row whose message tells of this one too.
    """

    __tablename__: ClassVar[str] = "outbox"
    __table_args__ = (Index("ix_outbox_state_priority_id", "state", "priority", "id"),)
    id: int = Field(primary_key=True)
    kind: str = Field(index=True)
    version: int
    payload: str = Field(sa_type=Text)
    instruction_number: int | None = Field(index=True)
    question_number: int | None = Field(index=True)
    priority: int
    created_at: datetime = time_field()
    market_time: datetime = time_field()
    state: OutboxState = word_field(OutboxState)
    attempts: int
    next_try_at: datetime | None = time_field(nullable=True)
    sent_at: datetime | None = time_field(nullable=True)
    message_id: int | None = Field(sa_type=BigInteger, nullable=True)
    last_error: str = Field(sa_type=Text)
    opening_id: int | None
    carrier_id: int | None = Field(index=True)


class JobRunRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "job_runs"
    __table_args__ = (
        Index("ix_job_runs_job_id", "job", "id"),
        Index("ix_job_runs_outcome_job_id", "outcome", "job", "id"),
    )
    id: int = Field(primary_key=True)
    job: str
    scheduled_at: datetime = time_field()
    started_at: datetime = time_field()
    finished_at: datetime | None = time_field(nullable=True)
    outcome: JobOutcome = word_field(JobOutcome)
    detail: str = Field(sa_type=Text)


class NamedValueRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "named_values"
    key: str = Field(primary_key=True)
    value: str = Field(sa_type=Text)


class AuditRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "audit"
    id: int = Field(primary_key=True)
    at: datetime = time_field()
    actor: str
    action: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)


class TapRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "taps"
    key: str = Field(primary_key=True)
    at: datetime = time_field()


class EquityRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "equity"
    account: str = Field(primary_key=True)
    at: datetime = time_field(primary_key=True)
    equity: Decimal = decimal_field()
    cash: Decimal = decimal_field()
    external_flow: Decimal = decimal_field()


class LeaseRow(SQLModel, table=True):
    """One row: which process holds the ledger. `held` false: released in good order."""

    __tablename__: ClassVar[str] = "lease"
    id: int = Field(primary_key=True)
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    started: str
    fencing: int
    acquired_at: datetime = time_field()
    expires_at: datetime = time_field()
    held: bool
