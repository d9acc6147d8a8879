"""Looks through the simulated market for a lively start, in the worker: the months that it looks at are made there, and
are gone with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.price_sources import make_calendar, make_simulated_market
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.feed.depth import MOST_DAILY_BARS
from core.learning.recipes import Recipe
from core.strategy.policy import Policy
from jobs.schedule import TICK_PERIOD
from jobs.scout import ScoutTask, scout

INTRADAY_LEAD = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Search:
    """Which market, and where in it: aware UTC, both ends included. `cash` in USD."""

    seed: int
    instruments: tuple[Instrument, ...]
    policy: Policy
    cash: Decimal
    earliest: datetime
    latest: datetime


def looked_back(search: Search, look: Callable[[Search], datetime | None], spans: int) -> datetime | None:
    """The lively moment that `look` finds in the span of `search` or, where there is none, in one of the `spans` - 1 of
    the same length before it, the newest first. None where all of them are quiet."""
    span, found = search.latest - search.earliest, None
    for number in range(spans):
        begin, end = search.earliest - number * span, search.latest - number * span
        found = found or look(replace(search, earliest=begin, latest=end))
    return found


def scout_market(search: Search, recipe: Recipe) -> datetime | None:
    """The lively moment, None where there is none; the same search has the same answer."""
    calendar = make_calendar()
    market = make_simulated_market(search.seed, calendar)
    latest = search.latest
    small = (latest - search.earliest + INTRADAY_LEAD) // TICK_PERIOD
    # The engine that begins at the earliest moment has as many bars as one that begins at the latest.
    large = MOST_DAILY_BARS + (latest - search.earliest) // timedelta(days=1) + 1
    task = ScoutTask(
        daily={each.symbol: market.bars(each, BarSize.D1, latest, large) for each in search.instruments},
        intraday={each.symbol: market.bars(each, BarSize.M5, latest, small) for each in search.instruments},
        instruments=search.instruments,
        calendar=calendar,
        policy=search.policy,
        cash=search.cash,
        earliest=search.earliest,
        latest=latest,
    )
    return scout(task, recipe)
