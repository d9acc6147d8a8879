"""Proposals in the chat, on a real engine: what a card shows, what each button does, and a storm of taps."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.adapters.simulated_faults import FaultPlan
from core.domain.accounts import Mode
from core.domain.orders import OrderState, OrderType
from core.domain.records import Instruction, InstructionState
from core.execution.escalation import remind
from core.execution.unanswered import expire_instructions
from core.strategy.policy import NoAnswer, Policy
from tests.bot_bench import Desk, a_desk, tokens
from tests.bot_line import eventually
from tests.builders import COIN, Bench, a_buy_signal, an_entry, an_exit

TAPS = 50


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, mode=Mode.CONFIRM).start()
    yield bench
    bench.close()


async def a_card(desk: Desk, **changes: Any) -> tuple[Instruction, dict[str, Any]]:
    entry = an_entry(desk.bench, state=OrderState.AWAITING_OWNER, reason="66.0 % is above 60 %", **changes)
    await desk.does(lambda: desk.bench.place(entry, signals=(a_buy_signal(COIN, desk.bench.clock.now()),)))
    card = desk.bench.owner.pending()[-1]
    return card, await desk.message(f"#{card.number}")


def facts(message: dict[str, Any]) -> dict[str, str]:
    """The table of a card: label and value."""
    found = (re.match(r"(\S+(?: at)?)\s+(.+)", line) for line in message["text"].splitlines()[1:])
    return {each[1]: each[2] for each in found if each is not None}


def button(message: dict[str, Any], letter: str) -> str:
    return next(token for token in tokens(message) if token.startswith(f"i:{letter}:"))


@pytest.mark.feature("T1")
async def test_a_proposal_shows_all_that_matters_and_its_four_buttons(tmp_path: Path, bench: Bench) -> None:
    async with a_desk(tmp_path, bench) as desk:
        _, message = await a_card(desk)
        text = message["text"]
        assert text.splitlines()[0] == "🙋 BTC-USD BUY 10 @ 100.00 · PAPER · #1"
        for shown in (
            "Side buy (open)",
            "Quantity 10",
            "Price 100.00",
            "Cost $1,000.00",
            "Order at the market",
            "Stop 95.00 (−5.0%)",
            "Target 115.00 (+15.0%)",
            "Confidence 66.0%",
            "Expires Sun 3 Mar 20:00 EST",
        ):
            assert shown in " ".join(text.split()), shown
        labels = [each["text"] for row in message["reply_markup"]["inline_keyboard"] for each in row]
        assert labels == ["👍 Approve", "⏭ Skip", "✏️ Change", "🔎 Why"]
        tones = [each.get("style") for row in message["reply_markup"]["inline_keyboard"] for each in row]
        assert tones == ["success", None, None, None]


@pytest.mark.feature("C6")
async def test_every_card_says_in_which_mode_it_was_made_and_for_which_account(tmp_path: Path, bench: Bench) -> None:
    async with a_desk(tmp_path, bench) as desk:
        bench.declare_cash()
        _, proposal = await a_card(desk)
        assert facts(proposal)["Mode"] == "confirm"
        assert facts(proposal)["Account"] == "Simulated broker"
        await desk.person.taps(proposal["message_id"], button(proposal, "c"))
        halved = await desk.until(proposal["message_id"], "i:2:")
        await desk.person.taps(proposal["message_id"], button(halved, "2"))
        changed = await desk.until(proposal["message_id"], "BUY 5 ")
        assert facts(changed)["Mode"] == "confirm"
        await desk.does(bench.owner.set_mode, Mode.AUTO, "owner")
        instruction = await desk.does(bench.instruct)
        by_hand = await desk.message(f"#{instruction.number}")
        assert facts(by_hand)["Mode"] == "auto"
        assert facts(by_hand)["Account"] == "Manual account"
        await desk.does(bench.owner.skip, instruction.number, 1, "skip")
        assert facts(await desk.until(by_hand["message_id"], "skipped"))["Mode"] == "auto"


@pytest.mark.feature("C6")
async def test_a_card_shown_again_and_a_reminder_name_the_mode_that_holds_now(tmp_path: Path, bench: Bench) -> None:
    async with a_desk(tmp_path, bench) as desk:
        _, first = await a_card(desk)
        await desk.does(bench.owner.set_mode, Mode.OBSERVE, "owner")
        await desk.person.sends("/pending")
        again = await desk.message(f"{'Mode':<11} observe")
        assert again["text"].splitlines()[0] == first["text"].splitlines()[0]
        assert (facts(first)["Mode"], facts(again)["Mode"]) == ("confirm", "observe")
        await desk.does(bench.owner.skip, 1, 1, "skip")
        await desk.does(bench.place, an_exit(bench, state=OrderState.AWAITING_OWNER))
        await desk.does(remind, bench.desk)
        bench.system.advance(bench.desk.policy.exit_reminder)
        await desk.does(remind, bench.desk)
        assert "Simulated broker, mode observe" in (await desk.message("still waits"))["text"]


@pytest.mark.feature("T7")
async def test_size_and_limit_are_changed_on_the_card_itself_and_its_old_buttons_say_so(
    tmp_path: Path, bench: Bench
) -> None:
    async with a_desk(tmp_path, bench) as desk:
        card, message = await a_card(desk)
        place = message["message_id"]
        approve_before = button(message, "a")
        await desk.person.taps(place, button(message, "c"))
        choices = await desk.until(place, "i:2:")
        labels = [each["text"] for row in choices["reply_markup"]["inline_keyboard"] for each in row]
        assert labels == [
            "✓ All · 10",
            "¾ · 7.5",
            "½ · 5",
            "¼ · 2.5",
            "✓ Market",
            "≤\u00a0100.00",
            "≤\u00a0100.50",
            "↩️ Back",
        ]
        await desk.person.taps(place, button(choices, "b"))
        assert button(await desk.until(place, "i:c:"), "a") == approve_before
        await desk.person.taps(place, button(message, "c"))
        await desk.until(place, "i:2:")
        await desk.person.taps(place, button(choices, "2"))
        halved = await desk.until(place, "5 (proposed 10)")
        assert "BUY 5 @ 100.00" in halved["text"].splitlines()[0]
        await desk.person.taps(place, button(halved, "c"))
        again = await desk.until(place, "i:l:")
        await desk.person.taps(place, button(again, "l"))
        limited = await desk.until(place, "limit 100.00")
        desk.hears_tap(message, approve_before)
        await eventually(lambda: _audited(bench, f"tap card:approved:{card.number}:1") == "stale")
        assert bench.venue.orders() == []
        # The old button did not take the new ones away.
        assert button(await desk.until(place, "i:a:"), "a") == button(limited, "a")
        await desk.person.taps(place, button(limited, "a"))
        done = await desk.until(place, "The broker has the order")
        assert tokens(done) == []
        (sent,) = bench.venue.orders()
        assert (sent.quantity, sent.type, sent.limit_price) == (Decimal(5), OrderType.LIMIT, Decimal(100))
        cards = [each for each in await desk.person.sees() if each.get("text", "").endswith("limit.")]
        assert cards == [], "one message all the way"


@pytest.mark.feature("T2")
@pytest.mark.feature("T7")
async def test_a_copy_of_a_card_follows_what_was_changed_on_it(tmp_path: Path, bench: Bench) -> None:
    async with a_desk(tmp_path, bench) as desk:
        _, original = await a_card(desk)
        await desk.person.sends("/pending")
        await eventually(lambda: len(desk.phone.texts()) == 2)
        copy = next(each for each in reversed(await desk.person.sees()) if "🙋" in each.get("text", ""))
        assert copy["message_id"] != original["message_id"]
        desk.hears_tap(copy, button(copy, "a").replace("i:a", "i:2"))
        for place in (copy["message_id"], original["message_id"]):
            assert button(await desk.until(place, "5 (proposed 10)"), "a").endswith(":2")


@pytest.mark.feature("T1")
async def test_why_tells_the_gates_of_the_decision_behind_the_card(tmp_path: Path, bench: Bench) -> None:
    async with a_desk(tmp_path, bench) as desk:
        card, message = await a_card(desk)
        await desk.person.taps(message["message_id"], button(message, "w"))
        told = (await desk.message("BUY 10: why"))["text"]
        assert told.splitlines()[0] == f"🔎 BTC-USD BUY 10: why · PAPER · #{card.number}"
        assert "66.0%" in told and "model-1" in told and "✓ Probability: 0.66 is above 0.60" in told
        assert bench.owner.pending()[0].version == 1


@pytest.mark.feature("T5")
async def test_a_price_that_left_the_band_edits_the_card_with_the_new_price_and_fresh_buttons(
    tmp_path: Path, bench: Bench
) -> None:
    async with a_desk(tmp_path, bench) as desk:
        _, message = await a_card(desk)
        await desk.does(bench.bar, 110.0)
        await desk.person.taps(message["message_id"], button(message, "a"))
        await desk.message("Nothing was sent: the card asks again")
        asked = await desk.until(message["message_id"], "@ 110.00")
        assert button(asked, "a").endswith(":2")
        assert bench.venue.orders() == []
        await desk.person.taps(message["message_id"], button(asked, "a"))
        await desk.until(message["message_id"], "The broker has the order")
        assert [order.quantity for order in bench.venue.orders()] == [Decimal("9.090909")]


@pytest.mark.feature("T4")
async def test_a_card_survives_a_restart_and_is_edited_when_its_time_is_over(tmp_path: Path, bench: Bench) -> None:
    async with a_desk(tmp_path, bench) as desk:
        card, message = await a_card(desk)
        await desk.restart()
        assert bench.owner.pending() == (card,)
        bench.system.advance(timedelta(minutes=60))
        await desk.does(lambda: expire_instructions(bench.desk))
        over = await desk.until(message["message_id"], "expired")
        assert over["text"].startswith("⌛ BTC-USD BUY 10 expired")
        assert "Not answered within 60 minutes" in over["text"]
        assert tokens(over) == []
        desk.hears_tap(message, button(message, "a"))
        await eventually(lambda: _audited(bench, f"tap card:approved:{card.number}:1") == "stale")
        assert bench.venue.orders() == []


@pytest.mark.feature("T6")
async def test_a_card_that_is_asked_again_closes_the_old_message_and_opens_a_new_one(
    tmp_path: Path, bench: Bench
) -> None:
    bench.policy = Policy(no_answer=NoAnswer.REMIND)
    bench.restart()
    async with a_desk(tmp_path, bench) as desk:
        _, first = await a_card(desk)
        bench.system.advance(timedelta(minutes=60))
        await desk.does(lambda: expire_instructions(bench.desk))
        closed = await desk.until(first["message_id"], "asked again")
        assert tokens(closed) == []
        second = await desk.message("🙋 BTC-USD BUY 10")
        assert second["message_id"] != first["message_id"]
        await desk.person.taps(second["message_id"], button(second, "a"))
        await desk.until(second["message_id"], "The broker has the order")
        assert "asked again" in (await desk.shown(first["message_id"]))["text"]


@pytest.mark.feature("T9")
@pytest.mark.parametrize(
    ("fate", "shown"),
    [
        ("filled", "✅ BTC-USD BUY 10 filled"),
        ("refused", "⛔ BTC-USD BUY 1,000 refused"),
        ("unknown", "❓ BTC-USD BUY 10 uncertain"),
    ],
)
async def test_the_card_shows_the_brokers_word_and_nothing_before_it(tmp_path: Path, fate: str, shown: str) -> None:
    faults = FaultPlan(np.random.default_rng(1), timeout_before=1.0) if fate == "unknown" else None
    bench = Bench(tmp_path, mode=Mode.CONFIRM, faults=faults).start()
    try:
        async with a_desk(tmp_path, bench) as desk:
            quantity = Decimal(1000) if fate == "refused" else Decimal(10)
            card, message = await a_card(desk, quantity=quantity)
            place = message["message_id"]
            held = asyncio.Event()
            loop = asyncio.get_running_loop()
            seen_before: list[str] = []

            def at(name: str) -> None:
                if name == "submit.before_call" and not held.is_set():
                    # The tap is committed and the broker has not been asked yet.
                    future = asyncio.run_coroutine_threadsafe(desk.shown(place), loop)
                    seen_before.append(future.result(5)["text"])
                    loop.call_soon_threadsafe(held.set)

            bench.checkpoint = at
            await desk.person.taps(place, button(message, "a"))
            await asyncio.wait_for(held.wait(), 10)
            assert seen_before[0] == message["text"]
            if fate == "filled":
                await desk.until(place, "The broker has the order")
                await desk.does(bench.bar, 100.0)
                await desk.does(bench.reconcile)
            edited = await desk.until(place, shown)
            assert edited["text"].startswith(shown)
            assert tokens(edited) == []
            assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.APPROVED
    finally:
        bench.close()


@pytest.mark.feature("T3")
@pytest.mark.feature("T8")
async def test_fifty_parallel_taps_with_restarts_between_send_one_order(
    tmp_path: Path, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every tap is an update of its own with an id of its own; the bot is stopped and started in the midst of them."""
    async with a_desk(tmp_path, bench) as desk:
        card, message = await a_card(desk)
        place, approve = message["message_id"], button(message, "a")
        restarts = 0
        for wave in (20, 20, 10):
            for _ in range(wave):
                desk.hears_tap(message, approve)
            await asyncio.sleep(0)
            await desk.restart()
            restarts += 1
        await eventually(lambda: desk.phone.is_owed() == 0)
        await desk.until(place, "The broker has the order")
        await eventually(lambda: len(_outcomes(bench, card.number)) >= TAPS - restarts)
        outcomes = _outcomes(bench, card.number)
        sent = [each for each in bench.venue.orders() if each.client_order_id == card.client_order_id]
        counted = {word: outcomes.count(word) for word in sorted(set(outcomes))}
        with capsys.disabled():
            print(f"\ntap storm: {TAPS} taps, {restarts} restarts, {len(sent)} order at the venue, answers {counted}")
        assert len(bench.venue.orders()) == len(sent) == 1
        assert outcomes.count("done") <= 1, "a bot that was stopped may have had no time to note its answer"
        assert set(outcomes) <= {"done", "unchanged", "stale"}
        assert bench.read(lambda work: work.instruction(card.number)).state is InstructionState.APPROVED


@pytest.mark.feature("T3")
async def test_of_approve_and_skip_tapped_at_once_the_first_wins_and_the_other_does_nothing(
    tmp_path: Path, bench: Bench
) -> None:
    async with a_desk(tmp_path, bench) as desk:
        for _ in range(3):
            bench.clock.advance(timedelta(minutes=5))
            card, message = await a_card(desk)
            before = len(bench.venue.orders())
            for number in range(10):
                desk.hears_tap(message, button(message, "a" if number % 2 else "d"))
            await eventually(lambda: desk.phone.is_owed() == 0)
            await eventually(lambda number=card.number: not _is_open(bench, number))
            await asyncio.sleep(0.1)
            state = bench.read(lambda work, number=card.number: work.instruction(number)).state
            sent = len(bench.venue.orders()) - before
            assert (state, sent) in ((InstructionState.APPROVED, 1), (InstructionState.SKIPPED, 0))
            deeds = [
                record
                for record in bench.read(lambda work: work.audit_trail(1000))
                if record.actor == "owner" and record.action in (f"approve {card.number}", f"skip {card.number}")
            ]
            assert len(deeds) == 1
            if sent:
                await desk.does(bench.bar, 100.0)
                await desk.does(bench.reconcile)


def _is_open(bench: Bench, number: int) -> bool:
    return bool(bench.read(lambda work: work.instruction(number)).is_open)


def _outcomes(bench: Bench, number: int) -> list[str]:
    trail = bench.read(lambda work: work.audit_trail(1000))
    return [record.outcome for record in trail if record.action == f"tap card:approved:{number}:1"]


def _audited(bench: Bench, action: str) -> str:
    trail = bench.read(lambda work: work.audit_trail(1000))
    return next((record.outcome for record in trail if record.action == action), "")
