"""Coins of which a venue takes its fee at once and tells later: what is booked is what it holds, at every look."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.orders import Purpose, Side
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, Fill, Portfolio, PositionAdjustment
from core.domain.values import ZERO
from core.domain.venue import Activity, VenueAccount
from core.execution.corrections import Corrections, LocalTruth, VenueTruth, plan
from core.execution.news import entry_of, in_order

ACCOUNT, COIN = "alpaca-paper", "BTC-USD"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
RATE, DEAREST, STEP, CENT = Decimal("0.0025"), Decimal("0.004"), Decimal("0.000000001"), Decimal("0.01")
PRICE = Decimal(60_000)


@dataclass
class Coins:
    """Our books and a venue's; `untold` are fees that it has taken and not told of."""

    books: Portfolio = field(default_factory=lambda: Portfolio(ACCOUNT))
    taken: dict[str, Decimal] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    told: list[Activity] = field(default_factory=list)
    untold: list[Activity] = field(default_factory=list)
    held: Decimal = ZERO
    cash: Decimal = Decimal(1_000_000)
    due: dict[str, Decimal] = field(default_factory=dict)
    looks: int = 0

    def __post_init__(self) -> None:
        self.books = self.books.after(CashMovement("opening", ACCOUNT, CashKind.DEPOSIT, self.cash, NOON))

    def trade(self, side: Side, quantity: Decimal) -> None:
        at, number = NOON + timedelta(minutes=len(self.fills)), len(self.fills)
        self.fills.append(
            Fill(f"f{number}", ACCOUNT, f"o{number}", COIN, side, quantity, PRICE, ZERO, "USD", at, Purpose.ENTRY)
        )
        if side is Side.BUY:
            fee = (quantity * RATE).quantize(STEP)
            self.held, self.cash = self.held + quantity - fee, self.cash - quantity * PRICE
            entry: Activity = PositionAdjustment(f"c{number}", ACCOUNT, COIN, AdjustmentKind.FEE, -fee, ZERO, at)
            self.due[COIN] = self.due.get(COIN, ZERO) + quantity * DEAREST
        else:
            fee = (quantity * PRICE * RATE).quantize(CENT)
            self.held, self.cash = self.held - quantity, self.cash + quantity * PRICE - fee
            entry = CashMovement(f"c{number}", ACCOUNT, CashKind.FEE, -fee, at)
            self.due["USD"] = self.due.get("USD", ZERO) + quantity * PRICE * DEAREST + CENT
        self.untold.append(entry)

    def tell(self, place: int) -> None:
        entry = self.untold.pop(place % len(self.untold))
        self.told.append(entry)
        what, fee = ("USD", entry.amount) if isinstance(entry, CashMovement) else (COIN, entry.quantity)  # type: ignore[union-attr]
        self.due[what] += fee

    def look(self) -> Corrections:
        self.looks += 1
        positions = {COIN: self.held} if self.held else {}
        account = VenueAccount(self.cash, positions, fees_due=dict(self.due))
        local = LocalTruth({}, self.books, self.booked, self.booked_activities, self.taken)
        venue = VenueTruth({}, tuple(self.fills), account, activities=tuple(self.told))
        found = plan(local, venue, ACCOUNT, NOON + timedelta(hours=self.looks))
        for news in in_order(found.fills, found.activities):
            self.books = self.books.after(entry_of(news))
        self.booked |= {fill.id for fill in found.fills}
        self.booked_activities |= {each.id for each in found.activities}
        for fee in found.fees:
            self.books = self.books.after(fee)
            self.taken[fee.symbol] = self.taken.get(fee.symbol, ZERO) - fee.quantity
        return found

    booked: frozenset[str] = frozenset()
    booked_activities: frozenset[str] = frozenset()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("buy"), st.decimals("0.0001", 3, places=6)),
        st.tuples(st.just("sell"), st.decimals("0.01", 1, places=6)),
        st.tuples(st.just("tell"), st.integers(0, 9)),
        st.tuples(st.just("look"), st.none()),
    ),
    max_size=25,
)


@pytest.mark.feature("S10")
@given(steps)
@settings(max_examples=100, deadline=None)
def test_what_is_booked_is_what_the_venue_holds_at_every_look_and_every_fee_is_booked_as_it_was_told(
    story: list[tuple[str, Decimal | int | None]],
) -> None:
    coins = Coins()

    def check() -> None:
        found = coins.look()
        assert coins.books.quantity(COIN) == coins.held
        assert found.differences == {}
        assert found.cash is None or found.cash[0] == found.cash[1]
        assert coins.look().fees == ()

    for what, size in story:
        if what == "buy" and isinstance(size, Decimal):
            coins.trade(Side.BUY, size)
        elif what == "sell" and isinstance(size, Decimal) and coins.held:
            coins.trade(Side.SELL, (coins.held * size).quantize(STEP))
        elif what == "tell" and isinstance(size, int) and coins.untold:
            coins.tell(size)
        elif what == "look":
            check()
    check()
    while coins.untold:
        coins.tell(0)
    check()
    assert not any(coins.taken.values())
    assert coins.books.cash == coins.cash


def test_more_than_a_fee_can_be_is_a_difference() -> None:
    coins = Coins()
    coins.trade(Side.BUY, Decimal(1))
    coins.held -= Decimal("0.01")
    found = coins.look()
    assert found.fees == ()
    assert found.differences == {COIN: (Decimal(1), coins.held)}


def test_units_that_came_from_nowhere_are_a_difference() -> None:
    coins = Coins()
    coins.trade(Side.BUY, Decimal(1))
    coins.look()
    coins.held += Decimal("0.01")
    assert coins.look().differences.keys() == {COIN}


def test_cash_that_is_missing_beyond_fees_is_asked_about() -> None:
    coins = Coins()
    coins.trade(Side.BUY, Decimal(1))
    coins.trade(Side.SELL, Decimal("0.5"))
    assert coins.look().cash is None
    coins.cash -= 200
    assert coins.look().cash is not None
