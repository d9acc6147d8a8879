"""How the owner chooses what he is told: real bot, the local phone's server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.message import Attachment, Message
from bot.preferences import Loudness, Preferences, read_preferences
from bot.sending import send_message
from core.domain.events import Event, HealthChanged
from core.domain.records import OutboxState
from tests.bot_line import Line, a_line, eventually
from tests.contract.test_bot_api_media import png
from tests.fakes_owner import NOON
from tests.story_builders import a_bought, a_signal_event, a_sold


def chosen(line: Line) -> Preferences:
    with line.ledger.reading() as work:
        return read_preferences(work)


async def message_with(line: Line, words: str) -> dict[str, Any]:
    await line.until_said(words)
    return next(message for message in reversed(await line.person.sees()) if words in message.get("text", ""))


async def another_than(line: Line, message_id: int) -> dict[str, Any]:
    """The newest message in the chat, once it is not that one."""
    while (newest := (await line.person.sees())[-1])["message_id"] == message_id:
        await asyncio.sleep(0.02)
    return newest


@pytest.mark.feature("D10")
async def test_each_topic_is_switched_by_a_tap_or_a_word_in_one_message(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/notify")
        menu = await message_with(line, "What I tell you")
        await line.person.taps(menu["message_id"], "m:notify-health-silent!")
        await line.until_said("🔕 health")
        assert chosen(line).topics == {"health": Loudness.SILENT}
        shown = await message_with(line, "🔕 health")
        assert shown["message_id"] == menu["message_id"]
        assert "m:notify-health-off!" in str(shown["reply_markup"])
        await line.person.sends("/notify health off")
        await line.until_said("🚫 health")
        with line.ledger.unit_of_work() as work:
            row = work.publish(HealthChanged("yahoo", "DEGRADED", "no answer"), market_time=NOON)
            work.commit("health")
        line.app.delivery.wake()

        def is_muted() -> bool:
            with line.ledger.reading() as work:
                found = work.message(row)
            return found is not None and found.state is OutboxState.MUTED

        await eventually(is_muted)
        assert not any("yahoo" in text for text in await line.texts())


@pytest.mark.feature("D10")
async def test_warnings_and_questions_can_be_silent_but_not_off(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/notify alarms off")
        await line.until_said("not off. Nothing was changed")
        await line.person.sends("/notify alarms silent")
        await line.until_said("🔕 alarms")
        await line.person.sends("/notify weather off")
        await line.until_said("nothing was changed. For example:\n/notify model off")
        assert chosen(line).topics == {"alarms": Loudness.SILENT}


@pytest.mark.feature("D11")
async def test_quiet_hours_are_set_shown_and_lifted(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/quiet")
        asked = await message_with(line, "No quiet hours")
        await line.person.taps(asked["message_id"], "m:quiet-22:00-07:00!")
        await line.until_said("🌙 Quiet 22:00-07:00 (America/New_York)")
        await line.person.sends("/quiet 21:30–6")
        await line.until_said("🌙 Quiet 21:30-06:00")
        await line.person.sends("/quiet whenever")
        await line.until_said("I cannot read those hours")
        quiet = chosen(line).quiet
        assert quiet is not None
        assert quiet.text() == "21:30-06:00"
        await line.person.sends("/quiet off")
        await eventually(lambda: chosen(line).quiet is None)


@pytest.mark.feature("D12")
async def test_the_live_status_begins_with_a_tap_and_ends_with_a_word(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/status")
        status = await message_with(line, "RUNNING")
        assert "m:status-live" in str(status["reply_markup"])
        await line.person.taps(status["message_id"], "m:status-live")
        live = await another_than(line, status["message_id"])
        line.owner.paused = True
        await eventually(line.app.live.refresh)
        line.app.delivery.wake()
        await line.until_said("RUNNING, PAUSED")
        changed = await message_with(line, "RUNNING, PAUSED")
        assert changed["message_id"] == live["message_id"]
        await line.person.sends("/status live off")
        await line.until_said("no longer kept up to date")
        assert not line.app.live.refresh()


@pytest.mark.feature("D13")
async def test_a_trade_is_told_as_a_thread_and_goes_on_where_its_first_message_was_deleted(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:

        async def told(event: Event, words: str) -> dict[str, Any]:
            with line.ledger.unit_of_work() as work:
                work.publish(event, market_time=NOON)
                work.commit("fills")
            line.app.delivery.wake()
            return await message_with(line, words)

        opening = await told(a_signal_event("SPY"), "SPY buy signal")
        bought = await told(a_bought("SPY"), "SPY bought")
        assert bought["reply_to_message"]["message_id"] == opening["message_id"]
        await line.app._application.bot.delete_message(line.app.gate.chat(), opening["message_id"])
        sold = await told(a_sold("SPY"), "SPY take-profit +$299.00")
        assert "reply_to_message" not in sold


@pytest.mark.feature("D6")
async def test_pictures_and_long_texts_reach_the_chat_with_captions_within_the_limit(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        transport = line.app.delivery._transport
        chart = Attachment("chart.png", png(), is_picture=True)
        words = "\n".join(f"<b>line {number} 𝔸</b>" for number in range(200))
        await send_message(transport, Message(words, attachment=chart), [])
        long = "\n".join(f"line {number}" for number in range(5000))
        await send_message(transport, Message(long), [])
        picture, rest, document = (await line.person.sees())[-3:]
        assert "photo" in picture
        assert 900 < len(picture["caption"].encode("utf-16-le")) // 2 <= 1024
        assert f"{picture['caption']}\n{rest['text']}".splitlines()[-1] == "line 199 𝔸"
        assert document["document"]["file_name"] == "message.txt"
