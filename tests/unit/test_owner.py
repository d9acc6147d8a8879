"""What the owner taps and types, through the real ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.accounts import Badge, Mode
from core.domain.decisions import BrakeKind
from core.domain.events import InstructionIssued, InstructionSettled, ModeChanged, OrderFilled
from core.domain.orders import OrderState, Purpose, Side
from core.domain.portfolio import GuardKind
from core.domain.records import InstructionState
from core.domain.views import AnswerKind, ReportedFill
from core.execution.unanswered import expire_instructions
from core.execution.views import publish_daily_report
from tests.builders import COIN, Bench, an_entry, an_exit

ETH = "ETH-USD"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, symbols=(COIN, ETH)).start()
    bench.declare_cash("10000")
    return bench


def said(
    symbol: str | None = None, quantity: str | None = None, price: str | None = None, **more: object
) -> ReportedFill:
    return ReportedFill(
        symbol,
        Decimal(quantity) if quantity else None,
        Decimal(price) if price else None,
        Decimal(str(more["fee"])) if "fee" in more else None,
        more.get("number"),  # type: ignore[arg-type]
    )


def held(bench: Bench, symbol: str = COIN) -> Decimal:
    return bench.read(lambda work: work.portfolio("manual")).quantity(symbol)


def cash(bench: Bench) -> Decimal:
    return bench.read(lambda work: work.portfolio("manual")).cash


def state_of(bench: Bench, number: int) -> InstructionState:
    return bench.read(lambda work: work.instruction(number)).state


@pytest.mark.feature("M9")
def test_a_tap_on_executed_books_the_shown_price_in_the_manual_account_only(bench: Bench) -> None:
    card = bench.instruct()
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    assert answer.kind is AnswerKind.DONE
    assert held(bench) == Decimal(10)
    assert cash(bench) == Decimal(9000)
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}
    assert bench.order(card.client_order_id).state is OrderState.FILLED
    (guard,) = bench.read(lambda work: work.guards("manual"))
    assert (guard.kind, guard.stop, guard.target) == (GuardKind.OWNER, Decimal(95), Decimal(115))
    (event,) = bench.events(OrderFilled)
    assert (event.guard, event.badges) == (GuardKind.OWNER, (Badge.MANUAL,))
    assert bench.events(InstructionSettled)[-1].outcome == "executed"


@pytest.mark.feature("T3")
def test_a_double_tap_books_once_even_with_another_update(bench: Bench) -> None:
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap-1")
    assert bench.owner.execute(card.number, card.version, "tap-1").kind is AnswerKind.UNCHANGED
    assert bench.owner.execute(card.number, card.version, "tap-2").kind is AnswerKind.STALE
    assert held(bench) == Decimal(10)
    assert len(bench.events(OrderFilled)) == 1


@pytest.mark.feature("T2")
def test_a_button_of_an_older_version_changes_nothing_and_says_so(bench: Bench) -> None:
    card = bench.instruct()
    bench.owner.report_fill(said(quantity="4", number=card.number), "message-1")
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    assert answer.kind is AnswerKind.STALE
    assert "out of date" in answer.text
    assert answer.instruction is not None and answer.instruction.version == 2
    assert held(bench) == Decimal(4)
    assert bench.owner.skip(card.number, card.version, "tap-2").kind is AnswerKind.STALE


@pytest.mark.feature("M4")
def test_partial_fills_add_up_and_the_rest_stays_open(bench: Bench) -> None:
    card = bench.instruct()
    first = bench.owner.report_fill(said("BTC", "4", "100"), "message-1")
    assert first.instruction is not None and first.instruction.state is InstructionState.PARTIAL
    assert [each.number for each in bench.owner.pending()] == [card.number]
    second = bench.owner.execute(card.number, 2, "tap-1")
    assert second.kind is AnswerKind.DONE
    assert held(bench) == Decimal(10)
    assert state_of(bench, card.number) is InstructionState.EXECUTED
    assert bench.owner.pending() == ()


@pytest.mark.feature("M12")
def test_stop_and_target_follow_the_price_that_was_really_paid(bench: Bench) -> None:
    bench.instruct()
    bench.owner.report_fill(said("btc", "10", "102"), "message-1")
    (guard,) = bench.read(lambda work: work.guards("manual"))
    assert (guard.stop, guard.target) == (Decimal("96.9"), Decimal("117.3"))


@pytest.mark.feature("M2")
@pytest.mark.parametrize("spoken", ["BTC", "btc", "BTC-USD", "BTC/USD", "btcusd"])
def test_a_coin_is_known_by_any_of_its_names(bench: Bench, spoken: str) -> None:
    bench.instruct()
    assert bench.owner.report_fill(said(spoken), "message-1").kind is AnswerKind.DONE
    assert held(bench) == Decimal(10)


@pytest.mark.feature("M2")
def test_an_ambiguous_report_lists_what_may_be_meant(bench: Bench) -> None:
    one, other = bench.instruct(), bench.instruct(symbol=ETH)
    answer = bench.owner.report_fill(said(), "message-1")
    assert answer.kind is AnswerKind.AMBIGUOUS
    assert [each.number for each in answer.candidates] == [one.number, other.number]
    assert bench.events(OrderFilled) == []
    assert bench.owner.report_fill(said(number=other.number), "message-2").kind is AnswerKind.DONE
    assert held(bench, ETH) == Decimal(10)


@pytest.mark.feature("M6")
def test_the_same_report_delivered_twice_is_booked_once(bench: Bench) -> None:
    bench.instruct()
    bench.owner.report_fill(said("BTC", "4"), "message-1")
    assert bench.owner.report_fill(said("BTC", "4"), "message-1").kind is AnswerKind.UNCHANGED
    assert held(bench) == Decimal(4)


@pytest.mark.feature("M11")
def test_selling_more_than_is_held_is_refused_and_explained(bench: Bench) -> None:
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap-1")
    bench.clock.advance(timedelta(hours=2))
    bench.place(an_exit(bench, account="manual", state=OrderState.AWAITING_OWNER))
    answer = bench.owner.report_fill(said("BTC", "11", "110"), "message-1")
    assert answer.kind is AnswerKind.REFUSED
    assert "holds 10" in answer.text
    assert held(bench) == Decimal(10)


def test_a_purchase_beyond_the_declared_cash_is_refused_with_the_way_out(bench: Bench) -> None:
    bench.instruct()
    answer = bench.owner.report_fill(said("BTC", "10", "1001"), "message-1")
    assert answer.kind is AnswerKind.REFUSED
    assert "/cash" in answer.text
    assert cash(bench) == Decimal(10000)


def test_a_fill_reported_after_the_card_lapsed_is_booked_by_its_number(bench: Bench) -> None:
    card = bench.instruct()
    bench.system.advance(timedelta(hours=2))
    assert expire_instructions(bench.desk) == 1
    assert bench.owner.report_fill(said("BTC"), "message-1").kind is AnswerKind.REFUSED
    tapped = bench.owner.execute(card.number, card.version, "tap-1")
    assert tapped.kind is AnswerKind.STALE
    assert f"/executed #{card.number}" in tapped.text
    late = bench.owner.report_fill(said(number=card.number, quantity="6"), "message-2")
    assert late.kind is AnswerKind.DONE
    assert held(bench) == Decimal(6)
    assert state_of(bench, card.number) is InstructionState.EXPIRED
    assert bench.owner.pending() == ()
    assert bench.owner.report_fill(said(number=card.number, quantity="4"), "message-3").kind is AnswerKind.DONE
    assert state_of(bench, card.number) is InstructionState.EXECUTED


def test_a_card_whose_time_is_over_cannot_be_tapped_before_the_job_says_so(bench: Bench) -> None:
    card = bench.instruct()
    bench.system.advance(timedelta(minutes=60))
    assert bench.owner.execute(card.number, card.version, "tap-1").kind is AnswerKind.STALE
    assert held(bench) == 0


def test_a_newer_card_supersedes_the_older_one_which_can_still_be_reported(bench: Bench) -> None:
    older = bench.instruct()
    bench.bar(101.0)
    newer = bench.instruct()
    assert newer.number != older.number
    assert state_of(bench, older.number) is InstructionState.SUPERSEDED
    assert [each.number for each in bench.owner.pending()] == [newer.number]
    assert bench.owner.execute(older.number, older.version, "tap-1").kind is AnswerKind.STALE
    assert bench.owner.report_fill(said(number=older.number, price="100.5"), "message-1").kind is AnswerKind.DONE
    assert held(bench) == Decimal(10)


def test_an_exit_card_cancels_the_entry_card_of_its_symbol_and_never_expires(bench: Bench) -> None:
    first = bench.instruct()
    bench.owner.execute(first.number, first.version, "tap-1")
    bench.bar(101.0)
    entry = bench.instruct()
    bench.place(an_exit(bench, account="manual", state=OrderState.AWAITING_OWNER))
    assert state_of(bench, entry.number) is InstructionState.SUPERSEDED
    (exit_card,) = bench.owner.pending()
    assert (exit_card.purpose, exit_card.expires_at) == (Purpose.EXIT, None)
    bench.system.advance(timedelta(days=30))
    assert expire_instructions(bench.desk) == 0
    assert bench.owner.execute(exit_card.number, exit_card.version, "tap-2").kind is AnswerKind.DONE
    assert held(bench) == 0
    assert bench.read(lambda work: work.guards("manual")) == []
    profit = bench.events(OrderFilled)[-1].profit
    assert profit == 0


@pytest.mark.feature("T1")
@pytest.mark.feature("T9")
def test_an_approval_is_committed_then_sent_and_the_card_is_edited_with_the_answer(bench: Bench) -> None:
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER))
    (card,) = bench.owner.pending()
    assert card.needs_approval
    assert bench.venue.orders() == []
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    assert answer.kind is AnswerKind.DONE
    assert state_of(bench, card.number) is InstructionState.APPROVED
    assert [order.client_order_id for order in bench.venue.orders()] == [card.client_order_id]
    assert bench.events(InstructionSettled)[-1].detail == "the broker has the order"
    assert bench.owner.execute(card.number, card.version, "tap-1").kind is AnswerKind.UNCHANGED
    bench.bar(100.0)
    bench.reconcile()
    assert bench.events(InstructionSettled)[-1].detail.startswith("filled 10 at")


def test_a_refused_approval_says_why_on_the_card(bench: Bench) -> None:
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER, quantity=Decimal(1000)))
    (card,) = bench.owner.pending()
    answer = bench.owner.execute(card.number, card.version, "tap-1")
    assert "not enough cash" in answer.text
    assert "not enough cash" in bench.events(InstructionSettled)[-1].detail


def test_reporting_a_fill_of_an_order_that_waits_for_approval_books_nothing(bench: Bench) -> None:
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER))
    (card,) = bench.owner.pending()
    for report in (said("BTC"), said(number=card.number)):
        answer = bench.owner.report_fill(report, f"message {report}")
        assert answer.kind is AnswerKind.REFUSED
        assert "approval" in answer.text
    assert bench.events(OrderFilled) == []


def test_reporting_a_fill_at_the_brokers_account_is_refused_with_reconciliation_offered(bench: Bench) -> None:
    bench.place(an_entry(bench))
    bench.bar(100.0)
    bench.reconcile()
    answer = bench.owner.report_fill(said("BTC", "10", "100"), "message-1")
    assert answer.kind is AnswerKind.REFUSED
    assert "the next cycle compares both sides" in answer.text


def test_skipping_settles_the_card_and_cancels_its_order(bench: Bench) -> None:
    card = bench.instruct()
    assert bench.owner.skip(card.number, card.version, "tap-1").kind is AnswerKind.DONE
    assert state_of(bench, card.number) is InstructionState.SKIPPED
    assert bench.order(card.client_order_id).state is OrderState.CANCELED
    assert bench.owner.execute(card.number, 2, "tap-2").kind is AnswerKind.STALE


@pytest.mark.feature("C1")
def test_pause_and_resume_are_idempotent_and_survive_a_restart(bench: Bench) -> None:
    assert bench.owner.pause(None, "owner").kind is AnswerKind.DONE
    assert bench.owner.pause(None, "owner").kind is AnswerKind.UNCHANGED
    until = bench.clock.now() + timedelta(hours=2)
    assert bench.owner.pause(until, "owner").kind is AnswerKind.DONE
    bench.restart()
    status = bench.owner.status()
    assert (status.paused, status.paused_until) == (True, until)
    (brake,) = bench.read(lambda work: work.brakes())
    assert (brake.kind, brake.scope, brake.until) == (BrakeKind.PAUSED, "*", until)
    assert bench.owner.resume("owner").kind is AnswerKind.DONE
    assert bench.owner.resume("owner").kind is AnswerKind.UNCHANGED
    assert [event.paused for event in bench.events(ModeChanged)] == [True, True, False]


@pytest.mark.feature("C6")
def test_the_mode_is_kept_in_the_ledger_and_repeating_it_says_so(bench: Bench) -> None:
    assert bench.owner.set_mode(Mode.CONFIRM, "owner").kind is AnswerKind.DONE
    assert bench.owner.set_mode(Mode.CONFIRM, "owner").kind is AnswerKind.UNCHANGED
    bench.restart()
    assert bench.owner.status().mode is Mode.CONFIRM


def test_automatic_execution_is_out_of_reach_without_a_broker(tmp_path: Path) -> None:
    bench = Bench(tmp_path, has_broker=False).start()
    assert bench.owner.status().mode is Mode.MANUAL
    assert bench.owner.set_mode(Mode.AUTO, "owner").kind is AnswerKind.REFUSED


def test_declared_cash_is_what_the_account_holds_and_is_booked_as_a_difference(bench: Bench) -> None:
    assert bench.owner.declare_cash(Decimal("7500.50"), "owner", "message-1").kind is AnswerKind.DONE
    assert cash(bench) == Decimal("7500.50")
    assert bench.owner.declare_cash(Decimal("7500.50"), "owner", "message-2").kind is AnswerKind.UNCHANGED
    assert bench.owner.declare_cash(Decimal("1"), "owner", "message-1").kind is AnswerKind.UNCHANGED
    assert bench.owner.declare_cash(Decimal("-1"), "owner", "message-3").kind is AnswerKind.REFUSED
    assert cash(bench) == Decimal("7500.50")


@pytest.mark.feature("A7")
def test_every_deed_is_audited(bench: Bench) -> None:
    card = bench.instruct()
    bench.owner.execute(card.number, card.version, "tap-1")
    bench.owner.pause(None, "owner")
    actions = {record.action for record in bench.read(lambda work: work.audit_trail())}
    assert {f"executed {card.number}", "pause"} <= actions


@pytest.mark.feature("S12")
def test_the_file_of_manual_trades_shows_every_change(bench: Bench) -> None:
    def rows() -> list[dict[str, object]]:
        content = json.loads((bench.folder / "signals" / "manual_trades.json").read_text())
        assert (content["schema_version"], content["simulated_prices"]) == (1, False)
        return content["instructions"]  # type: ignore[no-any-return]

    card = bench.instruct()
    (row,) = rows()
    assert (row["number"], row["client_order_id"], row["state"]) == (card.number, card.client_order_id, "open")
    assert (row["account"], row["symbol"], row["side"], row["quantity"]) == ("manual", COIN, "buy", "10")
    assert (row["price"], row["band_low"], row["band_high"]) == ("100", "99.5", "100.5")
    assert (row["stop"], row["target"], row["badges"]) == ("95", "115", ["MANUAL"])
    assert row["expires_at"] == (bench.system.now() + timedelta(hours=1)).isoformat()
    bench.owner.report_fill(said("BTC", "4"), "message-1")
    (row,) = rows()
    assert (row["state"], row["filled_quantity"], row["version"]) == ("partial", "4", 2)
    bench.owner.skip(card.number, 2, "tap-1")
    assert rows()[0]["state"] == "skipped"
    assert [path.name for path in (bench.folder / "signals").iterdir()] == ["manual_trades.json"]


def test_a_file_that_cannot_be_written_degrades_health_and_stops_nothing(bench: Bench) -> None:
    bench.desk = replace(bench.desk, signals_folder=Path("/dev/null/signals"))
    card = bench.instruct()
    assert card.number == 1
    state, reason = bench.health.states["signals file"]
    assert (state, "could not be written" in reason) == ("DEGRADED", True)


@pytest.mark.feature("S15")
def test_the_daily_report_is_published_once_a_trading_day_across_restarts(bench: Bench) -> None:
    bench.clock.advance(timedelta(hours=24))
    assert publish_daily_report(bench.desk, bench.clock.now())
    bench.restart()
    assert not publish_daily_report(bench.desk, bench.clock.now())
    bench.clock.advance(timedelta(hours=24))
    assert publish_daily_report(bench.desk, bench.clock.now())


def test_an_issued_card_carries_band_expiry_and_badge(bench: Bench) -> None:
    card = bench.instruct()
    (event,) = bench.events(InstructionIssued)
    assert (event.number, event.side, event.badges) == (card.number, Side.BUY, (Badge.MANUAL,))
    assert (event.band_low, event.band_high) == (Decimal("99.5"), Decimal("100.5"))
