"""The simulated venue of a backtest: a room of the composition root, beside bot.bootstrap."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from numpy.random import default_rng

from bot.price_sources import actions_of
from core.adapters.calendars import ExchangeCalendar
from core.adapters.simulated_broker import BarsAfter, SimulatedBroker, stocks_only
from core.adapters.simulated_faults import FaultPlan
from core.adapters.simulated_market import SimulatedMarket
from core.adapters.simulated_profiles import ALPACA, VenueProfile
from core.clock import VirtualClock
from core.domain.accounts import Account
from core.domain.instruments import Universe
from core.ports import MarketData


def make_memory_venue(
    account: Account,
    clock: VirtualClock,
    calendar: ExchangeCalendar,
    bars_after: BarsAfter,
    source: MarketData,
    universe: Universe,
    opening_cash: Decimal,
    delay: timedelta = timedelta(0),
    profile: VenueProfile = ALPACA,
) -> SimulatedBroker:
    """The venue of a replay, its journal in memory: it charges and fills as Alpaca does. What is sent to it comes to
    life after `delay`; stops and targets that come with a purchase rest at once."""

    def tells_volume(symbol: str) -> bool:
        return stocks_only(symbol) or source.name == SimulatedMarket.name

    # All orders, by one span of the delay each: nothing is drawn by chance.
    late = FaultPlan(default_rng(0), delayed=1.0, bar=delay, most_bars=1) if delay > timedelta(0) else None
    return SimulatedBroker(
        account,
        clock=clock,
        bars_after=bars_after,
        calendar=calendar,
        opening_cash=opening_cash,
        profile=profile,
        tells_volume=tells_volume,
        faults=late,
        actions=actions_of([source], universe),
        settled=True,
    )
