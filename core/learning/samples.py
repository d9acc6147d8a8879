"""The rows that research learns from, pooled over instruments, and how much each of them tells that others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.learning.events import Event
from core.learning.history import DAY, History
from core.learning.labels import Labels
from core.series import Floats, Mask, Seconds
from core.strategy.features import feature_matrix


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Rows of several instruments in order of `closed_at`, then instrument. Times in whole seconds UTC.

    `asset` numbers the instrument a row is of, `bar` its bar there. `closed_at` is when the features were known,
    `labelled_at` when the label is at the latest, `ended_at` when it really was. `gain` is a fraction before costs.
    """

    features: Floats
    label: Labels
    gain: Floats
    asset: NDArray[np.int64]
    bar: NDArray[np.int64]
    closed_at: Seconds
    labelled_at: Seconds
    ended_at: Seconds

    def __len__(self) -> int:
        return len(self.label)

    def where(self, chosen: Mask | NDArray[np.int64]) -> Samples:
        return Samples(*(getattr(self, name)[chosen] for name in self.__slots__))


def samples_of(
    histories: Sequence[History], event: Event, costs: Sequence[float], extra: Sequence[Floats] | None = None
) -> Samples:
    """Every bar with finite features and a matured label. `costs` is the fraction that a side costs in each instrument;
    `extra` holds further columns of features, one array (bars, k) an instrument."""
    more = extra if extra is not None else [np.empty((len(history), 0)) for history in histories]
    parts = [_part(place, *each, event) for place, each in enumerate(zip(histories, costs, more, strict=True))]
    pooled = Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in Samples.__slots__))
    return pooled.where(np.argsort(pooled.closed_at, kind="stable"))


def _part(place: int, history: History, cost: float, extra: Floats, event: Event) -> Samples:
    bars = history.bars
    outcomes = event.outcomes(bars, cost)
    count = max(0, min(len(outcomes.label), len(bars) - event.horizon))
    rows = np.column_stack((feature_matrix(bars), extra))[:count]
    latest = np.arange(count) + event.horizon
    part = Samples(
        rows,
        outcomes.label[:count],
        outcomes.gain[:count],
        np.full(count, place),
        np.arange(count),
        bars.closed_at[:count],
        bars.closed_at[latest],
        bars.closed_at[outcomes.ended[:count]],
    )
    return part.where(np.isfinite(rows).all(axis=1) & np.isfinite(part.gain))


def uniqueness(closed_at: Seconds, ended_at: Seconds) -> Floats:
    """How much of each label's life it has to itself: the mean over the days it lives of 1 / (labels alive that day).

    Average uniqueness after Lopez de Prado, Advances in Financial Machine Learning (2018), section 4.3, here counted
    by calendar day over all instruments of the pool, because they move together. A label lives from the day after its
    features to the day it was known. Shape as given; above 0, at most 1.
    """
    first, last = closed_at // DAY + 1, np.maximum(ended_at // DAY, closed_at // DAY + 1)
    if len(first) == 0:
        return np.empty(0)
    start = int(first.min())
    change = np.zeros(int(last.max()) - start + 2)
    np.add.at(change, first - start, 1.0)
    np.add.at(change, last - start + 1, -1.0)
    alive = np.cumsum(change)[:-1]
    share = np.concatenate(([0.0], np.cumsum(1.0 / np.maximum(alive, 1.0))))
    mean: Floats = (share[last - start + 1] - share[first - start]) / (last - first + 1)
    return mean
