"""Which recipe a model was fitted by; empty for those of before recipes had names. Frozen: a later change is a later
migration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("recipe", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")
