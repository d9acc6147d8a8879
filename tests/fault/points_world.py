"""What goes on outside an installation that is killed: a venue, a chat, prices. It outlives every process, in files of
its own, and what happens in it by itself happens once however often a step is repeated."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError, TimedOut

from core.clock import VirtualClock
from core.domain.bars import Bar, BarSize, Quote
from core.domain.instruments import Instrument, instrument_for
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.values import ZERO
from core.domain.venue import OrderRequest, Refused, Replacement, Split, SubmitResult, VenueOrder
from core.errors import Unreachable
from core.series import BarSeries, time_of
from tests.builders import rising_days, rising_minutes
from tests.fakes_chaos import ChaosVenue
from tests.fault.kill_memory import append, lines_of

DAYS = 300
FIVE = timedelta(minutes=5)


class Notes:
    """Small facts in one file, replaced as a whole: what was tapped, what has happened, what is still to go wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def get(self, key: str, find: Callable[[], Any]) -> Any:
        """What was noted under `key`; found out and noted the first time."""
        if key not in self._known:
            self[key] = find()
        return self._known[key]

    def __contains__(self, key: str) -> bool:
        return bool(self._known.get(key))

    def __setitem__(self, key: str, value: Any) -> None:
        self._known[key] = value
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self._known))
        beside.replace(self._path)

    def take(self, key: str) -> Any:
        """The next of a list of things, gone from it; None where nothing is left."""
        left = list(self._known.get(key, []))
        if not left:
            return None
        self[key] = left[1:]
        return left[0]


class LastingVenue(ChaosVenue):
    """A venue that survives its customers: whatever it does is on disk before it is answered."""

    KEPT = (
        "mishap",
        "refusals",
        "can_replace",
        "unstopped",
        "is_down",
        "cash",
        "positions",
        "requests",
        "moves",
        "book",
        "fills",
        "activities",
        "deeds",
        "_brackets",
        "_under_way",
        "_gained",
    )

    def keep_in(self, path: Path) -> LastingVenue:
        self.deeds: set[str] = set()
        self.refusals = 0
        self.unstopped: list[str] = []
        self.path = path
        if path.exists():
            vars(self).update(pickle.loads(path.read_bytes()))  # our own file
        return self

    def save(self) -> None:
        for symbol, held in self.positions.items():
            stops = [each.quantity - each.filled_quantity for each in self.those(symbol=symbol, purpose=Purpose.STOP)]
            if stops != [held]:
                self.unstopped.append(f"{held} {symbol} held, and stops for {stops} rest")
        beside = self.path.with_suffix(".new")
        beside.write_bytes(pickle.dumps({name: getattr(self, name) for name in self.KEPT}))
        beside.replace(self.path)

    def submit(self, request: OrderRequest) -> SubmitResult:
        try:
            if self.refusals:
                self.refusals -= 1
                return Refused("turned down")
            return super().submit(request)
        finally:
            self.save()

    def replace(self, client_order_id: str, change: Replacement) -> SubmitResult:
        try:
            if self.refusals:
                self.refusals -= 1
                return Refused("turned down")
            return super().replace(client_order_id, change)
        finally:
            self.save()

    def cancel(self, client_order_id: str) -> None:
        try:
            super().cancel(client_order_id)
        finally:
            self.save()

    def _receive(self) -> None:
        """What arrives late arrives in the middle of a question, and is there to stay."""
        waits = bool(self._under_way)
        super()._receive()
        if waits:
            self.save()

    def happens(self, key: str, deed: Callable[[LastingVenue], object]) -> None:
        """Something goes on there without our doing: once under `key`."""
        if key not in self.deeds:
            self.deeds.add(key)
            deed(self)
            self.save()

    def those(self, **wanted: Any) -> list[VenueOrder]:
        """The live orders of these attributes."""
        return [each for each in self.live() if all(getattr(each, name) == value for name, value in wanted.items())]

    def split(self, symbol: str, ratio: Decimal) -> None:
        """Units and everything that rests are multiplied, prices divided."""
        held = self.positions.get(symbol, ZERO)
        if held:
            self.positions[symbol] = held * ratio
        for order in self.live():
            if order.symbol == symbol:
                self.book[order.client_order_id] = replace(
                    order,
                    quantity=order.quantity * ratio,
                    limit_price=order.limit_price / ratio if order.limit_price else None,
                    stop_price=order.stop_price / ratio if order.stop_price else None,
                )
        now = self.clock.now()
        self.activities.append(
            Split(f"split-{now.isoformat()}", self.account.id, symbol, ratio, held * (ratio - 1), now)
        )

    def book_fill(self, order: VenueOrder, units: Decimal, price: Decimal) -> None:
        """Tells of a fill of an order that is over."""
        self.book[order.client_order_id] = replace(order, filled_quantity=units, state=OrderState.FILLED)
        self._book_fill(order, units, price, ZERO)

    def foreign(self, name: str, symbol: str, quantity: Decimal) -> None:
        """Another installation of the program has an order here."""
        request = OrderRequest(name, symbol, Side.BUY, quantity, OrderType.MARKET, Purpose.ENTRY)
        self.book[name] = self._order(request)


class Chat:
    """The Bot API as the transport sees it. `mishaps` names what befalls the next calls, one each."""

    def __init__(self, folder: Path, notes: Notes, row_in_hand: Callable[[], int]) -> None:
        self._path = folder / "chat.jsonl"
        self._notes = notes
        self._row_in_hand = row_in_hand

    async def send_message(self, _chat: int, text: str, **_: Any) -> Any:
        number = sum(1 for _ in lines_of(self._path)) + 1
        self._happens(number, 0, text)
        return SimpleNamespace(message_id=number)

    async def edit_message_text(self, text: str, _chat: int, message_id: int, **_: Any) -> None:
        self._happens(0, message_id, text)

    async def pin_chat_message(self, _chat: int, _message: int, **_: Any) -> None:
        """Nobody looks at what is pinned here."""

    def _happens(self, number: int, edits: int, text: str) -> None:
        mishap = self._notes.take("chat mishaps")
        if mishap is not None and not mishap.endswith("arrived"):
            raise failure(mishap)
        append(self._path, {"id": number, "row": self._row_in_hand(), "edits": edits, "text": text})
        if mishap is not None:
            raise failure(mishap)

    def arrivals(self) -> list[Mapping[str, Any]]:
        return list(lines_of(self._path))


def failure(mishap: str) -> TelegramError:
    match mishap:
        case "refused":
            return BadRequest("message is too strange")
        case "blocked":
            return Forbidden("bot was blocked by the user")
        case "later":
            return RetryAfter(timedelta(seconds=1))
        case "too old":
            return BadRequest("Message can't be edited")
    error = TimedOut("no answer")
    error.__cause__ = TimeoutError()
    return error


class Prices:
    """Bars and quotes: a history that rises to 100 USD at `start`, then what the scene says, bar by bar."""

    name = "scripted"

    def __init__(self, symbols: Sequence[str], start: datetime) -> None:
        day = start.replace(hour=0, minute=0)
        self._daily = {symbol: rising_days(symbol, day, DAYS) for symbol in symbols}
        self._minutes = {symbol: rising_minutes(symbol, start) for symbol in symbols}
        self._later: dict[str, list[Bar]] = {}

    def of(self, later: Sequence[Bar]) -> Prices:
        """The same with the scene's own bars, which close one after the other."""
        shown = object.__new__(Prices)
        shown._daily, shown._minutes, shown._later = self._daily, self._minutes, {}
        for bar in later:
            shown._later.setdefault(bar.symbol, []).append(bar)
        return shown

    def history(self) -> list[BarSeries]:
        return [*self._daily.values(), *self._minutes.values()]

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        base = (self._daily if size is BarSize.D1 else self._minutes)[instrument.symbol]
        later = [bar for bar in self._later.get(instrument.symbol, []) if bar.size is size and bar.closed_at <= end]
        known = [*base.until(end).last(count).bars(), *later]
        return BarSeries.of(instrument.symbol, size, known[-count:])

    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        quotes = {}
        for instrument in instruments:
            bars = self.bars(instrument, BarSize.M5, now, 1)
            quotes[instrument.symbol] = Quote(instrument.symbol, float(bars.close[-1]), time_of(bars.closed_at[-1]))
        return quotes


class Unsteady:
    """The bars of `prices`, except while they are down."""

    def __init__(self, prices: Prices, is_down: Callable[[], bool]) -> None:
        self.name = prices.name
        self._prices = prices
        self._is_down = is_down

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        if self._is_down():
            raise Unreachable("its servers are out of order")
        return self._prices.bars(instrument, size, end, count)

    def reach(self, size: BarSize) -> timedelta | None:
        return None


class Spare(Unsteady):
    """The same bars under another name."""

    def __init__(self, prices: Prices) -> None:
        super().__init__(prices, lambda: False)
        self.name = "spare"


def price_of(prices: Prices, clock: VirtualClock) -> Callable[[str], Decimal]:
    return lambda symbol: Decimal(str(prices.last([instrument_for(symbol)], clock.now())[symbol].price))
