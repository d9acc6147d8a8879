"""Small forests and their ledger rows for tests."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from core.domain.decisions import ModelVersion
from core.learning.labels import event_name, training_rows
from core.learning.training import Recipe, fit, flatten
from core.strategy.forest import FlatForest
from tests.series_builders import random_walk

TRAINED_AT = datetime(2024, 1, 1, tzinfo=UTC)
SMALL = Recipe(trees=15, min_samples_leaf=10, min_rows=100, jobs=1)


@cache
def small_forest() -> FlatForest:
    """Grown by scikit-learn on random walks: 15 trees."""
    rows = training_rows([random_walk("SPY", 500, seed=11), random_walk("BTC-USD", 500, seed=12)], 10)
    return flatten(fit(rows, SMALL), "small", event_name(10))


def model_of(forest: FlatForest, *, flat: bytes = b"", pickled: bytes = b"") -> ModelVersion:
    """The ledger's row for `forest`, with the hashes of the bytes given."""
    return ModelVersion(
        version=forest.version,
        trained_at=TRAINED_AT,
        last_bar_at=TRAINED_AT,
        event=forest.event,
        feature_names=forest.feature_names,
        feature_version=forest.feature_version,
        rows=1000,
        path=f"{forest.version}.joblib",
        sha256=hashlib.sha256(pickled).hexdigest(),
        flat_path=f"{forest.version}.npz",
        flat_sha256=hashlib.sha256(flat).hexdigest(),
        validation_rows=200,
        validation_auc=0.55,
        validation_log_loss=0.69,
        baseline_log_loss=0.69,
        base_rate=0.5,
    )


def save(forest: FlatForest, folder: Path) -> ModelVersion:
    """Writes both files of a model (the joblib one is never opened by what is tested) and returns its row."""
    flat, pickled = forest.to_bytes(), b"a pickle that nobody may open"
    model = model_of(forest, flat=flat, pickled=pickled)
    (folder / model.path).write_bytes(pickled)
    (folder / model.flat_path).write_bytes(flat)
    return model
