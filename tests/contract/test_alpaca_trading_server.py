"""The Alpaca of our tests behaves as Alpaca documents itself and as its users report, asked by the real client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca.common.exceptions import APIError

from tests.alpaca_trading_stand import (
    MONDAY,
    GetCalendarRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    OrderSide,
    OrderStatus,
    QueryOrderStatus,
    ReplaceOrderRequest,
    TimeInForce,
    TradingStand,
    clients,
    trading,
)
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_trading_server import LIVE_KEY_ID, LIVE_SECRET, AlpacaTradingServer

__all__ = ["trading"]

EVENING = MONDAY.replace(hour=23)
CLOSE = MONDAY.replace(hour=21)
NEXT_OPEN = datetime(2026, 11, 3, 14, 30, tzinfo=UTC)
PLAIN: dict[str, Any] = {"symbol": "SPY", "side": "buy", "qty": "10", "type": "market", "time_in_force": "day"}
BRACKET: dict[str, Any] = {
    **PLAIN,
    "time_in_force": "gtc",
    "order_class": "bracket",
    "take_profit": {"limit_price": "630"},
    "stop_loss": {"stop_price": "570"},
}
COIN: dict[str, Any] = {**PLAIN, "symbol": "BTC/USD", "qty": "0.1", "time_in_force": "gtc"}


def send(stand: TradingStand, body: dict[str, Any] = PLAIN, **changes: Any) -> Any:
    return stand.raw.post("/orders", {**body, **changes})


def seen(stand: TradingStand, order: Any) -> Any:
    return stand.raw.get(f"/orders/{order['id']}", {"nested": True})


def statuses(stand: TradingStand, order: Any) -> list[str]:
    """Of the order and its legs."""
    row = seen(stand, order)
    return [row["status"], *(leg["status"] for leg in row["legs"] or [])]


def refusal(stand: TradingStand, body: dict[str, Any] = PLAIN, **changes: Any) -> tuple[int, int, str]:
    with pytest.raises(APIError) as caught:
        send(stand, body, **changes)
    return caught.value.status_code, caught.value.code, caught.value.message


def kinds(stand: TradingStand) -> list[str]:
    return [row["activity_type"] for row in stand.raw.get("/account/activities", {"direction": "asc"})]


def test_a_market_order_is_pending_in_its_answer_and_filled_when_asked_again(trading: TradingStand) -> None:
    told = send(trading)
    assert (told["status"], told["filled_qty"], told["qty"]) == ("pending_new", "0", "10")
    now = seen(trading, told)
    assert (now["status"], now["filled_qty"], now["filled_avg_price"]) == ("filled", "10", "600")
    (position,) = trading.client.get_all_positions()
    assert (position.qty, position.qty_available, position.avg_entry_price) == ("10", "10", "600")
    account = trading.client.get_account()
    assert (account.cash, account.equity, account.buying_power) == ("94000", "100000", "194000")


def test_alpaca_py_models_read_every_answer(trading: TradingStand) -> None:
    limit = LimitOrderRequest(
        symbol="SPY", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=590, client_order_id="l"
    )
    order = trading.client.submit_order(limit)
    assert trading.client.get_order_by_client_id("l").id == order.id
    assert trading.client.get_order_by_id(order.id).status == OrderStatus.NEW
    assert [each.client_order_id for each in trading.client.get_orders()] == ["l"]
    newer = trading.client.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=591))
    assert newer.replaces == order.id
    trading.client.cancel_order_by_id(newer.id)
    assert trading.client.get_clock().is_open
    days = trading.client.get_calendar(GetCalendarRequest(start=MONDAY.date(), end=MONDAY.replace(day=30).date()))
    assert {str(day.close.time()) for day in days} == {"16:00:00", "13:00:00"}
    assert {asset.symbol for asset in trading.client.get_all_assets()} >= {"SPY", "QQQ"}
    assert trading.client.get_asset("BTC/USD").min_order_size is not None
    assert not trading.client.get_account_configurations().suspend_trade
    trading.server.trade_outside("SPY", "buy", 2, 600)
    trading.client.close_position("SPY")
    assert trading.client.get_all_positions() == []


def test_limits_fill_when_the_market_comes_and_stops_when_it_passes(trading: TradingStand) -> None:
    low = send(trading, type="limit", limit_price="590")
    trading.server.set_price("SPY", "589.5")
    assert seen(trading, low)["filled_avg_price"] == "589.5"
    stop = send(trading, side="sell", type="stop", stop_price="580")
    trading.server.set_price("SPY", "585")
    assert statuses(trading, stop) == ["new"]
    trading.server.set_price("SPY", "575")
    assert seen(trading, stop)["filled_avg_price"] == "575"


def test_a_stop_limit_that_is_jumped_over_is_triggered_and_stays(trading: TradingStand) -> None:
    send(trading)
    guard = send(trading, side="sell", type="stop_limit", stop_price="580", limit_price="578")
    trading.server.set_price("SPY", "570")
    assert statuses(trading, guard) == ["new"]
    trading.server.set_price("SPY", "579")
    assert statuses(trading, guard) == ["filled"]


def test_of_a_filled_bracket_the_target_works_and_the_stop_is_held(trading: TradingStand) -> None:
    told = send(trading, BRACKET, type="limit", limit_price="599")
    assert [leg["status"] for leg in told["legs"]] == ["held", "held"]
    trading.server.set_price("SPY", "599")
    assert statuses(trading, told) == ["filled", "new", "held"]
    plain = trading.client.get_orders()
    assert [(str(order.type.value), order.status.value) for order in plain] == [("limit", "new")]
    nested = trading.client.get_orders(GetOrdersRequest(nested=True))
    assert nested == []  # alpaca-trade-api-js issue 87
    trading.server.venue.habits.open_shows_filled_parents = True
    (parent,) = trading.client.get_orders(GetOrdersRequest(nested=True))
    assert [leg.status.value for leg in parent.legs or []] == ["new", "held"]
    closed = trading.client.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED))
    assert "held" in {order.status.value for order in closed}  # alpaca-trade-api-python issue 322


@pytest.mark.parametrize(
    ("price", "ends"), [("631", ["filled", "filled", "canceled"]), ("569", ["filled", "canceled", "filled"])]
)
def test_one_leg_of_a_bracket_ends_the_other(trading: TradingStand, price: str, ends: list[str]) -> None:
    told = send(trading, BRACKET)
    trading.server.set_price("SPY", price)
    assert statuses(trading, told) == ends
    assert trading.client.get_all_positions() == []


def test_a_target_filled_in_part_leaves_the_rest_to_its_stop(trading: TradingStand) -> None:
    told = send(trading, BRACKET)
    trading.server.venue.habits.portions["SPY"] = [Decimal(4)]
    trading.server.set_price("SPY", 630)
    assert [(leg["status"], leg["qty"]) for leg in seen(trading, told)["legs"]] == [
        ("partially_filled", "10"),
        ("held", "6"),
    ]
    trading.server.set_price("SPY", 560)
    assert trading.client.get_all_positions() == []
    assert Decimal(str(trading.client.get_account().cash)) == 100_000 - 6_000 + 4 * 630 + 6 * 560


def test_a_purchase_filled_in_part_has_no_legs_yet_and_loses_them_with_its_end(trading: TradingStand) -> None:
    told = send(trading, BRACKET, type="limit", limit_price="595")
    trading.server.venue.habits.portions["SPY"] = [Decimal(3)]
    trading.server.set_price("SPY", 595)
    assert statuses(trading, told) == ["partially_filled", "held", "held"]
    trading.client.cancel_order_by_id(told["id"])
    assert statuses(trading, told) == ["canceled", "canceled", "canceled"]
    assert trading.client.get_open_position("SPY").qty_available == "3"


def test_legs_take_the_time_in_force_of_their_parent_and_end_with_the_day(trading: TradingStand) -> None:
    day, gtc = send(trading, BRACKET, time_in_force="day"), send(trading, BRACKET, symbol="QQQ")
    trading.server.set_price("QQQ", 600)
    trading.clock.time = CLOSE
    assert statuses(trading, day) == ["filled", "expired", "canceled"]
    assert statuses(trading, gtc) == ["filled", "new", "held"]


def test_a_pair_is_a_target_with_its_stop_nested_in_it(trading: TradingStand) -> None:
    send(trading)
    pair = send(
        trading,
        side="sell",
        type="limit",
        time_in_force="gtc",
        order_class="oco",
        take_profit={"limit_price": "620"},
        stop_loss={"stop_price": "580"},
    )
    assert statuses(trading, pair) == ["new", "held"]
    assert trading.client.get_open_position("SPY").qty_available == "0"
    (shown,) = trading.client.get_orders(GetOrdersRequest(nested=True))
    assert [leg.status.value for leg in shown.legs or []] == ["held"]
    trading.server.set_price("SPY", 579)
    assert statuses(trading, pair) == ["canceled", "filled"]


def test_one_that_triggers_another_has_one_leg_which_works_after_the_fill(trading: TradingStand) -> None:
    told = send(trading, order_class="oto", time_in_force="gtc", stop_loss={"stop_price": "570"})
    assert statuses(trading, told) == ["filled", "new"]
    trading.server.set_price("SPY", 565)
    assert statuses(trading, told) == ["filled", "filled"]


def test_a_leg_that_is_held_can_be_replaced_and_stays_held(trading: TradingStand) -> None:
    told = send(trading, BRACKET)
    stop = seen(trading, told)["legs"][1]
    newer = trading.raw.patch(f"/orders/{stop['id']}", {"stop_price": "580", "client_order_id": "moved"})
    assert (newer["status"], newer["replaces"], newer["stop_price"]) == ("held", stop["id"], "580")
    assert trading.raw.get(f"/orders/{stop['id']}")["status"] == "replaced"
    trading.server.set_price("SPY", 579)
    assert statuses(trading, told) == ["filled", "canceled", "filled"]


def test_a_cancelled_leg_takes_the_other_with_it(trading: TradingStand) -> None:
    told = send(trading, BRACKET)
    trading.client.cancel_order_by_id(seen(trading, told)["legs"][1]["id"])
    assert statuses(trading, told) == ["filled", "canceled", "canceled"]
    assert trading.client.get_open_position("SPY").qty_available == "10"


def test_orders_of_the_evening_wait_for_the_open(trading: TradingStand) -> None:
    trading.clock.time = EVENING
    told = send(trading)
    assert (told["status"], statuses(trading, told)) == ("accepted", ["accepted"])
    with pytest.raises(APIError, match="sent to exchange"):
        trading.raw.patch(f"/orders/{told['id']}", {"qty": "11"})
    trading.server.tape("SPY", [(NEXT_OPEN, 610)])
    trading.clock.time = NEXT_OPEN - timedelta(seconds=1)
    assert statuses(trading, told) == ["accepted"]
    trading.clock.time = NEXT_OPEN
    assert statuses(trading, told) == ["filled"]


def test_day_orders_expire_with_the_close_and_others_stay(trading: TradingStand) -> None:
    day = send(trading, type="limit", limit_price="590")
    gtc = send(trading, type="limit", limit_price="590", time_in_force="gtc")
    trading.clock.time = CLOSE - timedelta(seconds=1)
    assert statuses(trading, day) == ["new"]
    trading.clock.time = CLOSE
    assert (statuses(trading, day), statuses(trading, gtc)) == (["expired"], ["new"])
    trading.server.set_price("SPY", 580)
    assert statuses(trading, gtc) == ["new"]  # nothing trades in the evening
    trading.clock.time = MONDAY + timedelta(days=91)
    assert statuses(trading, gtc) == ["filled"]  # at the open of the next day


def test_a_tape_is_played_in_order_however_late_one_asks(trading: TradingStand) -> None:
    send(trading)
    stop = send(trading, side="sell", type="stop", stop_price="590")
    trading.server.tape("SPY", [(MONDAY + timedelta(minutes=2), 620), (MONDAY + timedelta(minutes=1), 585)])
    trading.clock.time = MONDAY + timedelta(hours=1)
    row = seen(trading, stop)
    assert (row["filled_avg_price"], row["filled_at"][:19]) == ("585", "2026-11-02T15:01:00")


def test_a_coins_fee_comes_off_what_is_bought_and_off_the_cash_of_what_is_sold(trading: TradingStand) -> None:
    send(trading, COIN)
    (position,) = trading.client.get_all_positions()
    assert (position.symbol, position.qty) == ("BTCUSD", "0.09975")
    assert refusal(trading, COIN, side="sell")[1:] == (
        40310000,
        "insufficient balance for BTC (requested: 0.1, available: 0.09975)",
    )
    send(trading, COIN, side="sell", qty="0.09975")
    assert Decimal(str(trading.client.get_account().cash)) == Decimal("100000") - 6000 + 5985 - Decimal("14.96")
    assert kinds(trading) == ["JNLC", "FILL", "CFEE", "FILL", "CFEE"]
    trading.clock.time = MONDAY.replace(day=7)  # a Saturday
    assert send(trading, COIN)["status"] == "pending_new"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"client_order_id": "x" * 129}, 40010001, "no more than 128 characters"),
        ({"type": "limit", "limit_price": "599.123"}, 42210000, "invalid limit_price 599.123. sub-penny"),
        ({"type": "limit"}, 40010001, "limit orders require limit price"),
        ({"qty": "0.5", "time_in_force": "gtc"}, 42210000, "fractional orders must be DAY orders"),
        ({**BRACKET, "qty": "0.5", "time_in_force": "day"}, 42210000, "fractional orders must be simple orders"),
        ({"symbol": "NOSUCH"}, 42210000, 'could not find asset "NOSUCH"'),
        (
            {**BRACKET, "stop_loss": {"stop_price": "600"}},
            42210000,
            "stop_loss.stop_price must be <= base_price - 0.01",
        ),
        ({**BRACKET, "take_profit": {"limit_price": "600"}}, 42210000, "take_profit.limit_price must be >= base_price"),
        ({**BRACKET, "take_profit": {}}, 42210000, "bracket orders require take_profit.limit_price"),
        ({**BRACKET, "time_in_force": "ioc"}, 42210000, "must be DAY or GTC"),
        ({"side": "sell", "type": "stop", "stop_price": "601"}, 42210000, "base price / 1.001"),
        ({**COIN, "time_in_force": "day"}, 42210000, "invalid crypto time_in_force"),
        ({**COIN, "type": "stop", "stop_price": "50000"}, 42210000, "invalid order type for crypto"),
        ({**BRACKET, **COIN, "qty": "1"}, 42210000, "crypto orders not allowed for advanced order_class: otoco"),
        ({"extended_hours": True}, 42210000, "extended hours"),
    ],
)
def test_what_is_refused_by_its_form(trading: TradingStand, changes: dict[str, Any], code: int, words: str) -> None:
    status, given, message = refusal(trading, **changes)
    assert (status, given) == (422, code)
    assert words in message
    assert trading.client.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL)) == []


def test_what_is_refused_for_what_the_account_holds(trading: TradingStand) -> None:
    assert refusal(trading, qty="1000") == (403, 40310000, "insufficient buying power")
    assert refusal(trading, COIN, qty="0.0001")[2] == "cost basis must be >= minimal amount of order 10"
    assert "insufficient balance for USD" in refusal(trading, COIN, qty="2")[2]
    send(trading)
    send(trading, side="sell", type="limit", limit_price="650", qty="7")
    assert refusal(trading, side="sell", type="limit", limit_price="650", qty="7")[2] == (
        "insufficient qty available for order (requested: 7, available: 3)"
    )
    assert trading.client.get_open_position("SPY").qty_available == "3"
    assert refusal(trading)[2] == "potential wash trade detected. use complex orders"
    assert refusal(trading, client_order_id="again") == (
        403,
        40310000,
        "potential wash trade detected. use complex orders",
    )


def test_an_order_id_is_taken_for_ever(trading: TradingStand) -> None:
    first = send(trading, type="limit", limit_price="500", client_order_id="once")
    trading.client.cancel_order_by_id(first["id"])
    assert refusal(trading, client_order_id="once") == (422, 40010001, "client_order_id must be unique")


def test_orders_come_in_pages_by_the_last_one_that_was_seen(trading: TradingStand) -> None:
    for place in range(5):
        send(trading, type="limit", limit_price="500", client_order_id=str(place))
    rows, last = [], {}
    while page := trading.raw.get("/orders", {"limit": 2, "direction": "asc", **last}):
        rows += page
        last = {"after_order_id": page[-1]["id"]}
    assert [row["client_order_id"] for row in rows] == ["0", "1", "2", "3", "4"]
    (newest, *_) = trading.raw.get("/orders", {"until": rows[3]["submitted_at"]})
    assert newest["client_order_id"] == "2"


def test_a_sale_of_what_is_not_held_sells_short(trading: TradingStand) -> None:
    send(trading, side="sell", qty="3")
    (position,) = trading.client.get_all_positions()
    assert (position.qty, str(position.side.value)) == ("-3", "short")
    trading.server.venue.account.configuration["no_shorting"] = True
    assert refusal(trading, symbol="QQQ", side="sell")[2] == "account is not allowed to short"


def test_a_cancel_may_rest_and_an_ended_order_refuses_it(trading: TradingStand) -> None:
    trading.server.venue.habits.cancels_slowly = True
    order = send(trading, type="limit", limit_price="590")
    trading.client.cancel_order_by_id(order["id"])
    assert statuses(trading, order) == ["pending_cancel"]
    with pytest.raises(APIError, match="order pending cancel"):
        trading.client.cancel_order_by_id(order["id"])
    trading.server.fill(order["client_order_id"], 4)
    trading.server.set_price("SPY", 600)
    row = seen(trading, order)
    assert (row["status"], row["filled_qty"]) == ("canceled", "4")
    with pytest.raises(APIError, match="already in"):
        trading.client.cancel_order_by_id(order["id"])


def test_activities_come_in_pages_by_kind_and_time(trading: TradingStand) -> None:
    for _ in range(5):
        trading.clock.time += timedelta(minutes=1)
        send(trading)
    rows, token = [], None
    while page := trading.raw.get("/account/activities", {"page_size": 2, "direction": "asc", "page_token": token}):
        rows += page
        token = page[-1]["id"]
    assert [row["activity_type"] for row in rows] == ["JNLC"] + ["FILL"] * 5
    assert rows[1]["id"].startswith("20261102100100000::")  # New York's time
    since = {"after": (MONDAY + timedelta(minutes=3)).isoformat(), "activity_types": "FILL"}
    assert len(trading.raw.get("/account/activities", since)) == 2
    assert len(trading.raw.get("/account/activities/FILL")) == 5


def test_what_happens_to_an_account_beside_its_orders(trading: TradingStand) -> None:
    send(trading)
    server = trading.server
    server.dividend("SPY", "1.5")
    server.move("INT", "0.31")
    server.move("FEE", "-0.02", activity_sub_type="TAF")
    server.move("CSD", 500)
    assert Decimal(str(trading.client.get_account().cash)) == Decimal("94515.29")
    server.split("SPY", 4, 150)
    (position,) = trading.client.get_all_positions()
    assert (position.qty, position.avg_entry_price, position.market_value) == ("40", "150", "6000")
    rows = trading.raw.get("/account/activities/SPLIT", {"direction": "asc"})
    assert [row["qty"] for row in rows] == ["-10", "40"]
    server.trade_outside("SPY", "sell", 15, 155)
    assert trading.client.get_open_position("SPY").qty == "25"
    server.reset_account()
    account = trading.client.get_account()
    assert (account.account_number, account.cash, kinds(trading)) == ("PA3TESTS0002", "100000", ["JNLC"])


def test_accounts_that_may_not_trade_and_refusals_on_demand(trading: TradingStand) -> None:
    account, habits = trading.server.venue.account, trading.server.venue.habits
    account.trading_blocked = True
    assert refusal(trading)[2] == "account is not authorized to trade"
    account.trading_blocked, account.configuration["suspend_trade"] = False, True
    assert refusal(trading)[2] == "new orders are rejected by user request"
    account.configuration["suspend_trade"] = False
    habits.refusals.append((403, 40310100, "trade denied due to pattern day trading protection"))
    assert refusal(trading) == (403, 40310100, "trade denied due to pattern day trading protection")
    trading.server.halt("SPY")
    assert refusal(trading)[2] == "asset SPY is not tradable"
    trading.server.resume("SPY")
    assert send(trading)["status"] == "pending_new"


def test_keys_that_are_wrong_revoked_or_of_the_other_address(trading: TradingStand) -> None:
    def status_of(key_id: str, secret: str) -> int:
        with pytest.raises(APIError) as caught:
            clients(trading.server.address, key_id, secret)[0].get_account()
        return int(caught.value.status_code)

    assert status_of("PKNOBODY", "x") == 403
    assert status_of(LIVE_KEY_ID, LIVE_SECRET) == 401
    trading.server.revoke_keys()
    assert status_of(KEY_ID, SECRET) == 401
    trading.server.restore_keys()
    assert trading.client.get_account().status.value == "ACTIVE"


def test_faults_before_and_after_the_deed_and_a_clock_that_is_ahead(trading: TradingStand) -> None:
    faults = trading.server.faults.once["/v2/orders"]
    faults += ["after 504", "502", "before reset", "reset"]
    for name in ("a", "b", "c", "d"):
        with pytest.raises(Exception, match=r"gateway|Bad Gateway|Connection"):
            send(trading, client_order_id=name)
    assert {order.client_order_id for order in trading.server.venue.orders.values()} == {"a", "d"}
    trading.server.skew = timedelta(minutes=7)
    assert trading.client.get_clock().timestamp == MONDAY + timedelta(minutes=7)


def test_a_venue_outlives_its_process(trading: TradingStand, tmp_path: Path) -> None:
    told = send(trading, BRACKET)
    trading.server.save(tmp_path / "venue")
    with AlpacaTradingServer(trading.clock.now) as other:
        other.load(tmp_path / "venue")
        stand = replace(trading, server=other, raw=clients(other.address)[1])
        assert statuses(stand, told) == ["filled", "new", "held"]
        other.set_price("SPY", 560)
        assert statuses(stand, told) == ["filled", "canceled", "filled"]
    assert statuses(trading, told) == ["filled", "new", "held"]
