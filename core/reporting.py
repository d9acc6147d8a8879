"""What the figures are: an account's running record, its report, its positions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from core.domain.accounts import Account, Badge
from core.domain.decisions import Signal
from core.domain.events import ReportAccount, ReportPosition
from core.domain.orders import NO_COVER, Cover
from core.domain.portfolio import Guard, Portfolio, Position
from core.domain.records import EquityPoint
from core.domain.values import ONE, ZERO
from core.domain.views import ComponentHealth, Health

SCORED_FOR = timedelta(days=90)
"""How old the daily bar of a prediction may be for its outcome to count in the model's live accuracy."""


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """Where an account's figures stand after its newest equity point; follows from the points and their flows.

    `index` is the time-weighted value of one USD since `first_at`: money moved in or out does not count. The `day_`
    fields are what the trading day that ends at `day_end` began with. Money in USD, times by the market clock.

    What brakes count from, as values of `index`, None where the next point begins the count: `loss_index` for the day's
    loss (since the day began, or since the release at `loss_since`; taken at `loss_at`), `peak_index` for the drawdown
    (reached at `peak_at`). Losing trades count from `streak_since` on.
    """

    first_at: datetime
    at: datetime
    equity: Decimal
    cash: Decimal
    net_deposits: Decimal
    index: Decimal
    day_end: datetime
    day_equity: Decimal
    day_net_deposits: Decimal
    day_index: Decimal
    loss_index: Decimal | None = None
    loss_since: datetime | None = None
    loss_at: datetime | None = None
    peak_index: Decimal | None = None
    peak_at: datetime | None = None
    streak_since: datetime | None = None

    @property
    def day_profit(self) -> Decimal:
        return self.equity - self.day_equity - (self.net_deposits - self.day_net_deposits)

    @property
    def day_fraction(self) -> Decimal:
        return self.index / self.day_index - ONE if self.day_index else ZERO

    @property
    def total_fraction(self) -> Decimal:
        return self.index - ONE

    @property
    def loss(self) -> Decimal:
        """The fraction that the trading day has lost so far; below zero where it has gained."""
        return _lost(self.index, self.loss_index)

    @property
    def drawdown(self) -> Decimal:
        """The fraction lost from the highest value."""
        return _lost(self.index, self.peak_index)


def begun(point: EquityPoint, net_deposits: Decimal, day_end: datetime) -> AccountRecord:
    """The record of an account with its first equity point."""
    return AccountRecord(
        first_at=point.at,
        at=point.at,
        equity=point.equity,
        cash=point.cash,
        net_deposits=net_deposits,
        index=ONE,
        day_end=day_end,
        day_equity=point.equity,
        day_net_deposits=net_deposits,
        day_index=ONE,
        loss_index=ONE,
        loss_at=point.at,
        peak_index=ONE,
        peak_at=point.at,
    )


def advanced(record: AccountRecord, point: EquityPoint, day_end: datetime) -> AccountRecord:
    """The record after a further point; a new trading day begins with what the last one ended with.

    Time-weighted return: periods are cut at every flow and their growths multiplied (Global Investment Performance
    Standards, time-weighted rate of return). A flow counts as made at the end of its period.
    """
    opens = day_end > record.day_end
    growth = (point.equity - point.external_flow) / record.equity if record.equity > 0 else ONE
    index = record.index * growth
    # What brakes count from: the last point of the day before, or this one after a release.
    loss_index, loss_at = (record.index, record.at) if opens else (record.loss_index, record.loss_at)
    if loss_index is None:
        loss_index, loss_at = index, point.at
    is_peak = record.peak_index is None or index > record.peak_index
    return replace(
        record,
        at=point.at,
        equity=point.equity,
        cash=point.cash,
        net_deposits=record.net_deposits + point.external_flow,
        index=index,
        day_end=day_end if opens else record.day_end,
        day_equity=record.equity if opens else record.day_equity,
        day_net_deposits=record.net_deposits if opens else record.day_net_deposits,
        day_index=record.index if opens else record.day_index,
        loss_index=loss_index,
        loss_since=None if opens else record.loss_since,
        loss_at=loss_at,
        peak_index=index if is_peak else record.peak_index,
        peak_at=point.at if is_peak else record.peak_at,
    )


def _lost(index: Decimal, base: Decimal | None) -> Decimal:
    return ONE - index / base if base is not None and base > 0 else ZERO


def time_weighted(points: Sequence[EquityPoint]) -> Decimal:
    """The fraction gained over ascending points of one account, flows apart; zero for fewer than two."""
    index = ONE
    for before, after in pairwise(points):
        if before.equity > 0:
            index *= (after.equity - after.external_flow) / before.equity
    return index - ONE


def buy_and_hold(then: Mapping[str, Decimal], now: Mapping[str, Decimal]) -> Decimal | None:
    """The fraction an equal-weight holding of every symbol priced at both times has gained; None without any."""
    growths = [now[symbol] / price for symbol, price in then.items() if symbol in now and price > 0]
    return sum(growths, ZERO) / len(growths) - ONE if growths else None


def account_report(
    account: Account,
    portfolio: Portfolio,
    record: AccountRecord,
    benchmark: Decimal | None,
    confirmed_at: datetime | None = None,
) -> ReportAccount:
    """Day figures are of the trading day under way; trades and fees count since the account was opened."""
    return ReportAccount(
        account=account.id,
        equity=record.equity,
        cash=portfolio.cash,
        day_profit=record.day_profit,
        day_fraction=record.day_fraction,
        total_fraction=record.total_fraction,
        benchmark_fraction=benchmark,
        trades_closed=len(portfolio.closed),
        trades_won=sum(trade.profit > 0 for trade in portfolio.closed),
        fees=portfolio.fees,
        attested=account.is_manual,
        badges=account.badges(),
        confirmed_at=confirmed_at,
    )


def position_report(
    position: Position,
    price: Decimal | None,
    guard: Guard | None,
    cover: Cover = NO_COVER,
    seen_at: datetime | None = None,
) -> ReportPosition:
    """Without a price the position is shown at what it cost."""
    shown = price if price is not None else position.average_cost
    value = position.quantity * shown
    profit = value - position.cost
    return ReportPosition(
        symbol=position.symbol,
        account=position.account,
        quantity=position.quantity,
        price=shown,
        value=value,
        profit=profit,
        profit_fraction=profit / position.cost if position.cost > 0 else ZERO,
        guard=guard.kind if guard else None,
        stop=guard.stop if guard else None,
        target=guard.target if guard else None,
        at_venue=cover.stop,
        target_rests=cover.target >= cover.stop,
        seen_at=seen_at,
    )


def overall_health(components: Iterable[ComponentHealth]) -> Health:
    """The worst of all."""
    order = (Health.RUNNING, Health.DEGRADED, Health.HALTED)
    return max((component.state for component in components), key=order.index, default=Health.RUNNING)


def component_lines(components: Iterable[ComponentHealth]) -> tuple[tuple[str, str], ...]:
    """(name, state with its reason) of each."""
    return tuple(
        (each.name, f"{each.state}: {each.reason}" if each.reason and each.state is not Health.RUNNING else each.state)
        for each in components
    )


def all_badges(accounts: Iterable[ReportAccount]) -> tuple[Badge, ...]:
    """Every badge of the accounts, each once, in their order."""
    return tuple(dict.fromkeys(badge for account in accounts for badge in account.badges))


def signal_words(signals: Iterable[Signal]) -> str:
    """One line on the newest evaluation, the likeliest asset first; empty before the first."""
    newest = max(signals, key=lambda signal: (signal.at, _probability(signal), signal.symbol), default=None)
    if newest is None:
        return ""
    likely = f" {_probability(newest):.0%}" if newest.prediction else ""
    veto = newest.veto
    verdict = "buy" if newest.is_buy else f"no entry: {veto.reason}" if veto else "not judged"
    return f"{newest.symbol}{likely}, {verdict}"


def _probability(signal: Signal) -> float:
    return signal.prediction.probability if signal.prediction else 0.0
