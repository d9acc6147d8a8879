"""Whatever happens to a request on its way to Alpaca ends as the one order that exists, or as none, and is known for
what it is; and what Alpaca's book leaves out is found all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.adapters import alpaca_trading
from core.adapters.alpaca import Alpaca, Places
from core.adapters.alpaca_broker import AlpacaBroker
from core.domain.accounts import Account, AccountKind, World
from core.domain.orders import OrderState, OrderType, Purpose, Side
from core.domain.venue import Accepted, OrderRequest, Refused, Resting, Unknown
from core.errors import AccessRefused, RateLimited, Transient
from tests.alpaca_broker_stand import begun_anew, broker_at
from tests.alpaca_stand import CALENDAR, KEYS
from tests.fakes_bars import StillClock
from tests.fakes_venue import request_of
from tests.servers.alpaca_trading_server import AlpacaTradingServer

OPEN = datetime(2026, 11, 2, 15, 0, tzinfo=UTC)
PAPER = Account("alpaca-paper", AccountKind.ALPACA_PAPER, World.REAL)
BRACKET = {"bracket_stop": "570", "bracket_target": "690"}
PAIR = {"kind": OrderType.STOP, "stop_price": "570", "bracket_target": "690"}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[AlpacaTradingServer, StillClock]]:
    clock = StillClock(OPEN)
    with AlpacaTradingServer(clock.now) as server:
        yield server, clock


@pytest.fixture
def server(running: tuple[AlpacaTradingServer, StillClock]) -> AlpacaTradingServer:
    return begun_anew(*running, OPEN)


@pytest.fixture
def clock(running: tuple[AlpacaTradingServer, StillClock]) -> StillClock:
    return running[1]


@pytest.fixture
def broker(server: AlpacaTradingServer, clock: StillClock) -> AlpacaBroker:
    return broker_at(server.address, PAPER, clock)


def frozen(server: AlpacaTradingServer) -> None:
    server.venue.habits.frozen |= {"SPY", "BTC/USD"}


def sale(name: str, **given: Any) -> OrderRequest:
    return request_of(name, side=Side.SELL, **given)


def names(broker: AlpacaBroker) -> list[str]:
    return [order.client_order_id for order in broker.orders()]


@pytest.mark.feature("T8")
@pytest.mark.parametrize("fault", ["after 504", "after 502", "after reset", "after page", "after 500", "after empty"])
def test_an_order_that_arrived_although_its_answer_was_lost_is_the_one_that_exists(
    server: AlpacaTradingServer, broker: AlpacaBroker, fault: str
) -> None:
    frozen(server)
    server.faults.once["/v2/orders"].append(fault)
    answer = broker.submit(request_of("a", **BRACKET))
    assert isinstance(answer, Accepted)
    assert answer.order.client_order_id == "a"
    assert len(server.venue.orders) == 3
    again = broker.submit(request_of("a", **BRACKET))
    assert isinstance(again, Accepted) and again.order.venue_order_id == answer.order.venue_order_id
    assert len(server.venue.orders) == 3
    assert sum(call.method == "POST" for call in server.calls) == 2


@pytest.mark.feature("T8")
@pytest.mark.parametrize("fault", ["504", "502", "page", "before reset"])
def test_an_order_of_which_nobody_knows_is_told_as_such_and_sent_once(
    server: AlpacaTradingServer, broker: AlpacaBroker, fault: str
) -> None:
    server.faults.once["/v2/orders"].append(fault)
    assert isinstance(broker.submit(request_of("a")), Unknown)
    assert sum(call.method == "POST" for call in server.calls) == 1
    assert broker.find("a") is None
    assert isinstance(broker.submit(request_of("a")), Accepted)


@pytest.mark.feature("T8")
@pytest.mark.parametrize(("fault", "arrived"), [("hang", True), ("before hang", False)])
def test_a_venue_that_hangs_is_given_up_in_time_and_what_arrived_is_looked_up(
    server: AlpacaTradingServer,
    broker: AlpacaBroker,
    fault: str,
    arrived: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker.asset("SPY")
    monkeypatch.setattr(alpaca_trading, "SECONDS", 0.3)
    server.faults.once["/v2/orders"].append(fault)
    assert isinstance(broker.submit(request_of("a")), Accepted if arrived else Unknown)
    assert len(server.venue.orders) == arrived


FAULTS = (
    None,
    None,
    "429",
    "504",
    "after 504",
    "502",
    "after 502",
    "before reset",
    "reset",
    "500",
    "page",
    "after page",
)


@pytest.mark.feature("T8")
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(FAULTS), st.sampled_from(FAULTS)), max_size=12))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_whatever_fails_an_id_is_one_order_and_what_is_said_of_it_is_true(
    server: AlpacaTradingServer, clock: StillClock, story: list[tuple[str, str | None, str | None]]
) -> None:
    server.faults.clear()
    server.reset_account()
    broker = broker_at(server.address, PAPER, clock)
    broker.asset("SPY")
    for name, of_post, of_look_up in story:
        if of_post is not None:
            server.faults.once["/v2/orders"].append(of_post)
        if of_look_up is not None:
            server.faults.once["by_client_order_id"].append(of_look_up)
        known = {order.client_order_id for order in server.venue.orders.values()}
        answer: Any = None
        with suppress(Transient):
            answer = broker.submit(request_of(name))
        server.faults.clear()
        # A pause that the faults have brought about is over.
        clock.time += timedelta(minutes=10)
        broker = broker_at(server.address, PAPER, clock)
        ids = [order.client_order_id for order in server.venue.orders.values()]
        assert len(ids) == len(set(ids)) and known <= set(ids)
        found = broker.find(name)
        assert (found is not None) == (name in ids)
        assert not isinstance(answer, Refused)
        if isinstance(answer, Accepted):
            assert found is not None and found.venue_order_id == answer.order.venue_order_id
        if answer is None:
            assert set(ids) == known


def test_an_order_whose_look_up_fails_too_stays_unknown(server: AlpacaTradingServer, broker: AlpacaBroker) -> None:
    server.faults.once["/v2/orders"].append("after 504")
    server.faults.standing["by_client_order_id"] = "502"
    assert isinstance(broker.submit(request_of("a")), Unknown)
    server.faults.clear()
    found = broker.find("a")
    assert found is not None and found.state is OrderState.FILLED


def test_what_alpaca_turned_away_at_its_door_was_never_sent(server: AlpacaTradingServer, broker: AlpacaBroker) -> None:
    broker.asset("SPY")
    server.faults.once["/v2/orders"].append("429")
    with pytest.raises(RateLimited):
        broker.submit(request_of("a"))
    assert server.venue.orders == {}


def test_keys_that_are_refused_are_told_and_known(server: AlpacaTradingServer, broker: AlpacaBroker) -> None:
    server.faults.standing["/v2/"] = "401"
    with pytest.raises(AccessRefused):
        broker.state()
    assert "keys" in broker.refusal
    server.faults.clear()


@pytest.mark.feature("S10")
def test_a_target_and_the_stop_that_is_held_beside_it_show_without_their_filled_entry(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    broker.submit(request_of("a", **BRACKET))
    assert names(broker) == ["a-s", "a-t"]
    assert names(broker_at(server.address, PAPER, clock)) == ["a-s", "a-t"]
    server.venue.habits.open_shows_filled_parents = True
    assert names(broker) == ["a-s", "a-t"]


@pytest.mark.parametrize("replaces", [False, True])
def test_a_stop_that_is_met_is_a_fill_of_the_stop_and_ends_the_target(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock, replaces: bool
) -> None:
    server.venue.habits.stop_replaces_target = replaces
    broker.submit(request_of("a", **BRACKET))
    server.set_price("SPY", 569)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        bought, sold = each.fills_since(clock.now() - timedelta(hours=1))
        assert (bought.client_order_id, bought.purpose, bought.side) == ("a", Purpose.ENTRY, Side.BUY)
        assert (sold.client_order_id, sold.purpose, sold.side) == ("a-s", Purpose.STOP, Side.SELL)
        stop, target = each.find("a-s"), each.find("a-t")
        assert stop is not None and target is not None
        assert (stop.state, target.state) == (OrderState.FILLED, OrderState.CANCELED)
        assert each.orders() == []


def test_a_pair_shows_under_our_id_as_its_stop_and_goes_as_one(
    server: AlpacaTradingServer, broker: AlpacaBroker
) -> None:
    broker.submit(request_of("a"))
    answer = broker.submit(sale("p", **PAIR))
    assert isinstance(answer, Accepted)
    assert (answer.order.type, answer.order.stop_price) == (OrderType.STOP, 570)
    assert names(broker) == ["p", "p-t"]
    broker.cancel("p-t")
    assert names(broker) == []
    assert isinstance(broker.submit(sale("x")), Accepted)


def test_a_level_that_its_owner_moved_at_alpaca_goes_on_under_our_name(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    broker.submit(request_of("a", **BRACKET))
    target = broker.find("a-t")
    assert target is not None
    with server.lock:
        server.venue.replace(target.venue_order_id, {"limit_price": "700"})
    for each in (broker, broker_at(server.address, PAPER, clock)):
        moved = each.find("a-t")
        assert moved is not None and (moved.limit_price, moved.state) == (Decimal(700), OrderState.ACCEPTED)
        assert names(each) == ["a-s", "a-t"]
    server.set_price("SPY", 701)
    for each in (broker, broker_at(server.address, PAPER, clock)):
        assert each.fills_since(clock.now() - timedelta(hours=1))[-1].client_order_id == "a-t"


def test_a_simple_order_that_its_owner_changed_is_still_the_one_that_we_sent(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    frozen(server)
    broker.submit(request_of("a", kind=OrderType.LIMIT, limit_price="590"))
    order = broker.find("a")
    assert order is not None
    with server.lock:
        server.venue.replace(order.venue_order_id, {"limit_price": "595"})
    again = broker_at(server.address, PAPER, clock)
    changed = again.find("a")
    assert changed is not None and (changed.limit_price, changed.state) == (Decimal(595), OrderState.ACCEPTED)
    assert names(again) == ["a"]
    server.fill(server.venue.orders[changed.venue_order_id].client_order_id)
    assert [fill.client_order_id for fill in again.fills_since(clock.now() - timedelta(hours=1))] == ["a"]


def test_trades_made_in_alpacas_own_app_are_fills_under_the_name_that_alpaca_gave_them(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    name = server.trade_outside("SPY", "buy", 3, 601)
    (fill,) = broker.fills_since(clock.now() - timedelta(hours=1))
    assert (fill.client_order_id, fill.quantity, fill.purpose) == (name, 3, Purpose.ENTRY)


@pytest.mark.feature("S10")
def test_a_coin_is_guarded_by_a_stop_limit_and_more_than_is_held_is_never_sold(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    coin = {"symbol": "BTC-USD"}
    broker.submit(request_of("a", quantity="0.1", **coin))
    held = broker.state().positions["BTC-USD"]
    assert held == Decimal("0.09975")
    answer = broker.submit(sale("b", quantity="0.1", **coin))
    assert isinstance(answer, Refused) and "only 0.09975 are free" in answer.reason
    stop = {"kind": OrderType.STOP, "stop_price": "57000", "limit_price": "55000"}
    assert isinstance(broker.submit(sale("s", quantity="0.09975", **coin, **stop)), Accepted)
    (resting,) = broker.orders()
    assert (resting.purpose, resting.stop_price, resting.limit_price) == (Purpose.STOP, 57_000, 55_000)
    assert broker.resting("BTC-USD", held) is Resting.STOP
    assert (broker.resting("SPY", Decimal(3)), broker.resting("SPY", Decimal("0.5"))) == (Resting.PAIR, Resting.NOTHING)


def test_nothing_is_sold_short(server: AlpacaTradingServer, broker: AlpacaBroker) -> None:
    answer = broker.submit(sale("x"))
    assert isinstance(answer, Refused) and "short" in answer.reason
    assert server.venue.orders == {}


def test_a_cancellation_that_comes_through_later_is_waited_for_a_moment(
    server: AlpacaTradingServer, clock: StillClock
) -> None:
    frozen(server)
    server.venue.habits.cancels_slowly = True
    slept = list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            server.set_price("SPY", 601)

    broker = broker_at(server.address, PAPER, clock, sleep)
    broker.submit(request_of("a"))
    broker.cancel("a")
    found = broker.find("a")
    assert found is not None and found.state is OrderState.CANCELED
    assert len(slept) == 2
    broker.cancel("a")


def test_a_cancellation_without_an_answer_can_be_asked_for_again(
    server: AlpacaTradingServer, broker: AlpacaBroker
) -> None:
    frozen(server)
    broker.submit(request_of("a"))
    order = broker.find("a")
    assert order is not None
    server.faults.once[order.venue_order_id].append("after 504")
    with pytest.raises(Transient):
        broker.cancel("a")
    broker.cancel("a")
    found = broker.find("a")
    assert found is not None and found.state is OrderState.CANCELED


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("trading_blocked", "blocked trading"),
        ("account_blocked", "blocked the account"),
    ],
)
def test_an_account_that_may_not_trade_says_why(
    server: AlpacaTradingServer, broker: AlpacaBroker, field: str, words: str
) -> None:
    assert broker.state().restrictions == ()
    setattr(server.venue.account, field, True)
    (restriction,) = broker.state().restrictions
    assert words in restriction
    answer = broker.submit(request_of("a"))
    assert isinstance(answer, Refused) and "blocked or restricted" in answer.reason


def test_the_account_is_known_by_its_number_and_what_it_may_spend(
    server: AlpacaTradingServer, broker: AlpacaBroker
) -> None:
    state = broker.state()
    assert (state.number, state.cash, state.equity, state.currency, state.status) == (
        "PA3TESTS0002",
        100_000,
        100_000,
        "USD",
        "ACTIVE",
    )
    assert state.buying_power == 200_000


def test_an_instrument_that_alpaca_does_not_have_or_trade_is_refused_before_anything_is_sent(
    server: AlpacaTradingServer, broker: AlpacaBroker, clock: StillClock
) -> None:
    answer = broker.submit(request_of("x", symbol="NONE"))
    assert isinstance(answer, Refused) and "no such instrument as NONE" in answer.reason
    server.halt("SPY")
    answer = broker.submit(request_of("x"))
    assert isinstance(answer, Refused) and "does not trade SPY at present" in answer.reason
    server.resume("SPY")
    clock.time += timedelta(days=1)
    assert broker.asset("SPY") is not None
    assert isinstance(broker.submit(request_of("x")), Accepted)


@pytest.mark.parametrize("count", [19, 20, 23])
def test_more_fills_than_alpaca_gives_at_once_are_all_told_once(
    server: AlpacaTradingServer,
    broker: AlpacaBroker,
    clock: StillClock,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alpaca_trading, "ACTIVITIES", 10)
    for number in range(count):
        server.trade_outside("SPY", "buy", 1, 600 + number % 3)
    fills = broker.fills_since(clock.now() - timedelta(hours=1))
    assert len(fills) == len({fill.id for fill in fills}) == count


@pytest.mark.parametrize("count", [9, 10, 12])
def test_more_live_orders_than_alpaca_gives_at_once_are_all_seen(
    server: AlpacaTradingServer, broker: AlpacaBroker, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpaca_trading, "ORDERS", 5)
    for number in range(count):
        server.order_outside(
            symbol="SPY", side="buy", qty=1, type="limit", limit_price=2 + number % 9, time_in_force="gtc"
        )
    assert len(names(broker)) == len(set(names(broker))) == count


def test_how_far_alpacas_clock_is_ahead_is_known(server: AlpacaTradingServer, broker: AlpacaBroker) -> None:
    server.skew = timedelta(minutes=7)
    broker.state()
    server.skew = timedelta(0)
    assert broker.ahead is not None and abs(broker.ahead - timedelta(minutes=7)) < timedelta(seconds=2)


@pytest.mark.feature("S10")
def test_after_an_outage_orders_go_out_again_within_a_minute_and_past_those_who_wait_for_prices(
    server: AlpacaTradingServer, clock: StillClock
) -> None:
    slept = list[float]()
    alpaca = Alpaca(
        KEYS, CALENDAR, clock, slept.append, np.random.default_rng(1), places=Places(trading=server.address)
    )
    broker = alpaca.broker(PAPER)
    server.faults.standing["/v2/"] = "502"
    for _ in range(6):
        with pytest.raises(Transient):
            broker.state()
    server.faults.clear()
    asked = len(server.calls)
    with pytest.raises(Transient):
        broker.state()
    assert len(server.calls) == asked
    clock.time += timedelta(seconds=40)
    assert all(alpaca.pacer.wait() for _ in range(20))
    slept.clear()
    assert isinstance(broker.submit(request_of("a")), Accepted)
    assert slept == []
    alpaca.close()
