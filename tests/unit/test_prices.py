"""Which sources of prices an installation has by its settings, and what it costs not to have some."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.data_health import report_refusals
from bot.doctor import examine
from bot.price_sources import Prices, make_alpaca, make_calendar, make_yahoo, real_prices
from core.adapters.alpaca_data import AlpacaData
from core.adapters.alpaca_transport import AlpacaKeys
from core.adapters.yahoo import YahooData
from core.clock import SystemClock
from core.domain.bars import Quote
from core.domain.instruments import Instrument, instrument_for
from core.domain.views import Health
from core.errors import RateLimited, Transient, Unreachable
from core.feed.quotes import QuoteChain
from core.health import HealthBoard
from core.settings import Settings, load_settings
from tests.alpaca_stand import KNOWN, source_at
from tests.alpaca_stand import NOW as STAND_NOW
from tests.servers.alpaca_data_server import AlpacaDataServer

NOW = datetime(2024, 11, 27, 16, tzinfo=UTC)
SPY, QQQ, VTI = (instrument_for(symbol) for symbol in ("SPY", "QQQ", "VTI"))
KEYS = {"ALPACA_KEY_ID": "PKTESTKEYID123456789", "ALPACA_SECRET_KEY": "sEcReT0hAlfOfTheKeyThatNobodySees1234567"}
CALENDAR = make_calendar()


def prices(folder: Path, environ: Mapping[str, str]) -> Prices:
    clock = SystemClock()
    settings = load_settings({"STATE_DIR": str(folder), **environ}, None)
    yahoo = make_yahoo(CALENDAR, clock, folder / "yahoo")
    return real_prices(settings, yahoo, make_alpaca(settings, CALENDAR, clock))


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


PROBE = """
import sys
from pathlib import Path
from bot.price_sources import make_calendar
from bot.price_sources import make_alpaca, make_yahoo, real_prices
from core.clock import SystemClock
from core.settings import load_settings

def prices(environ):
    settings, clock, calendar = load_settings(environ, None), SystemClock(), make_calendar()
    return real_prices(settings, make_yahoo(calendar, clock, Path()), make_alpaca(settings, calendar, clock))

vendor = {"alpaca", "msgpack", "websockets"}
prices({})
loaded = (vendor | {"requests", "core.adapters.alpaca"}) & set(sys.modules)
assert not loaded, loaded
prices(KEYS)
assert "core.adapters.alpaca" in sys.modules
assert not vendor & set(sys.modules)
"""


def test_without_keys_nothing_of_alpaca_is_loaded_and_with_them_not_before_the_first_question() -> None:
    path = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run([sys.executable, "-c", f"KEYS = {KEYS}\n{PROBE}"], check=True, env=path, timeout=60)


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


@pytest.fixture
def examined(tmp_path: Path) -> Callable[..., str]:
    """What the doctor says of Alpaca, with a server in its place."""

    def look(address: str, environ: Mapping[str, str] = KEYS, **options: Any) -> str:
        def ask(settings: Settings) -> None:
            assert settings.alpaca_keys is not None
            source_at(address, keys=AlpacaKeys(*settings.alpaca_keys), feed=settings.alpaca_feed.value).look(3.0)

        findings = examine({"STATE_DIR": str(tmp_path), **environ}, tmp_path / ".env", ask_alpaca=ask)
        return next((str(each) for each in findings if each.about == "prices from Alpaca"), "")

    return look


@pytest.mark.feature("U4")
def test_the_doctor_says_whether_alpacas_keys_are_good_for_prices(examined: Callable[..., str]) -> None:
    with AlpacaDataServer(KNOWN, lambda: STAND_NOW) as server:
        said = examined(server.address)
        assert said == "ok   prices from Alpaca: Alpaca accepts the keys and gives prices (feed iex)"
        assert "DATA_SOURCES leaves them out" in examined(server.address, KEYS | {"DATA_SOURCES": "yahoo"})
        wrong = examined(server.address, KEYS | {"ALPACA_SECRET_KEY": "x" * 40})
        assert wrong.startswith("fix  prices from Alpaca: Alpaca does not accept the keys (HTTP 403)")
        assert "make new keys" in wrong and "x" * 40 not in wrong
        sip = examined(server.address, KEYS | {"ALPACA_FEED": "sip"})
        assert "recent SIP data" in sip and "set ALPACA_FEED=iex" in sip
        assert examined(server.address, {}) == ""


@pytest.mark.feature("U4")
@pytest.mark.parametrize(
    ("fault", "said", "todo"),
    [
        ("429", "asks us to slow down", "wait a minute"),
        ("502", "is out of order (HTTP 502)", "network"),
        ("reset", "cannot be reached: no connection", "network"),
        ("page", "gave an answer that cannot be used", "newest version"),
        ("422", "does not answer the question", "newest version"),
    ],
)
def test_the_doctor_says_how_alpaca_fails_and_what_to_do(
    examined: Callable[..., str], fault: str, said: str, todo: str
) -> None:
    with AlpacaDataServer(KNOWN, lambda: STAND_NOW) as server:
        server.faults.standing = {"": fault}
        words = examined(server.address)
    assert words.startswith(f"fix  prices from Alpaca: Alpaca {said}") and todo in words


def test_keys_that_are_refused_are_told_once_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    assert list(prices(tmp_path, KEYS).refusals) == ["alpaca prices"]
    assert not prices(tmp_path, {}).refusals
    told, board = list[str](), HealthBoard()

    def report(component: str, state: Health, reason: str) -> None:
        if board.report(component, state, reason, NOW):
            told.append(f"{component} {state}: {reason}")

    words = iter(("", "does not accept the keys", "does not accept the keys; next try", "", ""))
    for _ in range(5):
        report_refusals({"alpaca prices": lambda: next(words)}, report)
    assert told == ["alpaca prices DEGRADED: does not accept the keys", "alpaca prices RUNNING: "]
