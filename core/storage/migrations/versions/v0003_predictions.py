"""Each prediction is kept until it is scored; the newest judged bar stands beside its signal. Frozen: a later change
is a later migration."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

from core.storage.columns import UtcDateTime
from core.storage.migrations.shorthand import columns

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_CHAIN = sa.table("chain", sa.column("seq"), sa.column("payload"))
_LAST = sa.table(
    "last_signals",
    sa.column("account"),
    sa.column("symbol"),
    sa.column("seq"),
    sa.column("place"),
    sa.column("bar_closed_at", UtcDateTime()),
)


def upgrade() -> None:
    op.create_table(
        "prediction_journal",
        *columns(word="symbol model event", time="bar_closed_at", real="probability"),
        sa.PrimaryKeyConstraint("symbol", "bar_closed_at"),
    )
    op.create_index("ix_prediction_journal_bar_closed_at", "prediction_journal", ["bar_closed_at"])
    op.add_column("last_signals", *columns(time="bar_closed_at?"))
    _fill_bar_closed_at()


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken apart: restore a backup instead")


def _fill_bar_closed_at() -> None:
    connection = op.get_bind()
    known = sa.select(_LAST.c.account, _LAST.c.symbol, _LAST.c.place, _CHAIN.c.payload).join_from(
        _LAST, _CHAIN, _LAST.c.seq == _CHAIN.c.seq
    )
    for account, symbol, place, payload in connection.execute(known).all():
        closed = json.loads(payload)["body"]["signals"][place].get("bar_closed_at")
        if closed is not None:
            connection.execute(
                _LAST.update()
                .where(_LAST.c.account == account, _LAST.c.symbol == symbol)
                .values(bar_closed_at=datetime.fromisoformat(closed))
            )
