"""The loss rules, one by one: what passes, what brakes, the exact boundary, the words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.decisions import Brake, BrakeKind
from core.domain.orders import Purpose
from core.domain.round_trips import ClosedTrade, RoundTrip, RoundTrips
from core.strategy.brakes import Standing, daily_loss, drawdown, losing_streak, loss_streak
from core.strategy.policy import Policy

pytestmark = pytest.mark.feature("S8")

NOW = datetime(2024, 3, 6, 16, 0, tzinfo=UTC)
EVENING = NOW + timedelta(hours=5)
POLICY = Policy()
FINE = Standing("simulated", Decimal(9_600), Decimal(0), None, EVENING, Decimal(0))


def closed(profit: str, hours: int, symbol: str = "SPY", left: str = "0") -> ClosedTrade:
    """A sale `hours` after noon that won or lost `profit` USD."""
    cost, at = Decimal(1000), NOW + timedelta(hours=hours)
    return ClosedTrade(
        "simulated", symbol, Decimal(1), cost, cost + Decimal(profit), NOW, at, Purpose.EXIT, Decimal(left)
    )


def ended(*trades: ClosedTrade) -> tuple[RoundTrip, ...]:
    """The round trips that the trades, in the order of booking, add up to."""
    trips = RoundTrips()
    for trade in trades:
        trips = trips.after(trade)
    return trips.ended


def profits(trips: tuple[RoundTrip, ...]) -> list[int]:
    return [int(trip.profit) for trip in trips]


def test_an_account_without_losses_is_not_braked() -> None:
    assert [rule(FINE, POLICY, NOW) for rule in (daily_loss, drawdown, loss_streak)] == [None] * 3


@pytest.mark.parametrize(("loss", "brakes"), [("-0.1", False), ("0.0399999", False), ("0.04", True), ("0.3", True)])
def test_the_days_loss_brakes_from_its_limit_on_until_the_day_ends(loss: str, brakes: bool) -> None:
    found = daily_loss(replace(FINE, loss=Decimal(loss)), POLICY, NOW)
    assert (found is not None) is brakes
    if found is not None:
        assert (found.kind, found.scope, found.since, found.until) == (
            BrakeKind.DAILY_LOSS,
            "simulated",
            NOW,
            EVENING,
        )


def test_the_days_loss_is_told_with_its_numbers() -> None:
    lost = replace(FINE, loss=Decimal("0.0423"))
    told = daily_loss(lost, POLICY, NOW)
    assert told is not None
    assert told.reason == "4.23 % lost today (limit 4 %), the account is worth 9,600.00 USD"
    again = daily_loss(replace(lost, scope="*", loss_since=NOW - timedelta(hours=1)), POLICY, NOW)
    assert again is not None
    assert again.reason == (
        "4.23 % lost since its release at 2024-03-06 15:00 UTC (limit 4 %), "
        "all accounts together are worth 9,600.00 USD"
    )


def test_a_day_that_is_over_brakes_nothing() -> None:
    assert daily_loss(replace(FINE, loss=Decimal("0.5"), day_end=NOW), POLICY, NOW) is None


@pytest.mark.parametrize(("fallen", "brakes"), [("0.1999999", False), ("0.2", True), ("0.9", True)])
def test_the_drawdown_brakes_from_its_limit_on_until_released(fallen: str, brakes: bool) -> None:
    found = drawdown(replace(FINE, drawdown=Decimal(fallen)), POLICY, NOW)
    assert (found is not None) is brakes
    if found is not None:
        assert (found.kind, found.until) == (BrakeKind.DRAWDOWN, None)


def test_the_drawdown_is_told_with_its_numbers() -> None:
    assert drawdown(replace(FINE, drawdown=Decimal("0.2055")), POLICY, NOW) == Brake(
        BrakeKind.DRAWDOWN,
        "simulated",
        "20.55 % below the highest value (limit 20 %), the account is worth 9,600.00 USD",
        NOW,
    )


def test_a_row_of_losses_brakes_from_its_length_on_for_the_pause() -> None:
    lost = losing_streak(ended(*(closed("-10.5", hours) for hours in range(1, 5))), None)
    assert loss_streak(replace(FINE, lost=lost[:3]), POLICY, NOW) is None
    assert loss_streak(replace(FINE, lost=lost), POLICY, NOW) == Brake(
        BrakeKind.LOSS_STREAK,
        "simulated",
        "4 losing trades in a row (limit 4), together -42.00 USD, the last one SPY -10.50 USD",
        NOW,
        NOW + timedelta(hours=24),
    )


def test_a_trade_that_loses_nothing_ends_the_row() -> None:
    assert profits(losing_streak(ended(closed("-1", 1), closed("5", 2), closed("-2", 3), closed("-3", 4)), None)) == [
        -2,
        -3,
    ]
    assert losing_streak(ended(closed("-1", 1), closed("0", 2)), None) == ()


def test_trades_up_to_a_release_do_not_count() -> None:
    trades = ended(closed("-1", 1), closed("-2", 2), closed("-3", 3))
    assert profits(losing_streak(trades, NOW + timedelta(hours=2))) == [-3]


def test_a_position_sold_in_parts_is_one_trade() -> None:
    parts = [closed("-5", 1, left="2"), closed("-9", 1, "QQQ"), closed("2", 2, left="1"), closed("-4", 3)]
    assert [(trip.symbol, int(trip.profit)) for trip in ended(*parts)] == [("QQQ", -9), ("SPY", -7)]


def test_a_position_that_is_still_held_in_part_is_no_trade_yet() -> None:
    assert ended(closed("-5", 1, left="2")) == ()


def test_what_no_order_could_sell_does_not_keep_a_trade_open() -> None:
    assert profits(ended(closed("-5", 1, "BTC-USD", left="0.0000004"))) == [-5]


def test_trades_count_by_the_time_of_their_end_whenever_they_were_booked() -> None:
    assert profits(losing_streak(ended(closed("-1", 1), closed("-3", 3), closed("7", 2)), None)) == [-3]
