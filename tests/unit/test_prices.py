"""Which sources of prices an installation has by its settings, and what it costs not to have some."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.bootstrap import Prices, make_calendar, make_yahoo, real_prices
from core.adapters.alpaca_data import AlpacaData
from core.adapters.yahoo import YahooData
from core.clock import SystemClock
from core.domain.bars import Quote
from core.domain.instruments import Instrument, instrument_for
from core.errors import RateLimited, Transient, Unreachable
from core.feed.quotes import QuoteChain
from core.settings import load_settings

NOW = datetime(2024, 11, 27, 16, tzinfo=UTC)
SPY, QQQ, VTI = (instrument_for(symbol) for symbol in ("SPY", "QQQ", "VTI"))
KEYS = {"ALPACA_KEY_ID": "PKTESTKEYID123456789", "ALPACA_SECRET_KEY": "sEcReT0hAlfOfTheKeyThatNobodySees1234567"}
CALENDAR = make_calendar()


def prices(folder: Path, environ: Mapping[str, str]) -> Prices:
    clock = SystemClock()
    settings = load_settings({"STATE_DIR": str(folder), **environ}, None)
    return real_prices(settings, make_yahoo(CALENDAR, clock, folder / "yahoo"), CALENDAR, clock)


@pytest.mark.feature("S2")
@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, ["yahoo"]),
        ({"DATA_SOURCES": "alpaca,yahoo"}, ["yahoo"]),
        (KEYS, ["yahoo", "alpaca"]),
        (KEYS | {"DATA_SOURCES": "alpaca,yahoo"}, ["alpaca", "yahoo"]),
        (KEYS | {"DATA_SOURCES": "alpaca"}, ["alpaca"]),
        (KEYS | {"DATA_SOURCES": "yahoo"}, ["yahoo"]),
    ],
)
def test_bars_come_from_the_sources_that_are_named_and_have_their_keys(
    tmp_path: Path, environ: dict[str, str], names: list[str]
) -> None:
    found = prices(tmp_path, environ)
    assert [source.name for source in found.sources] == names
    assert [type(source) for source in found.sources] == [
        {"yahoo": YahooData, "alpaca": AlpacaData}[name] for name in names
    ]
    assert isinstance(found.quotes, YahooData if names == ["yahoo"] else QuoteChain)
    found.close()


def test_without_keys_nothing_of_alpaca_is_loaded_and_with_them_not_before_the_first_question(tmp_path: Path) -> None:
    seen = (
        "import sys, test_prices_probe as probe\n"
        "heavy = {'alpaca', 'msgpack', 'websockets', 'requests'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "probe.prices(probe.Path(sys.argv[1]), {})\n"
        "assert not {'core.adapters.alpaca', 'alpaca'} & set(sys.modules)\n"
        "probe.prices(probe.Path(sys.argv[1]), probe.KEYS)\n"
        "assert 'core.adapters.alpaca' in sys.modules\n"
        "assert not {'alpaca', 'msgpack', 'websockets'} & set(sys.modules)\n"
    )
    # The probe is this module without what only its tests import.
    source = Path(__file__).read_text().split("\n@pytest", 1)[0]
    source = source.replace("import pytest\n", "").replace("from core.adapters.alpaca_data import AlpacaData\n", "")
    (tmp_path / "test_prices_probe.py").write_text(source)
    path = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).resolve().parents[2]}"}
    subprocess.run([sys.executable, "-c", seen, str(tmp_path)], check=True, env=path, timeout=60)


class Told:
    """Knows these prices, or has this trouble; remembers whom it was asked about."""

    def __init__(self, known: dict[str, float] | Transient) -> None:
        self.known = known
        self.asked: list[list[str]] = []

    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        self.asked.append([instrument.symbol for instrument in instruments])
        if isinstance(self.known, Transient):
            raise self.known
        known = self.known
        return {
            each.symbol: Quote(each.symbol, known[each.symbol], now) for each in instruments if each.symbol in known
        }


def test_the_second_source_is_asked_about_what_the_first_does_not_know_and_no_more() -> None:
    first, second, third = Told({"SPY": 1.0}), Told({"SPY": 9.0, "QQQ": 2.0}), Told({"VTI": 3.0})
    found = QuoteChain([first, second, third]).last([SPY, QQQ, VTI], NOW)
    assert {symbol: quote.price for symbol, quote in found.items()} == {"SPY": 1.0, "QQQ": 2.0, "VTI": 3.0}
    assert (second.asked, third.asked) == ([["QQQ", "VTI"]], [["VTI"]])
    QuoteChain([first, second]).last([SPY], NOW)
    assert len(second.asked) == 1


def test_trouble_of_one_source_is_no_trouble_while_another_answers() -> None:
    down, limited = Told(Unreachable("is down")), Told(RateLimited("asks us to slow down"))
    assert set(QuoteChain([down, Told({"SPY": 1.0})]).last([SPY, QQQ], NOW)) == {"SPY"}
    assert set(QuoteChain([Told({"SPY": 1.0}), down]).last([SPY, QQQ], NOW)) == {"SPY"}
    with pytest.raises(RateLimited, match="slow down"):
        QuoteChain([limited, down]).last([SPY], NOW)
    assert QuoteChain([Told({}), Told({})]).last([SPY], NOW) == {}
