"""What an equity curve and its trades add up to, and the buy-and-hold curve to hold it against: pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from core.domain.records import EquityPoint
from core.domain.round_trips import ClosedTrade
from core.series import BarSeries, Floats, Seconds, seconds_of, time_of

YEAR_SECONDS = 365.25 * 86_400
CALENDAR_DAYS = 365
SESSION_DAYS = 252
_LEAST_DAYS_TO_ANNUALISE = 30
Money = Decimal | float
Dividends = Mapping[str, Sequence[tuple[datetime, float]]]
"""By symbol, when each took effect and USD a unit, in the units of the bars it stands beside."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Value of an account over time. Columns of equal length in ascending time; USD; times in whole seconds UTC.

    `flow` is money moved in or out since the point before: a deposit is no gain. `cash` is the part not invested.
    """

    at: Seconds
    value: Floats
    cash: Floats
    flow: Floats

    def __post_init__(self) -> None:
        """Raises ValueError for a curve that nothing can be computed on."""
        columns = (self.value, self.cash, self.flow)
        if len(self.at) < 2 or any(len(column) != len(self.at) for column in columns):
            raise ValueError("a curve needs two points or more and columns of equal length")
        if np.any(np.diff(self.at) <= 0):
            raise ValueError("a curve's times must rise")
        if not all(np.isfinite(column).all() for column in columns) or self.value[0] <= 0 or np.any(self.value < 0):
            raise ValueError("a curve begins above zero, stays at or above it, and is finite")

    @classmethod
    def of(
        cls,
        times: Sequence[datetime],
        values: Sequence[Money],
        cash: Sequence[Money] | None = None,
        flows: Sequence[Money] | None = None,
    ) -> Curve:
        """A curve from rows; without `cash` all is invested, without `flows` nothing moved in or out."""
        value = _floats(values)
        return cls(
            np.array([seconds_of(moment) for moment in times], np.int64),
            value,
            np.zeros_like(value) if cash is None else _floats(cash),
            np.zeros_like(value) if flows is None else _floats(flows),
        )

    @classmethod
    def of_points(cls, points: Sequence[EquityPoint]) -> Curve:
        """The curve of one account's stored points, in their order."""
        return cls.of(
            [point.at for point in points],
            [point.equity for point in points],
            [point.cash for point in points],
            [point.external_flow for point in points],
        )

    def wealth(self) -> Floats:
        """What one unit invested at the first point became: time-weighted, so flows neither gain nor lose."""
        before = self.value[:-1]
        grown = np.divide(self.value[1:] - self.flow[1:], before, out=np.ones(len(before)), where=before > 0)
        return np.concatenate(([1.0], np.cumprod(np.maximum(grown, 0.0))))

    def daily(self) -> Floats:
        """Returns between the last points of UTC days that have one; the first from the curve's beginning.

        A point at 24:00Z belongs to the day that ends there.
        """
        days = (self.at - 1) // 86_400
        last = np.flatnonzero(np.append(np.diff(days) > 0, True))
        closes = self.wealth()[last if last[0] == 0 else np.insert(last, 0, 0)]
        closes = closes[: int(np.argmax(closes <= 0)) + 1] if np.any(closes <= 0) else closes
        return closes[1:] / closes[:-1] - 1.0

    def days_a_year(self) -> int:
        """365 where the curve has points on week-ends, else 252."""
        weekday = ((self.at - 1) // 86_400 + 3) % 7  # 1970-01-01 was a Thursday: Monday is 0
        return CALENDAR_DAYS if np.any(weekday >= 5) else SESSION_DAYS


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of one curve. Fractions, not percent; money in USD; None where a figure is not defined.

    `annualised` needs 30 days; `sharpe` is of daily returns, without a riskless rate, over `days_a_year`; `turnover`
    is traded value over mean equity; `exposure` the mean invested part.
    """

    name: str
    start: datetime
    end: datetime
    start_value: float
    end_value: float
    total_return: float
    annualised: float | None
    sharpe: float | None
    days_a_year: int
    max_drawdown: float
    trades: int
    win_rate: float | None
    profit_factor: float | None
    costs: float
    turnover: float
    exposure: float


def measure(
    name: str,
    curve: Curve,
    trades: Sequence[ClosedTrade] = (),
    *,
    costs: Money = 0.0,
    traded: Money = 0.0,
    days_a_year: int | None = None,
) -> Performance:
    """The figures of `curve`. `costs` and `traded` are the period's fees and traded value in USD, as booked."""
    wealth = curve.wealth()
    days = days_a_year or curve.days_a_year()
    seconds = float(curve.at[-1] - curve.at[0])
    total = float(wealth[-1]) - 1.0
    return Performance(
        name=name,
        start=time_of(curve.at[0]),
        end=time_of(curve.at[-1]),
        start_value=float(curve.value[0]),
        end_value=float(curve.value[-1]),
        total_return=total,
        annualised=annualised(total, seconds),
        sharpe=sharpe(curve.daily(), days),
        days_a_year=days,
        max_drawdown=max_drawdown(wealth),
        trades=len(trades),
        win_rate=win_rate(trades),
        profit_factor=profit_factor(trades),
        costs=float(costs),
        turnover=float(traded) / float(curve.value.mean()),
        exposure=_exposure(curve),
    )


def annualised(total_return: float, seconds: float) -> float | None:
    """The yearly growth that compounds to `total_return`; None for less than 30 days, which foretell no year."""
    if seconds < _LEAST_DAYS_TO_ANNUALISE * 86_400:
        return None
    return float((1.0 + total_return) ** (YEAR_SECONDS / seconds) - 1.0)


def sharpe(returns: Floats, days_a_year: int) -> float | None:
    """Mean over sample deviation of daily returns, times the root of days a year (Sharpe 1994, riskless rate nil)."""
    if len(returns) < 2:
        return None
    spread = float(returns.std(ddof=1))
    # Equal returns differ by rounding only; a ratio over that would be noise.
    if spread <= 1e-12 * max(1.0, float(np.abs(returns).max())):
        return None
    return float(returns.mean()) / spread * math.sqrt(days_a_year)


def max_drawdown(wealth: Floats) -> float:
    """The largest fall from a peak, as a fraction of the peak, from 0 to 1."""
    return float(np.max(1.0 - wealth / np.maximum.accumulate(wealth)))


def win_rate(trades: Sequence[ClosedTrade]) -> float | None:
    return sum(trade.profit > 0 for trade in trades) / len(trades) if trades else None


def profit_factor(trades: Sequence[ClosedTrade]) -> float | None:
    """Won over lost money; None without a loss."""
    won = sum((trade.profit for trade in trades if trade.profit > 0), Decimal(0))
    lost = -sum((trade.profit for trade in trades if trade.profit < 0), Decimal(0))
    return float(won / lost) if lost else None


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A purchase that was kept: its curve and its figures."""

    curve: Curve
    performance: Performance


def buy_and_hold(
    series: Sequence[BarSeries],
    start: datetime,
    end: datetime,
    cash: Money,
    cost_fraction: Money,
    dividends: Dividends = MappingProxyType({}),
) -> Performance | None:
    """The figures of `bought_and_held`."""
    held = bought_and_held(series, start, end, cash, cost_fraction, dividends)
    return held.performance if held is not None else None


def bought_and_held(
    series: Sequence[BarSeries],
    start: datetime,
    end: datetime,
    cash: Money,
    cost_fraction: Money,
    dividends: Dividends = MappingProxyType({}),
    name: str = "buy and hold",
) -> Held | None:
    """Equal parts of `cash`, each bought at the open of its symbol's first bar in the period and held to its end.

    `cost_fraction` of each purchase is lost as cost; until its first bar a part waits as cash, and dividends stay cash.
    Symbols without a bar in the period get no part; None when no symbol has one.
    """
    held = [part for part in (_within(one, start, end) for one in series) if len(part)]
    if not held:
        return None
    share = float(cash) / len(held)
    spent = share / (1.0 + float(cost_fraction))
    opened = min(int(part.opened_at[0]) for part in held)
    at = np.unique(np.concatenate([[opened], *(part.closed_at for part in held)])).astype(np.int64)
    value, waiting = np.zeros(len(at)), np.zeros(len(at))
    for part in held:
        row = np.searchsorted(part.closed_at, at, side="right") - 1
        bought = row >= 0
        units = spent / part.open[0]
        paid = units * _paid_until(dividends.get(part.symbol, ()), time_of(part.opened_at[0]), at)
        value += np.where(bought, units * part.close[np.maximum(row, 0)] + paid, share)
        waiting += np.where(bought, paid, share)
    curve = Curve(at, value, waiting, np.zeros(len(at)))
    costs = (share - spent) * len(held)
    return Held(curve, measure(name, curve, costs=costs, traded=spent * len(held)))


def _paid_until(dividends: Sequence[tuple[datetime, float]], bought_at: datetime, at: Seconds) -> Floats:
    """USD that a unit bought then has paid until each of the moments."""
    told = sorted((seconds_of(when), amount) for when, amount in dividends if when > bought_at)
    sums = np.concatenate([[0.0], np.cumsum([amount for _, amount in told])])
    moments = np.array([when for when, _ in told], np.int64)
    paid: Floats = sums[np.searchsorted(moments, at, side="right")]
    return paid


def _within(series: BarSeries, start: datetime, end: datetime) -> BarSeries:
    """The bars that open at or after `start` and close at or before `end`."""
    return series.part((series.opened_at >= seconds_of(start)) & (series.closed_at <= seconds_of(end)))


def _exposure(curve: Curve) -> float:
    """Each span between two points counts with the invested part at its beginning, weighted by its length."""
    before = curve.value[:-1]
    part = np.divide(before - curve.cash[:-1], before, out=np.zeros(len(before)), where=before > 0)
    return float(np.average(part, weights=np.diff(curve.at)))


def _floats(values: Sequence[Money]) -> Floats:
    return np.array([float(value) for value in values], np.float64)


def table(rows: Sequence[Performance]) -> str:
    """A text table: one column a row of figures, one line a figure."""
    days = {row.days_a_year for row in rows}
    note = f" ({days.pop()} days)" if len(days) == 1 else ""
    lines: list[tuple[str, Callable[[Performance], str]]] = [
        ("from", lambda row: f"{row.start.astimezone(UTC):%Y-%m-%d}"),
        ("to", lambda row: f"{row.end.astimezone(UTC):%Y-%m-%d}"),
        ("start value", lambda row: f"{row.start_value:,.2f} USD"),
        ("end value", lambda row: f"{row.end_value:,.2f} USD"),
        ("return", lambda row: _percent(row.total_return)),
        ("return a year", lambda row: _percent(row.annualised)),
        (f"Sharpe{note}", lambda row: _number(row.sharpe) + ("" if note else f" ({row.days_a_year} days)")),
        ("largest drawdown", lambda row: _percent(-row.max_drawdown if row.max_drawdown else 0.0)),
        ("closed trades", lambda row: f"{row.trades:,}"),
        ("win rate", lambda row: "-" if row.win_rate is None else f"{row.win_rate:.1%}"),
        ("profit factor", lambda row: _number(row.profit_factor)),
        ("costs", lambda row: f"{row.costs:,.2f} USD"),
        ("turnover", lambda row: f"{row.turnover:.2f} x"),
        ("time invested", lambda row: f"{row.exposure:.1%}"),
    ]
    cells = [["", *(row.name for row in rows)], *([label, *(show(row) for row in rows)] for label, show in lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in cells
    )


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:+.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
