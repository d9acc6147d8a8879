"""All tables of the ledger by name, for statements in SQLAlchemy Core; the classes stand in the tables_* modules."""

from __future__ import annotations

from typing import cast

from sqlalchemy import MetaData, Table
from sqlmodel import SQLModel

from core.storage.tables_bars import BarGapRow, BarRefusalRow, BarRow, BarSeamRow
from core.storage.tables_house import (
    AuditRow,
    EquityRow,
    JobRunRow,
    LeaseRow,
    NamedValueRow,
    OutboxRow,
    TapRow,
)
from core.storage.tables_ledger import (
    AccountRow,
    CashMovementRow,
    ChainRow,
    DecisionRow,
    FillRow,
    InstallationRow,
    LastSignalRow,
    PositionAdjustmentRow,
    ReversalRow,
)
from core.storage.tables_orders import (
    BrakeRow,
    GuardRow,
    InstructionRow,
    ModelRow,
    OrderRow,
    PredictionRow,
    PredictionScoreRow,
    QuestionRow,
)

METADATA: MetaData = SQLModel.metadata


def _table(row: type[SQLModel]) -> Table:
    return cast(Table, row.__table__)  # type: ignore[attr-defined]  # set by SQLModel on every table class


installation = _table(InstallationRow)
accounts = _table(AccountRow)
chain = _table(ChainRow)
fills = _table(FillRow)
cash_movements = _table(CashMovementRow)
position_adjustments = _table(PositionAdjustmentRow)
reversals = _table(ReversalRow)
decisions = _table(DecisionRow)
last_signals = _table(LastSignalRow)
orders = _table(OrderRow)
guards = _table(GuardRow)
instructions = _table(InstructionRow)
questions = _table(QuestionRow)
brakes = _table(BrakeRow)
models = _table(ModelRow)
predictions = _table(PredictionRow)
prediction_scores = _table(PredictionScoreRow)
outbox = _table(OutboxRow)
job_runs = _table(JobRunRow)
named_values = _table(NamedValueRow)
audit = _table(AuditRow)
taps = _table(TapRow)
equity = _table(EquityRow)
lease = _table(LeaseRow)
bars = _table(BarRow)
bar_gaps = _table(BarGapRow)
bar_seams = _table(BarSeamRow)
bar_refusals = _table(BarRefusalRow)

APPEND_ONLY = (chain, fills, cash_movements, position_adjustments, reversals, decisions)
