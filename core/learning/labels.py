"""What the model learns to foresee, and the rows it learns from. Pure; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.domain.decisions import Prediction
from core.series import BarSeries, Floats, Seconds, seconds_of
from core.strategy.features import FEATURE_NAMES, WARM_UP, feature_matrix

Labels = NDArray[np.int8]


def event_name(horizon: int) -> str:
    """The event in words, as predictions and messages name it."""
    return f"close higher after {horizon} bars"


def labels(close: Floats, horizon: int) -> Labels:
    """1 where the close `horizon` bars later is higher, else 0. Shape (max(0, n - horizon),): the tail has no label."""
    if len(close) <= horizon:
        return np.empty(0, np.int8)
    return (close[horizon:] > close[:-horizon]).astype(np.int8)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Labelled rows of all symbols, ordered by time, then symbol. Times in whole seconds UTC.

    `closed_at` is when the features were known, `labelled_at` when the label was.
    """

    features: Floats
    labels: Labels
    closed_at: Seconds
    labelled_at: Seconds

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: NDArray[np.bool_]) -> TrainingRows:
        return TrainingRows(
            self.features[chosen], self.labels[chosen], self.closed_at[chosen], self.labelled_at[chosen]
        )


def training_rows(daily: Sequence[BarSeries], horizon: int, newest: int | None = None) -> TrainingRows:
    """Every bar with finite features and a matured label, pooled over `daily` (one series a symbol).

    `newest` limits the rows of each symbol; features are computed over its whole history all the same, as live.
    """
    pools = [_rows_of(series, horizon, newest) for series in sorted(daily, key=lambda series: series.symbol)]
    if not pools:
        empty = np.empty(0, np.int64)
        return TrainingRows(np.empty((0, len(FEATURE_NAMES))), np.empty(0, np.int8), empty, empty)
    pooled = TrainingRows(
        np.concatenate([rows.features for rows in pools]),
        np.concatenate([rows.labels for rows in pools]),
        np.concatenate([rows.closed_at for rows in pools]),
        np.concatenate([rows.labelled_at for rows in pools]),
    )
    order = np.argsort(pooled.closed_at, kind="stable")
    return TrainingRows(
        pooled.features[order], pooled.labels[order], pooled.closed_at[order], pooled.labelled_at[order]
    )


def _rows_of(series: BarSeries, horizon: int, newest: int | None) -> TrainingRows:
    target = labels(series.close, horizon)
    count = len(target)
    features = feature_matrix(series)[:count]
    rows = TrainingRows(features, target, series.closed_at[:count], series.closed_at[horizon : horizon + count])
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(features), axis=1)
    if newest is not None:
        finite[: max(0, count - newest)] = False
    return rows.where(finite)


def count_matured(daily: Sequence[BarSeries], horizon: int, after: datetime) -> int:
    """How many labelled rows became known later than `after`."""
    start, total = seconds_of(after), 0
    for series in daily:
        known_at = series.closed_at[WARM_UP - 1 + horizon :]
        total += len(known_at) - int(np.searchsorted(known_at, start, side="right"))
    return total


def is_hit(prediction: Prediction, daily: BarSeries, horizon: int) -> bool | None:
    """Whether `prediction` (above one half means yes) came true; None while its label has not matured in `daily`."""
    at = int(np.searchsorted(daily.closed_at, seconds_of(prediction.bar_closed_at)))
    if at + horizon >= len(daily) or daily.closed_at[at] != seconds_of(prediction.bar_closed_at):
        return None
    return bool((prediction.probability > 0.5) == (daily.close[at + horizon] > daily.close[at]))
