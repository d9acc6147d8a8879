from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from core.learning.fitting import Pool, fitted
from core.learning.growing import flatten, lessons_of
from core.learning.recipes import DEFAULT_RECIPE, RECIPES
from core.strategy.forest import FlatForest
from tests.forest_builders import SMALL, finite_rows, small_forest
from tests.series_builders import random_walk, real_daily

pytestmark = pytest.mark.feature("S4")


def test_the_flat_forest_answers_as_scikit_learn_does() -> None:
    (lesson,) = lessons_of([random_walk("SPY", 900, seed=21)], SMALL)
    found = fitted(lesson.samples, replace(SMALL.grower, trees=60))
    assert found is not None
    flat, rows = flatten(found.model, "v", "e"), lesson.samples.features
    np.testing.assert_array_equal(flat.predict(rows), found.model.predict_proba(rows)[:, 1])


@pytest.mark.shared_data
def test_the_flat_forest_answers_as_scikit_learn_does_on_real_bars() -> None:
    pooled = replace(RECIPES[DEFAULT_RECIPE], pool=Pool.POOLED)
    (lesson,) = lessons_of([real_daily("SPY"), real_daily("ETH-USD")], pooled)
    found = fitted(lesson.samples, pooled.grower)
    assert found is not None
    flat, rows = flatten(found.model, "v", "e"), lesson.samples.features
    assert np.abs(flat.predict(rows) - found.model.predict_proba(rows)[:, 1]).max() < 1e-12


def test_a_value_at_a_threshold_goes_left_and_the_next_float_above_it_right() -> None:
    """Thresholds that no float32 hits: where the nearest one lies above, rounding must not let it in."""
    stump = replace(
        small_forest(),
        roots=np.array([0], np.int32),
        feature=np.zeros(3, np.int32),
        left=np.array([1, 1, 2], np.int32),
        right=np.array([2, 1, 2], np.int32),
        probability=np.array([0.5, 0.0, 1.0]),
        depth=1,
    )
    for threshold in (0.1, 0.3, -0.7, 1e-9, 0.5):
        near = np.float32(threshold)
        values = np.array([np.nextafter(near, np.float32(-9)), near, np.nextafter(near, np.float32(9))])
        forest = replace(stump, threshold=np.array([threshold, 0.0, 0.0]))
        rows = np.zeros((3, 9))
        rows[:, 0] = values
        expected = (values.astype(np.float64) > threshold).astype(np.float64)
        np.testing.assert_array_equal(forest.predict(rows), expected)
        many = np.tile(rows, (2_000, 1))
        np.testing.assert_array_equal(forest.predict(many), np.tile(expected, 2_000))


def test_a_row_gets_the_same_bits_alone_and_in_company() -> None:
    forest = small_forest()
    rows = finite_rows([random_walk("SPY", 800, seed=5)])
    together = forest.predict(rows)
    alone = np.array([forest.predict(row[None, :])[0] for row in rows[:50]])
    np.testing.assert_array_equal(alone, together[:50])
    assert forest.predict(rows[:0]).shape == (0,)


@pytest.mark.parametrize(("outcome", "probability"), [(0, 0.0), (1, 1.0)])
def test_a_forest_that_only_ever_saw_one_outcome_is_sure_of_it(outcome: int, probability: float) -> None:
    rows = np.random.default_rng(1).normal(size=(60, 9))
    estimator = RandomForestClassifier(5, random_state=1).fit(rows, np.full(60, outcome))
    np.testing.assert_array_equal(flatten(estimator, "v", "e").predict(rows), np.full(60, probability))


def test_a_saved_forest_comes_back_with_equal_bytes_and_answers() -> None:
    forest = small_forest()
    data = forest.to_bytes()
    back = FlatForest.from_bytes(data)
    rows = np.random.default_rng(2).normal(size=(300, 9))
    assert back.to_bytes() == data == forest.to_bytes()
    np.testing.assert_array_equal(back.predict(rows), forest.predict(rows))
    assert (back.version, back.event, back.feature_names) == (forest.version, forest.event, forest.feature_names)


def saved(**changes: object) -> bytes:
    with np.load(io.BytesIO(small_forest().to_bytes())) as file:
        arrays = {name: file[name] for name in file.files}
    arrays.update({name: np.asarray(value) for name, value in changes.items()})
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an archive",
        small_forest().to_bytes()[:-200],
        saved(format=2),
        saved(roots=[10**6]),
        saved(left=small_forest().left - 1),
        saved(right=small_forest().right[:-1]),
        saved(feature=small_forest().feature + 9),
        saved(probability=small_forest().probability + 1),
        saved(threshold=small_forest().threshold * np.nan),
        saved(feature_names=np.array(["a", {"b": 1}], dtype=object)),
    ],
)
def test_a_damaged_file_is_no_forest(data: bytes) -> None:
    with pytest.raises(ValueError):
        FlatForest.from_bytes(data)
