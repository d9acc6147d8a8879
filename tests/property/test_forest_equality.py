from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import RandomForestClassifier

from core.learning.growing import flatten
from core.series import Floats

pytestmark = pytest.mark.feature("S4")

ROWS, WIDTH = 40, 9
SMALL = st.floats(-1e6, 1e6, allow_nan=False, width=64)
# Few distinct values make ties: rows that lie exactly on a threshold, and thresholds between neighbouring floats.
COARSE = st.sampled_from([0.0, -0.0, 1.0, 1.0000000001, 1e-40, -1e-40, 0.1, 0.30000000000000004, 16777217.0])


@settings(max_examples=60, deadline=None)
@given(
    seen=arrays(np.float64, (ROWS, WIDTH), elements=st.one_of(SMALL, COARSE)),
    asked=arrays(np.float64, (7, WIDTH), elements=st.one_of(SMALL, COARSE)),
    outcomes=st.lists(st.booleans(), min_size=ROWS, max_size=ROWS),
    leaf=st.integers(1, 10),
    seed=st.integers(0, 2**31 - 1),
)
def test_the_flat_forest_equals_scikit_learn_for_any_rows(
    seen: Floats, asked: Floats, outcomes: list[bool], leaf: int, seed: int
) -> None:
    estimator = RandomForestClassifier(7, min_samples_leaf=leaf, max_samples=0.5, random_state=seed)
    estimator.fit(seen, np.array(outcomes, np.int8))
    flat = flatten(estimator, "v", "e")
    rows = np.concatenate((seen, asked))
    positive = list(estimator.classes_).index(1) if 1 in estimator.classes_ else None
    expected = np.zeros(len(rows)) if positive is None else estimator.predict_proba(rows)[:, positive]
    np.testing.assert_array_equal(flat.predict(rows), expected)
