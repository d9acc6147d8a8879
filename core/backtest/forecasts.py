"""What the models of a run foresee, worked out for the whole period at once and handed out bar by bar."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from core.domain.decisions import Prediction
from core.series import BarSeries, Floats, Seconds, seconds_of, time_of
from core.strategy.bundle import Bundle
from core.strategy.features import WARM_UP, feature_matrix


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The daily bars of a symbol in a run: when they close, and their features; shapes (n,) and (n, features)."""

    closed_at: Seconds
    features: Floats

    @classmethod
    def of(cls, daily: BarSeries) -> Rows:
        return cls(daily.closed_at, feature_matrix(daily))


@dataclass(slots=True, eq=False)
class Forecasts:
    """Implements the Predictor port: one model's answer for every daily bar; NaN where it has none. `lack` says of the
    symbols that the model has no forest for why not."""

    version: str
    event: str
    probabilities: Mapping[str, tuple[Seconds, Floats]]
    lack: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: Bundle, rows: Mapping[str, Rows], first: int, last: int) -> Forecasts:
        """For the bars that close from `first` to `last` (seconds since 1970), and for the one before them."""
        found: dict[str, tuple[Seconds, Floats]] = {}
        for symbol, own in rows.items():
            low = max(0, int(np.searchsorted(own.closed_at, first)) - 1)
            high = int(np.searchsorted(own.closed_at, last, side="right"))
            part = own.features[low:high]
            finite = np.isfinite(part).all(axis=1) & (np.arange(low, high) >= WARM_UP - 1)
            probability, member = np.full(len(part), np.nan), bundle.member(symbol)
            if member is not None:
                probability[finite] = member.foresee(part[finite])
            found[symbol] = (own.closed_at[low:high], probability)
        return cls(bundle.version, bundle.event, found, {symbol: bundle.lacks(symbol) for symbol in rows})

    def lacks(self, symbol: str) -> str:
        return self.lack.get(symbol, "")

    def has_seen(self, symbol: str) -> bool:
        return symbol in self.probabilities

    def predict(self, daily: BarSeries) -> Prediction | None:
        """As the live predictor answers for the last bar of `daily`."""
        if len(daily) < WARM_UP:
            return None
        probability = self.probability(daily.symbol, int(daily.closed_at[-1]))
        if probability is None:
            return None
        return Prediction(daily.symbol, probability, self.event, self.version, time_of(daily.closed_at[-1]))

    def probability(self, symbol: str, closed_at: int) -> float | None:
        """Raises KeyError for a bar that the forecasts were not made for: silence would look like a warm-up."""
        value = float(self.values(symbol, np.array([closed_at]))[0])
        return None if np.isnan(value) else value

    def values(self, symbol: str, closed_at: Seconds) -> Floats:
        """For many bars; NaN where the model has no answer. Raises KeyError as `probability` does."""
        closes, values = self.probabilities[symbol]
        row = np.minimum(np.searchsorted(closes, closed_at), len(closes) - 1)
        if not np.array_equal(closes[row], closed_at):
            at = time_of(closed_at[closes[row] != closed_at][0])
            raise KeyError(f"no forecast of {symbol} from the bar closed at {at}")
        found: Floats = values[row]
        return found


class ModelsInTime:
    """Which model is live when: one trained at a moment counts for the ticks after it."""

    def __init__(self, models: Sequence[tuple[datetime, Forecasts]]) -> None:
        """In the order of their training."""
        self._since = [at for at, _ in models]
        self._models = [model for _, model in models]

    def probabilities(self, symbol: str, daily: Seconds, at: Seconds) -> Floats:
        """What the model of each moment foresees from the newest of the bars that close at `daily`; NaN where there is
        no answer. Shape as `at`, seconds since 1970, ascending."""
        found = np.full(len(at), np.nan)
        row = np.searchsorted(daily, at, side="right") - 1
        bounds = [int(np.searchsorted(at, seconds_of(since), side="right")) for since in self._since] + [len(at)]
        for model, low, high in zip(self._models, bounds, bounds[1:], strict=False):
            seen = np.arange(low, high)[row[low:high] >= 0]
            if len(seen):
                found[seen] = model.values(symbol, daily[row[seen]])
        return found

    @property
    def event(self) -> str | None:
        """What they foresee, in words; None without any."""
        return self._models[0].event if self._models else None

    def at(self, now: datetime) -> Forecasts | None:
        index = bisect_left(self._since, now) - 1
        return self._models[index] if index >= 0 else None
