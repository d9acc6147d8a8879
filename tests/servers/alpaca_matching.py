"""Alpaca's venue: orders with their legs, matched against prices that a test steers or a tape plays.

Of a bracket the target works and the stop is held once the purchase is filled altogether, as Alpaca documents it; the
stop that is met sells at the market, and what is left of one leg ends the other."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from core.adapters.calendars import ExchangeCalendar
from core.domain.instruments import AssetClass
from tests.servers.alpaca_trading_account import NEW_YORK, PaperAccount
from tests.servers.alpaca_trading_habits import Habits, known_assets
from tests.servers.alpaca_trading_orders import ENDED, OPEN, STOPS, WORKING, PaperOrder, Row, stamp, text
from tests.servers.alpaca_trading_rules import PaperAsset

CALENDAR = ExchangeCalendar()
EXTENDED = (time(4), time(20))
GTC_LIFE, AGED = timedelta(days=90), time(16, 15)
MICROSECOND = timedelta(microseconds=1)
LISTENERS = "listeners"

Listener = Callable[[Row], None]


class Matching:
    """`at` is how far the market has got. Symbols as in orders: SPY, BTC/USD. All times aware UTC. `listeners` hear the
    messages of the trade stream; they are no part of what is pickled."""

    def __init__(self, account: PaperAccount) -> None:
        self.account = account
        self.at = account.created_at
        self.assets = known_assets()
        self.habits = Habits()
        self.prices: dict[str, Decimal] = {}
        self.orders: dict[str, PaperOrder] = {}
        self.listeners: list[Listener] = []
        self.events: list[Row] = []
        self._live: dict[str, PaperOrder] = {}
        self._replacing: dict[str, tuple[PaperOrder, str]] = {}
        self._tape: list[tuple[datetime, int, str, Decimal]] = []
        self._points = count()
        self._ticks = 0
        self._stamped = account.created_at

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, LISTENERS: []}

    # time and prices

    def tape(self, symbol: str, points: Iterable[tuple[datetime, Decimal]]) -> None:
        """Prices that come when their time does."""
        for at, price in points:
            heapq.heappush(self._tape, (at, next(self._points), symbol, Decimal(price)))

    def advance(self, now: datetime) -> None:
        """Plays everything until `now`: sessions that open and close, orders that expire, the tape."""
        while True:
            edge, act = self._next_edge()
            if self._tape and self._tape[0][0] < edge:
                if self._tape[0][0] > now:
                    break
                at, _, symbol, price = heapq.heappop(self._tape)
                self.at = max(self.at, at)
                self.tick(symbol, price)
            elif edge > now:
                break
            else:
                self.at = max(self.at, edge)
                act()
        self.at = max(self.at, now)

    def _next_edge(self) -> tuple[datetime, Callable[[], None]]:
        is_open = CALENDAR.is_open(AssetClass.STOCK, self.at)
        edge = (CALENDAR.next_close if is_open else CALENDAR.next_open)(AssetClass.STOCK, self.at)
        act = self._close_session if is_open else self._open_session
        ends = [order.expires_at for order in self._live.values() if order.expires_at is not None]
        if ends and min(ends) <= edge:
            return min(ends), self._expire
        return edge, act

    def _open_session(self) -> None:
        for order in list(self._live.values()):
            is_new = order.id in self._replacing
            if order.status in ("accepted", "done_for_day") and not order.is_coin and not is_new:
                self._route(order)
        for symbol in {order.symbol for order in self._live.values() if not order.is_coin}:
            self._match(symbol)

    def _close_session(self) -> None:
        self.account.close_day(self.prices)

    def _expire(self) -> None:
        for order in list(self._live.values()):
            if order.expires_at is not None and order.expires_at <= self.at and order.id in self._live:
                self.end(order, "expired" if order.time_in_force == "day" else "canceled")

    def tick(self, symbol: str, price: Decimal) -> None:
        """A new price, now."""
        self.prices[symbol] = Decimal(price)
        self._ticks += 1
        for order in list(self._live.values()):
            if order.status == "pending_cancel":
                self.end(order, "canceled")
        self._match(symbol)
        if self._replacing:
            self.finish_replacing()
            self._match(symbol)

    def is_trading(self, order: PaperOrder) -> bool:
        if order.is_coin or CALENDAR.is_open(AssetClass.STOCK, self.at):
            return True
        local = self.at.astimezone(NEW_YORK)
        is_day = CALENDAR.session_bounds(AssetClass.STOCK, local.date()) is not None
        return order.extended_hours and is_day and EXTENDED[0] <= local.time() < EXTENDED[1]

    def expiry(self, order: PaperOrder) -> datetime | None:
        if order.time_in_force == "gtc":
            local = (order.created_at + GTC_LIFE).astimezone(NEW_YORK)
            return local.replace(hour=AGED.hour, minute=AGED.minute, second=0, microsecond=0).astimezone(
                order.created_at.tzinfo
            )
        if order.time_in_force != "day":
            return None
        close = CALENDAR.next_close(AssetClass.STOCK, order.created_at)
        if not order.extended_hours:
            return close
        return close.astimezone(NEW_YORK).replace(hour=20, minute=0).astimezone(order.created_at.tzinfo)

    def created(self) -> datetime:
        """When the next order was made: no two at the same moment."""
        self._stamped = max(self.at, self._stamped + MICROSECOND)
        return self._stamped

    def stamp_of(self, order: PaperOrder) -> datetime:
        return max(self.at, order.created_at)

    # orders

    def add(self, order: PaperOrder) -> None:
        order.expires_at = self.expiry(order)
        self.orders[order.id] = order
        if order.status not in ENDED:
            self._live[order.id] = order

    def live(self, symbol: str | None = None) -> Iterator[PaperOrder]:
        """Orders that have not ended, held legs among them, the oldest first."""
        for order in list(self._live.values()):
            if symbol is None or order.symbol == symbol:
                yield order

    def siblings(self, order: PaperOrder) -> list[PaperOrder]:
        """The others of a pair of which one ends the other."""
        parent = self.orders.get(order.parent) if order.parent else None
        family = [self.orders[name] for name in (parent or order).legs]
        if (parent or order).order_class == "oco":
            family.append(parent or order)
        elif parent is None:
            return []
        return [each for each in family if each is not order]

    def send_off(self, order: PaperOrder) -> None:
        """An order that was taken goes to the exchange, or waits for the next session."""
        if order.status == "accepted":
            self.tell("accepted", order)
            return
        self.tell("pending_new", order)
        self._route(order)
        self._match(order.symbol)
        if order.time_in_force in ("ioc", "fok") and order.id in self._live:
            self.end(order, "canceled")

    def begin_replacing(self, old: PaperOrder, new: PaperOrder) -> None:
        """`new` is to take the place of `old`, which rests until the exchange has it."""
        self.add(new)
        self._replacing[new.id] = (old, old.status)
        old.moved("pending_replace", self.stamp_of(old))
        self.tell("pending_replace", old)

    def finish_replacing(self) -> None:
        """What was met or filled meanwhile is not replaced; nor is what the exchange will not have otherwise."""
        waiting, self._replacing = self._replacing, {}
        for name, (old, status) in waiting.items():
            new, is_waiting = self.orders[name], old.status == "pending_replace"
            if is_waiting and not self.habits.rejects_replacements:
                self._take_place(old, new, "new" if status == "partially_filled" else status)
                continue
            if is_waiting:
                old.moved("partially_filled" if old.filled else status, self.stamp_of(old))
            self.tell("order_replace_rejected", old)
            self.end(new, "rejected", alone=True)

    def standing(self, order: PaperOrder) -> str:
        """The state of an order, or the one in which it is being replaced."""
        if order.status != "pending_replace":
            return order.status
        return next(status for old, status in self._replacing.values() if old is order)

    def _take_place(self, old: PaperOrder, new: PaperOrder, status: str) -> None:
        # With the old quantity, whatever was filled of it (Alpaca-API issue 165).
        old.replaced_by, new.is_triggered = new.id, old.is_triggered
        new.legs, old.legs = old.legs, []
        for leg in new.legs:
            self.orders[leg].parent = new.id
        if old.parent:
            parent = self.orders[old.parent]
            parent.legs[parent.legs.index(old.id)] = new.id
        self.end(old, "replaced", alone=True)
        new.moved(status, self.stamp_of(new))
        if status != "held":
            self.tell("new", new)

    def _route(self, order: PaperOrder) -> None:
        order.moved("partially_filled" if order.filled else "new", self.stamp_of(order))
        self.tell("new", order)

    def _match(self, symbol: str) -> None:
        if symbol not in self.prices or symbol in self.habits.frozen:
            return
        while any(self._moves(order) for order in self.live(symbol)):
            continue

    def _moves(self, order: PaperOrder) -> bool:
        """Whether the order did something at the price there is."""
        if order.id not in self._live or not self.is_trading(order):
            return False
        price = self.prices[order.symbol]
        if order.type in STOPS and not order.is_triggered:
            return self._triggers(order, price)
        if self.standing(order) not in WORKING or order.waits_for_tick == self._ticks:
            return False
        limit = order.limit_price
        if limit is not None and (price > limit if order.side == "buy" else price < limit):
            return False
        return self._fills(order, price)

    def _triggers(self, order: PaperOrder, price: Decimal) -> bool:
        stop = order.stop_price
        assert stop is not None
        if (price > stop if order.side == "sell" else price < stop) or not self._is_armed(order):
            return False
        order.is_triggered = True
        if order.side == "buy" and order.type == "stop":
            order.limit_price = (stop * Decimal("1.04" if stop < 50 else "1.025")).quantize(Decimal("0.01"))
        if self.standing(order) == "held":
            for target in self.siblings(order):
                self._give_way(target, order)
            self._route(order)
        return True

    def _is_armed(self, order: PaperOrder) -> bool:
        if self.standing(order) in WORKING:
            return True
        parent = self.orders[order.parent] if order.parent else order
        needed = WORKING if parent.order_class == "oco" else {"filled"}
        return self.standing(order) == "held" and self.standing(parent) in needed

    def _give_way(self, target: PaperOrder, stop: PaperOrder) -> None:
        if self.habits.stop_replaces_target:
            target.replaced_by = stop.id
        status = "replaced" if self.habits.stop_replaces_target else "canceled"
        self.end(target, status, told=self.habits.tells_ended_legs or status == "replaced", alone=True)

    def _fills(self, order: PaperOrder, price: Decimal) -> bool:
        quantity = order.remaining
        for name in (order.client_order_id, order.symbol):
            portions = self.habits.portions.get(name)
            if portions:
                quantity = min(quantity, portions.pop(0))
                break
        if order.time_in_force == "fok" and quantity < order.remaining:
            return False
        order.waits_for_tick = self._ticks
        if quantity > 0:
            self.execute(order, quantity, price)
        return quantity > 0

    def execute(self, order: PaperOrder, quantity: Decimal, price: Decimal) -> None:
        """Fills so much of an order at that price, whatever the market says."""
        at, asset = self.stamp_of(order), self.assets[order.symbol]
        order.filled += quantity
        order.value += quantity * price
        is_done = not order.remaining
        rests = order.status in ("pending_cancel", "pending_replace") and not is_done
        order.moved(order.status if rests else ("filled" if is_done else "partially_filled"), at)
        self.account.fill(order, asset, quantity, price, at)
        execution = self.account.name("execution")
        self.tell(
            "fill" if is_done else "partial_fill",
            order,
            execution_id=execution,
            price=text(price),
            qty=text(quantity),
            position_qty=text(self.account.held(asset)),
        )
        for sibling in self.siblings(order):
            if is_done:
                self.end(sibling, "canceled", told=self.habits.tells_ended_legs, alone=True)
            elif sibling.status not in ENDED:
                sibling.quantity = order.remaining + sibling.filled
        if is_done:
            self._live.pop(order.id, None)
            if order.order_class in ("bracket", "oto") and order.parent is None:
                self._activate(order)

    def _activate(self, parent: PaperOrder) -> None:
        """The legs of a purchase that is filled: the target works, the stop beside it is held."""
        legs = [self.orders[name] for name in parent.legs]
        for leg in legs:
            if leg.type == "limit" or len(legs) == 1:
                if self.is_trading(leg):
                    self._route(leg)
                else:
                    leg.moved("accepted", self.at)

    def end(self, order: PaperOrder, status: str, *, told: bool = True, alone: bool = False) -> None:
        """Ends an order and, unless `alone`, those of its group that live."""
        if order.id not in self._live:
            return
        order.moved(status, self.stamp_of(order))
        del self._live[order.id]
        if told:
            self.tell(status, order)
        if alone:
            return
        children = [self.orders[name] for name in order.legs] if order.parent is None else []
        for other in {each.id: each for each in (*self.siblings(order), *children)}.values():
            self.end(other, "canceled", told=self.habits.tells_ended_legs, alone=True)

    # what is told

    def tell(self, event: str, order: PaperOrder, **fields: Any) -> None:
        data = {"event": event, "timestamp": stamp(self.stamp_of(order)), "order": order.wire(), **fields}
        self.events.append(data)
        for hear in list(self.listeners):
            hear(data)

    def pledged(self) -> Decimal:
        """What purchases that wait will cost, USD."""
        total = Decimal(0)
        for order in self._live.values():
            if order.side == "buy" and order.status in OPEN and order.id not in self._replacing:
                total += order.remaining * (order.limit_price or self.prices.get(order.symbol, Decimal(0)))
        return total

    def promised(self, symbol: str) -> list[PaperOrder]:
        """Sales that wait and hold units back."""
        sales = [order for order in self.live(symbol) if order.side == "sell" and order.status in OPEN]
        return [order for order in sales if order.id not in self._replacing and self.standing(order) != "held"]

    def available(self, asset: PaperAsset) -> Decimal:
        held = sum((order.remaining for order in self.promised(asset.symbol)), Decimal(0))
        return max(Decimal(0), self.account.held(asset) - held)
