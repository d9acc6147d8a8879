"""Questions to the owner, reversals of entries, and what a guard remembers. Frozen: a later change is a later
migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.storage.migrations.shorthand import columns

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_questions()
    _create_reversals()
    op.add_column("guards", *columns(word="peak?"))
    op.add_column("guards", *columns(time="placed_at?"))
    op.add_column("outbox", *columns(number="question_number?"))
    op.create_index("ix_outbox_question_number", "outbox", ["question_number"])


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")


def _create_questions() -> None:
    op.create_table(
        "questions",
        *columns(
            number="number version",
            word="kind account symbol ours theirs stop? target? state answer?",
            text="text",
            time="asked_at answered_at?",
            flag="is_open",
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_questions_is_open", "questions", ["is_open"])


def _create_reversals() -> None:
    op.create_table(
        "reversals",
        *columns(number="seq", time="recorded_at at", word="id account kind of instead", text="note"),
        sa.PrimaryKeyConstraint("seq"),
        sa.ForeignKeyConstraint(["seq"], ["chain.seq"]),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"]),
        sa.UniqueConstraint("account", "id", name="uq_reversals_account_id"),
        sa.UniqueConstraint("account", "kind", "of", name="uq_reversals_account_kind_of"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER reversals_refuses_{change.lower()} BEFORE {change} ON reversals "
                "BEGIN SELECT RAISE(ABORT, 'reversals is append-only'); END"
            )
