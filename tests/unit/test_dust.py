"""What no order could sell is not guarded, counted or shown, and keeps nobody from buying."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.domain.dust import is_dust, without_dust
from core.domain.portfolio import Position

AT = datetime(2026, 11, 2, tzinfo=UTC)
COIN = Position("alpaca-paper", "ETH-USD", Decimal("0.0002"), Decimal("1.19"), AT)


def is_kept(position: Position) -> bool:
    return position.symbol in without_dust({position.symbol: position})


def test_less_than_a_step_of_a_coin_is_dust_and_a_fraction_of_a_share_never_is() -> None:
    assert is_dust("ETH-USD", Decimal("0.0000009")) and not is_dust("ETH-USD", Decimal("0.000001"))
    assert not is_dust("SPY", Decimal("0.001"))


@pytest.mark.feature("S13")
def test_a_coin_that_cost_less_than_the_smallest_order_is_left_where_the_venue_would_not_sell_it() -> None:
    assert not is_kept(COIN)
    assert not is_kept(replace(COIN, account="alpaca-live"))
    assert is_kept(replace(COIN, cost=Decimal(10)))
    for account in ("simulated", "manual"):
        assert is_kept(replace(COIN, account=account))


def test_a_coin_that_came_without_a_cost_and_a_cheap_share_are_held_like_any_other() -> None:
    assert is_kept(replace(COIN, cost=Decimal(0)))
    assert is_kept(replace(COIN, symbol="F", quantity=Decimal(1), cost=Decimal(9)))
