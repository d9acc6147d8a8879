"""The live record of a run's own forecasts, worked out beforehand and laid into the ledger when it would have been
known: at the end of the trading day on which an outcome was, as jobs.scoring does it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from core.backtest.ahead import SymbolAhead
from core.backtest.bars import SourceBars
from core.backtest.forecasts import ModelsInTime
from core.domain.bars import BarSize
from core.domain.decisions import Prediction
from core.domain.instruments import instrument_for
from core.domain.skill import Standings, TrackedPrediction, Trust
from core.feed.gaps import expected_closes
from core.learning.events import Event, event_named
from core.learning.outcomes import Outcomes, weighed
from core.ports import Calendar
from core.series import BarSeries, Mask, Seconds, seconds_of, time_of
from core.strategy.skill import course, standings_of

MOMENT = timedelta(microseconds=1)


class RecordInTime:
    """`at` says what the ticks at a moment know of it."""

    def __init__(self, known: list[tuple[datetime, Standings]]) -> None:
        """Each holds for the ticks after its moment, until the next; ascending."""
        self._moments = [moment for moment, _ in known]
        self._standings = [standings for _, standings in known]

    def at(self, now: datetime) -> Standings:
        place = bisect_left(self._moments, now) - 1
        return self._standings[place] if place >= 0 else Standings()

    def observes(self, symbol: str, ticks: Seconds) -> Mask:
        """At which of the ticks (seconds, ascending) nothing of the symbol may be bought for what is known then."""
        found = np.zeros(len(ticks), np.bool_)
        moments = np.array([seconds_of(at) for at in self._moments], np.int64)
        bounds = [*np.searchsorted(ticks, moments, side="right").tolist(), len(ticks)]
        for standings, (first, last) in zip(self._standings, pairwise(bounds), strict=True):
            doubt = standings.of(symbol)
            found[first:last] = doubt is not None and doubt.trust is Trust.OBSERVED
        return found


def record_in_time(
    bars: SourceBars,
    models: ModelsInTime,
    calendar: Calendar,
    symbols: Mapping[str, SymbolAhead],
    ticks: Seconds,
    end: datetime,
) -> RecordInTime:
    """Of what is journalled: the first forecast from a daily bar that a tick with a new confirming bar makes."""
    event = event_named(models.event) if models.event is not None else None
    if event is None:
        return RecordInTime([])
    tracked = list[TrackedPrediction]()
    for symbol, ahead in symbols.items():
        daily = bars.whole(symbol, BarSize.D1)
        # The first tick of all judges the bar of before the period, too.
        made = _journalled(daily, models, ticks[np.union1d([0], ahead.tick)])
        tracked += _told(made, event, daily, calendar, end)
    known = list[tuple[datetime, Standings]]()
    for moment in course(weighed(tracked, end)):
        standings = standings_of(moment.tallies, "")
        if standings.doubted or (known and known[-1][1].doubted):
            known.append((calendar.day_end(moment.at - MOMENT), standings))
    return RecordInTime(known)


def _journalled(daily: BarSeries, models: ModelsInTime, ticks: Seconds) -> list[Prediction]:
    likely = models.probabilities(daily.symbol, daily.closed_at, ticks)
    row = np.searchsorted(daily.closed_at, ticks, side="right") - 1
    told = np.flatnonzero(np.isfinite(likely) & (row >= 0))
    _, first = np.unique(row[told], return_index=True)
    event = models.event or ""
    return [
        Prediction(daily.symbol, float(likely[each]), event, "", time_of(daily.closed_at[row[each]]))
        for each in told[first]
    ]


def _told(
    made: list[Prediction], event: Event, daily: BarSeries, calendar: Calendar, end: datetime
) -> Iterator[TrackedPrediction]:
    """Those without an outcome too: they share the days of the others."""
    if not made:
        return
    oldest = seconds_of(made[0].bar_closed_at) - 1
    asset_class = instrument_for(daily.symbol).asset_class
    outcomes = Outcomes(event, daily, expected_closes(calendar, asset_class, BarSize.D1, oldest, seconds_of(end)))
    for each in made:
        outcome = outcomes.of(each)
        yield TrackedPrediction(each) if isinstance(outcome, str) else outcome
