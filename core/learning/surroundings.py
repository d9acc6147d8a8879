"""What happens around an instrument: the further inputs of the one ablation that is registered beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.learning.history import History
from core.series import Floats, Seconds

YEAR, TREND, MONTHS = 252, 200, 60


def surroundings(histories: Sequence[History], around: Mapping[str, History]) -> list[Floats]:
    """Four columns for each bar of each history, known at its close; 0 where they are not known yet:

    the percentile of the VIX within its last 252 closes less one half, the distance of SPY and of BTC-USD from their
    mean of 200 days, and the mean correlation of 60 daily returns among the assets that have so many.
    `around` holds VIX, SPY and BTC-USD.
    """
    known = [
        (around["VIX"].bars.closed_at, _percentile(around["VIX"].bars.close)),
        *((around[name].bars.closed_at, _trend(around[name].bars.close)) for name in ("SPY", "BTC-USD")),
        _correlation(histories),
    ]
    return [
        np.column_stack([_as_of(history.bars.closed_at, *each) for each in known]) if len(history) else np.empty((0, 4))
        for history in histories
    ]


def _percentile(close: Floats) -> Floats:
    out = np.zeros(len(close))
    if len(close) >= YEAR:
        windows = np.lib.stride_tricks.sliding_window_view(close, YEAR)
        out[YEAR - 1 :] = np.mean(windows < windows[:, -1:], axis=1) - 0.5
    return out


def _trend(close: Floats) -> Floats:
    out = np.zeros(len(close))
    if len(close) >= TREND:
        out[TREND - 1 :] = (
            close[TREND - 1 :] / np.lib.stride_tricks.sliding_window_view(close, TREND).mean(axis=1) - 1.0
        )
    return out


def _correlation(histories: Sequence[History]) -> tuple[Seconds, Floats]:
    """The mean correlation of weekday returns, as of the last close of each date."""
    days = np.unique(np.concatenate([history.days() for history in histories if not history.symbol.endswith("-USD")]))
    returns = np.full((len(days), len(histories)), np.nan)
    for place, history in enumerate(histories):
        at = np.searchsorted(history.days(), days, side="right") - 1
        level = np.where(at >= 0, history.bars.close[np.maximum(at, 0)], np.nan)
        returns[1:, place] = np.diff(np.log(level))
    out = np.zeros(len(days))
    for row in range(MONTHS, len(days)):
        part = returns[row - MONTHS + 1 : row + 1]
        usable = part[:, np.isfinite(part).all(axis=0)]
        if usable.shape[1] >= 2:
            matrix = np.corrcoef(usable, rowvar=False)
            out[row] = float(matrix[np.triu_indices_from(matrix, 1)].mean())
    ends = (days + 1) * 86_400
    return ends, out


def _as_of(at: Seconds, known_at: Seconds, values: Floats) -> Floats:
    """The newest of `values` known at or before each of `at`; 0 before the first."""
    places = np.searchsorted(known_at, at, side="right") - 1
    return np.where(places >= 0, values[np.maximum(places, 0)], 0.0)
