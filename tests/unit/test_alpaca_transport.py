"""Requests that change something, by the real alpaca-py: sent once, and in doubt told to be in doubt."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import core.adapters.alpaca_vendor  # noqa: F401  (imports alpaca-py without its warnings)
from core.adapters.alpaca_transport import AlpacaTransport, Declined
from core.adapters.pacing import Pacer, Restraint
from core.errors import AccessRefused, Ambiguous, AutoTraderError, RateLimited, Unreachable
from tests.alpaca_stand import NOW
from tests.fakes_bars import StillClock
from tests.servers.alpaca_http import KEY_ID, SECRET, AlpacaHttp, Call, Refusal

ORDER = {"symbol": "SPY", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": "a1"}


class Orders(AlpacaHttp):
    """Takes orders, each client order id once."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)
        self.taken: list[str] = []

    def respond(self, call: Call) -> Any:
        if call.method == "GET":
            return [{"client_order_id": each} for each in self.taken]
        wanted = call.body["client_order_id"]
        if wanted in self.taken:
            raise Refusal(422, "client_order_id must be unique", 40010001)
        if call.body["qty"] == "1000000":
            raise Refusal(403, "insufficient buying power", 40310000)
        self.taken.append(wanted)
        return {"id": "1", "client_order_id": wanted, "status": "accepted"}


@pytest.fixture
def server() -> Iterator[Orders]:
    with Orders() as running:
        yield running


def client_at(address: str, budget: float = 5.0) -> Any:
    from alpaca.trading.client import TradingClient

    logging.getLogger("alpaca").setLevel(logging.CRITICAL)
    clock = StillClock(NOW)
    restraint = Restraint(clock.now, np.random.default_rng(1))
    pacer = Pacer(0.0, clock.monotonic, lambda _: None)
    client = TradingClient(KEY_ID, SECRET, raw_data=True, url_override=address)
    AlpacaTransport(clock, lambda _: None, pacer, restraint, budget=budget).serve(client)
    return client


def test_a_good_order_is_sent_once_and_its_answer_comes(server: Orders) -> None:
    assert client_at(server.address).post("/orders", ORDER)["status"] == "accepted"
    assert [call.body for call in server.calls] == [ORDER]


@pytest.mark.feature("T8")
@pytest.mark.parametrize("fault", ["500", "502", "504", "after 504", "after 502", "reset", "truncated", "hang"])
def test_an_order_without_a_clear_answer_is_in_doubt_and_never_sent_again(server: Orders, fault: str) -> None:
    server.faults.once["/orders"] = [fault]
    with pytest.raises(Ambiguous):
        client_at(server.address, budget=0.4 if fault == "hang" else 5.0).post("/orders", ORDER)
    assert server.count("/orders") == 1
    assert server.taken == (["a1"] if fault in ("after 504", "after 502", "reset", "truncated", "hang") else [])
    # Asked about, the same trouble leaves no doubt.
    server.faults.once["/orders"] = ["504"]
    with pytest.raises(Unreachable):
        client_at(server.address).get("/orders")


def test_an_order_that_never_left_is_not_in_doubt(server: Orders) -> None:
    with Orders() as gone:
        address = gone.address
    for place in (address, "http://no-such-host.invalid"):
        with pytest.raises(Unreachable):
            client_at(place).post("/orders", ORDER)


@pytest.mark.parametrize(
    ("fault", "kind"), [("429", RateLimited), ("401", AccessRefused), ("403", AccessRefused), ("422", Declined)]
)
def test_a_clear_no_to_an_order_is_one(server: Orders, fault: str, kind: type[AutoTraderError]) -> None:
    server.faults.once["/orders"] = [fault]
    with pytest.raises(kind):
        client_at(server.address).post("/orders", ORDER)
    assert server.count("/orders") == 1 and server.taken == []


def test_a_no_of_the_venue_comes_with_its_code_and_words(server: Orders) -> None:
    client = client_at(server.address)
    client.post("/orders", ORDER)
    for order, status, code, words in (
        (ORDER, 422, 40010001, "client_order_id must be unique"),
        (ORDER | {"client_order_id": "a2", "qty": "1000000"}, 403, 40310000, "insufficient buying power"),
    ):
        with pytest.raises(Declined) as no:
            client.post("/orders", order)
        assert (no.value.status, no.value.code, no.value.words) == (status, code, words)
    assert server.taken == ["a1"]
