"""The live side of a model: from a symbol's daily bars to a probability."""

from __future__ import annotations

import numpy as np

from core.domain.decisions import Contribution, ModelVersion, Prediction, Reasons
from core.errors import DataFault
from core.series import BarSeries, Floats, time_of
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION, WARM_UP, FeatureTrack
from core.strategy.forest import FlatForest

_Key = tuple[int, int, float, float]


class ForestPredictor:
    """Implements the Predictor port on a flat forest. Not for use from several threads at once."""

    def __init__(self, forest: FlatForest, model: ModelVersion) -> None:
        """Raises DataFault when the forest is not `model`, or was trained on other features than ours."""
        _check(forest, model)
        self.version = model.version
        self._forest = forest
        self._tracks: dict[str, FeatureTrack] = {}
        self._rows: dict[str, Floats] = {}
        self._answers: dict[str, tuple[_Key, Prediction | None]] = {}

    @classmethod
    def from_bytes(cls, data: bytes, model: ModelVersion) -> ForestPredictor:
        """`data` is the flat file, its hash already compared. Raises DataFault."""
        try:
            forest = FlatForest.from_bytes(data)
        except ValueError as error:
            raise DataFault("model", f"{model.version}: {error}") from error
        return cls(forest, model)

    def predict(self, daily: BarSeries) -> Prediction | None:
        """None during warm-up and where a feature is not finite."""
        if len(daily) < WARM_UP:
            return None
        # The sum notices a history that was rewritten (a split, a correction) under an unchanged last bar.
        key = (int(daily.closed_at[-1]), len(daily), float(daily.close.sum()), float(daily.volume[-20:].sum()))
        known = self._answers.get(daily.symbol)
        if known is not None and known[0] == key:
            return known[1]
        answer = self._compute(daily)
        self._answers[daily.symbol] = (key, answer)
        return answer

    def explain(self, daily: BarSeries) -> Reasons | None:
        """What moved the answer for the last bar of `daily`; None where there is none."""
        if self.predict(daily) is None:
            return None
        row = self._rows[daily.symbol]
        base, moved = self._forest.explain(row)
        ranks = self._forest.ranks(row)
        names = self._forest.feature_names
        return Reasons(
            base,
            tuple(
                Contribution(name, float(row[i]), float(moved[i]), None if ranks is None else float(ranks[i]))
                for i, name in enumerate(names)
            ),
        )

    def _compute(self, daily: BarSeries) -> Prediction | None:
        row = self._tracks.setdefault(daily.symbol, FeatureTrack()).newest(daily)
        if not np.isfinite(row).all():
            return None
        self._rows[daily.symbol] = row
        probability = float(self._forest.predict(row[None, :])[0])
        return Prediction(daily.symbol, probability, self._forest.event, self.version, time_of(daily.closed_at[-1]))


def _check(forest: FlatForest, model: ModelVersion) -> None:
    for name, ours, theirs in (
        ("version", model.version, forest.version),
        ("event", model.event, forest.event),
        ("feature names", model.feature_names, forest.feature_names),
        ("feature version", model.feature_version, forest.feature_version),
        ("feature names of this program", FEATURE_NAMES, forest.feature_names),
        ("feature version of this program", FEATURE_VERSION, forest.feature_version),
    ):
        if ours != theirs:
            raise DataFault("model", f"{model.version}: {name} should be {ours}, the file has {theirs}")
