"""Small forests, models and their ledger rows for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np

from core.domain.decisions import ModelVersion
from core.learning.events import EVENTS
from core.learning.fitting import Grower, Pool, fitted
from core.learning.growing import flatten, lessons_of
from core.learning.recipes import DEFAULT_RECIPE, Recipe
from core.series import BarSeries, Floats
from core.strategy.bundle import ALL, Bundle, Member
from core.strategy.calibration import Calibration
from core.strategy.features import feature_matrix
from core.strategy.forest import FlatForest
from core.strategy.predictor import ForestPredictor
from tests.series_builders import random_walk

TRAINED_AT = datetime(2024, 1, 1, tzinfo=UTC)
GROWER = Grower(trees=6, trial_trees=4, leaves=(40,), least=100, stride=1)
SMALL = Recipe(DEFAULT_RECIPE, "scaled", Pool.ASSET, GROWER)
"""The recipe that ships, from few trees and few rows."""
EVENT = EVENTS["scaled"].words


@cache
def small_forest() -> FlatForest:
    """Grown by scikit-learn on random walks: 15 trees."""
    grower = replace(GROWER, trees=15, leaves=(10,))
    pooled = Recipe("pooled", "scaled", Pool.POOLED, grower)
    (lesson,) = lessons_of([random_walk("SPY", 500, seed=11), random_walk("BTC-USD", 500, seed=12)], pooled)
    found = fitted(lesson.samples, grower)
    assert found is not None
    return flatten(found.model, "small", EVENT)


def bundle_of(forest: FlatForest, calibration: Calibration | None = None, name: str = ALL) -> Bundle:
    """A model of that one forest, which answers for all symbols, at its own word unless `calibration` is given."""
    member = Member(name, forest, calibration or Calibration(), 10, 1000, 100.0, 0.5)
    words = forest.version, DEFAULT_RECIPE, forest.event, forest.feature_names, forest.feature_version
    return Bundle(*words, GROWER.seed, (member,))


def predictor_of(forest: FlatForest) -> ForestPredictor:
    return ForestPredictor(bundle_of(forest), model_of(forest))


def finite_rows(series: Sequence[BarSeries]) -> Floats:
    """The features of all bars that have them."""
    rows = np.concatenate([feature_matrix(each) for each in series])
    return rows[np.isfinite(rows).all(axis=1)]


def model_of(forest: FlatForest, *, flat: bytes = b"", pickled: bytes = b"") -> ModelVersion:
    """The ledger's row for the model of `forest`, with the hashes of the bytes given."""
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
        recipe=DEFAULT_RECIPE,
    )


def save(forest: FlatForest, folder: Path) -> ModelVersion:
    """Writes both files of a model (the joblib one is never opened by what is tested) and returns its row."""
    flat, pickled = bundle_of(forest).to_bytes(), b"a pickle that nobody may open"
    model = model_of(forest, flat=flat, pickled=pickled)
    (folder / model.path).write_bytes(pickled)
    (folder / model.flat_path).write_bytes(flat)
    return model
