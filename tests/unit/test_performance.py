"""Figures of a curve against hand-computed cases."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from core.domain.bars import Bar, BarSize
from core.domain.orders import Purpose
from core.domain.records import EquityPoint
from core.domain.round_trips import ClosedTrade
from core.performance import Curve, buy_and_hold, measure, table
from core.series import BarSeries

MONDAY = datetime(2024, 1, 1, 21, tzinfo=UTC)


def days(count: int, start: datetime = MONDAY) -> list[datetime]:
    return [start + timedelta(days=number) for number in range(count)]


def trade(profit: str) -> ClosedTrade:
    cost = Decimal(100)
    return ClosedTrade("simulated", "SPY", Decimal(1), cost, cost + Decimal(profit), MONDAY, MONDAY, Purpose.EXIT)


def daily_bars(symbol: str, first: datetime, prices: list[tuple[float, float]]) -> BarSeries:
    """Bars of (open, close), one a day, open from 14:30Z to 21:00Z."""
    bars = []
    for number, (opening, closing) in enumerate(prices):
        opened = first + timedelta(days=number)
        low, high = min(opening, closing), max(opening, closing)
        bars.append(Bar(symbol, BarSize.D1, opened, opened + timedelta(hours=6.5), opening, high, low, closing, 1000.0))
    return BarSeries.of(symbol, BarSize.D1, bars)


def test_a_known_curve_has_its_known_figures() -> None:
    curve = Curve.of(days(5), [Decimal(100), Decimal(110), Decimal(99), Decimal(99), Decimal(120)])
    figures = measure("x", curve, [trade("10"), trade("-5"), trade("20"), trade("0")], costs=Decimal("3.5"), traded=528)
    returns = np.array([0.1, -0.1, 0.0, 120 / 99 - 1])
    assert figures.total_return == pytest.approx(0.2)
    assert figures.max_drawdown == pytest.approx(0.1)
    assert figures.days_a_year == 252
    assert figures.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(252))
    assert figures.win_rate == 0.5
    assert figures.profit_factor == 6.0
    assert figures.costs == 3.5
    assert figures.turnover == pytest.approx(528 / np.mean([100, 110, 99, 99, 120]))
    assert figures.exposure == 1.0
    assert figures.annualised is None


def test_a_doubling_in_two_years_is_41_percent_a_year() -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    figures = measure("x", Curve.of([start, start + timedelta(days=730.5)], [1.0, 2.0]))
    assert figures.annualised == pytest.approx(math.sqrt(2) - 1)


def test_a_deposit_is_no_gain_and_a_withdrawal_no_loss() -> None:
    curve = Curve.of(days(4), [100, 250, 150, 165], flows=[0, 150, -100, 0])
    assert curve.wealth() == pytest.approx([1.0, 1.0, 1.0, 1.1])


def test_several_points_a_day_make_one_daily_return() -> None:
    noon = MONDAY - timedelta(hours=9)
    times = [noon, MONDAY, noon + timedelta(days=1), MONDAY + timedelta(days=1)]
    assert Curve.of(times, [100.0, 101.0, 500.0, 202.0]).daily() == pytest.approx([0.01, 1.0])


def test_a_point_at_midnight_closes_the_day_before() -> None:
    midnight = datetime(2024, 1, 2, tzinfo=UTC)
    times = [midnight - timedelta(hours=1), midnight, midnight + timedelta(hours=23)]
    assert Curve.of(times, [100.0, 110.0, 121.0]).daily() == pytest.approx([0.1, 0.1])


def test_points_on_week_ends_make_a_year_of_365_days() -> None:
    assert Curve.of(days(5), [1.0] * 5).days_a_year() == 252
    assert Curve.of(days(6), [1.0] * 6).days_a_year() == 365


def test_figures_that_are_not_defined_are_none() -> None:
    figures = measure("flat", Curve.of(days(4), [100.0] * 4))
    assert (figures.sharpe, figures.win_rate, figures.profit_factor) == (None, None, None)
    assert figures.max_drawdown == 0.0


def test_an_account_that_lost_everything_still_has_figures() -> None:
    figures = measure("ruin", Curve.of(days(60), [100.0, 50.0] + [0.0] * 58))
    assert figures.total_return == -1.0
    assert figures.max_drawdown == 1.0
    assert figures.annualised == -1.0


@pytest.mark.parametrize(
    ("times", "values"),
    [
        (days(1), [1.0]),
        (days(2), [0.0, 1.0]),
        (days(2), [1.0, float("nan")]),
        (days(2), [1.0, -1.0]),
        (days(2)[::-1], [1.0, 2.0]),
        (days(3), [1.0, 2.0]),
    ],
)
def test_a_curve_that_means_nothing_is_refused(times: list[datetime], values: list[float]) -> None:
    with pytest.raises(ValueError, match="curve"):
        Curve.of(times, values)


def test_stored_points_become_a_curve_with_its_invested_part() -> None:
    points = [
        EquityPoint("simulated", moment, Decimal(100), Decimal(cash), Decimal(0))
        for moment, cash in zip(days(3), (100, 25, 0), strict=True)
    ]
    assert measure("x", Curve.of_points(points)).exposure == pytest.approx((0 + 0.75) / 2)


def test_buy_and_hold_buys_equal_parts_at_their_first_open_with_costs() -> None:
    opening = datetime(2024, 1, 1, 14, 30, tzinfo=UTC)
    early = daily_bars("AAA", opening, [(10.0, 11.0), (11.0, 12.0), (12.0, 20.0)])
    late = daily_bars("BBB", opening + timedelta(days=1), [(50.0, 50.0), (50.0, 100.0)])
    figures = buy_and_hold([early, late], opening, opening + timedelta(days=9), Decimal(1010), Decimal("0.01"))
    assert figures is not None
    assert figures.start_value == 1010.0
    assert figures.end_value == pytest.approx(500 * 2.0 + 500 * 2.0)
    assert figures.costs == pytest.approx(10.0)
    assert figures.trades == 0


def test_the_dividends_of_what_is_held_stay_as_cash_and_one_before_the_purchase_is_none_of_ours() -> None:
    opening = datetime(2024, 1, 1, 14, 30, tzinfo=UTC)
    bars = daily_bars("AAA", opening, [(100.0, 100.0)] * 3)
    told = {"AAA": [(opening, 50.0), (opening + timedelta(days=1), 1.0), (opening + timedelta(days=2), 2.0)]}
    end = opening + timedelta(days=9)
    plain, paid = (buy_and_hold([bars], opening, end, 1000, 0, dividends) for dividends in ({}, told))
    assert plain is not None and paid is not None
    assert plain.total_return == 0
    assert paid.total_return == pytest.approx(0.03)
    assert paid.exposure < plain.exposure


def test_buy_and_hold_looks_only_at_bars_within_the_period() -> None:
    opening = datetime(2024, 1, 1, 14, 30, tzinfo=UTC)
    bars = daily_bars("AAA", opening, [(1.0, 1.0), (10.0, 10.0), (10.0, 11.0), (11.0, 999.0)])
    end = opening + timedelta(days=2, hours=7)
    figures = buy_and_hold([bars], opening + timedelta(hours=1), end, 100, 0)
    assert figures is not None
    assert figures.total_return == pytest.approx(0.1)
    assert buy_and_hold([bars], opening - timedelta(days=9), opening - timedelta(days=8), 100, 0) is None


def test_the_table_has_a_column_for_each_row_of_figures() -> None:
    lines = table(
        [
            measure("AutoTrader", Curve.of(days(40), [10_000.0 + 10 * step for step in range(40)]), [trade("10")]),
            measure("buy and hold", Curve.of(days(40), [10_000.0] * 40)),
        ]
    ).splitlines()
    assert lines[0].split() == ["AutoTrader", "buy", "and", "hold"]
    cells = {line[:18].strip(): line[18:].split("  ") for line in lines}
    assert [cell.strip() for cell in cells["return"] if cell] == ["+3.90%", "+0.00%"]
    assert [cell.strip() for cell in cells["win rate"] if cell] == ["100.0%", "-"]
    assert max(map(len, lines)) <= 80
