"""Run by Alembic. The connection, inside its transaction, is handed over by core.storage.migrate."""

from __future__ import annotations

from alembic import context

from core.storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
