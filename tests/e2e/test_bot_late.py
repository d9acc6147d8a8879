"""Commands that were sent while the engine was down: the real bot against the local Bot API server."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from tests.bot_line import Line, a_line, eventually
from tests.servers.bot_api_server import BotApiServer, a_message


async def while_down(folder: Path, *said: tuple[timedelta, str]) -> None:
    """What the owner wrote, so long ago, to a bot that did not run: the server keeps it until it is fetched."""
    server = BotApiServer(folder / "phone.sqlite")
    await server.start()
    now = SystemClock().now()
    for number, (ago, text) in enumerate(said):
        sent: datetime = now - ago
        server.hears("message", a_message(text, 900 + number, server.owner_id, date=int(sent.timestamp())))
    await server.stop()


async def message_with(line: Line, words: str) -> dict[str, Any]:
    await line.until_said(words)
    return next(message for message in reversed(await line.person.sees()) if words in message.get("text", ""))


def audited(line: Line, action: str) -> int:
    with line.ledger.reading() as work:
        return sum(record.action.startswith(action) for record in work.audit_trail(1000))


MINUTES = timedelta(minutes=1)


@pytest.mark.feature("C8")
async def test_a_recent_pause_is_honoured_after_a_question_and_not_before(tmp_path: Path) -> None:
    await while_down(tmp_path, (5 * MINUTES, "/pause 2h"))
    async with a_line(tmp_path) as line:
        card = await message_with(line, "while I could not hear you.")
        assert "/pause 2h" in card["text"]
        assert line.owner.calls == []
        yes = card["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        await line.person.taps(card["message_id"], yes)
        await line.until_said("⏸ Paused until Mon 23 Nov 14:00 EST")
        assert line.owner.paused


@pytest.mark.feature("C8")
async def test_recent_sales_come_with_their_own_cards_and_sell_nothing_by_themselves(tmp_path: Path) -> None:
    await while_down(tmp_path, (3 * MINUTES, "/close SPY 40%"), (2 * MINUTES, "/flatten yes"))
    async with a_line(tmp_path) as line:
        card = await message_with(line, "SPY: sell 40% of it")
        await line.until_said("Sell everything?")
        assert line.owner.calls == []
        await line.person.taps(card["message_id"], card["reply_markup"]["inline_keyboard"][0][0]["callback_data"])
        await line.until_said("the sale is with the broker")
        assert [call[:3] for call in line.owner.calls] == [("close", "SPY", Decimal("0.4"))]


@pytest.mark.feature("C8")
async def test_everything_else_is_listed_in_one_message_and_not_run(tmp_path: Path) -> None:
    said = ("/resume", "/mode auto", "/executed SPY 10 @ 512", "495", "/pause 1h", "/unlock drawdown", "/stop SPY 1")
    await while_down(
        tmp_path,
        *((5 * MINUTES if text != "/pause 1h" else 40 * MINUTES, text) for text in said),
    )
    async with a_line(tmp_path) as line:
        told = await line.until_said("7 messages from while I could not hear you: not done")
        for text in said:
            assert text in told
        await eventually(lambda: audited(line, "late ") == 7)
        assert sum("could not hear you" in text for text in await line.texts()) == 1
        assert line.owner.calls == []


@pytest.mark.feature("C8")
async def test_what_is_said_after_the_start_is_done_as_ever(tmp_path: Path) -> None:
    await while_down(tmp_path, (20 * MINUTES, "/resume"))
    async with a_line(tmp_path) as line:
        await line.person.sends("/pause 2h")
        await line.until_said("⏸ Paused until Mon 23 Nov 14:00 EST")
        told = await line.until_said("1 message from while I could not hear you")
        assert "/resume" in told
        assert line.owner.paused


@pytest.mark.feature("C8")
async def test_a_tap_that_was_too_old_to_be_answered_allows_nothing_and_a_fresh_one_does(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        line.owner.paused = True
        await line.person.sends("/menu")
        shown = await message_with(line, "Menu, paused")
        person = {"id": line.server.owner_id, "is_bot": False, "first_name": "Owner"}
        for action in ("resume", "mode-auto", "menu-resume!", "settings-set-STOP_LOSS-0.5!", "unlock-drawdown-*"):
            query = {"id": "1", "from": person, "chat_instance": "1", "data": f"m:{action}", "message": shown}
            line.server.hears("callback_query", query)
            await line.until_said(f"You tapped {action.removesuffix('!')} while I could not hear you: not done.")
        assert line.owner.calls == []
        await line.person.taps(shown["message_id"], "m:menu-resume!")
        await line.until_said("Menu, mode auto")
        assert line.owner.calls == [("resume", "owner")]
