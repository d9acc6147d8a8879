"""The first tables: ledger with its hash chain, orders, outbox, jobs, lease, bars.

Frozen: a later change is a later migration, and nothing here follows changes of the table classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from core.storage.columns import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("chain", "fills", "cash_movements", "position_adjustments", "decisions")


def upgrade() -> None:
    _create_record()
    _create_trading()
    _create_house()
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes()


def _create_record() -> None:
    _create_installation()
    _create_accounts()
    _create_chain()
    _create_fills()
    _create_cash_movements()
    _create_position_adjustments()
    _create_decisions()
    _create_last_signals()


def _create_trading() -> None:
    _create_orders()
    _create_guards()
    _create_instructions()
    _create_brakes()
    _create_models()
    _create_prediction_scores()


def _create_house() -> None:
    _create_outbox()
    _create_job_runs()
    _create_named_values()
    _create_audit()
    _create_taps()
    _create_equity()
    _create_lease()
    _create_bars()


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")


def _refuse_changes() -> None:
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


_KINDS: dict[str, Any] = {
    "word": sa.String,
    "text": sa.Text,
    "number": sa.Integer,
    "large": sa.BigInteger,
    "real": sa.Float,
    "flag": sa.Boolean,
    "time": UtcDateTime,
}


def _columns(**names_of: str) -> Iterator[sa.Column[Any]]:
    """Columns by kind; a name with a question mark may be NULL."""
    for kind, names in names_of.items():
        for name in names.split():
            yield sa.Column(name.removesuffix("?"), _KINDS[kind](), nullable=name.endswith("?"))


def _entry_constraints(table: str) -> Iterator[sa.Constraint]:
    yield sa.PrimaryKeyConstraint("seq")
    yield sa.ForeignKeyConstraint(["account"], ["accounts.id"])
    yield sa.ForeignKeyConstraint(["seq"], ["chain.seq"])
    yield sa.UniqueConstraint("account", "id", name=f"uq_{table}_account_id")


def _create_accounts() -> None:
    op.create_table("accounts", *_columns(word="id kind world currency"), sa.PrimaryKeyConstraint("id"))


def _create_audit() -> None:
    op.create_table(
        "audit", *_columns(number="id", time="at", word="actor", text="action outcome"), sa.PrimaryKeyConstraint("id")
    )


def _create_bars() -> None:
    op.create_table(
        "bars",
        *_columns(word="symbol size source", large="closed_at opened_at", real="open high low close volume"),
        sa.PrimaryKeyConstraint("symbol", "size", "closed_at"),
        sqlite_with_rowid=False,
    )


def _create_brakes() -> None:
    op.create_table(
        "brakes",
        *_columns(word="kind scope", text="reason", time="since until?"),
        sa.PrimaryKeyConstraint("kind", "scope"),
    )


def _create_chain() -> None:
    op.create_table(
        "chain",
        *_columns(number="seq", word="kind reference previous hash", text="payload"),
        sa.PrimaryKeyConstraint("seq"),
    )


def _create_equity() -> None:
    op.create_table(
        "equity",
        *_columns(word="account equity cash external_flow", time="at"),
        sa.PrimaryKeyConstraint("account", "at"),
    )


def _create_installation() -> None:
    op.create_table(
        "installation",
        *_columns(number="id epoch", word="installation_id world", time="created_at"),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_instructions() -> None:
    op.create_table(
        "instructions",
        *_columns(
            number="number version",
            word=("client_order_id account symbol side purpose quantity price band_low band_high stop? target? state"),
            real="probability?",
            text="why",
            flag="needs_approval is_open",
            time="created_at expires_at?",
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_instructions_client_order_id", "instructions", ["client_order_id"])
    op.create_index("ix_instructions_is_open", "instructions", ["is_open"])


def _create_job_runs() -> None:
    op.create_table(
        "job_runs",
        *_columns(number="id", word="job outcome", time="scheduled_at started_at finished_at?", text="detail"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_job_runs_job_id", "job_runs", ["job", "id"])
    op.create_index("ix_job_runs_outcome_job_id", "job_runs", ["outcome", "job", "id"])


def _create_lease() -> None:
    op.create_table(
        "lease",
        *_columns(
            number="id pid fencing",
            word="host boot_id pid_namespace started",
            time="acquired_at expires_at",
            flag="held",
        ),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_models() -> None:
    op.create_table(
        "models",
        *_columns(
            number="number feature_version rows validation_rows",
            word="version event path sha256 flat_path flat_sha256 state",
            time="trained_at last_bar_at",
            text="feature_names",
            real="validation_auc validation_log_loss baseline_log_loss base_rate",
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("version"),
    )


def _create_named_values() -> None:
    op.create_table("named_values", *_columns(word="key", text="value"), sa.PrimaryKeyConstraint("key"))


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        *_columns(
            number="id version instruction_number? priority attempts",
            word="kind state",
            text="payload last_error",
            time="created_at market_time next_try_at? sent_at?",
            large="message_id?",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_outbox_instruction_number", "outbox", ["instruction_number"])
    op.create_index("ix_outbox_kind", "outbox", ["kind"])
    op.create_index("ix_outbox_state_priority_id", "outbox", ["state", "priority", "id"])


def _create_prediction_scores() -> None:
    op.create_table(
        "prediction_scores",
        *_columns(word="symbol model", time="bar_closed_at", flag="hit"),
        sa.PrimaryKeyConstraint("symbol", "bar_closed_at", "model"),
    )
    op.create_index("ix_prediction_scores_bar_closed_at", "prediction_scores", ["bar_closed_at"])


def _create_taps() -> None:
    op.create_table("taps", *_columns(word="key", time="at"), sa.PrimaryKeyConstraint("key"))


def _create_cash_movements() -> None:
    op.create_table(
        "cash_movements",
        *_columns(number="seq", time="recorded_at at", word="id account kind amount", text="note"),
        *_entry_constraints("cash_movements"),
    )


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        *_columns(number="seq signals orders", time="recorded_at at", word="account"),
        sa.PrimaryKeyConstraint("seq"),
        sa.ForeignKeyConstraint(["seq"], ["chain.seq"]),
    )
    op.create_index("ix_decisions_at", "decisions", ["at"])


def _create_fills() -> None:
    op.create_table(
        "fills",
        *_columns(
            number="seq",
            time="recorded_at at",
            word="id account client_order_id symbol side quantity price fee fee_currency purpose",
        ),
        *_entry_constraints("fills"),
    )
    op.create_index("ix_fills_client_order_id", "fills", ["client_order_id"])


def _create_guards() -> None:
    op.create_table(
        "guards",
        *_columns(word="account symbol stop target kind venue_order_id?", time="last_seen_at"),
        sa.PrimaryKeyConstraint("account", "symbol"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
    )


def _create_last_signals() -> None:
    op.create_table(
        "last_signals",
        *_columns(word="account symbol", number="seq place"),
        sa.PrimaryKeyConstraint("account", "symbol"),
        sa.ForeignKeyConstraint(["seq"], ["chain.seq"]),
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        *_columns(
            number="number attempt",
            word=(
                "client_order_id account symbol side quantity purpose origin state type limit_price? stop_price? "
                "bracket_stop? bracket_target? parent_id? reference_price filled_quantity venue_order_id?"
            ),
            time="created_at updated_at?",
            text="reason tags",
            flag="is_live holds_entry",
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
        sa.UniqueConstraint("client_order_id"),
    )
    op.create_index("ix_orders_created_at", "orders", ["created_at"])
    op.create_index("ix_orders_is_live", "orders", ["is_live"])
    op.create_index(
        "uq_orders_live_entry",
        "orders",
        ["account", "symbol"],
        unique=True,
        sqlite_where=sa.text("holds_entry"),
        postgresql_where=sa.text("holds_entry"),
    )


def _create_position_adjustments() -> None:
    op.create_table(
        "position_adjustments",
        *_columns(number="seq", time="recorded_at at", word="id account symbol kind quantity cost", text="note"),
        *_entry_constraints("position_adjustments"),
    )
