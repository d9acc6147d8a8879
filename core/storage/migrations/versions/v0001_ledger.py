"""The ledger: the hash-chained record, orders and what guards them. Frozen: a later change is a later migration."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from core.storage.migrations.shorthand import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_APPEND_ONLY = ("chain", "fills", "cash_movements", "position_adjustments", "decisions")


def upgrade() -> None:
    _create_record()
    _create_trading()
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes()


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")


def _refuse_changes() -> None:
    for table in _APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


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


def _entry_constraints(table: str) -> Iterator[sa.Constraint]:
    yield sa.PrimaryKeyConstraint("seq")
    yield sa.ForeignKeyConstraint(["account"], ["accounts.id"])
    yield sa.ForeignKeyConstraint(["seq"], ["chain.seq"])
    yield sa.UniqueConstraint("account", "id", name=f"uq_{table}_account_id")


def _create_installation() -> None:
    op.create_table(
        "installation",
        *columns(number="id epoch", word="installation_id world", time="created_at"),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_accounts() -> None:
    op.create_table("accounts", *columns(word="id kind world currency"), sa.PrimaryKeyConstraint("id"))


def _create_chain() -> None:
    op.create_table(
        "chain",
        *columns(number="seq", word="kind reference previous hash", text="payload"),
        sa.PrimaryKeyConstraint("seq"),
    )


def _create_fills() -> None:
    op.create_table(
        "fills",
        *columns(
            number="seq",
            time="recorded_at at",
            word="id account client_order_id symbol side quantity price fee fee_currency purpose",
        ),
        *_entry_constraints("fills"),
    )
    op.create_index("ix_fills_client_order_id", "fills", ["client_order_id"])


def _create_cash_movements() -> None:
    op.create_table(
        "cash_movements",
        *columns(number="seq", time="recorded_at at", word="id account kind amount", text="note"),
        *_entry_constraints("cash_movements"),
    )


def _create_position_adjustments() -> None:
    op.create_table(
        "position_adjustments",
        *columns(number="seq", time="recorded_at at", word="id account symbol kind quantity cost", text="note"),
        *_entry_constraints("position_adjustments"),
    )


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        *columns(number="seq signals orders", time="recorded_at at", word="account"),
        sa.PrimaryKeyConstraint("seq"),
        sa.ForeignKeyConstraint(["seq"], ["chain.seq"]),
    )
    op.create_index("ix_decisions_at", "decisions", ["at"])


def _create_last_signals() -> None:
    op.create_table(
        "last_signals",
        *columns(word="account symbol", number="seq place"),
        sa.PrimaryKeyConstraint("account", "symbol"),
        sa.ForeignKeyConstraint(["seq"], ["chain.seq"]),
    )


def _create_orders() -> None:
    op.create_table(
        "orders",
        *columns(
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


def _create_guards() -> None:
    op.create_table(
        "guards",
        *columns(word="account symbol stop target kind venue_order_id?", time="last_seen_at"),
        sa.PrimaryKeyConstraint("account", "symbol"),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
    )


def _create_instructions() -> None:
    op.create_table(
        "instructions",
        *columns(
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


def _create_brakes() -> None:
    op.create_table(
        "brakes",
        *columns(word="kind scope", text="reason", time="since until?"),
        sa.PrimaryKeyConstraint("kind", "scope"),
    )


def _create_models() -> None:
    op.create_table(
        "models",
        *columns(
            number="number feature_version rows validation_rows",
            word="version event path sha256 flat_path flat_sha256 state",
            time="trained_at last_bar_at",
            text="feature_names",
            real="validation_auc validation_log_loss baseline_log_loss base_rate",
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("version"),
    )


def _create_prediction_scores() -> None:
    op.create_table(
        "prediction_scores",
        *columns(word="symbol model", time="bar_closed_at", flag="hit"),
        sa.PrimaryKeyConstraint("symbol", "bar_closed_at", "model"),
    )
    op.create_index("ix_prediction_scores_bar_closed_at", "prediction_scores", ["bar_closed_at"])
