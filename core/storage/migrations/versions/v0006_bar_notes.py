"""What is known of stored bars: gaps that a source has nothing for, seams, refused bars. Frozen: a later change is a
later migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.storage.migrations.shorthand import columns

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bar_gaps",
        *columns(word="symbol size source", large="first last", number="bars tries", text="reason", time="asked_at"),
        sa.PrimaryKeyConstraint("symbol", "size", "source", "first"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bar_seams",
        *columns(
            number="id compared",
            word="symbol size kind source_from source_to",
            large="at",
            real="difference ratio volume_ratio?",
            time="recorded_at",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bar_seams_symbol_size", "bar_seams", ["symbol", "size"])
    op.create_table(
        "bar_refusals",
        *columns(word="symbol size defect source", large="at", text="sentence", time="seen_at"),
        sa.PrimaryKeyConstraint("symbol", "size", "at", "defect"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")
