"""What our loopback Alpaca answers is what Alpaca publishes: every answer, and every question of alpaca-py."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.errors import AutoTraderError
from tests.alpaca_stand import BTC, NOW, SPY, Stand, stand
from tests.contract.alpaca_spec import Description
from tests.servers.alpaca_http import Answer

__all__ = ["stand"]

MARKET_DATA = Description("alpaca-market-data-openapi.json")
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not MARKET_DATA.path.exists(), reason="Alpaca's description is not beside this checkout"),
]


def ask_everything(stand: Stand) -> None:
    stand.server.page = 30
    stand.server.extended_price = 1.0
    stand.server.splits["SPY"] = [(NOW.date(), 2.0)]
    stand.server.actions = {
        "cash_dividends": [
            {
                "id": "11cfd108-292e-4cc6-bfbf-5999cdbc4029",
                "symbol": "SPY",
                "cusip": "78462F103",
                "rate": 1.7,
                "special": False,
                "foreign": False,
                "ex_date": "2024-09-20",
                "process_date": "2024-10-31",
            }
        ]
    }
    for instrument in (SPY, BTC):
        for size in BarSize:
            if size is not BarSize.M1:
                stand.alpaca.bars(instrument, size, NOW, 50)
        name = instrument.symbol.replace("-", "/")
        for kind in ("quotes", "trades"):
            assert name in stand.service.latest(kind, [name], 5.0)  # type: ignore[arg-type]
    assert len(stand.alpaca.actions("SPY", datetime(2024, 1, 1, tzinfo=UTC), NOW)) == 1
    with pytest.raises(AutoTraderError):
        stand.alpaca.bars(instrument_for("NOSUCH"), BarSize.D1, NOW, 5)


def test_every_answer_of_the_loopback_server_is_one_that_alpaca_publishes(stand: Stand) -> None:
    ask_everything(stand)
    assert {call.path for call, _ in stand.server.answers} >= {
        "/v2/stocks/bars",
        "/v2/stocks/quotes/latest",
        "/v2/stocks/trades/latest",
        "/v1beta3/crypto/us/bars",
        "/v1beta3/crypto/us/latest/quotes",
        "/v1beta3/crypto/us/latest/trades",
        "/v1/corporate-actions",
    }
    assert [fault for call, answer in stand.server.answers for fault in MARKET_DATA.faults_of(call, answer)] == []


def test_alpaca_py_asks_with_parameters_that_alpaca_publishes(stand: Stand) -> None:
    ask_everything(stand)
    odd = {
        (call.path, name) for call in stand.server.calls for name in set(call.query) - MARKET_DATA.parameters_of(call)
    }
    assert odd == set()


def test_an_answer_that_strays_from_what_is_published_is_found(stand: Stand) -> None:
    stand.service.latest("quotes", ["SPY"], 5.0)
    call, answer = stand.server.answers[0]
    strayed = json.loads(json.dumps(answer.body))
    strayed["quotes"]["SPY"]["bp"] = "601.2"
    assert len(list(MARKET_DATA.faults_of(call, Answer(200, strayed)))) == 1
    strayed["quotes"]["SPY"] = {"ap": 1.0}
    assert list(MARKET_DATA.faults_of(call, Answer(200, strayed)))
