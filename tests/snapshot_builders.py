"""Snapshots for tests of the strategy: markets that confirm an entry, accounts with cash, positions and orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.domain.accounts import Account, AccountKind, Mode, World
from core.domain.bars import BarSize
from core.domain.decisions import Brake, Prediction
from core.domain.instruments import instrument_for
from core.domain.orders import Order, OrderNamespace, OrderState, Purpose, Side
from core.domain.portfolio import Guard, GuardKind, Portfolio, Position
from core.series import BarSeries, time_of
from core.strategy.snapshot import AccountView, MarketView, Snapshot
from tests.series_builders import rising

NOW = datetime(2024, 3, 6, 16, 0, tzinfo=UTC)
NAMESPACE = OrderNamespace("test-installation", 1)
BROKER = Account("simulated", AccountKind.SIMULATED, World.REAL)
MANUAL = Account("manual", AccountKind.MANUAL, World.REAL)


class FixedPredictor:
    """The Predictor port with a probability a symbol; no prediction for a symbol that has none."""

    version = "fixed"

    def __init__(self, probabilities: Mapping[str, float]) -> None:
        self.probabilities = probabilities

    def predict(self, daily: BarSeries) -> Prediction | None:
        if daily.symbol not in self.probabilities:
            return None
        at = time_of(daily.closed_at[-1])
        return Prediction(daily.symbol, self.probabilities[daily.symbol], "close higher after 10 bars", "fixed", at)


def market(
    symbol: str = "SPY", price: str | None = "100", *, size: BarSize = BarSize.M5, now: datetime = NOW
) -> MarketView:
    """A market whose bars confirm an entry and are fresh at `now`."""
    return MarketView(
        instrument_for(symbol),
        rising(symbol, end=now - timedelta(hours=16)),
        rising(symbol, size=size, end=now),
        None if price is None else Decimal(price),
        None if price is None else now,
        True,
        now,
    )


def position(symbol: str, quantity: str, cost: str, account: str = "simulated") -> Position:
    return Position(account, symbol, Decimal(quantity), Decimal(cost), NOW - timedelta(days=3))


def guard(symbol: str, stop: str, target: str, kind: GuardKind = GuardKind.ENGINE, account: str = "simulated") -> Guard:
    return Guard(account, symbol, Decimal(stop), Decimal(target), kind, None, NOW)


def account_view(
    cash: str = "10000",
    *positions: Position,
    account: Account = BROKER,
    orders: Sequence[Order] = (),
    guards: Sequence[Guard] = (),
    last_trade_at: Mapping[str, datetime] | None = None,
    reachable: bool = True,
) -> AccountView:
    held = {each.symbol: each for each in positions}
    portfolio = Portfolio(account.id, Decimal(cash), held, last_trade_at=last_trade_at or {})
    return AccountView(account, portfolio, tuple(orders), {each.symbol: each for each in guards}, reachable)


def entry_order(symbol: str, quantity: str, price: str, state: OrderState = OrderState.ACCEPTED) -> Order:
    identity = NAMESPACE.client_order_id("simulated", "earlier", symbol, Side.BUY, Purpose.ENTRY, 1)
    return Order(
        identity,
        "simulated",
        symbol,
        Side.BUY,
        Decimal(quantity),
        Purpose.ENTRY,
        "earlier",
        1,
        NOW - timedelta(minutes=5),
        state,
        reference_price=Decimal(price),
    )


def exit_order(symbol: str, quantity: str, state: OrderState = OrderState.ACCEPTED) -> Order:
    return replace(entry_order(symbol, quantity, "1", state), side=Side.SELL, purpose=Purpose.EXIT)


def snapshot(
    *markets: MarketView,
    accounts: Sequence[AccountView] | None = None,
    entry_account: str | None = "simulated",
    mode: Mode = Mode.AUTO,
    brakes: Sequence[Brake] = (),
    now: datetime = NOW,
) -> Snapshot:
    views = (account_view(),) if accounts is None else tuple(accounts)
    chosen = markets or (market(),)
    return Snapshot(now, "2024-03-06T16:00Z", mode, chosen, views, entry_account, tuple(brakes), NAMESPACE)
