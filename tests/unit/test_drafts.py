"""What the owner types is shown before it is booked, through the real ledger."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.drafts import CashDeed, Deed, DoubtKind, DraftAnswer, SplitDeed, UndoDeed
from core.domain.orders import OrderState, Side
from core.domain.portfolio import CashKind
from core.domain.records import InstructionState
from core.domain.views import AnswerKind, Correction, OwnTrade, ReportedFill
from core.execution.owner_drafts import LIFE
from tests.builders import COIN, Bench, an_entry

ETH = "ETH-USD"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, symbols=(COIN, ETH)).start()
    bench.declare_cash("10000")
    return bench


def said(symbol: str | None = None, quantity: str | None = None, price: str | None = None, **more: Any) -> ReportedFill:
    exact = [None if text is None else Decimal(text) for text in (quantity, price, more.pop("fee", None))]
    return ReportedFill(symbol, *exact, more.pop("number", None), **more)


def own(side: Side, symbol: str, quantity: str, price: str, fee: str = "0") -> OwnTrade:
    return OwnTrade(symbol, side, Decimal(quantity), Decimal(price), Decimal(fee), None)


def held(bench: Bench, symbol: str = COIN) -> Decimal:
    return bench.read(lambda work: work.portfolio("manual")).quantity(symbol)


def cash(bench: Bench) -> Decimal:
    return bench.read(lambda work: work.portfolio("manual")).cash


def drafted(bench: Bench, deed: Deed, tap: str = "message-1") -> DraftAnswer:
    answer = bench.owner.draft(deed, tap)
    assert answer.draft is not None and answer.preview is not None, answer.answer.text
    return answer


def confirmed(bench: Bench, asked: DraftAnswer) -> DraftAnswer:
    assert asked.draft is not None
    return bench.owner.confirm(asked.draft.token, asked.draft.version, "owner")


def book(bench: Bench, deed: Deed, tap: str) -> None:
    """Confirmed as often as it is asked about."""
    answer = confirmed(bench, drafted(bench, deed, tap))
    while answer.draft is not None:
        answer = confirmed(bench, answer)
    assert answer.answer.kind is AnswerKind.DONE, answer.answer.text


@pytest.mark.feature("M3")
def test_what_is_typed_is_shown_with_all_that_follows_from_it_and_not_booked(bench: Bench) -> None:
    card = bench.instruct()
    asked = drafted(bench, said("BTC", "4", "102", fee="1.20"))
    preview = asked.preview
    assert preview is not None
    assert preview.cash == (Decimal(10000), Decimal("9590.80"))
    assert (preview.symbol, preview.units) == (COIN, (Decimal(0), Decimal(4)))
    assert preview.average_cost == Decimal("102.30")
    assert (preview.stop, preview.target) == (Decimal("96.9"), Decimal("117.3"))
    assert (preview.number, preview.rest) == (card.number, Decimal(6))
    assert preview.what == "bought 4 BTC-USD at 102 USD, fee 1.2 USD"
    assert (held(bench), cash(bench)) == (Decimal(0), Decimal(10000))
    assert bench.read(lambda work: work.guards("manual")) == []


@pytest.mark.feature("M3")
def test_a_draft_is_booked_once_after_a_restart_however_often_it_is_confirmed(bench: Bench) -> None:
    bench.instruct()
    asked = drafted(bench, said("BTC", "4", "100"))
    bench.restart()
    assert confirmed(bench, asked).answer.kind is AnswerKind.DONE
    assert confirmed(bench, asked).answer.kind is AnswerKind.STALE
    bench.restart()
    assert confirmed(bench, asked).answer.kind is AnswerKind.STALE
    assert held(bench) == Decimal(4)
    assert bench.owner.draft(said("BTC", "4", "100"), "message-1").answer.kind is AnswerKind.UNCHANGED


@pytest.mark.feature("M3")
def test_the_first_decision_about_a_draft_counts(bench: Bench) -> None:
    bench.instruct()
    dropped, kept = drafted(bench, said("BTC", "4", "100"), "one"), drafted(bench, said("BTC", "3", "100"), "two")
    assert dropped.draft is not None and kept.draft is not None
    assert bench.owner.drop(dropped.draft.token, "owner").kind is AnswerKind.DONE
    assert confirmed(bench, dropped).answer.kind is AnswerKind.STALE
    assert confirmed(bench, kept).answer.kind is AnswerKind.DONE
    assert bench.owner.drop(kept.draft.token, "owner").kind is AnswerKind.STALE
    assert held(bench) == Decimal(3)


@pytest.mark.feature("M3")
def test_a_draft_that_was_not_confirmed_in_time_books_nothing(bench: Bench) -> None:
    bench.instruct()
    asked = drafted(bench, said("BTC", "4", "100"))
    bench.system.advance(LIFE)
    answer = confirmed(bench, asked).answer
    assert (answer.kind, "time is over" in answer.text) == (AnswerKind.STALE, True)
    assert held(bench) == 0


@pytest.mark.feature("M3")
def test_a_draft_books_what_it_showed_though_the_instruction_changed_meanwhile(bench: Bench) -> None:
    card = bench.instruct()
    asked = drafted(bench, said("BTC"))
    bench.bar(101.0)
    newer = bench.instruct()
    assert confirmed(bench, asked).answer.kind is AnswerKind.DONE
    assert bench.order(card.client_order_id).state is OrderState.FILLED
    assert bench.order(newer.client_order_id).filled_quantity == 0


@pytest.mark.feature("M3")
def test_what_could_not_be_booked_is_refused_before_it_is_asked_about(bench: Bench) -> None:
    bench.instruct()
    answer = bench.owner.draft(said("BTC", "10", "1001"), "message-1")
    assert answer.draft is None
    assert "/cash" in answer.answer.text


@pytest.mark.feature("M3")
def test_cash_that_went_away_meanwhile_is_refused_at_the_tap_and_the_draft_stays(bench: Bench) -> None:
    bench.instruct()
    asked = drafted(bench, said("BTC", "10", "100"))
    bench.owner.declare_cash(Decimal(500), "owner", "message-2")
    assert confirmed(bench, asked).answer.kind is AnswerKind.REFUSED
    bench.owner.declare_cash(Decimal(5000), "owner", "message-3")
    assert confirmed(bench, asked).answer.kind is AnswerKind.DONE
    assert held(bench) == Decimal(10)


@pytest.mark.feature("M5")
@pytest.mark.parametrize(("price", "words"), [("106", "6% above"), ("94", "6% below"), ("512.3", "412% above")])
def test_a_price_far_off_the_market_is_asked_about_a_second_time(bench: Bench, price: str, words: str) -> None:
    bench.instruct()
    asked = drafted(bench, said("BTC", "4", price))
    (doubt,) = asked.doubts
    assert (doubt.kind, words in doubt.text) == (DoubtKind.PRICE, True)
    second = confirmed(bench, asked)
    assert (second.answer.kind, second.draft and second.draft.version) == (AnswerKind.AMBIGUOUS, 2)
    assert confirmed(bench, asked).answer.kind is AnswerKind.STALE
    assert held(bench) == 0
    assert confirmed(bench, second).answer.kind is AnswerKind.DONE
    assert held(bench) == Decimal(4)


@pytest.mark.feature("M5")
def test_a_price_near_the_market_needs_no_second_confirmation(bench: Bench) -> None:
    bench.instruct()
    asked = drafted(bench, said("BTC", "4", "104.9"))
    assert asked.doubts == ()
    assert confirmed(bench, asked).answer.kind is AnswerKind.DONE


@pytest.mark.feature("M5")
def test_the_other_side_is_asked_about_and_booked_as_a_trade_of_ones_own(bench: Bench) -> None:
    book(bench, own(Side.BUY, "BTC", "2", "100"), "first")
    bench.clock.advance(timedelta(hours=1))
    card = bench.instruct()
    asked = drafted(bench, said("BTC", "1", "100", side=Side.SELL))
    assert [doubt.kind for doubt in asked.doubts] == [DoubtKind.SIDE]
    assert f"instruction {card.number} is a buy" in asked.doubts[0].text
    second = confirmed(bench, asked)
    assert second.answer.kind is AnswerKind.AMBIGUOUS
    assert confirmed(bench, second).answer.kind is AnswerKind.DONE
    assert held(bench) == Decimal(1)
    assert [each.number for each in bench.owner.pending()] == [card.number]


@pytest.mark.feature("M5")
def test_another_symbol_than_the_instructions_is_asked_about(bench: Bench) -> None:
    card = bench.instruct()
    asked = drafted(bench, said("ETH", "1", "100", number=card.number))
    assert [doubt.kind for doubt in asked.doubts] == [DoubtKind.SYMBOL]
    assert "is about BTC-USD, not ETH-USD" in asked.doubts[0].text
    second = confirmed(bench, asked)
    assert confirmed(bench, second).answer.kind is AnswerKind.DONE
    assert (held(bench), held(bench, ETH)) == (Decimal(0), Decimal(1))


@pytest.mark.feature("M5")
def test_a_symbol_that_no_instruction_waits_for_is_asked_about_or_shown_the_way(bench: Bench) -> None:
    asked = drafted(bench, said("ETH", "1", "100", side=Side.BUY))
    assert [doubt.kind for doubt in asked.doubts] == [DoubtKind.SYMBOL]
    plain = bench.owner.draft(said("ETH", "1", "100"), "message-2")
    assert plain.draft is None
    assert "/bought or /sold ETH" in plain.answer.text


@pytest.mark.feature("M5")
def test_a_symbol_without_any_price_is_asked_about(bench: Bench) -> None:
    asked = drafted(bench, own(Side.BUY, "QQQQ", "1", "100"))
    assert [doubt.kind for doubt in asked.doubts] == [DoubtKind.UNPRICED]


@pytest.mark.feature("M5")
def test_more_units_than_are_left_are_asked_about(bench: Bench) -> None:
    bench.instruct()
    book(bench, said("BTC", "6", "100"), "first")
    asked = drafted(bench, said("BTC", "5", "100"), "second")
    (doubt,) = asked.doubts
    assert (doubt.kind, "asks for 4 more" in doubt.text) == (DoubtKind.QUANTITY, True)


@pytest.mark.feature("M6")
def test_the_same_fill_in_other_words_is_asked_about_and_booked_only_if_insisted(bench: Bench) -> None:
    bench.instruct()
    book(bench, said("BTC", "4", "100"), "first")
    asked = drafted(bench, said("btc-usd", "4", "100.00"), "second")
    assert [doubt.kind for doubt in asked.doubts] == [DoubtKind.REPEATED]
    assert "Really twice?" in asked.doubts[0].text
    second = confirmed(bench, asked)
    assert held(bench) == Decimal(4)
    assert confirmed(bench, second).answer.kind is AnswerKind.DONE
    assert held(bench) == Decimal(8)


@pytest.mark.feature("M6")
def test_two_equal_drafts_do_not_both_pass_unasked(bench: Bench) -> None:
    bench.instruct()
    one, other = drafted(bench, said("BTC", "4", "100"), "one"), drafted(bench, said("BTC", "4", "100"), "two")
    assert one.doubts == other.doubts == ()
    assert confirmed(bench, one).answer.kind is AnswerKind.DONE
    again = confirmed(bench, other)
    assert again.answer.kind is AnswerKind.AMBIGUOUS
    assert [doubt.kind for doubt in again.doubts] == [DoubtKind.REPEATED]
    assert held(bench) == Decimal(4)


@pytest.mark.feature("M10")
def test_fee_and_time_of_a_fill_are_booked_as_reported(bench: Bench) -> None:
    bench.instruct()
    at = bench.clock.now()
    bench.clock.advance(timedelta(hours=3))
    book(bench, said("BTC", "4", "100", fee="1.20", at=at), "first")
    (fill,) = bench.desk.brokers["manual"].fills_since(at)
    assert (fill.fee, fill.at) == (Decimal("1.20"), at)


@pytest.mark.feature("M10")
def test_a_time_to_come_is_refused_and_one_before_the_instruction_asked_about(bench: Bench) -> None:
    bench.instruct()
    later = bench.owner.draft(said("BTC", "4", "100", at=bench.clock.now() + timedelta(hours=1)), "one")
    assert (later.draft, "still to come" in later.answer.text) == (None, True)
    earlier = drafted(bench, said("BTC", "4", "100", at=bench.clock.now() - timedelta(hours=1)), "two")
    assert DoubtKind.TIME in [doubt.kind for doubt in earlier.doubts]


@pytest.mark.feature("M11")
def test_selling_more_than_is_held_is_refused_before_it_is_asked_about(bench: Bench) -> None:
    book(bench, own(Side.BUY, "BTC", "2", "100"), "first")
    answer = bench.owner.draft(own(Side.SELL, "BTC", "3", "100"), "second")
    assert (answer.draft, "holds 2" in answer.answer.text) == (None, True)


@pytest.mark.feature("M7")
def test_undo_shows_what_it_takes_back_and_takes_back_that_alone(bench: Bench) -> None:
    bench.instruct()
    book(bench, said("BTC", "4", "100"), "first")
    asked = drafted(bench, UndoDeed(), "undo")
    assert asked.preview is not None
    assert asked.preview.what == "bought 4 BTC-USD at 100 USD"
    assert (asked.preview.units, asked.preview.cash) == ((4, 0), (9600, 10000))
    book(bench, said("BTC", "3", "100"), "second")
    stale = confirmed(bench, asked).answer
    assert (stale.kind, "bought 3" in stale.text) == (AnswerKind.REFUSED, True)
    assert held(bench) == Decimal(7)
    book(bench, UndoDeed(), "undo again")
    assert held(bench) == Decimal(4)


@pytest.mark.feature("M8")
def test_a_correction_shows_before_and_after_and_changes_the_figures(bench: Bench) -> None:
    card = bench.instruct()
    book(bench, said("BTC", "4", "100"), "first")
    asked = drafted(bench, Correction(None, None, Decimal(101), Decimal(1), number=card.number), "correct")
    assert asked.preview is not None
    assert (asked.preview.what, asked.preview.instead) == (
        "bought 4 BTC-USD at 100 USD",
        "bought 4 BTC-USD at 101 USD, fee 1 USD",
    )
    assert asked.preview.cash == (Decimal(9600), Decimal(9595))
    assert confirmed(bench, asked).answer.kind is AnswerKind.DONE
    assert cash(bench) == Decimal(9595)


@pytest.mark.feature("M8")
def test_a_correction_that_fits_several_fills_asks_which_and_their_short_names_work(bench: Bench) -> None:
    card = bench.instruct()
    book(bench, said("BTC", "4", "100"), "first")
    book(bench, said("BTC", "3", "101"), "second")
    answer = bench.owner.draft(Correction(None, None, Decimal(99), None, number=card.number), "third").answer
    assert answer.kind is AnswerKind.AMBIGUOUS
    first = answer.text.partition("fill ")[2].partition(": fill ")[2][:6]
    book(bench, Correction(first, None, Decimal(99), None), "fourth")
    assert cash(bench) == Decimal(10000) - 4 * 99 - 3 * 101


@pytest.mark.feature("M4")
def test_average_cost_is_exact_over_parts(bench: Bench) -> None:
    card = bench.instruct()
    book(bench, said("BTC", "3", "100.10", fee="0.01"), "first")
    book(bench, said("BTC", "3", "100.33"), "second")
    bench.owner.skip(card.number, bench.owner.pending()[0].version, "tap")
    position = bench.read(lambda work: work.portfolio("manual")).positions[COIN]
    assert position.cost == Decimal("601.30")
    assert position.average_cost == Decimal("601.30") / 6
    assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.SKIPPED


@pytest.mark.feature("M14")
@pytest.mark.parametrize(
    ("kind", "after"),
    [
        (CashKind.DEPOSIT, "10100"),
        (CashKind.WITHDRAWAL, "9900"),
        (CashKind.DIVIDEND, "10100"),
        (CashKind.INTEREST, "10100"),
        (CashKind.FEE, "9900"),
    ],
)
def test_money_that_came_or_went_is_shown_then_booked(bench: Bench, kind: CashKind, after: str) -> None:
    asked = drafted(bench, CashDeed(kind, Decimal(100)))
    assert asked.preview is not None and asked.preview.cash == (Decimal(10000), Decimal(after))
    assert confirmed(bench, asked).answer.kind is AnswerKind.DONE
    assert cash(bench) == Decimal(after)
    assert [doubt.kind for doubt in drafted(bench, CashDeed(kind, Decimal(100)), "again").doubts] == ["repeated"]


@pytest.mark.feature("M14")
def test_a_split_shows_units_and_levels_before_it_is_booked(bench: Bench) -> None:
    book(bench, own(Side.BUY, "BTC", "2", "100"), "first")
    asked = drafted(bench, SplitDeed("btc", Decimal(4)), "split")
    assert asked.preview is not None
    assert (asked.preview.units, asked.preview.stop) == ((2, 8), Decimal("23.75"))
    assert confirmed(bench, asked).answer.kind is AnswerKind.DONE
    assert held(bench) == Decimal(8)


@pytest.mark.feature("M14")
def test_an_own_trade_beside_an_open_card_of_its_kind_is_asked_about(bench: Bench) -> None:
    card = bench.instruct()
    asked = drafted(bench, own(Side.BUY, "BTC", "1", "100"))
    (doubt,) = asked.doubts
    assert (doubt.kind, f"/executed #{card.number}" in doubt.text) == (DoubtKind.CARD, True)


def test_a_fill_of_an_order_that_waits_for_approval_is_no_trade_of_ones_own(bench: Bench) -> None:
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER))
    (card,) = bench.owner.pending()
    answer = bench.owner.draft(said("BTC", "1", "100", side=Side.BUY, number=card.number), "message-1")
    assert (answer.draft, "approval" in answer.answer.text) == (None, True)
