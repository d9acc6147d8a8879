"""When the outcome of a prediction was decided and known, and how often its event had come true by then; empty for
scores of before. Frozen: a later change is a later migration."""

from __future__ import annotations

from alembic import op

from core.storage.migrations.shorthand import columns

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in columns(time="ended_at? known_at?", real="base_rate?"):
        op.add_column("prediction_scores", column)


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")
