"""Live prices against stops and targets: told once, and only of what is followed and can be traded now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.portfolio import Guard, GuardKind
from core.feed.level_watch import AGAIN, LevelWatch
from tests.alpaca_stand import CALENDAR

pytestmark = pytest.mark.feature("S13")

NOON = datetime(2024, 3, 4, 17, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class Stage:
    def __init__(self, *guards: Guard) -> None:
        self.clock = Clock()
        self.told = 0
        self.watch = LevelWatch(CALENDAR, self.clock, self._reached)
        self.watch.follow(guards)

    def _reached(self) -> None:
        self.told += 1

    def hears(self, *prices: float, symbol: str = "BTC-USD") -> int:
        before = self.told
        for price in prices:
            self.watch.hear(symbol, price)
        return self.told - before


def a_guard(stop: str = "95", target: str = "115", symbol: str = "BTC-USD", account: str = "simulated") -> Guard:
    return Guard(account, symbol, Decimal(stop), Decimal(target), GuardKind.ENGINE, None, NOON)


@pytest.mark.parametrize("price", [95.0, 80.0, 115.0, 130.0])
def test_a_price_at_or_beyond_a_level_is_told_once(price: float) -> None:
    assert Stage(a_guard()).hears(100.0, 95.01, 114.99, price, price, 96.0, price) == 1


def test_what_is_not_followed_or_no_longer_is_not_told() -> None:
    stage = Stage(a_guard())
    assert stage.hears(1.0, symbol="ETH-USD") == 0
    stage.watch.follow([])
    assert stage.hears(1.0) == 0


def test_a_price_that_stays_beyond_is_told_again_after_a_while() -> None:
    stage = Stage(a_guard())
    assert stage.hears(90.0) == 1
    stage.clock.time += timedelta(seconds=AGAIN - 1)
    stage.watch.follow([a_guard()])
    assert stage.hears(90.0) == 0
    stage.clock.time += timedelta(seconds=1)
    assert stage.hears(90.0) == 1


def test_levels_that_moved_are_told_of_at_once() -> None:
    stage = Stage(a_guard())
    assert stage.hears(90.0) == 1
    stage.watch.follow([a_guard(stop="92")])
    assert stage.hears(91.0) == 1


def test_one_account_that_waits_beyond_its_stop_does_not_hide_the_others() -> None:
    stage = Stage(a_guard(stop="99", account="manual"), a_guard())
    assert stage.hears(98.0) == 1
    assert stage.hears(94.0) == 1


def test_a_stock_is_told_of_while_its_exchange_is_open() -> None:
    stage = Stage(a_guard(symbol="SPY"))
    stage.clock.time = NOON.replace(hour=12)
    assert stage.hears(90.0, symbol="SPY") == 0
    stage.clock.time = NOON
    assert stage.hears(90.0, symbol="SPY") == 1
