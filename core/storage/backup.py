"""Copies of a database file that may be in use, by SQLite's own online backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

KEPT: Final = 7


def back_up(database: Path, now: datetime, *, keep: int = KEPT) -> Path:
    """Writes `backups/<name>-<UTC time>.db` beside the database and removes all but the newest `keep` of them.

    The copy appears under its name only when it is whole. Returns its path; raises OSError and sqlite3.Error.
    """
    folder = database.parent / "backups"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{database.stem}-{now:%Y%m%dT%H%M%S}{now.microsecond:06d}Z.db"
    unfinished = target.with_suffix(".part")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(unfinished)) as copy:
        source.backup(copy)
    unfinished.replace(target)
    for old in sorted(folder.glob(f"{database.stem}-????????T????????????Z.db"))[:-keep]:
        old.unlink()
    return target
