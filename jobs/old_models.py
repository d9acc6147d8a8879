"""The files of models that nobody goes back to any more are let go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from core.domain.decisions import ModelState, ModelVersion
from core.learning.held_out import name_of
from core.ports import UnitOfWork
from jobs.model_changes import former

KEPT: Final = 10
"""So many of the newest that were in use, beside the one that is and the one before it."""
CUT_SHORT: Final = timedelta(days=1)
"""What a training that was killed left half written is that old at least."""
_ALL: Final = 1_000


def forget_models(work: UnitOfWork, folder: Path, now: datetime) -> int:
    """Removes files of models that this ledger knows and keeps no more, and returns how many; `now` by the system
    clock. What it does not know may belong to another ledger of the installation, or be in training."""
    known = work.models(_ALL)
    kept = {name for model in _kept(work, known) for name in _files(model)}
    named = {name for model in known for name in _files(model)}
    gone = [path for name in sorted(named - kept) if (path := folder / name).parent == folder and path.is_file()]
    gone += list(_left_over(folder, now))
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _kept(work: UnitOfWork, known: Sequence[ModelVersion]) -> Iterator[ModelVersion]:
    yield from (model for model in (work.champion(), former(work)) if model is not None)
    yield from [model for model in known if model.state is not ModelState.REJECTED][:KEPT]


def _files(model: ModelVersion) -> tuple[str, ...]:
    return model.path, model.flat_path, name_of(model.version)


def _left_over(folder: Path, now: datetime) -> Iterator[Path]:
    for path in folder.glob(".*.part"):
        if path.is_file() and now.timestamp() - path.stat().st_mtime > CUT_SHORT.total_seconds():
            yield path
