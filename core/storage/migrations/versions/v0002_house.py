"""The house: outbox, jobs, audit, equity, lease and bars. Frozen: a later change is a later migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.storage.migrations.shorthand import columns

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
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


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        *columns(
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


def _create_job_runs() -> None:
    op.create_table(
        "job_runs",
        *columns(number="id", word="job outcome", time="scheduled_at started_at finished_at?", text="detail"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_job_runs_job_id", "job_runs", ["job", "id"])
    op.create_index("ix_job_runs_outcome_job_id", "job_runs", ["outcome", "job", "id"])


def _create_named_values() -> None:
    op.create_table("named_values", *columns(word="key", text="value"), sa.PrimaryKeyConstraint("key"))


def _create_audit() -> None:
    op.create_table(
        "audit", *columns(number="id", time="at", word="actor", text="action outcome"), sa.PrimaryKeyConstraint("id")
    )


def _create_taps() -> None:
    op.create_table("taps", *columns(word="key", time="at"), sa.PrimaryKeyConstraint("key"))


def _create_equity() -> None:
    op.create_table(
        "equity",
        *columns(word="account equity cash external_flow", time="at"),
        sa.PrimaryKeyConstraint("account", "at"),
    )


def _create_lease() -> None:
    op.create_table(
        "lease",
        *columns(
            number="id pid fencing",
            word="host boot_id pid_namespace started",
            time="acquired_at expires_at",
            flag="held",
        ),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_bars() -> None:
    op.create_table(
        "bars",
        *columns(word="symbol size source", large="closed_at opened_at", real="open high low close volume"),
        sa.PrimaryKeyConstraint("symbol", "size", "closed_at"),
        sqlite_with_rowid=False,
    )
