"""Questions, brakes and the order to sell everything, in the chat: the real bot against the local Bot API server."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.questions import QuestionToken
from core.domain.accounts import Badge
from core.domain.decisions import Brake, BrakeKind
from core.domain.events import ExitReminder, QuestionAsked, QuestionSettled
from core.domain.records import CHOICES, Question, QuestionChoice
from tests.bot_line import Line, a_line, eventually
from tests.fakes_owner import NOON, FakeOwner, a_question, an_instruction


def asked(question: Question) -> QuestionAsked:
    fields = {name: getattr(question, name) for name in QuestionAsked.__dataclass_fields__ if hasattr(question, name)}
    first, second = CHOICES[question.kind]
    named = {"kind": question.kind.value, "choices": (first.value, second.value), "badges": (Badge.PAPER,)}
    return QuestionAsked(**{**fields, **named})


def publish(line: Line, *events: Any) -> None:
    with line.ledger.unit_of_work() as work:
        for event in events:
            work.publish(event, market_time=NOON)
        work.commit()
    line.app.delivery.wake()


async def message_with(line: Line, words: str) -> dict[str, Any]:
    await line.until_said(words)
    return next(message for message in reversed(await line.person.sees()) if words in message.get("text", ""))


def audited(line: Line, action: str) -> bool:
    with line.ledger.reading() as work:
        return any(record.action.startswith(action) for record in work.audit_trail())


@pytest.mark.feature("M13")
async def test_a_difference_is_a_card_whose_answer_counts_once_and_takes_its_buttons_away(tmp_path: Path) -> None:
    owner = FakeOwner(asked=[a_question()])
    async with a_line(tmp_path, owner) as line:
        publish(line, asked(owner.asked[0]))
        card = await message_with(line, "· Q3")
        assert card["text"].startswith("❓ SPY: units differ at the broker · Q3 · PAPER")
        labels = [button["text"] for button in card["reply_markup"]["inline_keyboard"][0]]
        assert labels == ["📥 Adopt", "🙈 Ignore"]
        for choice in (QuestionChoice.ADOPT, QuestionChoice.ADOPT, QuestionChoice.IGNORE):
            await line.person.taps(card["message_id"], QuestionToken(choice, 3, 1).text())
        publish(line, QuestionSettled(3, "adopt", "The ledger now holds 8.", "simulated", "SPY", (Badge.PAPER,)))
        await line.until_said("☑️ SPY adopt · Q3")
        edited = next(entry for entry in await line.person.sees() if entry["message_id"] == card["message_id"])
        assert "no order explains it" in edited["text"]
        assert "reply_markup" not in edited or not edited["reply_markup"]["inline_keyboard"]
        assert {call[:4] for call in owner.calls} == {("answer", 3, 1, QuestionChoice.ADOPT)}
        assert {call[4] for call in owner.calls} == {"question:3:1"}


@pytest.mark.feature("T2")
async def test_a_button_of_an_older_question_changes_nothing_and_pending_shows_the_newest(tmp_path: Path) -> None:
    owner = FakeOwner(asked=[a_question(version=2)])
    async with a_line(tmp_path, owner) as line:
        publish(line, asked(a_question()))
        card = await message_with(line, "· Q3")
        await line.person.taps(card["message_id"], QuestionToken(QuestionChoice.ADOPT, 3, 1).text())
        await eventually(lambda: audited(line, "tap adopt Q3 v1"))
        assert owner.calls == []
        await line.person.sends("/pending")
        await eventually(lambda: audited(line, "/pending"))
        newest = await message_with(line, "· Q3")
        assert "q:adopt:3:2" in str(newest["reply_markup"])


@pytest.mark.feature("C7")
async def test_locks_names_every_brake_and_its_button_releases_it(tmp_path: Path) -> None:
    brake = Brake(BrakeKind.DAILY_LOSS, "simulated", "4.2 % lost today", NOON, NOON + timedelta(hours=5))
    block = Brake(BrakeKind.SYMBOL_BLOCKED, "simulated/BTC-USD", "the ledger holds 1 units", NOON)
    owner = FakeOwner(brakes=[brake, block])
    async with a_line(tmp_path, owner) as line:
        await line.person.sends("/locks")
        shown = await message_with(line, "2 brakes in force")
        assert "Daily loss · Simulated broker" in shown["text"]
        assert "4.2 % lost today" in shown["text"]
        buttons = [row[0]["callback_data"] for row in shown["reply_markup"]["inline_keyboard"]]
        await line.person.taps(shown["message_id"], buttons[1])
        await line.until_said("Released: symbol_blocked")
        await line.person.sends("/unlock daily_loss")
        await line.until_said("Released: daily_loss")
        assert owner.calls == [
            ("unlock", BrakeKind.SYMBOL_BLOCKED, "simulated/BTC-USD", "owner"),
            ("unlock", BrakeKind.DAILY_LOSS, "simulated", "owner"),
        ]
        await line.person.sends("/locks")
        await line.until_said("No brake is in force")


async def test_an_unknown_brake_is_not_guessed(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/unlock everything")
        await line.until_said("Nothing was released")
        assert line.owner.calls == []


@pytest.mark.feature("C2")
async def test_flatten_sells_at_the_word_alone_and_any_other_word_sells_nothing(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/flatten")
        card = await message_with(line, "Sell everything?")
        assert card["text"].startswith("🏁 Sell everything? · PAPER")
        assert "SPY  5 = $2,612.30" in card["text"]
        await line.person.sends("no, wait", reply_to=card["message_id"])
        await line.until_said("Nothing was sold")
        assert line.owner.calls == []
        await line.person.sends("Sell", reply_to=card["message_id"])
        await line.until_said("1 sales sent to the broker")
        assert line.owner.calls == [("flatten", "owner"), ("exit_all",)]
        await eventually(lambda: audited(line, "text"))
        await line.person.sends("sell")
        await line.until_said("Which order?")


@pytest.mark.feature("C2")
async def test_the_word_counts_after_a_restart_and_not_after_cancel(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/flatten")
        await line.until_said("Sell everything?")
        await line.person.sends("/cancel")
        await line.until_said("Selling everything: dropped")
        await line.person.sends("sell")
        await line.until_said("Which order?")
        await line.person.sends("/flatten yes-1795000000")
        await eventually(lambda: audited(line, "/flatten yes-"))
        assert line.owner.calls == []
    async with a_line(tmp_path) as line:
        await line.person.sends("sell")
        await line.until_said("1 sales sent to the broker")


@pytest.mark.feature("T10")
async def test_a_reminder_carries_the_buttons_of_its_instruction(tmp_path: Path) -> None:
    owner = FakeOwner([an_instruction(version=2)])
    event = ExitReminder(
        number=7,
        version=2,
        needs_approval=False,
        account="manual",
        symbol="SPY",
        quantity=Decimal(10),
        price=Decimal("480.10"),
        times=3,
        since=NOON,
        why="price 480 is at or below the stop-loss 486.69",
        badges=(Badge.MANUAL,),
    )
    async with a_line(tmp_path, owner) as line:
        publish(line, event)
        message = await message_with(line, "SPY SELL 10 still waits")
        assert "reminder 3" in message["text"]
        await line.person.taps(message["message_id"], message["reply_markup"]["inline_keyboard"][0][0]["callback_data"])
        await eventually(lambda: [call[:3] for call in owner.calls] == [("execute", 7, 2)])


def test_a_token_fits_into_what_telegram_allows() -> None:
    largest = replace(QuestionToken(QuestionChoice.TAKE_OVER, 2**63 - 1, 2**63 - 1))
    assert len(largest.text().encode()) <= 64
    assert QuestionToken.parse(largest.text()) == largest
    assert QuestionToken.parse("q:adopt:-1:1") is None
    assert QuestionToken.parse("i:x:1:1") is None
