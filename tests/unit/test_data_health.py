"""What the owner hears of trouble with market data: in the chat, in /status and from the doctor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.data_health import data_health
from bot.doctor import examine
from bot.markup import visible
from bot.render_status import status
from core.clock import SystemClock
from core.collect import Collected, Collector, CollectReport
from core.domain.bars import BarSize, Quote
from core.domain.views import ComponentHealth, Health
from core.errors import AccessRefused, AutoTraderError, MalformedAnswer, NoBars, RateLimited, Unreachable
from core.feed.backfill import Filled
from core.feed.telling import Place
from core.health import write_heartbeat
from tests.fakes_bars import MemoryBarStore
from tests.fakes_owner import STATUS
from tests.servers.yahoo_faults import BAD_GATEWAY, DELISTED, EVERY_SYMBOL, TOO_MANY, reset
from tests.yahoo_stand import BTC, CALENDAR, NOW, SPY, Stand, stand

__all__ = ["stand"]
M5, D1 = BarSize.M5, BarSize.D1
NEW_YORK = ZoneInfo("America/New_York")


def report_of(**errors: str) -> CollectReport:
    return CollectReport(NOW, tuple(Collected(symbol, M5, NOW, error=error) for symbol, error in errors.items()))


def test_all_is_well_where_every_instrument_has_its_bars() -> None:
    assert data_health(report_of(SPY="", QQQ=""), {}) == (Health.RUNNING, "all instruments have their bars")


def test_a_reason_that_all_have_is_said_once() -> None:
    state, words = data_health(report_of(SPY="yahoo: is down", QQQ="yahoo: is down"), {})
    assert (state, words) == (Health.DEGRADED, "no new bars of any instrument, so no entries: yahoo: is down")


def test_different_reasons_name_their_instruments_the_commonest_first() -> None:
    _, words = data_health(report_of(AAA="unknown", SPY="down", QQQ="down", IWM=""), {})
    assert words == ("no new bars for 3 of 4 instruments, so no entries in them (QQQ, SPY: down; AAA: unknown)")


def test_where_a_silence_is_given_patience_it_is_no_trouble_before_that_is_over() -> None:
    silent = report_of(SPY="yahoo: is down", QQQ="")
    state, words = data_health(silent, {}, is_patient=True)
    assert (state, "SPY: yahoo: is down" in words) == (Health.RUNNING, True)
    assert data_health(silent, {"SPY": Place("yahoo", True)}, is_patient=True)[0] is Health.DEGRADED
    assert data_health(report_of(SPY=""), {"SPY": Place("alpaca", False)}, is_patient=True) == (
        Health.DEGRADED,
        "bars of SPY come from alpaca",
    )


@pytest.mark.feature("S14")
def test_status_says_in_the_owners_time_when_yahoo_is_asked_again(stand: Stand) -> None:
    stand.server.faults.standing[EVERY_SYMBOL] = TOO_MANY
    report = Collector([stand.yahoo], MemoryBarStore(), CALENDAR).collect([SPY, BTC], [M5, D1], NOW)
    state, words = data_health(report, {})
    assert state is Health.DEGRADED
    part = ComponentHealth("market data", state, words, NOW)
    text = visible(status(replace(STATUS, components=(part,), health=state), NEW_YORK).text)
    assert "no new bars of any instrument, so no entries: yahoo: asks us to slow down (too many requests); " in text
    assert "next try Wed 27 Nov 11:04" in text, "16:04 UTC"


def test_status_says_when_it_is_tried_again_also_while_the_silence_is_given_patience(stand: Stand) -> None:
    stand.server.faults.standing[EVERY_SYMBOL] = TOO_MANY
    report = Collector([stand.yahoo], MemoryBarStore(), CALENDAR).collect([SPY, BTC], [M5, D1], NOW)
    state, words = data_health(report, {}, is_patient=True)
    part = ComponentHealth("market data", state, words, NOW)
    text = visible(status(replace(STATUS, components=(part,)), NEW_YORK).text)
    assert state is Health.RUNNING
    assert "⏳ market data: no new bars of any instrument" in text
    assert "next try Wed 27 Nov 11:04" in text


def test_one_bad_symbol_is_told_beside_the_good_ones(stand: Stand) -> None:
    stand.server.faults.standing["SPY"] = DELISTED
    report = Collector([stand.yahoo], MemoryBarStore(), CALENDAR).collect([SPY, BTC], [M5, D1], NOW)
    assert data_health(report, {})[1] == (
        "no new bars for 1 of 2 instruments, so no entries in them "
        "(SPY: yahoo: knows no such symbol (No data found, symbol may be delisted))"
    )


@pytest.fixture
def examined(tmp_path: Path) -> Callable[[Callable[[Path], Quote]], str]:
    """What the doctor says of Yahoo where nothing runs."""

    def look(ask: Callable[[Path], Quote]) -> str:
        findings = examine({"STATE_DIR": str(tmp_path)}, tmp_path / ".env", ask)
        return next(str(each) for each in findings if each.about == "prices from Yahoo")

    return look


@pytest.mark.feature("U4")
def test_the_doctor_asks_yahoo_for_a_price(stand: Stand, examined: Callable[[Callable[[Path], Quote]], str]) -> None:
    stand.server.exchange.live["SPY"] = (NOW - timedelta(seconds=17), 1_601.25)
    said = examined(lambda _: stand.yahoo.look(5.0))
    assert said == "ok   prices from Yahoo: Yahoo answers: SPY 1,601.25 USD, 2024-11-27 16:02 UTC"


@pytest.mark.feature("U4")
@pytest.mark.parametrize(
    ("fault", "said", "todo"),
    [
        (
            TOO_MANY,
            "Yahoo asks us to slow down (too many requests); next try 2024-11-27 16:04 UTC",
            "ask no more",
        ),
        (BAD_GATEWAY, "Yahoo is out of order (HTTP 502)", "check this machine's network"),
        (reset, "Yahoo cannot be reached: no connection", "check this machine's network"),
        (DELISTED, "Yahoo knows no such symbol", "install a newer yfinance"),
    ],
)
def test_the_doctor_says_how_yahoo_fails_and_what_to_do(
    stand: Stand, examined: Callable[[Callable[[Path], Quote]], str], fault: object, said: str, todo: str
) -> None:
    stand.server.faults.standing["SPY"] = fault  # type: ignore[assignment]
    words = examined(lambda _: stand.yahoo.look(5.0))
    assert words.startswith(f"fix  prices from Yahoo: {said}")
    assert todo in words


@pytest.mark.parametrize(
    ("trouble", "todo"),
    [
        (RateLimited("asks us to slow down"), "ask no more"),
        (AccessRefused("does not let us in"), "delete the folder yahoo"),
        (Unreachable("cannot be reached"), "proxy"),
        (MalformedAnswer("gave an answer that cannot be used"), "newer yfinance"),
        (NoBars("SPY", "has no 1d bars in that time"), "newer yfinance"),
    ],
)
def test_each_class_of_trouble_has_its_advice(
    examined: Callable[[Callable[[Path], Quote]], str], trouble: AutoTraderError, todo: str
) -> None:
    def ask(_: Path) -> Quote:
        raise trouble

    assert todo in examined(ask)


def test_beside_a_running_engine_the_doctor_asks_nothing(
    tmp_path: Path, examined: Callable[[Callable[[Path], Quote]], str]
) -> None:
    def ask(_: Path) -> Quote:
        raise AssertionError("two programs asked at once")

    part = ComponentHealth("market data", Health.DEGRADED, "yahoo: is down; next try 2024-11-27 16:04 UTC", NOW)
    (tmp_path / "data").mkdir()
    from core.settings import load_settings

    heartbeat = load_settings({"STATE_DIR": str(tmp_path)}, tmp_path / ".env").heartbeat_file
    heartbeat.parent.mkdir(parents=True, exist_ok=True)
    write_heartbeat(heartbeat, [part], SystemClock().now(), 1)
    findings = {each.about: each.words for each in examine({"STATE_DIR": str(tmp_path)}, tmp_path / ".env", ask)}
    assert findings["prices from Yahoo"] == "asked by the running engine; what it found stands with it above"
    assert "market data (yahoo: is down; next try 2024-11-27 16:04 UTC)" in findings["engine"]


def test_a_simulated_market_needs_no_yahoo(tmp_path: Path) -> None:
    def ask(_: Path) -> Quote:
        raise AssertionError("nobody wants its prices")

    environ = {"STATE_DIR": str(tmp_path), "WORLD": "simulated"}
    assert "prices from Yahoo" not in {each.about for each in examine(environ, tmp_path / ".env", ask)}


@pytest.mark.feature("S2")
def test_status_shows_a_back_fill_that_goes_on_and_none_that_is_done() -> None:
    busy = Filled(calls=8, bars=1_200, left=4_800, left_calls=12).words
    for reason, is_shown in ((busy, True), (Filled().words, False), (Filled(calls=2, bars=9).words, False)):
        part = ComponentHealth("back-fill", Health.RUNNING, reason, NOW)
        text = visible(status(replace(STATUS, components=(part,), health=Health.RUNNING), NEW_YORK).text)
        assert (
            "🧩 back-fill: 1,200 missing bars filled in 8 calls; 4,800 bars left in about 12 calls" in text
        ) is is_shown
