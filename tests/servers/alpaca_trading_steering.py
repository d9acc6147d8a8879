"""How a test steers the market and the account of the Alpaca that it plays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.servers.alpaca_http import AlpacaHttp
from tests.servers.alpaca_trading_account import PaperAccount
from tests.servers.alpaca_trading_habits import listed
from tests.servers.alpaca_trading_orders import PaperOrder, Row
from tests.servers.alpaca_trading_venue import PaperVenue

A_WHILE = timedelta(days=30)
"""How old the account is."""
PAPER_CASH, PAPER_NUMBER = Decimal(100_000), "PA3TESTS0001"


class SteeredMarket(AlpacaHttp):
    """Prices, executions and what happens to the account beside them. Every method may be called from any thread and
    first lets happen what is due by the server's clock. Symbols as in orders: SPY, BTC/USD."""

    def __init__(self, now: Callable[[], datetime], *, cash: Decimal = PAPER_CASH, number: str = PAPER_NUMBER) -> None:
        super().__init__(now)
        self.venue = PaperVenue(PaperAccount(number, cash, now() - A_WHILE))
        self.lock = threading.RLock()

    # steering the market

    def set_price(self, symbol: str, price: Any) -> None:
        """From now on the market stands there (SPY, BTC/USD): what is due at it is filled at once."""
        with self.lock:
            self.venue.advance(self.now())
            self.venue.assets.setdefault(symbol, listed(symbol))
            self.venue.tick(symbol, Decimal(price))

    def tape(self, symbol: str, points: Iterable[tuple[datetime, Any]]) -> None:
        """Prices to come, played as the server's clock passes them."""
        with self.lock:
            self.venue.assets.setdefault(symbol, listed(symbol))
            self.venue.tape(symbol, ((at, Decimal(price)) for at, price in points))

    def play(self) -> None:
        """Lets everything happen that is due by now; each request does it, too."""
        with self.lock:
            self.venue.advance(self.now())

    def fill(self, client_order_id: str, quantity: Any = None, price: Any = None) -> None:
        """Fills (so much of) an order, whatever the market says; at its limit or the last price unless told."""
        with self.lock:
            self.venue.advance(self.now())
            order = self.venue.by_client_id(client_order_id)
            at = order.limit_price or self.venue.prices.get(order.symbol) or order.stop_price or 0
            self.venue.execute(order, Decimal(quantity or order.remaining), Decimal(price or at))

    def order(self, client_order_id: str) -> PaperOrder:
        with self.lock:
            self.venue.advance(self.now())
            return self.venue.by_client_id(client_order_id)

    def reject(self, client_order_id: str) -> None:
        """The exchange will not have an order that Alpaca took."""
        self._end(client_order_id, "rejected")

    def expire(self, client_order_id: str) -> None:
        self._end(client_order_id, "expired")

    def end_day(self, client_order_id: str) -> None:
        """Done for the day: the order goes on with the next session."""
        with self.lock:
            order = self.venue.by_client_id(client_order_id)
            order.moved("done_for_day", self.now())
            self.venue.tell("done_for_day", order)

    def _end(self, client_order_id: str, status: str) -> None:
        with self.lock:
            self.venue.advance(self.now())
            self.venue.end(self.venue.by_client_id(client_order_id), status)

    def halt(self, symbol: str, *, status: str = "active", tradable: bool = False) -> None:
        """Alpaca takes no orders for it, and nothing trades in it."""
        with self.lock:
            self.venue.assets[symbol] = replace(self.venue.assets[symbol], status=status, tradable=tradable)
            self.venue.habits.frozen.add(symbol)

    def resume(self, symbol: str) -> None:
        with self.lock:
            self.venue.assets[symbol] = replace(self.venue.assets[symbol], status="active", tradable=True)
            self.venue.habits.frozen.discard(symbol)

    # what happens to the account

    def trade_outside(self, symbol: str, side: str, quantity: Any, price: Any) -> str:
        """A trade in Alpaca's own app, filled at once at that price; returns its client order id."""
        with self.lock:
            self.venue.advance(self.now())
            body = {"symbol": symbol, "side": side, "qty": str(quantity), "type": "market"}
            body["time_in_force"] = "gtc" if "/" in symbol else "day"
            self.venue.habits.frozen.add(symbol)
            row = self.venue.submit(body)
            self.venue.habits.frozen.discard(symbol)
            order = self.venue.order(row["id"])
            self.venue.execute(order, order.quantity, Decimal(price))
            return order.client_order_id

    def order_outside(self, **body: Any) -> Row:
        """Any order from Alpaca's own app, in the form of its API."""
        with self.lock:
            self.venue.advance(self.now())
            return self.venue.submit({name: str(value) for name, value in body.items()})

    def cancel_outside(self, client_order_id: str) -> None:
        with self.lock:
            self.venue.advance(self.now())
            self.venue.cancel(self.venue.by_client_id(client_order_id).id)

    def dividend(self, symbol: str, per_share: Any) -> None:
        with self.lock:
            held, rate = self.venue.account.held(self.venue.asset(symbol)), Decimal(per_share)
            self.move(
                "DIV",
                (held * rate).quantize(Decimal("0.01")),
                symbol=symbol,
                qty=f"{held:f}",
                per_share_amount=f"{rate:f}",
                activity_sub_type="CDIV",
            )

    def move(self, kind: str, amount: Any, **fields: Any) -> None:
        """Cash by its kind: CSD and CSW (deposit, withdrawal), JNLC, INT, FEE ..."""
        with self.lock:
            self.venue.advance(self.now())
            self.venue.account.move(kind, Decimal(amount), self.now(), **fields)

    def split(self, symbol: str, ratio: Any, price: Any) -> None:
        """`ratio` new shares for one old, and the market stands at `price` then. Working orders stay as they are, as
        Alpaca documents it for all orders of a group; simple ones end as canceled before."""
        with self.lock:
            self.venue.advance(self.now())
            asset = self.venue.asset(symbol)
            for order in self.venue.live(asset.symbol):
                if not order.order_class:
                    self.venue.end(order, "canceled")
            self.venue.account.split(asset, Decimal(ratio), Decimal(price), self.now())
            self.venue.tick(asset.symbol, Decimal(price))

    def reset_account(self, number: str = "PA3TESTS0002", cash: Decimal = PAPER_CASH) -> None:
        """As when the owner resets a paper account: a new one with a new number, without orders, positions, history."""
        with self.lock:
            old = self.venue
            self.venue = PaperVenue(PaperAccount(number, cash, self.now()))
            self.venue.prices, self.venue.assets, self.venue.habits = old.prices, old.assets, old.habits
            self.venue.listeners = old.listeners
