"""How the simulated venue plays one step of time: all bars that close at the same moment, their opens first.

All our orders in a symbol together take at most a share of a bar's volume; the rest is filled in the following bars.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.adapters.simulated_events import Cancelled, Filled, Triggered, Turned, VenueEvent
from core.adapters.simulated_matching import (
    Candle,
    Pricing,
    instrument_of,
    is_touched,
    price_at_open,
    price_from,
    price_within,
)
from core.adapters.simulated_profiles import Costs, VenueProfile, order_fee, units_taken
from core.adapters.simulated_resting import STOP_SUFFIX, Resting
from core.adapters.simulated_venue import USD, VenueBook
from core.domain.orders import OrderType, Side
from core.domain.portfolio import Fill
from core.domain.values import exact, floor_to


@dataclass(frozen=True, slots=True)
class Market:
    """Where the orders are played: what it costs, whose account it is, and of which symbols the volume is in units."""

    profile: VenueProfile
    account: str
    tells_volume: Callable[[str], bool]

    def most(self, candle: Candle) -> Decimal | None:
        """How many units may trade for us in the bar; None for no limit: a bar with volume zero tells nothing."""
        share = self.profile.volume_share
        if share is None or not candle.volume > 0 or not self.tells_volume(candle.symbol):
            return None
        return floor_to(exact(candle.volume) * share, instrument_of(candle.symbol).quantity_step)


def play(
    book: VenueBook,
    candles: Mapping[str, Candle],
    market: Market,
    now: datetime,
    record: Callable[[VenueEvent], None],
) -> None:
    """Matches the live orders of `book` against one candle a symbol, all with the same close.

    Every event goes to `record`, which must apply it to `book` before it returns. Money made between open and close
    never pays for a purchase at the open, whichever symbol comes first.
    """
    step = _Step(book, candles, market, now, record)
    step.open()
    step.run()


@dataclass(frozen=True, slots=True)
class _Step:
    book: VenueBook
    candles: Mapping[str, Candle]
    market: Market
    now: datetime
    record: Callable[[VenueEvent], None]
    left: dict[str, Decimal | None] = field(default_factory=dict)

    def open(self) -> None:
        """Fills at the open, in the order in which the bars opened and the orders arrived; new legs take part."""
        queue = deque(
            sorted(self._eligible(), key=lambda live: (self.candles[live.order.symbol].opened_at, live.sequence))
        )
        while queue:
            resting = queue.popleft()
            opened_at = self.candles[resting.order.symbol].opened_at
            queue.extend(self._try(resting, price_at_open, opened_at))

    def run(self) -> None:
        """Fills between open and close: stops first. Of a bracket born here only the stop counts within this bar."""
        by_doubt = sorted(self._eligible(), key=lambda live: (live.order.type is not OrderType.STOP, live.sequence))
        for resting in by_doubt:
            closed_at, limit = self.candles[resting.order.symbol].closed_at, resting.order.limit_price
            for leg in self._try(resting, price_within, closed_at):
                if limit is not None and leg.order.client_order_id.endswith(STOP_SUFFIX):
                    self._try(leg, price_from(limit), closed_at)

    def _eligible(self) -> list[Resting]:
        return [
            resting
            for resting in self.book.live.values()
            if (candle := self.candles.get(resting.order.symbol)) is not None and candle.opened_at >= resting.since
        ]

    def _try(self, queued: Resting, pricing: Pricing, at: datetime) -> list[Resting]:
        """Fills what it can of the order if it is still live and its price is met; returns the legs that came of it."""
        # The other leg may have been filled since this one was queued, wholly or in part.
        resting = self.book.live.get(queued.order.client_order_id)
        if resting is None:
            return []
        instrument = instrument_of(resting.order.symbol)
        costs = self.market.profile.costs[instrument.asset_class]
        candle = self.candles[resting.order.symbol]
        order = resting.order_at(candle.opened_at)
        price = pricing(order, resting.is_triggered, candle, instrument, costs)
        if price is None:
            if not resting.is_triggered and is_touched(order, candle.open):
                # The market has jumped over its limit.
                self.record(Triggered(self.now, order.client_order_id))
            return []
        left = self._left(order.symbol)
        units = resting.remaining if left is None else min(left, resting.remaining)
        if order.type is OrderType.STOP and units < resting.remaining and not resting.is_triggered:
            self.record(Triggered(self.now, order.client_order_id))
        if units <= 0:
            return []
        known = set(self.book.live)
        self._trade(resting, units, price, costs, at)
        return [live for name, live in self.book.live.items() if name not in known]

    def _left(self, symbol: str) -> Decimal | None:
        if symbol not in self.left:
            self.left[symbol] = self.market.most(self.candles[symbol])
        return self.left[symbol]

    def _trade(self, resting: Resting, units: Decimal, price: Decimal, costs: Costs, at: datetime) -> None:
        order, value = resting.order, units * price
        filled = order.filled_quantity + units
        fee = order_fee(filled, resting.value + value, order.side, costs) - resting.charged
        if order.side is Side.SELL:
            # A sale never costs more than it brings.
            fee = min(fee, value)
        elif value + fee > self.book.cash:
            self._drop(resting, value + fee)
            return
        left = self.left[order.symbol]
        if left is not None:
            self.left[order.symbol] = left - units
        taken = units_taken(units, order.side, costs)
        self.record(Filled(self.now, self._fill(resting, units, price, (taken or fee, bool(taken)), at)))

    def _drop(self, resting: Resting, needed: Decimal) -> None:
        name = resting.order.client_order_id
        reason = f"not enough cash when its time came: {needed:.2f} USD needed, {self.book.cash:.2f} USD there"
        self.record(Cancelled(self.now, name, reason) if resting.parts else Turned(self.now, name, reason))

    def _fill(self, resting: Resting, units: Decimal, price: Decimal, fee: tuple[Decimal, bool], at: datetime) -> Fill:
        """`fee` with whether it is taken in units."""
        order = resting.order
        return Fill(
            id=f"{order.client_order_id}/{resting.parts + 1}",
            account=self.market.account,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=units,
            price=price,
            fee=fee[0],
            fee_currency=order.symbol.removesuffix("-USD") if fee[1] else USD,
            at=at,
            purpose=order.purpose,
        )
