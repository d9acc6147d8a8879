"""The simulated venue of a backtest: a room of the composition root, beside bot.bootstrap."""

from __future__ import annotations

from decimal import Decimal

from bot.price_sources import actions_of
from core.adapters.calendars import ExchangeCalendar
from core.adapters.simulated_broker import BarsAfter, SimulatedBroker, stocks_only
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
    profile: VenueProfile = ALPACA,
) -> SimulatedBroker:
    """The venue of a replay, its journal in memory: it charges and fills as Alpaca does."""

    def tells_volume(symbol: str) -> bool:
        return stocks_only(symbol) or source.name == SimulatedMarket.name

    return SimulatedBroker(
        account,
        clock=clock,
        bars_after=bars_after,
        calendar=calendar,
        opening_cash=opening_cash,
        profile=profile,
        tells_volume=tells_volume,
        actions=actions_of([source], universe),
    )
