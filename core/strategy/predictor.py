"""The live side of a model: from a symbol's daily bars to a probability."""

from __future__ import annotations

import numpy as np

from core.domain.decisions import Contribution, ModelVersion, Prediction, Reasons
from core.errors import DataFault
from core.series import BarSeries, Floats, time_of
from core.strategy.bundle import Bundle, Member
from core.strategy.calibration import Method
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION, WARM_UP, FeatureTrack

_Key = tuple[int, int, float, float]


class ForestPredictor:
    """Implements the Predictor port on flat forests. Not for use from several threads at once."""

    def __init__(self, bundle: Bundle, model: ModelVersion) -> None:
        """Raises DataFault when the bundle is not `model`, or was trained on other features than ours."""
        _check(bundle, model)
        self.version = model.version
        self._bundle = bundle
        self._members: dict[str, Member | None] = {}
        self._tracks: dict[str, FeatureTrack] = {}
        self._rows: dict[str, Floats] = {}
        self._answers: dict[str, tuple[_Key, Prediction | None]] = {}

    @classmethod
    def from_bytes(cls, data: bytes, model: ModelVersion) -> ForestPredictor:
        """`data` is the flat file, its hash already compared. Raises DataFault."""
        try:
            bundle = Bundle.from_bytes(data)
        except ValueError as error:
            raise DataFault("model", f"{model.version}: {error}") from error
        return cls(bundle, model)

    def lacks(self, symbol: str) -> str:
        """Why the model has no forest for `symbol`; empty where it has one."""
        return self._bundle.lacks(symbol)

    def has_seen(self, symbol: str) -> bool:
        """Whether it was there when the model was trained, be it that there was too little to learn from."""
        return self._bundle.has_seen(symbol)

    def predict(self, daily: BarSeries) -> Prediction | None:
        """None during warm-up, where a feature is not finite, and for a symbol that the model has no forest for."""
        if len(daily) < WARM_UP or self._member(daily.symbol) is None:
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
        made, member = self.predict(daily), self._member(daily.symbol)
        if made is None or member is None:
            return None
        row = self._rows[daily.symbol]
        base, moved = member.forest.explain(row)
        ranks = member.forest.ranks(row)
        return Reasons(
            base,
            tuple(
                Contribution(name, float(row[i]), float(moved[i]), None if ranks is None else float(ranks[i]))
                for i, name in enumerate(member.forest.feature_names)
            ),
            None if member.calibration.method is Method.NONE else made.probability,
        )

    def _member(self, symbol: str) -> Member | None:
        if symbol not in self._members:
            self._members[symbol] = self._bundle.member(symbol)
        return self._members[symbol]

    def _compute(self, daily: BarSeries) -> Prediction | None:
        row = self._tracks.setdefault(daily.symbol, FeatureTrack()).newest(daily)
        member = self._member(daily.symbol)
        if member is None or not np.isfinite(row).all():
            return None
        self._rows[daily.symbol] = row
        probability = float(member.foresee(row[None, :])[0])
        return Prediction(daily.symbol, probability, self._bundle.event, self.version, time_of(daily.closed_at[-1]))


def _check(bundle: Bundle, model: ModelVersion) -> None:
    for name, ours, theirs in (
        ("version", model.version, bundle.version),
        ("recipe", model.recipe, bundle.recipe),
        ("event", model.event, bundle.event),
        ("feature names", model.feature_names, bundle.feature_names),
        ("feature version", model.feature_version, bundle.feature_version),
        ("feature names of this program", FEATURE_NAMES, bundle.feature_names),
        ("feature version of this program", FEATURE_VERSION, bundle.feature_version),
    ):
        if ours != theirs:
            raise DataFault("model", f"{model.version}: {name} should be {ours}, the file has {theirs}")
