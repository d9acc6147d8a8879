from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import DataFault
from core.series import BarSeries, time_of
from core.strategy.features import WARM_UP, feature_matrix
from core.strategy.forest import FlatForest
from core.strategy.predictor import ForestPredictor
from tests.forest_builders import EVENT, bundle_of, model_of, small_forest
from tests.series_builders import random_walk

pytestmark = pytest.mark.feature("S4")


def predictor() -> ForestPredictor:
    return ForestPredictor.from_bytes(bundle_of(small_forest()).to_bytes(), model_of(small_forest()))


def test_the_prediction_is_the_forests_for_the_last_closed_bar() -> None:
    bars = random_walk(count=300)
    found = predictor().predict(bars)
    assert found is not None
    assert found.probability == small_forest().predict(feature_matrix(bars)[-1:])[0]
    assert (found.symbol, found.event, found.model_version) == ("SPY", EVENT, "small")
    assert found.bar_closed_at == time_of(bars.closed_at[-1])


def test_following_the_days_one_by_one_equals_the_whole_period_at_once() -> None:
    bars, live = random_walk(count=260), predictor()
    at_once = small_forest().predict(feature_matrix(bars)[WARM_UP - 1 :])
    for index, probability in enumerate(at_once):
        found = live.predict(bars.part(slice(0, WARM_UP + index)))
        assert found is not None
        assert found.probability == probability


def test_there_is_no_prediction_during_warm_up_or_from_values_that_are_not_finite() -> None:
    bars, live = random_walk(count=300), predictor()
    assert live.predict(bars.part(slice(0, WARM_UP - 1))) is None
    assert live.predict(BarSeries.empty("SPY", bars.size)) is None
    hole = np.where(np.arange(300) == 200, np.nan, bars.close)
    assert live.predict(replace(bars, close=hole)) is None
    assert live.predict(replace(bars, close=np.where(np.arange(300) == 289, 0.0, bars.close))) is None
    assert live.predict(bars) is not None


def test_a_repeated_question_is_answered_from_memory_and_a_rewritten_history_is_not() -> None:
    bars, live = random_walk(count=300), predictor()
    first = live.predict(bars)
    assert live.predict(bars) is first
    rewritten = replace(bars, close=np.where(np.arange(300) < 295, bars.close / 2, bars.close))
    again = live.predict(rewritten)
    assert again is not None and first is not None
    assert again.probability == small_forest().predict(feature_matrix(rewritten)[-1:])[0]
    assert again.probability != first.probability


@pytest.mark.parametrize(
    "change",
    [
        {"feature_names": ("b", *small_forest().feature_names[1:])},
        {"feature_names": small_forest().feature_names[::-1]},
        {"feature_version": 99},
        {"event": "close lower"},
        {"version": "another"},
    ],
)
def test_a_forest_of_other_features_or_another_model_is_refused(change: dict[str, object]) -> None:
    forest = small_forest()
    odd: FlatForest = replace(forest, **change)  # type: ignore[arg-type]
    with pytest.raises(DataFault, match="should be"):
        ForestPredictor.from_bytes(bundle_of(odd).to_bytes(), model_of(forest))
    if "version" not in change and "event" not in change:
        with pytest.raises(DataFault, match="should be"):
            ForestPredictor.from_bytes(bundle_of(odd).to_bytes(), model_of(odd))


def test_bytes_that_are_no_forest_are_refused() -> None:
    with pytest.raises(DataFault, match="not a model"):
        ForestPredictor.from_bytes(b"something else", model_of(small_forest()))
