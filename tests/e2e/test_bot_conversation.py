"""The whole bot against the local phone's Bot API server."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.cards import CardAction, CardToken
from core.domain.accounts import Badge, Mode
from core.domain.events import InstructionSettled
from core.domain.orders import Side
from core.domain.records import InstructionState
from core.domain.views import Health
from tests.bot_line import Line, a_line, eventually
from tests.fakes_owner import NOON, FakeOwner, an_instruction, an_issue


def publish(line: Line, *events: Any) -> None:
    with line.ledger.unit_of_work() as work:
        for event in events:
            work.publish(event, market_time=NOON)
        work.commit()
    line.app.delivery.wake()


async def card_in_chat(line: Line) -> dict[str, Any]:
    await line.until_said("SPY BUY 10")
    return next(message for message in reversed(await line.person.sees()) if "SPY BUY 10" in message.get("text", ""))


async def test_status_answers_with_health_value_badge_and_buttons(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/status")
        text = await line.until_said("RUNNING")
        assert text.splitlines()[0] == "💚 RUNNING +$12.30 (+0.12%) · PAPER"
        assert "12:00 EST" in text
        assert line.health.newest("telegram") == (Health.RUNNING, "connected")


@pytest.mark.feature("C1")
async def test_pausing_for_two_hours_and_resuming_reach_the_engine_and_are_told_once(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/pause 2h")
        await line.until_said("⏸ Paused until Mon 23 Nov 14:00 EST")
        await line.person.sends("/resume")
        await line.until_said("▶️ Active in mode auto")
        assert line.owner.calls == [("pause", NOON + timedelta(hours=2), "owner"), ("resume", "owner")]
        assert len(await line.texts()) == 2


async def test_the_pause_button_turns_into_resume_under_the_same_message(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/status")
        await line.until_said("RUNNING")
        (message,) = [entry for entry in await line.person.sees() if "RUNNING" in entry.get("text", "")]
        await line.person.taps(message["message_id"], "m:pause!")
        await line.until_said("RUNNING, PAUSED")
        assert line.owner.paused
        renewed = next(entry for entry in await line.person.sees() if entry["message_id"] == message["message_id"])
        assert "PAUSED" in renewed["text"]
        assert "m:resume!" in str(renewed["reply_markup"])


@pytest.mark.feature("M9")
async def test_executed_on_a_card_reaches_the_engine_once_however_often_it_is_tapped(tmp_path: Path) -> None:
    owner = FakeOwner([an_instruction()])
    async with a_line(tmp_path, owner) as line:
        publish(line, an_issue(owner.instructions[0]))
        message = await card_in_chat(line)
        token = CardToken(CardAction.EXECUTED, 7, 1)
        for _ in range(3):
            await line.person.taps(message["message_id"], token.text())
        await eventually(lambda: owner.instructions[0].state is InstructionState.EXECUTED)
        publish(
            line,
            InstructionSettled(7, "executed", "Bought 10 at 512.30.", "SPY", Side.BUY, Decimal(10), (Badge.MANUAL,)),
        )
        await line.until_said("SPY BUY 10 executed")
        edited = next(entry for entry in await line.person.sees() if entry["message_id"] == message["message_id"])
        assert edited["text"].startswith("✅ SPY BUY 10 executed · MANUAL · #7")
        assert "reply_markup" not in edited or not edited["reply_markup"]["inline_keyboard"]
        assert {call[3] for call in owner.calls} == {"card:executed:7:1"}


@pytest.mark.feature("T2")
async def test_a_button_of_an_older_version_changes_nothing(tmp_path: Path) -> None:
    owner = FakeOwner([an_instruction(version=2)])
    async with a_line(tmp_path, owner) as line:
        publish(line, an_issue(an_instruction(version=1)))
        message = await card_in_chat(line)
        await line.person.taps(message["message_id"], CardToken(CardAction.EXECUTED, 7, 1).text())
        await eventually(lambda: _audited(line, "tap card:executed:7:1"))
        assert owner.calls == []
        assert owner.instructions[0].is_open


@pytest.mark.feature("M3")
async def test_a_reported_fill_is_read_shown_and_booked(tmp_path: Path) -> None:
    async with a_line(tmp_path, FakeOwner([an_instruction()])) as line:
        await line.person.sends("/executed spy 10 @ $512,30")
        shown = await line.message_with("SPY bought 10 @ 512.30?")
        await line.tap(shown, "✅ Confirm")
        await line.until_said("Booked 10 SPY")
        (_, fill, tap), confirmed = line.owner.calls
        assert confirmed == ("confirm", "ab12", 1, "owner")
        assert (fill.symbol, fill.quantity, fill.price) == ("SPY", Decimal(10), Decimal("512.30"))
        assert tap.startswith("message:")


async def test_pending_shows_the_card_again_with_its_buttons(tmp_path: Path) -> None:
    async with a_line(tmp_path, FakeOwner([an_instruction()])) as line:
        await line.person.sends("/pending")
        message = await card_in_chat(line)
        assert "· MANUAL · #7" in message["text"]
        assert "i:x:7:1" in str(message["reply_markup"])


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/start", "AutoTrader"),
        ("/help", "What I understand"),
        ("/positions", "1 position +$12.30"),
        ("/report", "Report +$12.30"),
        ("/statsu", "Did you mean /status?"),
        ("how are you", "/help"),
        ("/pause soon", "I have not paused"),
        ("/mode", "Mode auto"),
        ("/mode fast", "Nothing was changed"),
        ("/cash", "How much cash"),
        ("/cash 1,240", "could be"),
        ("/cash $5000", "$5,000.00"),
        ("/executed", "Nothing waits for you"),
        ("/skip QQQ", "No open instruction fits QQQ"),
    ],
)
async def test_each_command_is_answered(tmp_path: Path, said: str, answer: str) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends(said)
        await line.until_said(answer)


async def test_a_mode_button_sets_the_mode(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/mode")
        await line.until_said("Mode auto")
        (message,) = [entry for entry in await line.person.sees() if "Mode auto" in entry.get("text", "")]
        await line.person.taps(message["message_id"], "m:mode-observe")
        await line.until_said("Mode observe")
        assert line.owner.mode is Mode.OBSERVE


@pytest.mark.feature("A2")
async def test_the_code_on_the_console_makes_the_owner(tmp_path: Path) -> None:
    async with a_line(tmp_path, paired=False) as line:
        await line.person.sends("/status")
        await line.until_said("send /start CODE")
        await line.person.sends(f"/start {line.codes[0].lower()}")
        await line.until_said("Paired")
        await line.person.sends("/status")
        await line.until_said("RUNNING")
        assert line.app.gate.owner is not None
        with line.ledger.reading() as work:
            assert work.value("owner") is not None


async def test_a_failing_command_is_answered_and_told_once(tmp_path: Path) -> None:
    owner = FakeOwner()
    async with a_line(tmp_path, owner) as line:

        def fail(name: str) -> None:
            if name == "positions":
                raise ZeroDivisionError("secret detail")

        owner.before = fail
        await line.person.sends("/positions")
        await line.person.sends("/positions")
        await line.until_said("Error: bot")
        await eventually(lambda: True)
        texts = await line.texts()
        assert sum("That did not work" in text for text in texts) >= 1
        assert sum("Error: bot" in text for text in texts) == 1
        assert not any("secret detail" in text for text in texts)


async def test_a_slow_answer_does_not_hold_up_the_pause(tmp_path: Path) -> None:
    owner = FakeOwner()
    async with a_line(tmp_path, owner) as line:

        def wait_for_pause(name: str) -> None:
            while name == "report" and not owner.paused:
                pass

        owner.before = wait_for_pause
        for _ in range(4):
            await line.person.sends("/report")
        await line.person.sends("/pause")
        await line.until_said("Paused")
        await line.until_said("Report")


@pytest.mark.feature("A7")
async def test_commands_and_taps_are_audited(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/mode observe")
        await eventually(lambda: _audited(line, "/mode observe"))


def _audited(line: Line, action: str) -> bool:
    with line.ledger.reading() as work:
        return any(record.action == action for record in work.audit_trail())
