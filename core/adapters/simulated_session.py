"""How the simulated venue plays one step of time: all bars that close at the same moment, their opens first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.adapters.simulated_matching import Candle, Costs, fee_of, instrument_of, price_at_open, price_within
from core.adapters.simulated_venue import STOP_SUFFIX, Filled, Resting, Turned, VenueBook, VenueEvent
from core.domain.instruments import AssetClass, Instrument
from core.domain.orders import OrderType, Side
from core.domain.portfolio import Fill
from core.domain.venue import VenueOrder

Pricing = Callable[[VenueOrder, Candle, Instrument, Costs], Decimal | None]


def play(
    book: VenueBook,
    candles: Mapping[str, Candle],
    costs: Mapping[AssetClass, Costs],
    account: str,
    now: datetime,
    record: Callable[[VenueEvent], None],
) -> None:
    """Matches the live orders of `book` against one candle a symbol, all with the same close.

    Every fill or refusal goes to `record`, which must apply it to `book` before it returns. Money made between open and
    close never pays for a purchase at the open, whichever symbol comes first.
    """
    step = _Step(book, candles, costs, account, now, record)
    step.open()
    step.run()


@dataclass(frozen=True, slots=True)
class _Step:
    book: VenueBook
    candles: Mapping[str, Candle]
    costs: Mapping[AssetClass, Costs]
    account: str
    now: datetime
    record: Callable[[VenueEvent], None]

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
            closed_at = self.candles[resting.order.symbol].closed_at
            for leg in self._try(resting, price_within, closed_at):
                if leg.order.client_order_id.endswith(STOP_SUFFIX):
                    self._try(leg, price_within, closed_at)

    def _eligible(self) -> list[Resting]:
        return [
            resting
            for resting in self.book.live.values()
            if (candle := self.candles.get(resting.order.symbol)) is not None and candle.opened_at >= resting.since
        ]

    def _try(self, resting: Resting, pricing: Pricing, at: datetime) -> list[Resting]:
        """Fills the order if it is still live and its price is met; returns the legs that came of it."""
        order = resting.order
        if order.client_order_id not in self.book.live:
            return []
        instrument = instrument_of(order.symbol)
        costs = self.costs[instrument.asset_class]
        price = pricing(order, self.candles[order.symbol], instrument, costs)
        if price is None:
            return []
        value = order.quantity * price
        fee = fee_of(value, order.side, costs)
        if order.side is Side.BUY and value + fee > self.book.cash:
            reason = f"not enough cash when its time came: {value + fee:.2f} USD needed, {self.book.cash:.2f} USD there"
            self.record(Turned(self.now, order.client_order_id, reason))
            return []
        known = set(self.book.live)
        self.record(Filled(self.now, self._fill(order, price, fee, at)))
        return [live for name, live in self.book.live.items() if name not in known]

    def _fill(self, order: VenueOrder, price: Decimal, fee: Decimal, at: datetime) -> Fill:
        return Fill(
            # Orders fill whole, once: the id needs no more than the order's own.
            id=f"{order.client_order_id}/1",
            account=self.account,
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            price=price,
            fee=fee,
            fee_currency="USD",
            at=at,
            purpose=order.purpose,
        )
