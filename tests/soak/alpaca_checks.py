"""What must hold while a month is lived at the loopback Alpaca: the venue's own truth beside the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.domain.accounts import AccountKind
from core.domain.dust import without_dust
from core.domain.instruments import instrument_for
from core.domain.orders import Order, OrderState, Purpose
from core.domain.portfolio import Entry, Fill, Guard, GuardKind, PositionAdjustment
from core.domain.values import ZERO, floor_to
from core.execution.protect import UNGUARDED
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


class Lack(StrEnum):
    """Why something is held that no stop guards, whether at the venue or by the engine: it was filled and no look of
    ours has seen it yet, the owner was told that only he can sell it, or, which must never be, we know of it."""

    UNSEEN = "filled and not yet seen"
    TOLD = "told to the owner as unguarded"
    KNOWN = "known to us and bare"


@dataclass
class Bare:
    """Something that is held without a stop: why and since when, and whether that was said."""

    lack: Lack
    since: datetime
    is_said: bool = False


@dataclass
class Watched:
    """What is seen of one life. `bare` are the minutes in which something was held without a stop, and `spells` how
    often that began, both by lack; `words` how often a look was asked for between two minutes; `is_answered`:
    nothing failed since the last look; `began` is when it began."""

    began: datetime
    looks: int = 0
    words: int = 0
    bare: Counter[str] = field(default_factory=Counter)
    spells: Counter[str] = field(default_factory=Counter)
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
            for lack in {each.lack for each in self._bare.values()}:
                self.bare[lack] += round((due - self._last) / MINUTE)
            self._last = due
        found = [*_counts(truth), *self._guarding(truth, work, due, answered=answered)]
        self.broken += [f"{due:%m-%d %H:%M} {words}" for words in found]

    def _guarding(self, truth: Truth, work: UnitOfWork, due: datetime, *, answered: bool) -> Iterator[str]:
        held, lacking = held_in(truth), lacks(truth, work)
        for symbol in sorted(held.keys() | self._bare.keys()):
            lack = lacking.get(symbol)
            if lack is None:
                self._bare.pop(symbol, None)
                continue
            if symbol not in self._bare or self._bare[symbol].lack is not lack:
                self._bare[symbol] = Bare(lack, due)
                self.spells[lack] += 1
            bare = self._bare[symbol]
            if bare.is_said or not _is_broken(lack, due - bare.since, answered=answered):
                continue
            bare.is_said = True
            guard = next((each for each in work.guards(ALPACA) if each.symbol == symbol), None)
            orders = [order for order in truth["orders"] if order["symbol"] == symbol]
            since = f"{(due - bare.since) / MINUTE:.0f} min"
            yield f"{symbol}: {held[symbol]} held, {lack}, for {since}; {guard}; {orders}; {_ours(work, symbol)}"


def _is_broken(lack: Lack, long: timedelta, *, answered: bool) -> bool:
    if lack is Lack.UNSEEN:
        return long >= LONGEST_BARE or (answered and long >= BARE_AT_ALL)
    return lack is Lack.KNOWN


def _ours(work: UnitOfWork, symbol: str) -> str:
    live = [order for order in work.live_orders(ALPACA) if order.symbol == symbol]
    return f"ours: {work.portfolio(ALPACA).quantity(symbol)}, {live}"


def lacks(truth: Truth, work: UnitOfWork) -> Mapping[str, Lack]:
    """By symbol why what is held has no stop; those that have one are left out."""
    guards = {guard.symbol: guard for guard in work.guards(ALPACA)}
    bare = {symbol for symbol in held_in(truth) if not is_safe(truth, symbol, guards.get(symbol))} - left_in(work)
    told = (work.value(UNGUARDED) or "").split()
    return {symbol: _lack(truth, work, symbol, is_told=f"{ALPACA}/{symbol}" in told) for symbol in sorted(bare)}


def _lack(truth: Truth, work: UnitOfWork, symbol: str, *, is_told: bool) -> Lack:
    """What the ledger knows of has its stops, or the owner, or nobody."""
    ours = floor_to(work.portfolio(ALPACA).quantity(symbol), instrument_for(symbol).quantity_step)
    if ours <= resting(truth, symbol):
        return Lack.UNSEEN
    return Lack.TOLD if is_told else Lack.KNOWN


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
    yield from (f"{symbol} is bare: {units[symbol]}, {lack}" for symbol, lack in lacks(truth, work).items())
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
