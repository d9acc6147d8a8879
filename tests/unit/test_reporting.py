"""The figures of the report, from equity points and portfolios alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.codec import decode, encode
from core.domain.portfolio import Position
from core.domain.records import EquityPoint
from core.domain.views import ComponentHealth, Health
from core.reporting import (
    AccountRecord,
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


def counted(steps: list[tuple[int, int]], day: timedelta = DAY) -> AccountRecord:
    first, *rest = points_of(steps)
    record = begun(first, Decimal(0), START + day)
    for point in rest:
        record = advanced(record, point, START + day)
    return record


@pytest.mark.feature("S8")
def test_the_days_loss_and_the_drawdown_count_from_where_the_day_and_the_highest_value_were() -> None:
    record = counted([(1000, 0), (1250, 0), (1000, 0)])
    assert (record.loss, record.drawdown) == (0, Decimal("0.2"))
    assert record.peak_at == START + timedelta(hours=1)
    (next_day,) = points_of([(950, 0)])
    record = advanced(record, next_day, START + 2 * DAY)
    assert (record.loss, record.drawdown) == (Decimal("0.05"), Decimal("0.24"))


@pytest.mark.feature("S8")
@pytest.mark.feature("M14")
@given(st.lists(st.integers(-900, 10_000), min_size=1, max_size=20))
def test_money_moved_in_or_out_neither_makes_nor_hides_a_loss(flows: list[int]) -> None:
    steps, equity = [(1000, 0)], 1000
    for flow in flows:
        equity = max(1, equity + flow)
        steps.append((equity, equity - steps[-1][0]))
    still = counted(steps)
    assert (still.loss, still.drawdown) == (0, 0)
    after_a_fall = counted([*steps, (equity * 9, equity * 8), (equity * 9 // 2, 0), (10_000, 10_000 - equity * 9 // 2)])
    assert after_a_fall.loss == after_a_fall.drawdown >= Decimal("0.5")


@pytest.mark.feature("C7")
def test_what_counts_anew_begins_with_the_next_point() -> None:
    record = replace(counted([(1000, 0), (800, 0)]), loss_index=None, peak_index=None)
    assert (record.loss, record.drawdown) == (0, 0)
    at_release, later = points_of([(760, 0), (722, 0)])
    record = advanced(record, at_release, START + DAY)
    assert (record.loss, record.drawdown) == (0, 0)
    record = advanced(record, later, START + DAY)
    assert (record.loss, record.drawdown) == (Decimal("0.05"), Decimal("0.05"))


def test_a_record_of_an_older_version_can_still_be_read() -> None:
    known = encode(counted([(1000, 0), (900, 0)]))
    assert isinstance(known, dict)
    new = {"loss_index", "loss_since", "loss_at", "peak_index", "peak_at", "streak_since"}
    old = decode(AccountRecord, {name: value for name, value in known.items() if name not in new})
    assert (old.day_fraction, old.loss, old.drawdown) == (Decimal("-0.1"), 0, 0)
    (point,) = points_of([(810, 0)])
    assert advanced(old, point, START + DAY).loss == 0
