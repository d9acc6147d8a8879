"""Fits, judges and saves the forest. Runs in the worker: scikit-learn is imported only when a function is called."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import DataFault
from core.learning.labels import TrainingRows, event_name, training_rows
from core.learning.validation import Scores, evaluate, purged_split
from core.series import BarSeries, time_of
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION
from core.strategy.forest import QUANTILES, FlatForest


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a forest is grown. `jobs` is the number of threads and changes no result.

    `newest` is how many bars of each symbol are learned from: ten years of sessions, because markets change and the
    fit has to stay within seconds.
    """

    trees: int = 200
    min_samples_leaf: int = 50
    max_samples: float = 0.5
    max_features: str = "sqrt"
    seed: int = 20_240_101
    test_share: float = 0.2
    min_rows: int = 500
    newest: int = 2520
    jobs: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRequest:
    """`daily` holds one series of closed daily bars a symbol; `folder` is where model files live."""

    daily: tuple[BarSeries, ...]
    folder: Path
    horizon: int
    recipe: Recipe = Recipe()


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """Plain values about the saved model. Paths are relative to the folder; `last_bar_at` is the newest bar used."""

    version: str
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


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """A fitted forest that is written nowhere yet; `estimator` is scikit-learn's, `last_bar_at` the newest bar used."""

    flat: FlatForest
    estimator: Any
    rows: int
    last_bar_at: datetime
    scores: Scores


def grow(rows: TrainingRows, horizon: int, recipe: Recipe) -> Grown:
    """Judges the recipe on the held-out newest days, then fits it on all `rows`; its version is the hash of the trees.

    Raises DataFault where the rows are too few or of one kind.
    """
    seen, held_out = _judged_parts(rows, recipe)
    trial = fit(seen, recipe)
    scores = evaluate(trial.predict_proba(held_out.features)[:, 1], held_out.labels, seen.labels)
    estimator = fit(rows, recipe)
    shares = np.linspace(0.0, 1.0, QUANTILES)
    quantiles = np.ascontiguousarray(np.quantile(rows.features, shares, axis=0).T)
    unnamed = replace(flatten(estimator, "", event_name(horizon)), quantiles=quantiles)
    version = f"f{hashlib.sha256(unnamed.to_bytes()).hexdigest()[:12]}"
    return Grown(replace(unnamed, version=version), estimator, len(rows), time_of(rows.labelled_at.max()), scores)


def train(request: TrainingRequest) -> TrainingOutcome:
    """Grows a forest on all labelled rows and saves it. The same bars give the same files and the same version.

    Raises DataFault where the rows are too few or of one kind.
    """
    grown = grow(training_rows(request.daily, request.horizon, request.recipe.newest), request.horizon, request.recipe)
    flat, version = grown.flat.to_bytes(), grown.flat.version
    request.folder.mkdir(parents=True, exist_ok=True)
    path, flat_path = f"{version}.joblib", f"{version}.npz"
    pickled = _pickled(grown.estimator, flat, request.folder)
    _write(request.folder / path, pickled)
    _write(request.folder / flat_path, flat)
    return TrainingOutcome(
        version,
        grown.flat.event,
        FEATURE_NAMES,
        FEATURE_VERSION,
        grown.rows,
        grown.last_bar_at,
        path,
        hashlib.sha256(pickled).hexdigest(),
        flat_path,
        hashlib.sha256(flat).hexdigest(),
        grown.scores,
    )


def fit(rows: TrainingRows, recipe: Recipe) -> Any:
    """A RandomForestClassifier fitted on `rows`; its trees have seeds of their own, so threads change nothing."""
    from sklearn.ensemble import RandomForestClassifier

    estimator = RandomForestClassifier(
        n_estimators=recipe.trees,
        min_samples_leaf=recipe.min_samples_leaf,
        max_samples=recipe.max_samples,
        max_features=recipe.max_features,
        random_state=recipe.seed,
        n_jobs=recipe.jobs,
    )
    estimator.fit(rows.features, rows.labels)
    return estimator.set_params(n_jobs=1)


def flatten(estimator: Any, version: str, event: str) -> FlatForest:
    """The flat form of a fitted RandomForestClassifier with classes 0 and 1 (or one of them alone)."""
    trees = [tree.tree_ for tree in estimator.estimators_]
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int32)
    columns: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "probability")}
    for tree, root in zip(trees, roots, strict=True):
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        columns["feature"].append(np.where(leaf, 0, tree.feature))
        columns["threshold"].append(np.where(leaf, 0.0, tree.threshold))
        columns["left"].append(np.where(leaf, own, tree.children_left) + root)
        columns["right"].append(np.where(leaf, own, tree.children_right) + root)
        columns["probability"].append(_positive_share(tree.value[:, 0, :], list(estimator.classes_)))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return FlatForest(
        version,
        event,
        FEATURE_NAMES,
        FEATURE_VERSION,
        roots,
        joined["feature"].astype(np.int32),
        joined["threshold"].astype(np.float64),
        joined["left"].astype(np.int32),
        joined["right"].astype(np.int32),
        joined["probability"].astype(np.float64),
        max(int(tree.max_depth) for tree in trees),
    )


def _positive_share(values: Any, classes: Sequence[Any]) -> Any:
    return values[:, classes.index(1)] if 1 in classes else np.zeros(len(values))


def _judged_parts(rows: TrainingRows, recipe: Recipe) -> tuple[TrainingRows, TrainingRows]:
    if len(rows) < recipe.min_rows:
        raise DataFault("model", f"{len(rows)} labelled rows, training needs {recipe.min_rows}")
    seen, held_out = purged_split(rows, recipe.test_share)
    if len(held_out) == 0 or len(np.unique(seen.labels)) < 2:
        raise DataFault("model", f"{len(seen)} rows before the held-out days do not hold both outcomes")
    return seen, held_out


def _pickled(estimator: Any, flat: bytes, folder: Path) -> bytes:
    import joblib

    # joblib writes to a path only; the temporary name never becomes a model's.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / "model.joblib"
        joblib.dump(
            {"estimator": estimator, "flat_sha256": hashlib.sha256(flat).hexdigest(), "features": list(FEATURE_NAMES)},
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
