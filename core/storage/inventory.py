"""What a ledger file knows of the world around it: its models' files, and how late it was when it was last written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from core.domain.decisions import ModelState
from core.storage import tables
from core.storage.soundness import looking


def model_files(path: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Name and fault (empty for none) of both files of the live model."""
    models = tables.models
    with looking(path) as connection:
        row = connection.execute(select(models).where(models.c.state == ModelState.CHAMPION)).mappings().first()
    if row is None:
        return
    for name, recorded in ((row["path"], row["sha256"]), (row["flat_path"], row["flat_sha256"])):
        file = folder / name
        if not file.is_file():
            yield name, "the file is missing"
        elif hashlib.sha256(file.read_bytes()).hexdigest() != recorded:
            yield name, "the file is not the one that was recorded (its hash differs)"
        else:
            yield name, ""


def newest_record(path: Path) -> datetime | None:
    """When by the system clock the newest message was written."""
    box = tables.outbox
    with looking(path) as connection:
        newest: datetime | None = connection.execute(
            select(box.c.created_at).order_by(box.c.id.desc()).limit(1)
        ).scalar()
    return newest
