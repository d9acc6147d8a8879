"""What must hold while a month is lived at the loopback Alpaca: the venue's own truth beside the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.domain.accounts import AccountKind
from core.domain.dust import without_dust
from core.domain.instruments import instrument_for
from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import Entry, Fill, Guard, GuardKind, PositionAdjustment
from core.domain.values import ZERO, floor_to
from core.ports import UnitOfWork
from tests.fault.kill_setup import EVERY

ALPACA = AccountKind.ALPACA_PAPER.value
MINUTE = timedelta(minutes=1)
LONGEST_BARE = timedelta(minutes=15)
BARE_AT_ALL = timedelta(minutes=2)
"""How long something may be held without a stop: where calls fail, and where a look was answered altogether."""
UNDECIDED = (OrderState.SUBMITTING, OrderState.UNKNOWN)

Truth = Mapping[str, Any]
"""What the venue's other door tells (tests.soak.alpaca_month_server)."""


@dataclass
class Bare:
    """Something that is held without a stop: since when, and whether that was told."""

    since: datetime
    is_told: bool = False


@dataclass
class Watched:
    """What is seen of one life. `bare` are minutes in which something was held that no stop guarded, whether at the
    venue or by the engine; `words` how often the stream of trades asked for a look; `is_answered`:
    nothing failed since the last look; `began` is when it began."""

    began: datetime
    looks: int = 0
    words: int = 0
    bare: int = 0
    broken: list[str] = field(default_factory=list)
    _bare: dict[str, Bare] = field(default_factory=dict)
    _faults: int = 0
    is_answered: bool = True

    def __post_init__(self) -> None:
        self._last = self.began

    def look(self, truth: Truth, work: UnitOfWork, due: datetime) -> None:
        """After a job that was due then."""
        answered, self._faults = truth["faults"] == self._faults, truth["faults"]
        self.is_answered = answered
        self.looks += 1
        if due > self._last:
            self.bare += bool(self._bare) * round((due - self._last) / MINUTE)
            self._last = due
        guards = {guard.symbol: guard for guard in work.guards(ALPACA)}
        found = [*_counts(truth), *self._guarding(truth, guards, left_in(work), due, answered=answered)]
        self.broken += [f"{due:%m-%d %H:%M} {words}" for words in found]

    def _guarding(
        self, truth: Truth, guards: Mapping[str, Guard], left: Collection[str], due: datetime, *, answered: bool
    ) -> Iterator[str]:
        held = held_in(truth)
        for symbol in sorted(held.keys() | self._bare.keys()):
            if symbol in left or is_safe(truth, symbol, guards.get(symbol)):
                self._bare.pop(symbol, None)
                continue
            bare = self._bare.setdefault(symbol, Bare(due))
            long = due - bare.since
            if bare.is_told or not (long >= LONGEST_BARE or (answered and long >= BARE_AT_ALL)):
                continue
            bare.is_told = True
            orders = [order for order in truth["orders"] if order["symbol"] == symbol]
            yield f"{symbol}: {held[symbol]} held and bare for {long / MINUTE:.0f} min; {guards.get(symbol)}; {orders}"


def _counts(truth: Truth) -> Iterator[str]:
    entries = Counter(order["symbol"] for order in truth["orders"] if order["side"] == "buy")
    yield from (f"doubled: {count} live entries in {symbol}" for symbol, count in entries.items() if count > 1)
    yield from (f"{symbol} is sold short: {units}" for symbol, units in held_in(truth).items() if units < 0)


def held_in(truth: Truth) -> dict[str, Decimal]:
    return {symbol: Decimal(told) for symbol, told in truth["positions"].items()}


def resting(truth: Truth, symbol: str) -> Decimal:
    """How much is sold by stops that rest at the venue, those beside a target included."""
    stops = (order for order in truth["orders"] if order["guards"] and order["symbol"] == symbol)
    return sum((Decimal(order["remaining"]) for order in stops), ZERO)


def left_in(work: UnitOfWork) -> frozenset[str]:
    """Coins of which so little is held that the venue would not sell it."""
    positions = work.portfolio(ALPACA).positions
    return frozenset(positions.keys() - without_dust(positions).keys())


def is_safe(truth: Truth, symbol: str, guard: Guard | None) -> bool:
    """Less than a step, or than a venue takes an order for, cannot be sold, nor guarded."""
    instrument = instrument_for(symbol)
    held = floor_to(held_in(truth).get(symbol, ZERO), instrument.quantity_step)
    if instrument.is_crypto and Decimal(truth["costs"].get(symbol, "0")) < instrument.min_order_value:
        return True
    return held <= resting(truth, symbol) or (guard is not None and guard.kind is GuardKind.ENGINE)


def disagreements(truth: Truth, work: UnitOfWork) -> Iterator[str]:
    """Between the ledger and the venue, once nothing is under way."""
    portfolio, live = work.portfolio(ALPACA), work.live_orders(ALPACA)
    held, units = {symbol: each.quantity for symbol, each in portfolio.positions.items()}, held_in(truth)
    if (portfolio.cash, held) != (Decimal(truth["cash"]), units):
        yield f"the ledger has {portfolio.cash} {held}, the venue {truth['cash']} {units}"
    entries = list(work.entries(ALPACA))
    booked = sum(isinstance(entry, Fill) for entry in entries)
    if booked != truth["fills"]:
        yield f"{booked} fills are booked of {truth['fills']}"
    yield from (f"left undecided: {order}" for order in live if order.state in UNDECIDED)
    wanted = Counter((order.symbol, order.side.value, order.remaining) for order in live)
    there = Counter((order["symbol"], order["side"], Decimal(order["remaining"])) for order in truth["orders"])
    if wanted - there:
        yield f"live in the ledger alone: {wanted - there}; at the venue: {truth['orders']}"
    guards = {guard.symbol: guard for guard in work.guards(ALPACA)}
    guarded = units.keys() - left_in(work)
    yield from (
        f"{symbol} is bare: {units[symbol]}" for symbol in guarded if not is_safe(truth, symbol, guards.get(symbol))
    )
    yield from _doubles(work.orders(ALPACA, limit=EVERY))
    yield from _on_top(entries)


def _doubles(sent: Iterable[Order]) -> Iterator[str]:
    """One decision, one order: no two orders of one origin, symbol, side and purpose. Stops come anew as they go."""
    made = Counter((order.origin, order.symbol, order.side, order.purpose) for order in sent if order.parent_id is None)
    for key, number in made.items():
        if number > 1 and key[3] is not Purpose.STOP:
            yield f"doubled: {key} {number} times"


def _on_top(entries: Iterable[Entry]) -> Iterator[str]:
    """An entry that was filled while what another one had bought was still held."""
    units: dict[str, Decimal] = {}
    last: dict[str, str] = {}
    for entry in sorted(entries, key=lambda each: (each.at, each.id)):
        if isinstance(entry, PositionAdjustment):
            units[entry.symbol] = units.get(entry.symbol, ZERO) + entry.quantity
        if not isinstance(entry, Fill):
            continue
        before, is_entry = units.get(entry.symbol, ZERO), entry.purpose is Purpose.ENTRY
        step = instrument_for(entry.symbol).quantity_step
        if is_entry and before >= step and last.get(entry.symbol) != entry.client_order_id:
            yield f"doubled: {entry} came on top of {before}"
        if is_entry:
            last[entry.symbol] = entry.client_order_id
        units[entry.symbol] = before + (entry.quantity if is_entry else -entry.quantity)
