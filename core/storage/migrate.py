"""Brings a database file to the newest schema, after a backup (DESIGN 7). Uses Alembic without a configuration file."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from core.errors import Fatal
from core.storage.advice import in_words
from core.storage.backup import back_up
from core.storage.engine import database_path, engine_for
from core.storage.lease import in_words as held_in_words
from core.storage.lease import is_held
from core.storage.process import this_process
from core.storage.schema import HEAD


def migrate(where: str | Path, now: datetime, *, keep_copy: bool = True) -> Path | None:
    """Creates or upgrades the database; a file that is behind is backed up first, and that copy's path returned.

    `keep_copy` False is for a file that is a copy itself.
    Raises Fatal when the file was written by a newer version, is no database, or is in use by a running process.
    """
    path = database_path(where)
    revision = _revision(path)
    if revision == HEAD:
        return None
    if revision is not None and revision > HEAD:
        raise Fatal(
            f"{path} was written by a newer version of the program (schema {revision}, this one knows {HEAD}): "
            "install that version again, or restore a backup from before the upgrade"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = None
    if revision is not None:
        _refuse_if_held(path, now)
        saved = back_up(path, now, before=HEAD) if keep_copy else None
    engine = engine_for(path, durable=True)
    try:
        _upgrade(engine)
    finally:
        engine.dispose()
    return saved


def _revision(path: Path) -> str | None:
    """The schema revision of a file; None for a missing or empty one."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        with closing(sqlite3.connect(path)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables:
                return None
            row = (
                connection.execute("SELECT version_num FROM alembic_version").fetchone()
                if "alembic_version" in tables
                else None
            )
    except sqlite3.DatabaseError as error:
        raise Fatal(in_words(path, f"it cannot be read as a database ({error})")) from error
    if row is None:
        raise Fatal(f"{path} is a database of something else: name another file in DATABASE_URL")
    return str(row[0])


def _refuse_if_held(path: Path, now: datetime) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'lease'").fetchone():
            return
        row = connection.execute("SELECT * FROM lease").fetchone()
    if row is None:
        return
    times = {name: datetime.fromisoformat(row[name]) for name in ("acquired_at", "expires_at")}
    lease: Mapping[str, Any] = dict(row) | times
    if is_held(lease, now, this_process()):
        raise Fatal(held_in_words(lease))


def _upgrade(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic reads its options through an interpolating parser, to which a percent sign in a path is special.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.connect() as connection:
        connection.execution_options(writes=True)
        with connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, HEAD)
