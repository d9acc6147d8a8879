"""The figures of the report, from equity points and portfolios alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.domain.portfolio import Position
from core.domain.records import EquityPoint
from core.domain.views import ComponentHealth, Health
from core.reporting import (
    advanced,
    begun,
    buy_and_hold,
    component_lines,
    overall_health,
    position_report,
    signal_words,
    time_weighted,
)
from tests.builders import a_buy_signal

START = datetime(2024, 3, 4, tzinfo=UTC)
DAY = timedelta(days=1)


def points_of(steps: list[tuple[int, int]]) -> list[EquityPoint]:
    """An hour apart from (equity, flow) pairs."""
    return [
        EquityPoint("simulated", START + number * timedelta(hours=1), Decimal(equity), Decimal(0), Decimal(flow))
        for number, (equity, flow) in enumerate(steps)
    ]


@given(st.lists(st.tuples(st.integers(100, 10_000), st.integers(-50, 50)), min_size=1, max_size=60))
def test_the_running_record_equals_the_return_over_all_points(steps: list[tuple[int, int]]) -> None:
    points = points_of(steps)
    record = begun(points[0], Decimal(0), START + DAY)
    for point in points[1:]:
        record = advanced(record, point, point.at + DAY)
    assert abs(record.total_fraction - time_weighted(points)) < Decimal("1e-18")
    assert record.net_deposits == sum(point.external_flow for point in points[1:])


def test_a_deposit_is_no_profit() -> None:
    first, second = points_of([(1000, 0), (3000, 2000)])
    record = advanced(begun(first, Decimal(0), START + DAY), second, START + DAY)
    assert (record.day_profit, record.day_fraction, record.total_fraction) == (0, 0, 0)


def test_an_account_without_money_begins_to_count_with_its_first_deposit() -> None:
    empty, filled, grown = points_of([(0, 0), (1000, 1000), (1100, 0)])
    record = begun(empty, Decimal(0), START + DAY)
    for point in (filled, grown):
        record = advanced(record, point, START + DAY)
    assert record.total_fraction == Decimal("0.1")


def test_the_benchmark_holds_every_asset_in_equal_parts() -> None:
    then = {"SPY": Decimal(100), "QQQ": Decimal(50), "NEW": Decimal(0)}
    assert buy_and_hold(then, {"SPY": Decimal(110), "QQQ": Decimal(60)}) == Decimal("0.15")
    assert buy_and_hold({}, {"SPY": Decimal(110)}) is None


def test_a_position_without_a_price_is_shown_at_its_cost() -> None:
    held = Position("manual", "SPY", Decimal(4), Decimal(1000), START)
    shown = position_report(held, None, None)
    assert (shown.price, shown.value, shown.profit, shown.guard) == (250, 1000, 0, None)
    assert position_report(held, Decimal(300), None).profit_fraction == Decimal("0.2")


def test_health_is_as_bad_as_the_worst_component() -> None:
    fine = ComponentHealth("tick", Health.RUNNING, "works", START)
    bad = ComponentHealth("yahoo", Health.DEGRADED, "out of reach", START)
    assert overall_health([]) is Health.RUNNING
    assert overall_health([fine, bad]) is Health.DEGRADED
    assert component_lines([fine, bad]) == (("tick", "RUNNING"), ("yahoo", "DEGRADED: out of reach"))


def test_the_newest_signal_fits_on_a_line() -> None:
    assert signal_words([]) == ""
    assert signal_words([a_buy_signal("SPY"), a_buy_signal("QQQ", START + DAY)]) == "QQQ 66%, buy"
