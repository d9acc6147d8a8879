"""Copies of a database file that may be in use, by SQLite's own online backup; each is checked before an older one is
let go."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from core.errors import Transient
from core.storage.soundness import faults, identity_of

FOLDER: Final = "backups"
NEWEST, DAYS, WEEKS, UPGRADES = 2, 7, 4, 3
"""Kept are the 2 newest, the newest of each of the last 7 days and 4 weeks with any, and 3 from before upgrades."""
MARGIN: Final = 50_000_000
"""Bytes that must stay free beside a copy."""
_STAMP: Final = "%Y%m%dT%H%M%S%f"
_NAME: Final = re.compile(r"(?P<stem>.+)-(?P<stamp>\d{8}T\d{12})Z(?P<upgrade>-before-\w+)?\.db")
Check = Callable[[Path], list[str]]


class BackupFailed(Transient):
    """No copy was made, and none was let go; the text says why."""


def back_up(database: Path, now: datetime, *, before: str = "", check: Check = faults) -> Path:
    """Writes `backups/<name>-<UTC time>Z.db` beside the database, checks it, and lets go of what has been outlived.

    `before` names the schema revision of an upgrade about to be made: such copies are counted apart. The copy appears
    under its name only when it is whole. Returns its path. Raises BackupFailed.
    """
    folder = database.parent / FOLDER
    suffix = f"-before-{before}" if before else ""
    target = folder / f"{database.stem}-{now.astimezone(UTC):{_STAMP}}Z{suffix}.db"
    unfinished = target.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _need_room(database, folder)
        copy_database(database, unfinished)
        wrong = check(unfinished)
        if wrong:
            raise BackupFailed(f"the copy of {database.name} is not whole ({wrong[0]}); older backups were kept")
        unfinished.replace(target)
        sync_folder(folder)
        for old in outlived(backups_of(database)):
            old.unlink()
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"{database.name} could not be backed up: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def copy_database(source: Path, target: Path) -> None:
    """A whole copy of a database that may be in use, on disk when this returns. Raises OSError and sqlite3.Error."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def backups_of(database: Path) -> list[Path]:
    """Its copies, the newest first."""
    found = [path for path in (database.parent / FOLDER).glob("*.db") if _stem(path) == database.stem]
    return sorted(found, key=lambda path: taken_at(path) or datetime.min.replace(tzinfo=UTC), reverse=True)


def taken_at(copy: Path) -> datetime | None:
    """When a copy was made, by its name."""
    match = _NAME.fullmatch(copy.name)
    return datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC) if match else None


def outlived(copies: Iterable[Path]) -> list[Path]:
    """Which of the copies (the newest first) are no longer worth their room."""
    routine, upgrades = list[Path](), list[Path]()
    for copy in copies:
        match = _NAME.fullmatch(copy.name)
        if match:
            (upgrades if match["upgrade"] else routine).append(copy)
    by_day = _newest_of_each(routine, "%Y%m%d")[:DAYS]
    by_week = _newest_of_each(routine, "%G%V")[:WEEKS]
    kept = {*routine[:NEWEST], *by_day, *by_week, *upgrades[:UPGRADES]}
    return [copy for copy in (*routine, *upgrades) if copy not in kept]


def newest_good(database: Path) -> Path | None:
    """The newest copy that is whole and a ledger of ours."""
    return next((copy for copy in backups_of(database) if identity_of(copy) and not faults(copy)), None)


def stem_of(copy: Path) -> str | None:
    """The name of the database that a copy was made of."""
    return _stem(copy)


def _stem(path: Path) -> str | None:
    match = _NAME.fullmatch(path.name)
    return match["stem"] if match else None


def _newest_of_each(copies: Sequence[Path], period: str) -> list[Path]:
    newest: dict[str, Path] = {}
    for copy in copies:
        at = taken_at(copy)
        if at is not None:
            newest.setdefault(at.strftime(period), copy)
    return list(newest.values())


def _need_room(database: Path, folder: Path) -> None:
    log = database.with_name(f"{database.name}-wal")
    needed = database.stat().st_size + (log.stat().st_size if log.exists() else 0) + MARGIN
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupFailed(
            f"no room for a backup of {database.name}: it needs {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free"
        )
