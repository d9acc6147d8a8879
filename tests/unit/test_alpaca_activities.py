"""What Alpaca tells of an account becomes entries: every kind of it, each once, and nothing silently left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.alpaca_activities import Ratio, activities_of, fill_of
from core.adapters.alpaca_book import Owner
from core.adapters.alpaca_coin_fees import CoinFees
from core.domain.orders import Purpose, Side
from core.domain.portfolio import AdjustmentKind, CashKind, CashMovement, Fill, PositionAdjustment
from core.domain.values import ZERO
from core.domain.venue import Activity, Split
from core.errors import MalformedAnswer

AT = datetime(2026, 11, 2, 15, 30, tzinfo=UTC)
KINDS = {
    "ACATC": CashKind.DEPOSIT,
    "ACATS": CashKind.DEPOSIT,
    "CFEE": CashKind.FEE,
    "CGD": CashKind.DIVIDEND,
    "CSD": CashKind.DEPOSIT,
    "CSW": CashKind.WITHDRAWAL,
    "DIV": CashKind.DIVIDEND,
    "DIVCGL": CashKind.DIVIDEND,
    "DIVCGS": CashKind.DIVIDEND,
    "DIVFEE": CashKind.FEE,
    "DIVFT": CashKind.DIVIDEND,
    "DIVNRA": CashKind.DIVIDEND,
    "DIVROC": CashKind.DIVIDEND,
    "DIVTW": CashKind.DIVIDEND,
    "DIVTXEX": CashKind.DIVIDEND,
    "FEE": CashKind.FEE,
    "FOPT": CashKind.DEPOSIT,
    "INT": CashKind.INTEREST,
    "INTNRA": CashKind.INTEREST,
    "INTTW": CashKind.INTEREST,
    "JNL": CashKind.DEPOSIT,
    "JNLC": CashKind.DEPOSIT,
    "JNLS": CashKind.DEPOSIT,
    "MA": CashKind.IN_LIEU,
    "MISC": CashKind.ADOPTION,
    "NC": CashKind.ADOPTION,
    "OPASN": CashKind.ADOPTION,
    "OPCA": CashKind.ADOPTION,
    "OPCSH": CashKind.ADOPTION,
    "OPEXC": CashKind.ADOPTION,
    "OPEXP": CashKind.ADOPTION,
    "OPTRD": CashKind.ADOPTION,
    "PTC": CashKind.FEE,
    "PTR": CashKind.FEE,
    "REORG": CashKind.IN_LIEU,
    "SPIN": CashKind.IN_LIEU,
    "SPLIT": CashKind.IN_LIEU,
    "TRANS": CashKind.DEPOSIT,
}
"""As what money of each of Alpaca's kinds is booked; below zero, deposits are withdrawals."""
NO_UNITS = {kind for kind, booked in KINDS.items() if booked in (CashKind.DIVIDEND, CashKind.INTEREST)}
NO_UNITS |= {"DIVFEE", "FEE", "PTC", "PTR"}


def told(kind: str, number: int = 1, **fields: Any) -> Mapping[str, Any]:
    row = {
        "id": f"20261102000000000::{number}",
        "activity_type": kind,
        "date": "2026-11-02",
        "created_at": "2026-11-02T15:30:00.123456789Z",
        "net_amount": "0",
        "status": "executed",
    }
    return row | fields


def booked(
    *rows: Mapping[str, Any], held: Mapping[str, Decimal] | None = None, ratio: Ratio = lambda _symbol, _at: None
) -> list[Activity]:
    return activities_of(rows, "alpaca-paper", lambda: held or {}, ratio)


@pytest.mark.parametrize(("kind", "as_what"), KINDS.items(), ids=KINDS)
def test_money_of_every_kind_is_booked_once_by_alpacas_id_with_its_sign(kind: str, as_what: CashKind) -> None:
    for amount in ("12.34", "-12.34"):
        (entry,) = booked(told(kind, net_amount=amount, symbol="SPY"))
        assert isinstance(entry, CashMovement)
        assert (entry.id, entry.account, entry.amount) == ("20261102000000000::1", "alpaca-paper", Decimal(amount))
        gone = CashKind.WITHDRAWAL if as_what in (CashKind.DEPOSIT, CashKind.WITHDRAWAL) else as_what
        assert entry.kind is (gone if amount < "0" else CashKind.DEPOSIT if gone is CashKind.WITHDRAWAL else as_what)
        assert entry.note
        assert entry.at.replace(microsecond=0) == AT


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - NO_UNITS - {"SPLIT", "CFEE"}))
def test_units_of_every_other_kind_come_and_go_as_a_transfer_that_names_it(kind: str) -> None:
    (entry,) = booked(told(kind, qty="-3", symbol="SPY"))
    assert isinstance(entry, PositionAdjustment)
    assert (entry.kind, entry.quantity, entry.cost) == (AdjustmentKind.TRANSFER, -3, ZERO)
    assert "SPY" in entry.note


@pytest.mark.parametrize("kind", sorted(NO_UNITS))
def test_how_many_shares_a_payment_was_made_on_is_no_movement_of_shares(kind: str) -> None:
    (entry,) = booked(told(kind, net_amount="5", qty="10", symbol="SPY", per_share_amount="0.5"))
    assert isinstance(entry, CashMovement)
    assert "0.5 USD a share" in entry.note


@pytest.mark.feature("S10")
def test_what_no_rule_knows_is_booked_under_the_name_that_alpaca_gives_it() -> None:
    cash, units = booked(
        told("ZZZ", net_amount="7", description="Something new"), told("ZZZ", 2, qty="2", symbol="SPY")
    )
    assert isinstance(cash, CashMovement) and isinstance(units, PositionAdjustment)
    assert cash.kind is CashKind.ADOPTION
    assert "ZZZ" in cash.note and "Something new" in cash.note and "ZZZ" in units.note


def test_what_alpaca_took_back_is_not_booked() -> None:
    assert booked(told("DIV", net_amount="5", status="canceled")) == []


def test_a_coin_fee_is_taken_in_the_coin_after_a_purchase_and_in_usd_after_a_sale() -> None:
    words = "Coin Pair Transaction Fee"
    in_coin, in_usd = booked(
        told("CFEE", symbol="ETHUSD", qty="-0.000195", price="1884.5", description=f"{words} (Non USD)"),
        told("CFEE", 2, net_amount="-2.21", description=f"{words} (USD)"),
    )
    assert isinstance(in_coin, PositionAdjustment) and isinstance(in_usd, CashMovement)
    assert (in_coin.symbol, in_coin.kind, in_coin.quantity) == ("ETH-USD", AdjustmentKind.FEE, Decimal("-0.000195"))
    assert (in_usd.kind, in_usd.amount) == (CashKind.FEE, Decimal("-2.21"))


def test_a_dividend_in_shares_adds_them() -> None:
    (entry,) = booked(told("DIV", activity_sub_type="SDIV", qty="1.5", symbol="SPY"))
    assert isinstance(entry, PositionAdjustment)
    assert (entry.kind, entry.quantity) == (AdjustmentKind.SPLIT, Decimal("1.5"))


def halves(old: str, new: str, **fields: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    shared = {"symbol": "SPY", "group_id": "g"} | fields
    return told("SPLIT", 1, qty=f"-{old}", description="REMOVE, From ...", **shared), told(
        "SPLIT", 2, qty=new, description="ADD, From ...", **shared
    )


def test_the_two_halves_of_a_split_are_one_with_its_ratio() -> None:
    (split,) = booked(*halves("10", "70"))
    assert isinstance(split, Split)
    assert (split.symbol, split.ratio, split.quantity, split.id) == ("SPY", 7, 60, "20261102000000000::2")


def test_a_split_with_an_odd_remainder_has_the_ratio_that_was_published() -> None:
    (split,) = booked(*halves("10", "1"), ratio=lambda _symbol, _at: Decimal("0.125"))
    assert isinstance(split, Split)
    assert (split.ratio, split.quantity) == (Decimal("0.125"), -9)
    (other,) = booked(*halves("10", "70"), ratio=lambda _symbol, _at: Decimal("0.125"))
    assert isinstance(other, Split) and other.ratio == 7


def test_half_a_split_waits_for_the_other() -> None:
    for half in halves("10", "70"):
        assert booked(half, held={"SPY": Decimal(10)}) == []


def test_a_split_told_as_a_change_has_its_ratio_from_what_is_held_after_it() -> None:
    (split,) = booked(told("SPLIT", qty="30", symbol="SPY"), held={"SPY": Decimal(40)})
    assert isinstance(split, Split)
    assert (split.ratio, split.quantity) == (4, 30)


def test_entries_come_in_order_of_time_and_a_day_alone_is_its_midnight() -> None:
    late = told("INT", 3, net_amount="1")
    early = told("DIV", 2, net_amount="1") | {"created_at": None}
    assert [entry.at.hour for entry in booked(late, early)] == [0, 15]


@pytest.mark.parametrize(
    "wrong", [{"net_amount": 5.5}, {"net_amount": "many"}, {"created_at": "yesterday", "net_amount": "1"}]
)
def test_an_activity_in_no_known_form_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        booked(told("DIV", **wrong))


def execution(**fields: Any) -> dict[str, Any]:
    row = {"id": "e", "activity_type": "FILL", "order_id": "1", "symbol": "SPY", "side": "buy", "qty": "2.5"}
    return row | {"price": "99.87", "transaction_time": "2026-11-02T15:30:00.123456789Z"} | fields


def test_an_execution_is_a_fill_of_the_order_that_it_names_without_a_fee() -> None:
    fill = fill_of(execution(), "alpaca-paper", Owner("a-s", Purpose.STOP, "SPY"))
    assert fill == Fill(
        "e",
        "alpaca-paper",
        "a-s",
        "SPY",
        Side.BUY,
        Decimal("2.5"),
        Decimal("99.87"),
        ZERO,
        "USD",
        fill.at,
        Purpose.STOP,
    )
    assert fill_of(execution(side="sell_short"), "x", Owner("a", Purpose.EXIT)).side is Side.SELL


@pytest.mark.parametrize("wrong", [{"qty": "0"}, {"qty": None}, {"side": "?"}, {"transaction_time": None}])
def test_an_execution_that_cannot_be_is_no_answer(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer):
        fill_of(execution(**wrong), "x", Owner("a", Purpose.EXIT))


def test_what_may_have_been_taken_for_coin_trades_shrinks_with_every_fee_that_is_told() -> None:
    fees = CoinFees()
    bought = fill_of(execution(qty="1"), "x", Owner("a", Purpose.ENTRY, "BTC-USD"))
    sold = fill_of(execution(id="f", side="sell", qty="1", price="60000"), "x", Owner("b", Purpose.EXIT, "BTC-USD"))
    share = fill_of(execution(id="g"), "x", Owner("c", Purpose.ENTRY, "SPY"))
    fees.saw_fills([bought, sold, share])
    fees.saw_fills([bought])
    due = fees.due()
    assert due.keys() == {"BTC-USD", "USD"}
    assert Decimal("0.0025") < due["BTC-USD"] < Decimal("0.005") and 150 < due["USD"] < 300
    fee = told("CFEE", symbol="BTCUSD", qty="-0.0025")
    fees.saw_activities(booked(fee))
    fees.saw_activities(booked(fee))
    assert fees.due()["BTC-USD"] == due["BTC-USD"] - Decimal("0.0025")
    fees.saw_activities(booked(told("CFEE", 9, symbol="BTCUSD", qty="-0.0025")))
    assert "BTC-USD" not in fees.due()
