"""/bars: how complete the price data is, on one screen and in a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands.table import run_command
from bot.commands.talk import Talk
from bot.hands import Hands
from bot.live_status import LiveStatusDesk
from bot.markup import visible
from bot.message import Message
from core.clock import VirtualClock
from core.feed.coverage import covered
from core.settings import load_settings
from core.settings.book import SettingsBook
from core.storage.store import Database
from jobs.writer import InlineWriter
from tests.fakes_owner import NOON, FakeOwner
from tests.ledger_builders import ledger
from tests.telegram_html import check_message
from tests.unit.test_bars_report import CALENDAR, fill, pixels_of
from tests.unit.test_style import MarketClock, too_wide


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = ledger(tmp_path, VirtualClock(NOON))
    yield found
    found.close()


@pytest.fixture
def talk(database: Database) -> Iterator[Talk]:
    book = SettingsBook(load_settings({}, None), database.unit_of_work, VirtualClock(NOON))
    clock, hands = MarketClock(NOON), Hands(InlineWriter())
    live = LiveStatusDesk(database.unit_of_work, clock, clock)

    def coverage() -> list[object]:
        return covered(database.bars, CALENDAR)  # type: ignore[return-value]

    system = VirtualClock(NOON)
    yield Talk(FakeOwner([]), hands, clock, book, database.unit_of_work, live, system, coverage=coverage)
    hands.close()


def answer(talk: Talk, said: str) -> Message:
    (message,) = asyncio.run(run_command(talk, said, "owner", f"message:{said}"))[1].messages
    check_message(message.text)
    assert too_wide(message.text) == []
    return message


@pytest.mark.feature("S2")
def test_it_says_what_is_missing_what_its_source_does_not_have_and_shows_it(database: Database, talk: Talk) -> None:
    fill(database)
    message = answer(talk, "/bars")
    lines = visible(message.text).splitlines()
    assert lines[0] == "🧩 Bars: 242 missing"
    assert [line for line in lines if line.startswith("BTC-USD 5m")] == ["BTC-USD 5m  96.01% yahoo"]
    assert [line for line in lines if line.startswith("SPY 1d")] == ["SPY 1d      100% yahoo"]
    assert "212 bars will be asked for" in message.text
    assert "30 bars were asked for, and the source does not have them" in message.text
    assert "3 bars were refused as faulty" in message.text
    assert message.attachment is not None
    assert message.attachment.is_picture
    assert pixels_of(message.attachment.content).shape[1] == 900


def test_of_some_symbols_alone_and_what_to_say_where_there_is_none(database: Database, talk: Talk) -> None:
    assert visible(answer(talk, "/bars").text).startswith("🧩 No bars yet\n\nThe first ones come with the next cycle.")
    fill(database)
    text = visible(answer(talk, "/bars qqq").text)
    assert text.startswith("🧩 Bars: none missing")
    assert "SPY" not in text
    said = visible(answer(talk, "/bars TSLA <b>").text)
    assert said.startswith("🧩 No such bars\n\nNothing is stored of TSLA <B>. There are bars of BTC-USD, QQQ, SPY.")
    assert visible(answer(replace(talk, coverage=None), "/bars").text).startswith("🧩 No bars here")
