"""What a tear sheet shows beside its curves: months, assets, reasons, exposure. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from bot.backtest import Run
from core.domain.instruments import instrument_for
from core.domain.orders import Purpose, Side
from core.domain.portfolio import Fill
from core.domain.round_trips import ClosedTrade
from core.domain.values import ZERO
from core.performance import Curve, profit_factor, win_rate
from core.series import Floats, Seconds, time_of

REASONS = {
    Purpose.STOP: "stop-loss at the venue",
    Purpose.TARGET: "take-profit at the venue",
    Purpose.EXIT: "sold by the engine",
    Purpose.ENTRY: "sold with an entry",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Closed trades that have something in common. USD; `held` is the mean time from opening to sale."""

    name: str
    trades: int
    win_rate: float | None
    profit_factor: float | None
    profit: float
    fees: float | None
    turnover: float | None
    held: timedelta | None


def daily_points(curve: Curve) -> tuple[Sequence[int], Sequence[float]]:
    """The last value of each UTC day; a point at 24:00Z belongs to the day that ends there."""
    at, value = daily(curve.at, curve.value)
    return at.tolist(), value.tolist()


def daily(at: Seconds, values: Floats) -> tuple[Seconds, Floats]:
    """The last of the values of each UTC day."""
    last = np.append(np.diff((at - 1) // 86_400) > 0, True)
    return at[last], values[last]


def drawdown(curve: Curve) -> tuple[Seconds, Floats]:
    """How far below its highest value the account stood at the end of each day, zero or less."""
    at, wealth = daily(curve.at, curve.wealth())
    return at, wealth / np.maximum.accumulate(wealth) - 1.0


def monthly(curve: Curve) -> dict[int, list[float | None]]:
    """By year, the return of each of twelve months, a fraction; None where the curve has no day in it."""
    at, wealth = daily(curve.at, curve.wealth())
    found: dict[int, list[float | None]] = {}
    before, month = 1.0, None
    for second, value in zip(at.tolist(), wealth.tolist(), strict=True):
        moment = time_of(second - 1)
        if month is not None and (moment.year, moment.month) != month[:2]:
            before = month[2]
        month = (moment.year, moment.month, value)
        found.setdefault(moment.year, [None] * 12)[moment.month - 1] = value / before - 1.0
    return found


def bought_at(run: Run) -> dict[ClosedTrade, datetime]:
    """When what each trade sold was bought last. A position of which dust was left is older than that."""
    bought: dict[str, list[datetime]] = {}
    for booked in run.books.entries:
        if isinstance(booked.entry, Fill) and booked.entry.side is Side.BUY:
            bought.setdefault(booked.entry.symbol, []).append(booked.entry.at)
    found = {}
    for trade in run.portfolio.closed:
        times = bought.get(trade.symbol, [])
        row = bisect_right(times, trade.closed_at) - 1
        found[trade] = times[row] if row >= 0 else trade.opened_at
    return found


def by_asset(run: Run) -> list[Group]:
    """One group a symbol that traded, the most profitable first."""
    fills = [booked.entry for booked in run.books.entries if isinstance(booked.entry, Fill)]
    groups, opened = list[Group](), bought_at(run)
    for symbol in run.line.symbols:
        own = [trade for trade in run.portfolio.closed if trade.symbol == symbol]
        traded = [fill for fill in fills if fill.symbol == symbol]
        if traded:
            fees = sum((_fee(fill) for fill in traded), ZERO)
            turnover = sum((fill.quantity * fill.price for fill in traded), ZERO)
            groups.append(_group(symbol, own, opened, float(fees), float(turnover)))
    return sorted(groups, key=lambda group: -group.profit)


def by_reason(run: Run) -> list[Group]:
    """One group for each way in which positions ended."""
    found, opened = list[Group](), bought_at(run)
    for purpose, name in REASONS.items():
        own = [trade for trade in run.portfolio.closed if trade.purpose is purpose]
        if own:
            found.append(_group(name, own, opened))
    return found


def exposure(run: Run) -> tuple[Seconds, Floats, Floats]:
    """The part of the account in stocks and in coins at the end of each day."""
    value = run.holdings.value
    parts = {True: np.zeros(len(value)), False: np.zeros(len(value))}
    for symbol, worth in run.holdings.held.items():
        parts[instrument_for(symbol).is_crypto] += worth / value
    at, stocks = daily(run.holdings.at, parts[False])
    return at, stocks, daily(run.holdings.at, parts[True])[1]


def _group(
    name: str,
    trades: Sequence[ClosedTrade],
    opened: Mapping[ClosedTrade, datetime],
    fees: float | None = None,
    turnover: float | None = None,
) -> Group:
    spans = [trade.closed_at - opened[trade] for trade in trades]
    return Group(
        name,
        len(trades),
        win_rate(trades),
        profit_factor(trades),
        float(_total(trade.profit for trade in trades)),
        fees,
        turnover,
        sum(spans, timedelta()) / len(spans) if spans else None,
    )


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)


def _fee(fill: Fill) -> Decimal:
    return fill.fee if fill.fee_currency == "USD" else fill.fee * fill.price
