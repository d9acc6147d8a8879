"""Every word that Alpaca publishes for what became of an order, for an account and for an activity is known here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.adapters.alpaca_activities import COIN_FEE, MONEY, TRANSFERS, UNITS
from core.adapters.alpaca_orders import SIMPLE, STATES, TYPES

SPEC_PATH = Path(__file__).resolve().parents[2].parent / "shared" / "specs" / "alpaca-trading-openapi.json"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not SPEC_PATH.exists(), reason="Alpaca's description is not beside this checkout"),
]
OF_NO_ORDER_OF_OURS = {"mleg"}
TOLD_OTHERWISE = {"FILL"}


@pytest.fixture(scope="module")
def published() -> Any:
    return json.loads(SPEC_PATH.read_text())["components"]["schemas"]


def test_every_state_and_type_of_an_order_is_known(published: Any) -> None:
    assert STATES.keys() == set(published["OrderStatus"]["enum"])
    assert TYPES.keys() == set(published["OrderType"]["enum"])
    assert set(published["OrderClass"]["enum"]) == {*SIMPLE, "bracket", "oco", "oto"} | OF_NO_ORDER_OF_OURS


def test_every_kind_of_activity_is_known(published: Any) -> None:
    known = MONEY.keys() | TRANSFERS.keys() | UNITS.keys() | {COIN_FEE}
    assert set(published["ActivityType"]["enum"]) - TOLD_OTHERWISE <= known
