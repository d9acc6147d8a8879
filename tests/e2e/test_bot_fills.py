"""Manual fills through the whole bot: a real engine, a real ledger, the local phone's Bot API server."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.orders import OrderState
from core.domain.records import InstructionState, QuestionKind
from core.execution import differences
from core.execution.unanswered import expire_instructions
from tests.bot_line import Line, a_desk_line, buttons_of, eventually
from tests.builders import COIN, Bench, an_exit

ETH = "ETH-USD"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path, symbols=(COIN, ETH)).start()
    bench.declare_cash("10000")
    return bench


def held(bench: Bench, symbol: str = COIN) -> Decimal:
    return bench.read(lambda work: work.portfolio("manual")).quantity(symbol)


def cash(bench: Bench) -> Decimal:
    return bench.read(lambda work: work.portfolio("manual")).cash


async def the_message(line: Line, message: dict[str, Any]) -> dict[str, Any]:
    """As it reads now."""
    return next(each for each in await line.person.sees() if each["message_id"] == message["message_id"])


async def becomes(line: Line, message: dict[str, Any], words: str) -> dict[str, Any]:
    """The message once it says so."""
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        now = await the_message(line, message)
        if words in now["text"]:
            return now
        assert asyncio.get_running_loop().time() < deadline, f"never became {words!r}: {now['text']}"
        await asyncio.sleep(0.02)


async def until_audited(bench: Bench, action: str, outcome: str) -> None:
    def found() -> bool:
        trail = bench.read(lambda work: work.audit_trail())
        return any(each.action.startswith(action) and each.outcome == outcome for each in trail)

    await eventually(found)


@pytest.mark.feature("M1")
@pytest.mark.feature("M3")
async def test_a_typed_fill_is_shown_and_booked_once_when_it_is_confirmed(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 10 @ 102,50 fee 1.20")
        shown = await line.message_with("BTC-USD bought 10 @ 102.50?")
        assert shown["text"].splitlines()[0] == f"📝 BTC-USD bought 10 @ 102.50? · MANUAL · #{card.number}"
        for words in (
            "$10,000.00 → $8,973.80",
            "0 → 10",
            "97.375 (−5.0%)",
            "117.875 (+15.0%)",
            "102.62 a unit",
            "Nothing is booked yet",
        ):
            assert words in shown["text"], shown["text"]
        assert held(bench) == 0
        confirm = buttons_of(shown)["✅ Confirm"]
        await asyncio.gather(*(line.person.taps(shown["message_id"], confirm) for _ in range(5)))
        settled = await becomes(line, shown, "booked in the manual account")
        assert settled["text"].splitlines()[0] == "☑️ Booked · MANUAL"
        assert buttons_of(settled) == {}
        line.taps_an_old_button(shown, confirm, 1)
        await until_audited(bench, "tap confirm draft", "stale")
        await line.until_said("bought 10 @ 102.50")
        assert (held(bench), cash(bench)) == (Decimal(10), Decimal("8973.80"))


@pytest.mark.feature("M3")
async def test_a_typed_fill_that_is_cancelled_books_nothing_and_its_buttons_are_dead(bench: Bench) -> None:
    bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 10 @ 102,50")
        shown = await line.message_with("BTC-USD bought 10")
        await line.tap(shown, "✖️ Cancel")
        await becomes(line, shown, "Dropped: nothing was booked")
        line.taps_an_old_button(shown, buttons_of(shown)["✅ Confirm"], 1)
        await until_audited(bench, "tap confirm draft", "stale")
        assert held(bench) == 0


@pytest.mark.feature("M3")
async def test_a_typed_fill_survives_a_restart_of_everything(bench: Bench) -> None:
    bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 10 @ 102,50")
        shown = await line.message_with("BTC-USD bought 10")
    bench.restart()
    async with a_desk_line(bench) as line:
        await line.tap(shown, "✅ Confirm")
        await becomes(line, shown, "booked in the manual account")
        assert held(bench) == Decimal(10)


@pytest.mark.feature("M9")
async def test_one_tap_books_the_shown_price(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        shown = await line.message_with(f"#{card.number}")
        assert list(buttons_of(shown)) == ["✅ Executed", "⏭ Skip", "💬 Different price", "🔎 Why"]
        await line.tap(shown, "✅ Executed")
        await becomes(line, shown, "BTC-USD BUY 10 executed")
        assert (held(bench), cash(bench)) == (Decimal(10), Decimal(9000))


@pytest.mark.feature("M9")
async def test_a_different_price_is_asked_for_and_just_the_number_is_enough(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        shown = await line.message_with(f"#{card.number}")
        await line.tap(shown, "💬 Different price")
        await line.until_said("at which price?")
        (question,) = [each for each in await line.person.sees() if "at which price?" in each.get("text", "")]
        assert question["reply_to_message"]["message_id"] == shown["message_id"]
        assert (await line.person.state())["asked"]["placeholder"] == "100"
        await line.person.sends("101,25", reply_to=question["message_id"])
        echo = await line.message_with("BTC-USD bought 10 @ 101.25?")
        await line.tap(echo, "✅ Confirm")
        await eventually(lambda: held(bench) == Decimal(10))
        assert cash(bench) == Decimal("8987.50")


@pytest.mark.feature("M9")
@pytest.mark.feature("M4")
async def test_a_part_by_reply_leaves_a_rest_that_one_tap_fills(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        shown = await line.message_with(f"#{card.number}")
        await line.person.sends("4 @ 101", reply_to=shown["message_id"])
        echo = await line.message_with("BTC-USD bought 4 @ 101.00?")
        assert "Left open" in echo["text"]
        await line.tap(echo, "✅ Confirm")
        partial = await becomes(line, shown, "BTC-USD BUY 4 of 10 filled")
        assert "Filled" in partial["text"] and "Rest" in partial["text"]
        assert list(buttons_of(partial)) == ["✅ Fill rest", "✂️ Cancel rest", "💬 Different price", "🔎 Why"]
        await line.tap(partial, "✅ Fill rest")
        done = await becomes(line, shown, "BTC-USD BUY 10 executed")
        assert buttons_of(done) == {}
        assert (held(bench), cash(bench)) == (Decimal(10), Decimal(10000 - 404 - 600))
        position = bench.read(lambda work: work.portfolio("manual")).positions[COIN]
        assert position.average_cost == Decimal("100.4")


@pytest.mark.feature("M4")
async def test_the_rest_can_be_cancelled_and_what_is_filled_stays(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        shown = await line.message_with(f"#{card.number}")
        await line.person.sends(f"/executed #{card.number} 4 shares")
        await line.tap(await line.message_with("BTC-USD bought 4"), "✅ Confirm")
        await becomes(line, shown, "4 of 10 filled")
        await line.person.sends("/pending")
        again = await line.message_with("Rest")
        assert "✂️ Cancel rest" in buttons_of(again)
        await line.tap(again, "✂️ Cancel rest")
        over = await becomes(line, shown, "skipped")
        assert "4 of 10 stay booked" in over["text"]
        assert held(bench) == Decimal(4)
        assert bench.order(card.client_order_id).state is OrderState.CANCELED


@pytest.mark.feature("M4")
async def test_a_rest_that_expires_says_what_stays(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        shown = await line.message_with(f"#{card.number}")
        await line.person.sends("4 shares", reply_to=shown["message_id"])
        await line.tap(await line.message_with("BTC-USD bought 4"), "✅ Confirm")
        await becomes(line, shown, "4 of 10 filled")
        bench.system.advance(timedelta(hours=2))
        assert expire_instructions(bench.desk) == 1
        line.app.delivery.wake()
        over = await becomes(line, shown, "expired")
        assert "4 of 10 stay booked" in over["text"] and buttons_of(over) == {}


@pytest.mark.feature("M9")
async def test_a_bare_number_that_may_be_the_quantity_is_asked_about(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        shown = await line.message_with(f"#{card.number}")
        await line.person.sends("5", reply_to=shown["message_id"])
        await line.until_said("Is 5 the quantity or the price?")


@pytest.mark.feature("M5")
async def test_a_price_far_off_the_market_needs_a_second_confirmation_that_says_why(bench: Bench) -> None:
    bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 10 @ 112")
        shown = await line.message_with("BTC-USD bought 10 @ 112.00?")
        assert "12% above the market" in shown["text"]
        await line.tap(shown, "✅ Confirm")
        second = await line.message_with("⚠️ BTC-USD bought 10 @ 112.00?")
        assert second["message_id"] == shown["message_id"]
        assert list(buttons_of(second)) == ["⚠️ Yes, the price was 112", "✖️ Cancel"]
        line.taps_an_old_button(shown, buttons_of(shown)["✅ Confirm"], 1)
        await until_audited(bench, "tap confirm draft", "stale")
        assert held(bench) == 0
        await line.tap(second, "⚠️ Yes, the price was 112")
        await eventually(lambda: held(bench) == Decimal(10))


@pytest.mark.feature("M5")
async def test_the_wrong_side_needs_a_second_confirmation(bench: Bench) -> None:
    async with a_desk_line(bench) as line:
        await line.person.sends("/bought btc 2 @ 100")
        await line.tap(await line.message_with("BTC-USD bought 2"), "✅ Confirm")
        await eventually(lambda: held(bench) == Decimal(2))
        bench.clock.advance(timedelta(hours=2))
        bench.instruct()
        await line.person.sends("/executed sold 1 btc at 100")
        shown = await line.message_with("BTC-USD sold 1")
        assert "You wrote sold, but instruction" in shown["text"]
        await line.tap(shown, "✅ Confirm")
        await line.tap(await line.message_with("⚠️ BTC-USD sold 1"), "⚠️ Yes, book it all the same")
        await eventually(lambda: held(bench) == Decimal(1))


@pytest.mark.feature("M6")
async def test_the_same_fill_again_is_asked_about_with_a_button_that_insists(bench: Bench) -> None:
    bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 4 @ 100")
        await line.tap(await line.message_with("BTC-USD bought 4"), "✅ Confirm")
        await eventually(lambda: held(bench) == Decimal(4))
        await line.person.sends("/executed 4 btc @ 100.00")
        shown = await line.message_with("Just this is booked already")
        assert "Really twice?" in shown["text"]
        await line.tap(shown, "✅ Confirm")
        second = await line.message_with("⚠️ BTC-USD bought 4")
        assert held(bench) == Decimal(4)
        await line.tap(second, "⚠️ Yes, book it a second time")
        await eventually(lambda: held(bench) == Decimal(8))


@pytest.mark.feature("M10")
async def test_fee_and_time_are_shown_and_booked(bench: Bench) -> None:
    bench.instruct()
    bench.clock.advance(timedelta(days=1, hours=3))
    bench.system.advance(timedelta(minutes=1))
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 4 @ 100 fee 1.20 today 20:15")
        shown = await line.message_with("BTC-USD bought 4")
        assert "$1.20" in shown["text"] and "20:15 EST" in shown["text"]
        await line.tap(shown, "✅ Confirm")
        await eventually(lambda: held(bench) == Decimal(4))
        (fill,) = bench.desk.brokers["manual"].fills_since(bench.clock.now() - timedelta(days=2))
        assert (fill.fee, f"{fill.at:%Y-%m-%d %H:%M}") == (Decimal("1.20"), "2024-03-05 01:15")
        await line.person.sends("/executed btc 4 @ 100 23:59")
        await line.until_said("still to come")


@pytest.mark.feature("M11")
async def test_selling_more_than_is_held_is_refused_in_words(bench: Bench) -> None:
    async with a_desk_line(bench) as line:
        await line.person.sends("/sold btc 2 @ 100")
        await line.until_said("the manual account holds no. Nothing was booked")
        card = bench.instruct()
        bench.owner.execute(card.number, card.version, "tap")
        bench.clock.advance(timedelta(hours=2))
        bench.place(an_exit(bench, account="manual", state=OrderState.AWAITING_OWNER))
        await line.person.sends("/executed sold btc 11 @ 100")
        await line.until_said("but the manual account holds 10. Nothing was booked")


@pytest.mark.feature("M12")
async def test_stop_and_target_of_the_actual_fill_are_shown_in_words(bench: Bench) -> None:
    bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 10 @ 102")
        shown = await line.message_with("BTC-USD bought 10 @ 102")
        assert "96.90 (−5.0%)" in shown["text"] and "117.30 (+15.0%)" in shown["text"]
        await line.tap(shown, "✅ Confirm")
        await line.until_said("sell 10 BTC-USD if the price falls to $96.90")


@pytest.mark.feature("M7")
async def test_undo_shows_what_will_be_undone_and_keeps_the_history(bench: Bench) -> None:
    bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/undo")
        shown = await line.message_with("undo this booking") if held(bench) else await line.message_with("undo")
        assert "Taken back: Deposit of $10,000.00" in shown["text"]
        await line.tap(shown, "✖️ Cancel")
        await line.person.sends("/executed btc 4 @ 100")
        await line.tap(await line.message_with("BTC-USD bought 4"), "✅ Confirm")
        await eventually(lambda: held(bench) == Decimal(4))
        await line.person.sends("/undo")
        shown = await line.message_with("BTC-USD undo this booking?")
        assert "Taken back: Bought 4 BTC-USD at $100.00" in shown["text"]
        assert "4 → 0" in shown["text"]
        await line.tap(shown, "✅ Confirm")
        await eventually(lambda: held(bench) == 0)
        assert cash(bench) == Decimal(10000)
        assert len(list(bench.read(lambda work: list(work.entries("manual"))))) == 3


@pytest.mark.feature("M8")
async def test_a_correction_shows_before_and_after_and_needs_a_tap(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        await line.person.sends("/executed btc 4 @ 100")
        await line.tap(await line.message_with("BTC-USD bought 4"), "✅ Confirm")
        await eventually(lambda: held(bench) == Decimal(4))
        await line.person.sends(f"/correct #{card.number} price 101,50 fee 1")
        shown = await line.message_with("correct this fill?")
        assert "Before: Bought 4 BTC-USD at $100.00" in shown["text"]
        assert "After: Bought 4 BTC-USD at $101.50, fee $1.00" in shown["text"]
        assert cash(bench) == Decimal(9600)
        await line.tap(shown, "✅ Confirm")
        await eventually(lambda: cash(bench) == Decimal(9593))
        await becomes(line, shown, "Corrected")
        await line.person.sends("/correct fee 0")
        await line.tap(await line.message_with("fee $1.00"), "✅ Confirm")
        await eventually(lambda: cash(bench) == Decimal(9594))


@pytest.mark.feature("M14")
async def test_own_bookings_are_shown_and_booked_on_a_tap(bench: Bench) -> None:
    async with a_desk_line(bench) as line:
        for said, title, after in (
            ("/deposit 500", "Deposit of $500.00?", "10500"),
            ("/withdraw $1.500,25", "Withdrawal of $1,500.25?", "8999.75"),
            ("/dividend BTC 12.30", "Dividend of $12.30?", "9012.05"),
            ("/interest 3,10 usd", "Interest of $3.10?", "9015.15"),
            ("/fee 5 data plan", "Fee of $5.00?", "9010.15"),
            ("/bought eth 2 @ 100 fee 1", "ETH-USD bought 2 @ 100.00?", "8809.15"),
        ):
            before = cash(bench)
            await line.person.sends(said)
            shown = await line.message_with(title)
            assert cash(bench) == before
            await line.tap(shown, "✅ Confirm")
            await eventually(lambda after=after: cash(bench) == Decimal(after))


@pytest.mark.feature("M14")
async def test_an_own_sale_and_a_split_change_what_is_held(bench: Bench) -> None:
    async with a_desk_line(bench) as line:
        await line.person.sends("bought 30 ETH at 100")
        await line.tap(await line.message_with("ETH-USD bought 30"), "✅ Confirm")
        await eventually(lambda: held(bench, ETH) == Decimal(30))
        await line.person.sends("/split eth 1:3")
        shown = await line.message_with("Split of ETH-USD")
        assert "30 → 10" in shown["text"]
        await line.tap(shown, "✅ Confirm")
        await eventually(lambda: held(bench, ETH) == Decimal(10))
        bench.clock.advance(timedelta(hours=1))
        await line.person.sends("/sold 10 eth at 100")
        shown = await line.message_with("ETH-USD sold 10")
        assert "−$2,000.00" in shown["text"]


async def test_what_cannot_be_booked_is_answered(bench: Bench) -> None:
    async with a_desk_line(bench) as line:
        for number, (said, answer) in enumerate(
            (
                ("/bought SPY", "I need symbol, quantity and price"),
                ("/bought #7 10 @ 5", "/executed #7"),
                ("/bought sold SPY 10 @ 5", "Bought or sold?"),
                ("/deposit", "How much, in USD?"),
                ("/deposit 1 240", "Which number is the amount?"),
                ("/deposit 1,240", "could be 1240 or 1.240"),
                ("/deposit 0", "above zero"),
                ("/withdraw 20000", "more than the $10,000.00"),
                ("/split", "/split SPY 4:1"),
                ("/split BTC 4", "/split SPY 4:1"),
                ("/split BTC 0:1", "Neither side"),
                ("/split BTC 4:1", "holds no BTC-USD"),
                ("/correct", "What should it be?"),
                ("/correct #7 price 5", "There is no fill of instruction 7"),
                ("/correct 5", "quantity or the price"),
                ("bought spy", "/bought or /sold SPY"),
                ("bought 10 spy 5 6", "Which number is the price"),
            ),
            1,
        ):
            await line.person.sends(said)
            await eventually_answered(line, number, answer)
        assert cash(bench) == Decimal(10000)


async def eventually_answered(line: Line, count: int, answer: str) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while len(texts := await line.texts()) < count:
        assert asyncio.get_running_loop().time() < deadline, texts
        await asyncio.sleep(0.01)
    assert answer in texts[-1]


async def test_a_reply_to_a_closed_card_says_how_to_report_it_all_the_same(bench: Bench) -> None:
    card = bench.instruct()
    async with a_desk_line(bench) as line:
        shown = await line.message_with(f"#{card.number}")
        await line.tap(shown, "⏭ Skip")
        await becomes(line, shown, "skipped")
        await line.person.sends("10 @ 101", reply_to=shown["message_id"])
        await line.until_said(f"/executed #{card.number}")
        await line.person.sends(f"/executed #{card.number} 10 @ 101")
        await line.tap(await line.message_with("BTC-USD bought 10"), "✅ Confirm")
        await eventually(lambda: held(bench) == Decimal(10))
        assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.EXECUTED


@pytest.mark.feature("M13")
@pytest.mark.parametrize(("label", "booked"), [("📥 Adopt", Decimal(3)), ("🙈 Ignore", Decimal(0))])
async def test_a_difference_is_shown_with_both_sides_and_settled_by_a_tap(
    bench: Bench, label: str, booked: Decimal
) -> None:
    with bench.desk.committing("reconcile") as work:
        pair = {COIN: (Decimal(0), Decimal(3))}
        assert differences.mark(work, bench.desk, "simulated", pair, (), bench.clock.now())
    async with a_desk_line(bench) as line:
        shown = await line.message_with("units differ at the broker")
        assert "The ledger holds 0 BTC-USD, simulated holds 3" in shown["text"]
        assert list(buttons_of(shown)) == ["📥 Adopt", "🙈 Ignore"]
        await line.tap(shown, label)
        await eventually(lambda: bench.owner.questions() == ())
        assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) == booked
        (asked,) = bench.read(lambda work: work.questions())
        assert asked.kind is QuestionKind.DIFFERENCE
