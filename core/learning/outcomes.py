"""What came of journalled predictions, told from daily bars, and the shares by which outcomes that overlap count. Pure.

Every event compares prices with prices, so that a split that the bars follow changes no outcome.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from core.domain.decisions import Prediction
from core.domain.instruments import instrument_for
from core.domain.skill import TrackedPrediction
from core.learning.events import Event
from core.learning.history import DAY
from core.learning.market import side_cost
from core.learning.samples import uniqueness
from core.series import BarSeries, Seconds, concatenated, seconds_of, time_of
from core.strategy.skill import Weighed

BASE_BARS = 2520
"""Ten years of sessions: a base rate is that of so many newest bars, as a forest learns from them."""
LEAD = 20
"""Bars before a prediction that its event may look at: a usual move is scaled by so many."""
JUMP = math.log(1.4)
UNSETTLED_FOR = timedelta(days=5)
"""For so long a jump of a stock's price from a close to the next open may be a split that the bars do not follow yet
(core.feed.splits)."""
FORGOTTEN_AFTER = timedelta(days=45)
"""A prediction without an outcome shares its days with the others' for so long at most."""

NO_BARS = "there are no daily bars of it"
BAR_GONE = "the daily bar that it was made from is not there any more"
NOT_DUE = "not due yet"
GAP = "daily bars around it are missing"
UNSETTLED = "a jump of its price may be a split: that is looked at first"
UNKNOWN_EVENT = "this version does not know its event"


class Outcomes:
    """Of one event in one symbol. `daily` is its whole history, `expected` the closes of all daily bars there should be
    from the oldest prediction on, ascending, whole seconds UTC."""

    def __init__(self, event: Event, daily: BarSeries, expected: Seconds) -> None:
        self._daily = daily
        self._expected = expected
        self._horizon = event.horizon
        self._found = event.outcomes(_standing_still(daily, event.horizon), side_cost(daily.symbol))
        counts = np.isfinite(self._found.gain)
        self._told = np.concatenate(([0], np.cumsum(counts)))
        self._true = np.concatenate(([0], np.cumsum(counts & (self._found.label == 1))))
        self._jumps = self._jumped()

    def of(self, made: Prediction) -> TrackedPrediction | str:
        """The prediction with its outcome, as soon as a closed bar decides it, or why there is none yet."""
        if len(self._daily) == 0:
            return NO_BARS
        closed, closes = seconds_of(made.bar_closed_at), self._daily.closed_at
        at = int(np.searchsorted(closes, closed))
        if at == len(closes) or closes[at] != closed:
            return BAR_GONE
        first, ended = int(np.searchsorted(self._expected, closed, side="right")), int(self._found.ended[at])
        if ended >= len(closes):
            return NOT_DUE if len(self._expected) - first < self._horizon else GAP
        due = self._expected[first : first + ended - at]
        if not np.array_equal(closes[at + 1 : ended + 1], due) or not np.isfinite(self._found.gain[at]):
            return GAP
        return TrackedPrediction(
            made,
            bool(self._found.label[at]),
            ended_at=time_of(closes[ended]),
            known_at=self._known_at(at, ended),
            base_rate=self._base_rate(at),
        )

    def _base_rate(self, at: int) -> float | None:
        """Of the outcomes that had run their whole horizon by the close of bar `at`, with one of either kind added
        (Laplace): nothing that has not happened yet is impossible. None before there was any."""
        known = max(0, at - self._horizon + 1)
        oldest = max(0, known - BASE_BARS)
        told, true = (int(sums[known] - sums[oldest]) for sums in (self._told, self._true))
        return (true + 1) / (told + 2) if told else None

    def _known_at(self, at: int, ended: int) -> datetime:
        """A jump that may be a split has to be old enough by then."""
        closes = self._daily.closed_at
        jumps = self._jumps[(self._jumps > at - LEAD) & (self._jumps <= ended)]
        settled = [time_of(closes[jump]) + UNSETTLED_FOR for jump in jumps[-1:]]
        return max([time_of(closes[ended]), *settled])

    def _jumped(self) -> Seconds:
        """The bars that opened far from the close before them; none of a coin, which is never split."""
        if instrument_for(self._daily.symbol).is_crypto or len(self._daily) < 2:
            return np.empty(0, np.int64)
        leap = np.abs(np.log(self._daily.open[1:] / self._daily.close[:-1]))
        return np.flatnonzero(leap > JUMP) + 1


def _standing_still(daily: BarSeries, bars: int) -> BarSeries:
    """As if prices stood still from now on for so many bars: what such bars decide is not decided yet, and what the
    real ones have decided stays."""
    if len(daily) == 0:
        return daily
    after = np.arange(1, bars + 1)
    still = np.full(bars, daily.close[-1])
    opened, closed = daily.opened_at[-1] + DAY * after, daily.closed_at[-1] + DAY * after
    ahead = BarSeries(daily.symbol, daily.size, opened, closed, still, still, still, still, np.zeros(bars))
    return concatenated(daily, ahead)


def weighed(tracked: Sequence[TrackedPrediction], now: datetime) -> list[Weighed]:
    """Those of `tracked` that came due by `now` and have a base rate, with their shares. The others, which live still,
    take their part of the shares; so what a share is does not change once it counts."""
    closed = np.array([seconds_of(each.prediction.bar_closed_at) for each in tracked], np.int64)
    ended = np.array([seconds_of(_lives_until(each, now)) for each in tracked], np.int64)
    pooled, own = uniqueness(closed, ended), np.empty(len(tracked))
    symbols = np.array([each.prediction.symbol for each in tracked])
    for symbol in np.unique(symbols):
        mine = symbols == symbol
        own[mine] = uniqueness(closed[mine], ended[mine])
    return [
        Weighed(each, float(of_own), float(of_all))
        for each, of_own, of_all in zip(tracked, own, pooled, strict=True)
        if each.base_rate is not None and each.known_at is not None and each.known_at <= now
    ]


def _lives_until(each: TrackedPrediction, now: datetime) -> datetime:
    return each.ended_at or min(now, each.prediction.bar_closed_at + FORGOTTEN_AFTER)
