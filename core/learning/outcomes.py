"""What came of journalled predictions, told from daily bars, and the shares by which outcomes that overlap count. Pure.

Every event compares prices with prices, so that a split that the bars follow changes no outcome.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from core.domain.decisions import Prediction
from core.domain.instruments import instrument_for
from core.domain.skill import TrackedPrediction
from core.learning.events import Event, Places
from core.learning.history import DAY
from core.learning.market import side_cost
from core.learning.samples import uniqueness
from core.series import BarSeries, Mask, Seconds, concatenated, seconds_of, time_of
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
    """Of one event in one symbol. `expected` are the closes of all daily bars there should be from the oldest
    prediction on, ascending, whole seconds UTC. `daily` is its history: for the base rates BASE_BARS, LEAD and the
    horizon before the oldest prediction, where there are as many."""

    def __init__(self, event: Event, daily: BarSeries, expected: Seconds) -> None:
        self._horizon = event.horizon
        self._expected: list[int] = expected.tolist()
        self._closes: list[int] = daily.closed_at.tolist()
        found = event.outcomes(_standing_still(daily, event.horizon), side_cost(daily.symbol))
        told = np.isfinite(found.gain)
        self._label: list[bool] = (found.label == 1).tolist()
        self._is_told: list[bool] = told.tolist()
        self._ended: list[int] = found.ended.tolist()
        self._until: list[int] = _unbroken(daily.closed_at, expected).tolist()
        self._base_rate = _base_rates(told, found.label == 1, event.horizon)
        self._jumps: list[int] = _jumps(daily).tolist()

    def of(self, made: Prediction) -> TrackedPrediction | str:
        """The prediction with its outcome, as soon as a closed bar decides it, or why there is none yet."""
        if not self._closes:
            return NO_BARS
        closed = seconds_of(made.bar_closed_at)
        at = bisect_left(self._closes, closed)
        if at == len(self._closes) or self._closes[at] != closed:
            return BAR_GONE
        ended = self._ended[at]
        if ended >= len(self._closes):
            left = len(self._expected) - bisect_right(self._expected, closed)
            return NOT_DUE if left < self._horizon else GAP
        if self._until[at] < ended or not self._is_told[at]:
            return GAP
        return TrackedPrediction(
            made,
            self._label[at],
            ended_at=time_of(self._closes[ended]),
            known_at=self._known_at(at, ended),
            base_rate=self._base_rate[at],
        )

    def _known_at(self, at: int, ended: int) -> datetime:
        """A jump that may be a split has to be old enough by then."""
        known = time_of(self._closes[ended])
        last = bisect_right(self._jumps, ended) - 1
        if last < 0 or self._jumps[last] <= at - LEAD:
            return known
        return max(known, time_of(self._closes[self._jumps[last]]) + UNSETTLED_FOR)


def _unbroken(closes: Seconds, expected: Seconds) -> Places:
    """For each bar the last one up to which none that was expected is missing, and none is there that was not."""
    if len(closes) == 0:
        return np.empty(0, np.int64)
    place = np.searchsorted(expected, closes)
    known = place < len(expected)
    known[known] = expected[place[known]] == closes[known]
    breaks = np.flatnonzero(~(known[1:] & (np.diff(place) == 1) & known[:-1]))
    ends = np.append(breaks, len(closes) - 1)
    return ends[np.searchsorted(ends, np.arange(len(closes)))]


def _base_rates(told: Mask, true: Mask, horizon: int) -> list[float | None]:
    """At each bar, of the outcomes that had run their whole horizon by its close, with one of either kind added
    (Laplace): nothing that has not happened yet is impossible. None before there was any."""
    known = np.maximum(0, np.arange(len(told)) - horizon + 1)
    oldest = np.maximum(0, known - BASE_BARS)
    counts, hits = (np.concatenate(([0], np.cumsum(each))) for each in (told, told & true))
    of, came = counts[known] - counts[oldest], hits[known] - hits[oldest]
    rates = ((came + 1) / (of + 2)).tolist()
    return [rate if count else None for rate, count in zip(rates, of.tolist(), strict=True)]


def _jumps(daily: BarSeries) -> Places:
    """The bars that opened far from the close before them; none of a coin, which is never split."""
    if instrument_for(daily.symbol).is_crypto or len(daily) < 2:
        return np.empty(0, np.int64)
    leap = np.abs(np.log(daily.open[1:] / daily.close[:-1]))
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
