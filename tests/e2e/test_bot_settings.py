"""Settings, signals and menus in the chat: the real bot against the local Bot API server."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.domain.decisions import Prediction, Signal, Verdict
from tests.bot_line import Line, a_line, eventually
from tests.fakes_owner import NOON, FakeOwner

JUDGED = Signal(
    "SPY",
    NOON - timedelta(minutes=2),
    Decimal("522.46"),
    Prediction("SPY", 0.67, "close higher after 10 bars", "m-20261123", NOON - timedelta(hours=20)),
    (
        Verdict("data", True, "bars and price of 2026-11-23 16:55 UTC are fresh"),
        Verdict("probability", True, "67.0 % is above 60.0 %"),
        Verdict("held", False, "already held in simulated"),
        Verdict("cash", True, "7400.00 USD free"),
    ),
    NOON - timedelta(minutes=5),
)
BOUGHT = replace(JUDGED, symbol="BTC-USD", verdicts=JUDGED.verdicts[:2])


async def message_with(line: Line, words: str) -> dict[str, Any]:
    await line.until_said(words)
    return next(message for message in reversed(await line.person.sees()) if words in message.get("text", ""))


def buttons(message: dict[str, Any]) -> dict[str, str]:
    return {
        button["text"]: button["callback_data"] for row in message["reply_markup"]["inline_keyboard"] for button in row
    }


def chosen(line: Line, name: str) -> bool:
    with line.ledger.reading() as work:
        return work.value(f"setting:{name}") is not None


@pytest.mark.feature("C5")
async def test_a_setting_is_found_changed_and_undone_by_buttons_in_one_message(tmp_path: Path) -> None:
    async with a_line(tmp_path, environ={"STOP_LOSS": "0.06"}) as line:
        await line.person.sends("/settings")
        shown = await message_with(line, "⚙️ Settings")
        await line.person.taps(shown["message_id"], "m:settings-risk!")
        await line.until_said("Settings: Risk")
        await line.person.taps(shown["message_id"], "m:settings-STOP_LOSS!")
        detail = await message_with(line, "Stop loss · STOP_LOSS")
        assert detail["message_id"] == shown["message_id"]
        for row in ("Now      6%", "Default  5%", ".env     6%", "Unit     percent", "Limits   over 0% to below 100%"):
            assert row in detail["text"]
        await line.person.taps(shown["message_id"], buttons(detail)["➖ 5%"])
        changed = await message_with(line, "Stop loss: 6% → 5%. It counts from the next decision on.")
        assert chosen(line, "STOP_LOSS")
        assert {"↩️ Back to .env", "⏪ Undo: Stop loss"} <= set(buttons(changed))
        await line.person.taps(shown["message_id"], buttons(changed)["⏪ Undo: Stop loss"])
        await line.until_said("Stop loss: 5% → 6%")
        await eventually(lambda: not chosen(line, "STOP_LOSS"))


@pytest.mark.feature("C5")
async def test_a_value_is_typed_after_the_question_and_a_wrong_one_asks_again(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/settings TAKE_PROFIT")
        shown = await message_with(line, "Take profit · TAKE_PROFIT")
        await line.person.taps(shown["message_id"], buttons(shown)["✏️ Type a value"])
        question = await message_with(line, "Take profit is 15%. What shall it be?")
        await line.person.sends("20", reply_to=question["message_id"])
        await line.until_said("Is that 20%? Write 20%, or 0.2 as in .env.")
        await line.person.sends("2000%", reply_to=question["message_id"])
        await line.until_said("Allowed: over 0% to 1,000%. Nothing was changed.")
        assert not chosen(line, "TAKE_PROFIT")
        await line.person.sends("20 %", reply_to=question["message_id"])
        await line.until_said("Take profit: 15% → 20%")
        await line.person.sends("25%")
        await line.until_said("I answer commands")
        await line.person.sends("/settings take_profit 25%")
        await line.until_said("Take profit: 20% → 25%")


@pytest.mark.feature("S21")
async def test_a_profile_is_chosen_by_buttons_after_before_and_after_were_shown_and_undone(tmp_path: Path) -> None:
    async with a_line(tmp_path, environ={"STOP_LOSS": "0.06"}) as line:
        await line.person.sends("/settings")
        shown = await message_with(line, "🎚 Profile: mission, the default")
        await line.person.taps(shown["message_id"], buttons(shown)["🎚 Profile"])
        listed = await message_with(line, "conservative")
        assert "🎚 mission" not in buttons(listed)
        await line.person.taps(shown["message_id"], buttons(listed)["🎚 conservative"])
        card = await message_with(line, "🎚 mission → conservative?")
        assert "Max exposure share: 100% → 50%" in card["text"]
        assert not chosen(line, "PROFILE")
        await line.person.sends("/settings PROFILE moderate")
        other = await message_with(line, "🎚 mission → moderate?")
        await line.person.taps(card["message_id"], buttons(card)["✅ Choose conservative"])
        await line.until_said("Profile: mission → conservative. It counts from the next decision on")
        assert chosen(line, "PROFILE")
        await line.person.taps(other["message_id"], buttons(other)["✅ Choose moderate"])
        await line.until_said("The profile is conservative by now")
        await line.person.sends("/settings MAX_EXPOSURE_FRACTION")
        assert "Profile  50%" in (await message_with(line, "MAX_EXPOSURE_FRACTION"))["text"]
        await line.person.sends("/settings undo")
        await line.until_said("Profile: conservative → mission")
        await eventually(lambda: not chosen(line, "PROFILE"))
        await line.person.sends("/settings profile bold")
        await line.until_said("Profiles are mission, conservative, moderate, aggressive, rule. Nothing was changed.")


@pytest.mark.feature("C5")
@pytest.mark.feature("U6")
async def test_another_time_zone_counts_for_the_very_next_message(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/settings TIME_ZONE Europe/Berlin")
        await line.until_said("Time zone: America/New_York → Europe/Berlin")
        await line.person.sends("/status")
        assert "18:00 CET" in await line.until_said("RUNNING")
        await line.person.sends("/pause 2h")
        await line.until_said("⏸ Paused until Mon 23 Nov 20:00 CET")


@pytest.mark.feature("C5")
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/settings TELEGRAM_BOT_TOKEN 1", "cannot be set from here"),
        ("/settings WORLD real", "cannot be set from here"),
        ("/settings STOP_LOSS 200%", "Stop loss cannot be 200%.\n\nAllowed: over 0% to below 100%."),
        ("/settings STOP_LOSS 1,240", "could be"),
        ("/settings TIME_ZONE Mars/Base", "there is no time zone of this name"),
        ("/settings schedule", "Min trade gap minutes"),
        ("/settings undo", "⚙️ Settings"),
        ("/settings trailing_stop off", "Trailing stop is so already"),
    ],
)
async def test_each_wish_is_answered_and_nothing_is_guessed(tmp_path: Path, said: str, answer: str) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends(said)
        await line.until_said(answer)


@pytest.mark.feature("U1")
async def test_signals_shows_the_newest_judgement_of_each_asset_with_its_first_veto(tmp_path: Path) -> None:
    async with a_line(tmp_path, FakeOwner(judged=[JUDGED, BOUGHT])) as line:
        await line.person.sends("/signals")
        shown = await message_with(line, "Signals: 1 of 2 say buy")
        assert shown["text"].splitlines()[0] == "📈 Signals: 1 of 2 say buy · PAPER"
        assert "SPY 67.0%: ✗ Holding: already held in simulated" in shown["text"]
        assert "🟢 BTC-USD 67.0%: buy" in shown["text"]
        await line.person.taps(shown["message_id"], buttons(shown)["🔎 SPY"])
        await line.until_said("SPY 67.0%: no entry, why · PAPER")


@pytest.mark.feature("S21")
async def test_where_the_plain_rule_is_followed_no_forecast_stands_beside_an_asset(tmp_path: Path) -> None:
    told = "daily close 522.10 is above its mean of 200 days, 480.00 (+8.8 %)"
    ruled = replace(JUDGED, verdicts=(JUDGED.verdicts[0], Verdict("rule", True, told)))
    async with a_line(tmp_path, FakeOwner(judged=[ruled])) as line:
        await line.person.sends("/signals")
        assert "🟢 SPY: buy" in await line.until_said("Signals: 1 of 1 say buy")
        await line.person.sends("/why SPY")
        shown = await line.until_said("SPY: buy, why")
        assert "Plain rule: daily close 522.10 is above its mean of 200 days, 480.00 (+8.8%)" in shown
        assert "67.0% (not asked)" in shown


@pytest.mark.feature("U1")
async def test_why_tells_the_stored_judgement_gate_by_gate_with_age_and_model(tmp_path: Path) -> None:
    async with a_line(tmp_path, FakeOwner(judged=[JUDGED])) as line:
        await line.person.sends("/why spy")
        told = await line.until_said("no entry, why")
        places = [told.index(words) for words in ("fresh", "67.0% is above 60.0%", "already held", "$7,400.00 free")]
        assert places == sorted(places)
        for fact in ("Judged 2 min ago", "m-20261123", "3 min old"):
            assert fact in told
        await line.person.sends("/why GOLD")
        await line.until_said("I have judged nothing called GOLD. Judged: SPY.")
        await line.person.sends("/why")
        await line.until_said("Why what?")


@pytest.mark.feature("U1")
async def test_every_button_of_the_menu_leads_to_an_answer(tmp_path: Path) -> None:
    async with a_line(tmp_path, FakeOwner(judged=[JUDGED])) as line:
        await line.person.sends("/menu")
        shown = await message_with(line, "🧭 Menu")
        assert shown["text"] == "🧭 Menu, mode auto · PAPER"
        for token in sorted(buttons(shown).values(), key=lambda token: token.endswith("!")):
            known = len(line.server.calls)
            await line.person.taps(shown["message_id"], token)
            await eventually(lambda known=known: len(line.server.calls) > known + 1)
        await line.until_said("Menu, paused")
        assert not [text for text in await line.texts() if "older version" in text or "did not work" in text]


@pytest.mark.feature("U1")
async def test_the_command_menu_of_the_phone_lists_every_command(tmp_path: Path) -> None:
    from bot.commands.table import COMMANDS

    async with a_line(tmp_path) as line:
        await eventually(lambda: line.server.count("setMyCommands"))
        given = await line.app._application.bot.get_my_commands()
        assert [each.command for each in given] == [each.name for each in COMMANDS]


@pytest.mark.feature("U1")
async def test_help_shows_the_essentials_on_one_screen_and_every_command_behind_its_buttons(tmp_path: Path) -> None:
    from bot.commands.table import COMMANDS

    async with a_line(tmp_path) as line:
        await line.person.sends("/help")
        first = await message_with(line, "What I understand")
        assert len(first["text"].splitlines()) <= 14
        found = set()
        for label, token in buttons(first).items():
            await line.person.taps(first["message_id"], token)
            chapter = await message_with(line, label)
            assert chapter["message_id"] == first["message_id"]
            found |= set(re.findall(r"^/(\w+)", chapter["text"], re.MULTILINE))
            await line.person.taps(first["message_id"], buttons(chapter)["‹ Help"])
            await line.until_said("What I understand")
        assert found == {each.name for each in COMMANDS}
        await line.person.sends("/help all")
        everything = await message_with(line, "📚 Books")
        assert set(re.findall(r"^/(\w+)", everything["text"], re.MULTILINE)) == found


@pytest.mark.feature("C9")
async def test_every_message_and_every_tap_of_the_owner_is_a_sign_of_him_and_strangers_are_none(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("hello")
        await eventually(lambda: line.owner.signs == 1)
        await line.person.sends("/menu")
        shown = await message_with(line, "🧭 Menu")
        await eventually(lambda: line.owner.signs == 2)
        await line.person.taps(shown["message_id"], "m:status")
        await eventually(lambda: line.owner.signs == 3)
    async with a_line(tmp_path, paired=False) as line:
        await line.person.sends("/status")
        await line.until_said("send /start CODE")
        assert line.owner.signs == 0
