"""/watch from the chat (S3): asked of the source, shown, confirmed, in force at once; nothing held is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.domain.instruments import Listing
from core.errors import DataFault, RateLimited, UnknownSymbol
from core.settings import load_settings
from core.settings.book import SettingsBook
from tests.bot_line import Line, a_desk_line, a_line, buttons_of
from tests.builders import COIN, Bench, an_entry
from tests.fakes_owner import NOON


def listed(symbol: str, first: date | None = date(1998, 1, 20), kind: str = "ETF", price: float = 441.5) -> Listing:
    return Listing(symbol, f"{symbol} of the exchange", kind, "USD", price, NOON, first)


class Source:
    """Knows what it was given; counts what it was asked."""

    def __init__(self, *known: Listing, faults: Mapping[str, Exception] | None = None) -> None:
        self.known = {each.symbol: each for each in known}
        self.faults = dict(faults or {})
        self.asked: list[str] = []

    def look_up(self, symbol: str) -> Listing:
        self.asked.append(symbol)
        if symbol in self.faults:
            raise self.faults[symbol]
        if symbol not in self.known:
            raise UnknownSymbol(symbol, "knows no such symbol")
        return self.known[symbol]


def watched(line: Line) -> tuple[str, ...]:
    """What the next process would trade, too."""
    book = SettingsBook(load_settings(SYMBOLS, None), line.ledger.unit_of_work, SystemClock())
    return book.current.symbols


SYMBOLS = {"SYMBOLS": "SPY,QQQ,BTC-USD"}


@pytest.mark.feature("S3")
async def test_a_symbol_is_shown_with_name_class_price_and_history_and_added_on_confirm(tmp_path: Path) -> None:
    source = Source(listed("DIA"))
    async with a_line(tmp_path, lookup=source, environ=SYMBOLS) as line:
        await line.person.sends("/watch add dia")
        card = await line.message_with("Watch DIA?")
        for words in ("DIA of the exchange", "stock (etf)", "441.50 USD", "Tue 20 Jan 1998", "Room for 46 more"):
            assert words in card["text"], card["text"]
        assert watched(line) == ("SPY", "QQQ", "BTC-USD")
        await line.tap(card, "✅ Watch DIA")
        await line.until_said("DIA is watched from the next tick on")
        assert watched(line) == ("SPY", "QQQ", "BTC-USD", "DIA")
        await line.person.sends("/watch")
        text = await line.until_said("Watched: 4 assets")
        assert "SPY, QQQ, DIA" in text
        assert "chosen here" in text


@pytest.mark.feature("S3")
@pytest.mark.parametrize(
    ("spoken", "asked", "found"),
    [
        ("brk.b", ["BRK.B", "BRK-B"], "BRK-B"),
        ("DOGE", ["DOGE", "DOGE-USD"], "DOGE-USD"),
        ("eth/usd", ["ETH-USD"], "ETH-USD"),
        ("ETHUSDT", ["ETH-USD"], "ETH-USD"),
        ("eth", ["ETH-USD"], "ETH-USD"),
    ],
)
async def test_a_symbol_is_asked_for_as_the_source_writes_it(
    tmp_path: Path, spoken: str, asked: list[str], found: str
) -> None:
    source = Source(*(listed(symbol) for symbol in ("BRK-B", "DOGE-USD", "ETH-USD")))
    async with a_line(tmp_path, lookup=source, environ=SYMBOLS) as line:
        await line.person.sends(f"/watch add {spoken}")
        card = await line.message_with(f"Watch {found}?")
        assert source.asked == asked
        assert f"here that is {found}" in card["text"]


@pytest.mark.feature("S3")
async def test_what_cannot_be_traded_is_refused_in_the_sources_words_with_a_guess(tmp_path: Path) -> None:
    faults: dict[str, Exception] = {
        "SAP-DE": UnknownSymbol("SAP-DE", "knows no such symbol"),
        "SAP.DE": DataFault("SAP.DE", "is priced in EUR, which AutoTrader does not trade"),
        "SLOW": RateLimited("asks for fewer questions"),
    }
    source = Source(listed("IWM"), faults=faults)
    async with a_line(tmp_path, lookup=source, environ=SYMBOLS) as line:
        await line.person.sends("/watch add SAP.DE")
        assert "Nothing was changed" in await line.until_said("priced in EUR, which AutoTrader does not trade")
        await line.person.sends("/watch add SLOW")
        await line.until_said("cannot be asked now (asks for fewer questions)")
        await line.person.sends("/watch add <b>")
        await line.until_said("is no symbol")
        await line.person.sends("/watch add IWN")
        guess = await line.message_with("Did you mean IWM?")
        await line.tap(guess, "IWM")
        await line.message_with("Watch IWM?")
        await line.person.sends("/watch add spy")
        await line.until_said("SPY is watched already")
        assert watched(line) == ("SPY", "QQQ", "BTC-USD")


@pytest.mark.feature("S3")
async def test_add_without_a_symbol_asks_for_one_and_a_wrong_answer_leaves_the_question_open(tmp_path: Path) -> None:
    async with a_line(tmp_path, lookup=Source(listed("DIA", date(2026, 5, 4))), environ=SYMBOLS) as line:
        await line.person.sends("/watch")
        await line.tap(await line.message_with("Watched: 3 assets"), "➕ Add one")
        await line.until_said("Which symbol?")
        await line.person.sends("NOPE1")
        await line.until_said("knows no such symbol")
        await line.person.sends("DIA")
        card = await line.message_with("Watch DIA?")
        assert "less than a year of daily bars" in card["text"]


@pytest.mark.feature("S3")
async def test_no_more_are_watched_than_can_be_asked_about_in_time(tmp_path: Path) -> None:
    many = ",".join(f"S{number}" for number in range(50))
    source = Source(listed("DIA"))
    async with a_line(tmp_path, lookup=source, environ={"SYMBOLS": many}) as line:
        await line.person.sends("/watch add DIA")
        await line.until_said("remove one first")
        assert source.asked == []


@pytest.mark.feature("S3")
@pytest.mark.feature("C5")
async def test_a_symbol_is_removed_on_confirm_and_the_change_can_be_undone(tmp_path: Path) -> None:
    async with a_line(tmp_path, lookup=Source(), environ=SYMBOLS) as line:
        await line.person.sends("/watch")
        await line.tap(await line.message_with("Watched: 3 assets"), "✖️ BTC-USD")
        await line.tap(await line.message_with("Stop watching BTC-USD?"), "✅ Remove BTC-USD")
        await line.until_said("BTC-USD is not watched any more")
        assert watched(line) == ("SPY", "QQQ")
        await line.person.sends("/settings undo")
        await line.until_said("The list is as it was before")
        assert watched(line) == ("SPY", "QQQ", "BTC-USD")
        await line.person.sends("/watch remove SPYY")
        guess = await line.message_with("is not watched")
        assert list(buttons_of(guess)) == ["SPY"]


async def test_the_last_one_stays_and_symbols_are_not_set_past_the_source(tmp_path: Path) -> None:
    async with a_line(tmp_path, lookup=Source(), environ={"SYMBOLS": "SPY"}) as line:
        await line.person.sends("/watch remove SPY")
        await line.until_said("the only one left")
        await line.person.sends("/settings SYMBOLS QQQ")
        await line.until_said("What is traded is set by /watch")


@pytest.mark.feature("S3")
async def test_what_is_held_stays_until_it_is_sold_and_the_way_out_is_a_button(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    bench.place(an_entry(bench))
    environ = {"SYMBOLS": f"{COIN},SPY"}
    async with a_desk_line(bench, Source(), environ) as line:
        await line.person.sends(f"/watch remove {COIN}")
        text = await line.until_said("stays watched for now")
        assert "1 order for it is at work" in text
        bench.bar(100.0)
        bench.reconcile()
        await line.person.sends(f"/watch remove {COIN}")
        held = await line.message_with("are held in the account simulated")
        assert "Nothing was changed" in held["text"]
        await line.tap(held, f"🏳 Sell {COIN} …")
        await line.message_with(f"{COIN}: sell it")
    bench.close()


@pytest.mark.feature("S3")
async def test_a_card_that_waits_keeps_its_symbol_and_a_purchase_between_card_and_tap_refuses(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    bench.declare_cash()
    environ = {"SYMBOLS": f"{COIN},SPY"}
    async with a_desk_line(bench, Source(), environ) as line:
        await line.person.sends(f"/watch remove {COIN}")
        card = await line.message_with(f"Stop watching {COIN}?")
        instruction = await asyncio.to_thread(bench.instruct)
        await line.tap(card, f"✅ Remove {COIN}")
        await line.until_said("the exit comes first")
        await line.person.sends(f"/watch remove {COIN}")
        tied = await line.message_with("stays watched for now")
        assert f"card #{instruction.number} about it wait" in tied["text"]
    bench.close()
