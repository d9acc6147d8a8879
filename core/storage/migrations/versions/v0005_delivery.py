"""Which message opened the trade that an outbox row belongs to, and which row's message carried a folded one. Frozen: a
later change is a later migration."""

from __future__ import annotations

from alembic import op

from core.storage.migrations.shorthand import columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", *columns(number="opening_id?"))
    op.add_column("outbox", *columns(number="carrier_id?"))
    op.create_index("ix_outbox_carrier_id", "outbox", ["carrier_id"])


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")
