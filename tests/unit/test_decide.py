from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.accounts import Mode
from core.domain.bars import BarSize
from core.domain.decisions import Brake, BrakeKind, Decision
from core.domain.orders import OrderState, Purpose, Side
from core.domain.portfolio import GuardKind
from core.series import BarSeries
from core.strategy.decide import decide, exits
from core.strategy.policy import Policy
from core.strategy.snapshot import MarketView, Snapshot
from tests.series_builders import series_of
from tests.snapshot_builders import (
    MANUAL,
    NOW,
    FixedPredictor,
    account_view,
    entry_order,
    exit_order,
    guard,
    market,
    position,
    snapshot,
)

POLICY = Policy()
SURE = FixedPredictor({"SPY": 0.7, "QQQ": 0.8, "IWM": 0.7, "BTC-USD": 0.65})


def vetoes(decision: Decision, symbol: str = "SPY") -> list[str]:
    (signal,) = (signal for signal in decision.signals if signal.symbol == symbol)
    return [verdict.gate for verdict in signal.verdicts if not verdict.passed]


def reason(decision: Decision, gate: str) -> str:
    return next(verdict.reason for verdict in decision.signals[0].verdicts if verdict.gate == gate)


@pytest.mark.feature("S7")
def test_a_confirmed_signal_becomes_an_entry_with_its_protection() -> None:
    decision = decide(snapshot(market("SPY", "101.237")), SURE, POLICY)
    (order,) = decision.orders
    assert vetoes(decision) == []
    assert (order.account, order.side, order.purpose, order.state) == (
        "simulated",
        Side.BUY,
        Purpose.ENTRY,
        OrderState.SUBMITTING,
    )
    assert order.reference_price == Decimal("101.24")
    assert order.bracket is not None
    assert (order.bracket.stop, order.bracket.target) == (Decimal("96.18"), Decimal("116.42"))
    assert order.quantity == 24
    assert (order.origin, order.attempt, order.created_at) == ("2024-03-06T16:00Z", 1, NOW)
    assert order.client_order_id == decide(snapshot(market("SPY", "101.237")), SURE, POLICY).orders[0].client_order_id


@pytest.mark.feature("S7")
def test_every_gate_is_on_record_in_one_fixed_order_even_behind_a_veto() -> None:
    gates = [
        *("data", "bar", "probability", "sma", "rsi", "macd"),
        *("mode", "pause", "brakes", "session", "held", "pending", "unknown", "gap", "skill", "account"),
        *("bracket", "cap", "exposure", "crypto", "volatility", "cash", "size"),
    ]
    decision = decide(snapshot(mode=Mode.OBSERVE), None, POLICY)
    assert [verdict.gate for verdict in decision.signals[0].verdicts] == gates
    assert all(verdict.reason for verdict in decision.signals[0].verdicts)
    assert vetoes(decision) == ["probability", "mode"]
    assert decision.orders == ()


@pytest.mark.feature("S7")
@pytest.mark.parametrize(("probability", "buys"), [(0.6, False), (0.6000001, True), (0.2, False)])
def test_the_probability_must_lie_above_the_threshold_not_at_it(probability: float, buys: bool) -> None:
    decision = decide(snapshot(), FixedPredictor({"SPY": probability}), POLICY)
    assert bool(decision.orders) is buys
    assert vetoes(decision) == ([] if buys else ["probability"])


@pytest.mark.feature("S7")
def test_falling_overheated_or_short_bars_do_not_confirm() -> None:
    def judged(closes: list[float]) -> list[str]:
        bars = series_of("SPY", closes, size=BarSize.M5, start=NOW - len(closes) * timedelta(minutes=5))
        return vetoes(decide(snapshot(replace(market(), confirm=bars)), SURE, POLICY))

    assert judged([200 - 0.1 * step for step in range(300)]) == ["sma", "rsi", "macd"]
    assert judged([100 * 1.01**step for step in range(100)]) == ["rsi"]
    assert judged([100 * 1.01**step for step in range(49)]) == ["sma", "rsi", "macd"]


def held(symbol: str = "SPY") -> Snapshot:
    return snapshot(accounts=[account_view("10000", position(symbol, "3", "300"))])


def braked(kind: BrakeKind, scope: str, minutes: int | None = None) -> Snapshot:
    until = None if minutes is None else NOW + timedelta(minutes=minutes)
    return snapshot(brakes=[Brake(kind, scope, "because", NOW - timedelta(hours=1), until)])


def with_market(**changes: object) -> Snapshot:
    return snapshot(replace(market(), **changes))  # type: ignore[arg-type]


def traded(minutes: int) -> Snapshot:
    return snapshot(accounts=[account_view(last_trade_at={"SPY": NOW - timedelta(minutes=minutes)})])


@pytest.mark.feature("S8")
@pytest.mark.parametrize(
    ("seen", "gates"),
    [
        (snapshot(mode=Mode.OBSERVE), ["mode"]),
        (braked(BrakeKind.PAUSED, "*"), ["pause"]),
        (braked(BrakeKind.PAUSED, "*", minutes=5), ["pause"]),
        (braked(BrakeKind.PAUSED, "*", minutes=-5), []),
        (braked(BrakeKind.DAILY_LOSS, "simulated"), ["brakes"]),
        (braked(BrakeKind.DAILY_LOSS, "manual"), []),
        (braked(BrakeKind.SYMBOL_BLOCKED, "SPY"), ["brakes"]),
        (braked(BrakeKind.SYMBOL_BLOCKED, "QQQ"), []),
        (with_market(excluded="bars jump by a factor of 8"), ["data"]),
        (with_market(price=None), ["data", "size"]),
        (with_market(price_at=NOW - timedelta(minutes=21)), ["data"]),
        (with_market(daily=BarSeries.empty("SPY", BarSize.D1)), ["data", "probability", "volatility"]),
        (with_market(confirm=BarSeries.empty("SPY", BarSize.M5)), ["bar", "sma", "rsi", "macd"]),
        (with_market(confirm=market(now=NOW - timedelta(minutes=25)).confirm), ["data"]),
        (with_market(daily=market(now=NOW - timedelta(days=6)).daily), ["data"]),
        (with_market(judged_until=NOW), ["bar"]),
        (with_market(judged_until=NOW - timedelta(minutes=5)), []),
        (with_market(is_open=False, next_open=NOW + timedelta(hours=17)), ["session"]),
        (held(), ["held"]),
        (snapshot(accounts=[account_view(), account_view("0", position("SPY", "1", "90"), account=MANUAL)]), ["held"]),
        (snapshot(accounts=[account_view(orders=[entry_order("SPY", "3", "100")])]), ["pending"]),
        (
            snapshot(accounts=[account_view(orders=[entry_order("SPY", "3", "100", OrderState.UNKNOWN)])]),
            ["pending", "unknown"],
        ),
        (snapshot(accounts=[account_view(orders=[exit_order("SPY", "3", OrderState.UNKNOWN)])]), ["unknown"]),
        (traded(59), ["gap"]),
        (traded(60), []),
        (snapshot(accounts=[account_view(reachable=False)]), ["account"]),
        (snapshot(entry_account=None), ["account", "size"]),
        (snapshot(accounts=[account_view("0")]), ["cap", "exposure", "volatility", "cash"]),
        (snapshot(accounts=[account_view("399")]), ["cap"]),
    ],
)
def test_each_rule_holds_an_entry_back_and_says_so(seen: Snapshot, gates: list[str]) -> None:
    decision = decide(seen, SURE, POLICY)
    assert vetoes(decision) == gates
    assert bool(decision.orders) is (not gates)
    assert decision.signals[0].is_buy is (not gates)


@pytest.mark.feature("S9")
def test_a_decision_from_daily_bars_after_the_close_queues_and_says_so() -> None:
    closed = replace(market(size=BarSize.D1), is_open=False, next_open=NOW + timedelta(hours=17))
    decision = decide(snapshot(closed), SURE, POLICY)
    assert len(decision.orders) == 1
    assert reason(decision, "session") == "queues for the open at 2024-03-07 09:00 UTC"


@pytest.mark.feature("S8")
def test_a_speck_that_no_order_could_sell_does_not_count_as_held() -> None:
    dust = position("BTC-USD", "0.0000004", "0.02")
    decision = decide(snapshot(market("BTC-USD", "50000"), accounts=[account_view("10000", dust)]), SURE, POLICY)
    assert [order.side for order in decision.orders] == [Side.BUY]
    fallen = snapshot(market("BTC-USD", "1"), accounts=[account_view("0", dust, guards=[guard("BTC-USD", "9", "99")])])
    assert exits(fallen, POLICY) == ()


@pytest.mark.feature("S8")
def test_entries_of_one_tick_share_the_cash_and_the_likeliest_comes_first() -> None:
    markets = [market("SPY"), market("IWM"), market("QQQ")]
    rich_in_stock = position("DIA", "80", "8000")
    decision = decide(snapshot(*markets, accounts=[account_view("4000", rich_in_stock)]), SURE, POLICY)
    assert [(order.symbol, order.quantity) for order in decision.orders] == [("QQQ", 29), ("IWM", 10)]
    assert vetoes(decision, "SPY") == ["exposure", "cash"]
    assert [signal.symbol for signal in decision.signals] == ["SPY", "IWM", "QQQ"]


@pytest.mark.feature("S8")
def test_an_entry_that_waits_for_the_open_keeps_cash_back_for_a_gap() -> None:
    open_market = market(size=BarSize.M5)
    closed = replace(market(size=BarSize.D1), is_open=False)
    half_invested = [account_view("1000", position("DIA", "90", "9000"))]
    (soon,) = decide(snapshot(open_market, accounts=half_invested), SURE, POLICY).orders
    (later,) = decide(snapshot(closed, accounts=half_invested), SURE, POLICY).orders
    assert (soon.quantity, later.quantity) == (9, 9)
    tight = [account_view("905", position("DIA", "90", "9000"))]
    (later,) = decide(snapshot(closed, accounts=tight), SURE, POLICY).orders
    assert later.quantity == 8


@pytest.mark.feature("S8")
def test_the_cap_counts_in_the_account_and_in_total() -> None:
    small, large = account_view("4000"), account_view("100000", account=MANUAL)
    (order,) = decide(snapshot(accounts=[small, large]), SURE, POLICY).orders
    assert order.quantity * order.reference_price <= Decimal(1000)


@pytest.mark.feature("S12")
@pytest.mark.parametrize(
    ("mode", "account", "state"),
    [
        (Mode.AUTO, "simulated", OrderState.SUBMITTING),
        (Mode.CONFIRM, "simulated", OrderState.AWAITING_OWNER),
        (Mode.MANUAL, "simulated", OrderState.AWAITING_OWNER),
        (Mode.AUTO, "manual", OrderState.AWAITING_OWNER),
    ],
)
def test_the_owner_is_asked_where_the_mode_or_the_account_wants_it(mode: Mode, account: str, state: OrderState) -> None:
    views = [account_view(), account_view(account=MANUAL)]
    (order,) = decide(snapshot(accounts=views, entry_account=account, mode=mode), SURE, POLICY).orders
    assert (order.account, order.state) == (account, state)


@pytest.mark.feature("S13")
@pytest.mark.parametrize(
    ("price", "tag"),
    [("95", "stop"), ("60", "stop"), ("95.01", None), ("114.99", None), ("115", "target"), ("200", "target")],
)
@pytest.mark.parametrize("kind", [GuardKind.ENGINE, GuardKind.OWNER])
def test_a_price_at_or_through_stop_or_target_sells_the_position(price: str, tag: str | None, kind: GuardKind) -> None:
    view = account_view("0", position("SPY", "7", "700"), guards=[guard("SPY", "95", "115", kind)])
    found = exits(snapshot(market("SPY", price), accounts=[view]), POLICY)
    assert [order.tags for order in found] == ([(tag,)] if tag else [])
    for order in found:
        assert (order.side, order.purpose, order.quantity, order.state) == (
            Side.SELL,
            Purpose.EXIT,
            7,
            OrderState.SUBMITTING,
        )


@pytest.mark.feature("S13")
def test_what_the_venue_guards_or_an_exit_already_sells_is_left_alone() -> None:
    stopped = market("SPY", "90")
    at_venue = account_view("0", position("SPY", "7", "700"), guards=[guard("SPY", "95", "115", GuardKind.VENUE)])
    selling = account_view(
        "0", position("SPY", "7", "700"), guards=[guard("SPY", "95", "115")], orders=[exit_order("SPY", "7")]
    )
    asked = replace(selling, live_orders=(exit_order("SPY", "7", OrderState.AWAITING_OWNER),))
    for view in (at_venue, selling, asked):
        assert exits(snapshot(stopped, accounts=[view]), POLICY) == ()


@pytest.mark.feature("S13")
def test_an_exit_goes_to_the_account_that_holds_and_waits_for_the_owner_where_it_is_manual() -> None:
    views = [
        account_view("0", position("SPY", "7", "700"), guards=[guard("SPY", "95", "115")]),
        account_view(
            "0",
            position("SPY", "2", "200", "manual"),
            account=MANUAL,
            guards=[guard("SPY", "95", "115", GuardKind.OWNER, "manual")],
        ),
    ]
    found = exits(snapshot(market("SPY", "90"), accounts=views), POLICY)
    assert [(order.account, order.quantity, order.state) for order in found] == [
        ("simulated", 7, OrderState.SUBMITTING),
        ("manual", 2, OrderState.AWAITING_OWNER),
    ]


def stopped_out() -> tuple[MarketView, MarketView, Snapshot]:
    gone = market("SPY", "90")
    view = account_view("9000", position("SPY", "7", "700"), guards=[guard("SPY", "95", "115")])
    return gone, market("QQQ"), snapshot(gone, market("QQQ"), accounts=[view])


@pytest.mark.feature("S13")
def test_exits_come_before_entries() -> None:
    _, _, seen = stopped_out()
    assert [(order.symbol, order.side) for order in decide(seen, SURE, POLICY).orders] == [
        ("SPY", Side.SELL),
        ("QQQ", Side.BUY),
    ]


@pytest.mark.feature("S13")
def test_nothing_that_stops_entries_stops_an_exit() -> None:
    gone, other, seen = stopped_out()
    worst = replace(
        seen,
        mode=Mode.OBSERVE,
        entry_account=None,
        markets=(replace(gone, excluded="stale", is_open=False, price_at=NOW - timedelta(days=9)), other),
        accounts=(replace(seen.accounts[0], reachable=False),),
        brakes=tuple(Brake(kind, "*", "because", NOW) for kind in BrakeKind),
    )
    (order,) = decide(worst, None, POLICY).orders
    assert (order.symbol, order.purpose) == ("SPY", Purpose.EXIT)


def test_a_repeated_tick_makes_the_same_orders_and_a_later_one_other_ids() -> None:
    _, _, seen = stopped_out()
    first, again = decide(seen, SURE, POLICY), decide(seen, SURE, POLICY)
    later = decide(replace(seen, origin="2024-03-06T16:05Z"), SURE, POLICY)
    assert first == again
    ids = {order.client_order_id for order in (*first.orders, *later.orders)}
    assert len(ids) == 4
