"""Trains a recipe and saves what came of it. Runs in the worker: scikit-learn is imported only when a function is
called."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.learning import held_out
from core.learning.growing import grow, lessons_of
from core.learning.held_out import Kept
from core.learning.recipes import Recipe
from core.learning.tracks import Lead, Track
from core.learning.validation import Scores
from core.series import BarSeries
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRequest:
    """`daily` holds one series of closed daily bars a symbol; `folder` is where model files live. What was labelled
    before `at` is learned from. `beside` is what the model of this recipe that is in use said of days held out."""

    daily: tuple[BarSeries, ...]
    folder: Path
    recipe: Recipe
    at: datetime
    beside: Kept | None = None


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """Plain values about the saved model. Paths are relative to the folder; `last_bar_at` is the newest bar used.
    `missing` says of the members of the pool that have no forest why not; `by_member` has the scores of the others.
    `held_sha256` is the hash of what was said of days held out; `behind` by how much the model in use was better there,
    None where there was nothing to compare with."""

    version: str
    recipe: str
    event: str
    feature_names: tuple[str, ...]
    feature_version: int
    rows: int
    last_bar_at: datetime
    path: str
    sha256: str
    flat_path: str
    flat_sha256: str
    scores: Scores
    by_member: Mapping[str, Scores]
    missing: Mapping[str, str]
    held_sha256: str = ""
    behind: Lead | None = None


def train(request: TrainingRequest) -> TrainingOutcome:
    """Fits the recipe on all labelled rows and saves it. The same bars give the same files and the same version.

    Raises DataFault where the rows are too few or of one kind.
    """
    recipe = request.recipe
    lessons = [each.until(request.at, recipe.grower.window) for each in lessons_of(request.daily, recipe)]
    grown = grow(lessons, recipe)
    bundle, flat = grown.bundle, grown.bundle.to_bytes()
    request.folder.mkdir(parents=True, exist_ok=True)
    path, flat_path = f"{bundle.version}.joblib", f"{bundle.version}.npz"
    pickled = _pickled(grown.estimators, flat, request.folder)
    _write(request.folder / path, pickled)
    _write(request.folder / flat_path, flat)
    held = held_out.to_bytes(grown.held_out)
    _write(request.folder / held_out.name_of(bundle.version), held)
    return TrainingOutcome(
        bundle.version,
        recipe.name,
        bundle.event,
        FEATURE_NAMES,
        FEATURE_VERSION,
        grown.rows,
        grown.last_bar_at,
        path,
        hashlib.sha256(pickled).hexdigest(),
        flat_path,
        hashlib.sha256(flat).hexdigest(),
        grown.scores,
        grown.by_member,
        bundle.missing,
        hashlib.sha256(held).hexdigest(),
        _behind(grown.held_out, request),
    )


def _behind(said: Track, request: TrainingRequest) -> Lead | None:
    former = held_out.read(request.beside) if request.beside is not None else None
    return held_out.behind(said, former, request.recipe.foresees.horizon) if former is not None else None


def _pickled(estimators: Mapping[str, Any], flat: bytes, folder: Path) -> bytes:
    import joblib

    # joblib writes to a path only; the temporary name never becomes a model's.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "model.joblib"
        joblib.dump(
            {
                "estimators": dict(estimators),
                "flat_sha256": hashlib.sha256(flat).hexdigest(),
                "features": list(FEATURE_NAMES),
            },
            path,
            compress=3,
        )
        return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a temporary file in the same folder, flushed to disk, then renamed over `path`."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
