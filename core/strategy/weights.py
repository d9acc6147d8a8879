"""Recursive averages of a window as weighted sums. Every average in core.strategy.features is linear in its values, so
its newest value over a window of known length is one product with weights that depend on the length alone: what a tick
needs, without walking through the window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.series import Floats
from core.strategy.features import FAST, SIGNAL, SLOW

RSI_PERIOD = 14


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """For a window of n values: `wilder` for the n - 1 moves between them, the others for the n closes. Shape (n,);
    NaN throughout where the window is too short for the average."""

    wilder: Floats
    macd: Floats
    signal: Floats


@lru_cache(maxsize=512)
def weights_for(length: int) -> Weights:
    """The weights of a window of `length` closes; computed once a length."""
    fast = _rows(length, SLOW - 1, FAST, 2.0 / (FAST + 1))
    slow = _rows(length, SLOW - 1, SLOW, 2.0 / (SLOW + 1))
    signal = _last_row(length, SLOW + SIGNAL - 2, SIGNAL, 2.0 / (SIGNAL + 1))
    # Rows before the seed are NaN and have no part in the signal line: their weight in it is zero.
    difference = np.nan_to_num(fast - slow, nan=0.0)
    return Weights(
        wilder=_last_row(length, RSI_PERIOD, RSI_PERIOD, 1.0 / RSI_PERIOD),
        macd=fast[-1] - slow[-1],
        signal=signal @ difference,
    )


def _last_row(length: int, first: int, period: int, weight: float) -> Floats:
    last: Floats = _rows(length, first, period, weight)[-1]
    return last


def _rows(length: int, first: int, period: int, weight: float) -> NDArray[np.float64]:
    """Row t holds the weights of y[t] = y[t-1] + weight * (x[t] - y[t-1]), seeded at `first` with the mean of the
    `period` values that end there; NaN before the seed."""
    rows = np.full((length, length), np.nan)
    if length <= first:
        return rows
    row = np.zeros(length)
    row[first - period + 1 : first + 1] = 1.0 / period
    rows[first] = row
    for t in range(first + 1, length):
        row = row * (1.0 - weight)
        row[t] = weight
        rows[t] = row
    return rows
