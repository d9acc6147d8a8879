"""What Alpaca says of an account and of an instrument, in our terms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.adapters.alpaca_state import asset_of, state_of
from core.errors import MalformedAnswer


def account(**fields: Any) -> dict[str, Any]:
    row = {"account_number": "PA1", "status": "ACTIVE", "currency": "USD", "cash": "1000.55", "equity": "1500"}
    return row | {"buying_power": "2000"} | fields


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"account_blocked": True}, "has blocked the account"),
        ({"trading_blocked": True}, "has blocked trading"),
        ({"trade_suspended_by_user": True}, "suspended in the account's own settings"),
        ({"status": "ACTION_REQUIRED"}, "Alpaca says ACTION_REQUIRED"),
        ({"currency": "EUR"}, "kept in EUR"),
    ],
)
def test_why_an_account_takes_no_orders_is_said_in_words(fields: dict[str, Any], words: str) -> None:
    assert state_of(account(), [], {}).restrictions == ()
    (told,) = state_of(account(**fields), [], {}).restrictions
    assert words in told


def test_positions_are_known_by_our_symbols_and_shorts_are_below_zero() -> None:
    rows = [
        {"symbol": "BRK.B", "asset_class": "us_equity", "qty": "2.5", "side": "long"},
        {"symbol": "BTCUSD", "asset_class": "crypto", "qty": "0.09975", "side": "long"},
        {"symbol": "F", "asset_class": "us_equity", "qty": "-3", "side": "short"},
        {"symbol": "T", "asset_class": "us_equity", "qty": "4", "side": "short"},
    ]
    state = state_of(account(), rows, {})
    assert state.positions == {"BRK-B": Decimal("2.5"), "BTC-USD": Decimal("0.09975"), "F": -3, "T": -4}
    assert (state.cash, state.number) == (Decimal("1000.55"), "PA1")


@pytest.mark.parametrize("wrong", [{"cash": None}, {"cash": 1000.5}, {"trading_blocked": "no"}])
def test_an_account_in_no_known_form_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        state_of(account(**wrong), [], {})


def test_an_instrument_is_traded_where_it_is_active_and_tradable_in_the_steps_that_it_names() -> None:
    row = {"tradable": True, "status": "active", "fractionable": True, "min_order_size": "0.0001"}
    asset = asset_of(row | {"min_trade_increment": "0.000000001", "price_increment": "1"}, "BTC-USD")
    assert (asset.tradable, asset.min_quantity, asset.price_tick) == (True, Decimal("0.0001"), Decimal(1))
    assert not asset_of(row | {"status": "inactive"}, "X").tradable
    assert not asset_of(row | {"tradable": False}, "X").tradable
