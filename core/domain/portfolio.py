"""The append-only kinds of entry, and the positions and cash that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.domain.averages import Averages
from core.domain.orders import Purpose, Side
from core.domain.round_trips import ClosedTrade, RoundTrips
from core.domain.values import ZERO


class CashKind(StrEnum):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"
    IN_LIEU = "cash_in_lieu"
    ADOPTION = "adoption"


EXTERNAL = frozenset({CashKind.DEPOSIT, CashKind.WITHDRAWAL, CashKind.ADOPTION})
"""Money that was moved in or out, or that nobody can explain: no return of ours (DESIGN 8, manual equity)."""


class AdjustmentKind(StrEnum):
    SPLIT = "split"
    ADOPTION = "adoption"
    TRANSFER = "transfer"
    FEE = "fee"


class EntryKind(StrEnum):
    """The kinds of entry that money and units follow from."""

    FILL = "fill"
    CASH = "cash"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Fill:
    """`id` is the venue's execution id (or derived for a manual fill), unique per account.

    `fee_currency` is USD or the coin itself; a fee in coin shrinks the position, not the cash.
    """

    id: str
    account: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    at: datetime
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class CashMovement:
    """`amount` is signed: what it adds to the account's cash, in USD."""

    id: str
    account: str
    kind: CashKind
    amount: Decimal
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class PositionAdjustment:
    """Adds `quantity` units (signed) and `cost` USD of cost basis without touching cash.

    A FEE is one taken in coin apart from any fill.
    """

    id: str
    account: str
    symbol: str
    kind: AdjustmentKind
    quantity: Decimal
    cost: Decimal
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reversal:
    """From now on the entry `of` (of `kind`, in the same account) counts as never booked; it stays in the record.

    How a mistake is undone. `instead` names the entry of the same kind that counts in its place, as if it had been
    booked then; empty where nothing does. A reversal is final.
    """

    id: str
    account: str
    kind: EntryKind
    of: str
    at: datetime
    note: str = ""
    instead: str = ""


Booking = Fill | CashMovement | PositionAdjustment
Entry = Booking | Reversal


@dataclass(frozen=True, slots=True)
class Position:
    """Units held and what they cost (fees included), in USD, by average cost."""

    account: str
    symbol: str
    quantity: Decimal
    cost: Decimal
    opened_at: datetime

    @property
    def average_cost(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Cash and positions of one account, derived from its entries and nothing else."""

    account: str
    cash: Decimal = ZERO
    positions: Mapping[str, Position] = field(default_factory=dict)
    closed: tuple[ClosedTrade, ...] = ()
    trips: RoundTrips = field(default_factory=RoundTrips)
    averages: Averages = field(default_factory=Averages)
    last_trade_at: Mapping[str, datetime] = field(default_factory=dict)
    fees: Decimal = ZERO
    turnover: Decimal = ZERO
    net_deposits: Decimal = ZERO

    def quantity(self, symbol: str) -> Decimal:
        held = self.positions.get(symbol)
        return held.quantity if held else ZERO

    def value(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Cash plus positions at `prices`; a position without a price counts at cost."""
        return self.cash + sum(
            (
                held.quantity * prices[symbol] if symbol in prices else held.cost
                for symbol, held in self.positions.items()
            ),
            ZERO,
        )

    def after(self, entry: Entry) -> Portfolio:
        """This portfolio once `entry` is booked. Raises ValueError for a reversal: then it has to be derived anew."""
        if isinstance(entry, Reversal):
            raise ValueError(f"reversal {entry.id}: the portfolio has to be derived anew")
        if isinstance(entry, CashMovement):
            flow = entry.amount if entry.kind in EXTERNAL else ZERO
            fee = -entry.amount if entry.kind is CashKind.FEE else ZERO
            return replace(
                self, cash=self.cash + entry.amount, net_deposits=self.net_deposits + flow, fees=self.fees + fee
            )
        if isinstance(entry, PositionAdjustment):
            # What comes or goes by transfer or adoption is no profit of ours: a flow of the value it is booked at.
            moved = entry.cost if entry.kind in (AdjustmentKind.ADOPTION, AdjustmentKind.TRANSFER) else ZERO
            return replace(
                self,
                positions=self._with(entry.symbol, entry.quantity, entry.cost, entry.at),
                averages=self.averages.plus(entry.symbol, entry.quantity, entry.cost),
                net_deposits=self.net_deposits + moved,
            )
        return self._after_fill(entry)

    def _after_fill(self, fill: Fill) -> Portfolio:
        in_coin, is_sale = fill.fee_currency != "USD", fill.side is Side.SELL
        gross = fill.quantity * fill.price
        fee_units, fee_usd = (fill.fee, ZERO) if in_coin else (ZERO, fill.fee)
        if is_sale:
            # A fee in coin leaves the position together with what was sold.
            changed = self._sold(fill, fill.quantity + fee_units, gross - fee_usd)
        else:
            paid = gross + fee_usd
            positions = self._with(fill.symbol, fill.quantity - fee_units, paid, fill.at)
            changed = {"cash": self.cash - paid, "positions": positions}
        return replace(
            self,
            # A fill may be booked late: one of yesterday does not move today's trade back.
            last_trade_at={
                **self.last_trade_at,
                fill.symbol: max(fill.at, self.last_trade_at.get(fill.symbol, fill.at)),
            },
            averages=(
                self.averages.less(fill.symbol, fill.quantity)
                if is_sale
                else self.averages.plus(fill.symbol, fill.quantity, gross)
            ),
            fees=self.fees + (fill.fee * fill.price if in_coin else fill.fee),
            turnover=self.turnover + gross,
            **changed,
        )

    def _sold(self, fill: Fill, gone: Decimal, received: Decimal) -> dict[str, Any]:
        """What a sale changes of cash, positions and closed trades."""
        cash, held = self.cash + received, self.positions.get(fill.symbol)
        if held is None or held.quantity <= 0:
            return {"cash": cash, "positions": self._with(fill.symbol, -gone, -received, fill.at)}
        # More sold than held (the venue's truth is booked whatever it is): only what was held closes a trade.
        closing = min(gone, held.quantity)
        proceeds = received if closing == gone else received * closing / gone
        cost = held.cost if closing == held.quantity else held.cost * closing / held.quantity
        trade = ClosedTrade(
            self.account,
            fill.symbol,
            closing,
            cost,
            proceeds,
            held.opened_at,
            fill.at,
            fill.purpose,
            held.quantity - closing,
        )
        positions = self._with(fill.symbol, -closing, -cost, fill.at)
        if closing != gone:
            positions = replace(self, positions=positions)._with(
                fill.symbol, closing - gone, proceeds - received, fill.at
            )
        return {
            "cash": cash,
            "positions": positions,
            "closed": (*self.closed, trade),
            "trips": self.trips.after(trade),
        }

    def _with(self, symbol: str, quantity: Decimal, cost: Decimal, at: datetime) -> Mapping[str, Position]:
        held = self.positions.get(symbol)
        now_held = (held.quantity if held else ZERO) + quantity
        others = {name: position for name, position in self.positions.items() if name != symbol}
        if now_held == ZERO:
            return others
        opened = held.opened_at if held else at
        return {
            **others,
            symbol: Position(self.account, symbol, now_held, (held.cost if held else ZERO) + cost, opened),
        }


def portfolio_of(account: str, entries: Iterable[Entry]) -> Portfolio:
    """The portfolio that `entries`, in booking order, add up to."""
    portfolio = Portfolio(account)
    for entry in standing(entries):
        portfolio = portfolio.after(entry)
    return portfolio


def kind_of(entry: Booking) -> EntryKind:
    if isinstance(entry, Fill):
        return EntryKind.FILL
    return EntryKind.CASH if isinstance(entry, CashMovement) else EntryKind.ADJUSTMENT


def standing(entries: Iterable[Entry]) -> tuple[Booking, ...]:
    """What counts, in booking order: without the reversed entries and the reversals themselves.

    An entry that counts instead of another stands in the other's place.
    """
    booked = tuple(entries)
    reversals = {(each.account, each.kind, each.of): each for each in booked if isinstance(each, Reversal)}
    if not reversals:
        return tuple(each for each in booked if not isinstance(each, Reversal))
    by_key = {_key(each): each for each in booked if not isinstance(each, Reversal)}
    moved = {(each.account, each.kind, each.instead) for each in reversals.values() if each.instead}
    places = (_in_place_of(key, reversals, by_key) for key in by_key if key not in moved)
    return tuple(each for each in places if each is not None)


_Key = tuple[str, EntryKind, str]


def _key(entry: Booking) -> _Key:
    return entry.account, kind_of(entry), entry.id


def _in_place_of(key: _Key, reversals: Mapping[_Key, Reversal], by_key: Mapping[_Key, Booking]) -> Booking | None:
    """What stands today where the entry `key` was booked."""
    while (reversal := reversals.get(key)) is not None:
        key = (reversal.account, reversal.kind, reversal.instead)
    return by_key.get(key)


class GuardKind(StrEnum):
    """VENUE: an order rests at the broker. ENGINE: watched while we run. OWNER: we can only alert."""

    VENUE = "VENUE"
    ENGINE = "ENGINE"
    OWNER = "OWNER"


@dataclass(frozen=True, slots=True)
class Guard:
    """The stop-loss and take-profit of one position and where they rest. Prices in USD.

    `peak` is the highest price seen since the position was opened, for a stop that trails; `placed_at` is when the
    owner said that he placed the stop at his own broker (kind OWNER).
    """

    account: str
    symbol: str
    stop: Decimal
    target: Decimal
    kind: GuardKind
    venue_order_id: str | None
    last_seen_at: datetime
    peak: Decimal | None = None
    placed_at: datetime | None = None
