"""Every message and every command's answer keeps to the house's style (bot/style.py): width, badges, numbers, zone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.table import COMMANDS, run_command
from bot.commands.talk import Talk
from bot.hands import Hands
from bot.live_status import LiveStatusDesk
from bot.markup import COLUMNS, table, visible
from bot.message import Message
from bot.render import render
from core.clock import VirtualClock
from core.domain.accounts import Badge
from core.domain.decisions import Brake, BrakeKind
from core.domain.events import EVENT_TYPES
from core.settings import load_settings
from core.settings.book import SettingsBook
from core.storage.store import Database
from jobs.writer import InlineWriter
from tests.bot_events import strategy_of
from tests.e2e.test_bot_settings import BOUGHT, JUDGED
from tests.fakes_owner import NOON, FakeOwner, a_question, an_instruction
from tests.ledger_builders import ledger
from tests.telegram_html import check_message

TOKYO = ZoneInfo("Asia/Tokyo")
BADGES = tuple(badge.value for badge in Badge)
HAND = ("close", "stop", "target")
MONEY = {"realmoney", "status", "positions", "report", "signals", "menu", "start", "pending"} | {
    *HAND,
    "flatten",
    "why",
}
WORDS = {"close": "SPY 40%", "stop": "SPY 500", "target": "SPY 600", "why": "SPY", "settings": "STOP_LOSS", "mode": ""}


class MarketClock(VirtualClock):
    def speed(self) -> float:
        return 1.0


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    database: Database = ledger(tmp_path, VirtualClock(NOON))
    book = SettingsBook(load_settings({"TIME_ZONE": TOKYO.key}, None), database.unit_of_work, VirtualClock(NOON))
    owner = FakeOwner([an_instruction()], asked=[a_question()], judged=[JUDGED, BOUGHT])
    owner.brakes = [Brake(BrakeKind.DAILY_LOSS, "simulated", "4.2 % lost today", NOON, NOON + timedelta(hours=5))]
    clock, hands = MarketClock(NOON), Hands(InlineWriter())
    live = LiveStatusDesk(database.unit_of_work, clock, clock)
    yield Talk(owner, hands, clock, book, database.unit_of_work, live, VirtualClock(NOON))
    hands.close()
    database.close()


def answers(talk: Talk, said: str) -> tuple[Message, ...]:
    return asyncio.run(run_command(talk, said, "owner", f"message:{said}"))[1].messages


def too_wide(text: str) -> list[str]:
    """Lines of monospace blocks that a phone would wrap."""
    blocks = re.findall(r"<pre>(.*?)</pre>", text, re.DOTALL)
    return [line for block in blocks for line in unescape(block).splitlines() if len(line) > COLUMNS]


@pytest.mark.feature("U6")
@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=500)), max_size=6))
@settings(deadline=None)
def test_no_table_is_wider_than_a_phone_whatever_stands_in_it(rows: list[tuple[str, str]]) -> None:
    assert too_wide(table(rows)) == []


@pytest.mark.feature("U6")
@pytest.mark.feature("U2")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_answers_within_a_phones_width_with_its_badge_and_in_the_owners_zone(
    talk: Talk, command: Any
) -> None:
    for message in answers(talk, f"/{command.name} {WORDS.get(command.name, '')}"):
        check_message(message.text)
        assert too_wide(message.text) == []
        shown = visible(message.text)
        if command.name in MONEY:
            assert any(badge in shown.partition("\n")[0] for badge in BADGES), shown
        assert not re.search(r"\bUTC\b|\bEST\b", shown), shown
        assert not re.search(r"(?<![\w-])-\d", shown), shown


@pytest.mark.feature("U6")
def test_commands_speak_of_moments_in_the_zone_of_the_owner(talk: Talk) -> None:
    told = [visible(message.text) for said in ("/status", "/locks", "/why SPY") for message in answers(talk, said)]
    assert all("JST" in text for text in told)


@pytest.mark.feature("U6")
@pytest.mark.parametrize("kind", EVENT_TYPES.values(), ids=lambda kind: kind.__name__)
def test_every_event_fits_a_phones_width(kind: type) -> None:
    @settings(max_examples=8, deadline=None)
    @given(strategy_of(kind))
    def holds(event: Any) -> None:
        assert too_wide(render(event, TOKYO).text) == []

    holds()


@pytest.mark.feature("U6")
@pytest.mark.parametrize("locale", ["de_DE.UTF-8", "fr_FR.UTF-8", "C"])
def test_numbers_look_the_same_whatever_the_machine_speaks(
    talk: Talk, locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv("LANG", locale)
    (message,) = answers(talk, "/positions")
    for words in ("522.46", "$2,612.30", "+$12.30 (+0.47%)", "494.00 (−5.4%)"):
        assert words in visible(message.text)


@pytest.mark.feature("U2")
def test_a_position_without_a_known_account_says_so_instead_of_nothing(talk: Talk) -> None:
    position = replace(talk.owner.positions().positions[0], account="elsewhere", quantity=Decimal(1))
    view = replace(talk.owner.positions(), positions=(position,), accounts=(), badges=())
    talk.owner.positions = lambda: view  # type: ignore[method-assign]
    (message,) = answers(talk, "/close SPY")
    assert "ACCOUNT UNKNOWN" in visible(message.text).partition("\n")[0]
