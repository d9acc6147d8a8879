"""The whole product at Yahoo's real addresses: the real process behind a proxy of its machine, on a first start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from core.adapters.simulated_market import SimulatedMarket
from core.clock import SystemClock
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from tests.e2e.process import SYMBOLS, Orchestrator, command
from tests.servers.https_proxy import HttpsProxy, make_certificates
from tests.servers.yahoo_faults import EVERY_SYMBOL, TOO_MANY
from tests.servers.yahoo_server import HOSTS, YahooServer
from tests.yahoo_stand import CALENDAR

pytestmark = [pytest.mark.feature("S2"), pytest.mark.timeout(240), pytest.mark.long]


@pytest.fixture
def server() -> Iterator[YahooServer]:
    """It knows what the simulated market knows, up to half an hour before this moment of real time: something newer is
    always due."""
    now = SystemClock().now()
    market = SimulatedMarket(5, SYMBOLS, CALENDAR)
    counts = {BarSize.D1: 600, BarSize.M5: 3_000}
    known = {
        (symbol, size): market.bars(instrument_for(symbol), size, now - timedelta(minutes=30), count)
        for symbol in SYMBOLS
        for size, count in counts.items()
    }
    with YahooServer(known, now) as running:
        yield running


@pytest.fixture
def machine(server: YahooServer, tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """The environment of a machine that reaches the world through a proxy alone, whose certificates it trusts."""
    folder = tmp_path / "ca"
    folder.mkdir()
    certificates = make_certificates(folder, HOSTS)
    with HttpsProxy(certificates, dict.fromkeys(HOSTS, server.port)) as proxy:
        yield {"HTTPS_PROXY": proxy.address, "WORLD": "auto", **certificates.trust()}


def test_a_first_start_finds_yahoo_trades_on_its_prices_and_the_doctor_sees_the_same(
    server: YahooServer, machine: Mapping[str, str], tmp_path: Path
) -> None:
    started = Orchestrator(tmp_path, **machine)
    try:
        started.until_ready()
        assert "real prices" in started.console
        assert "of 2 instruments" in started.console
        assert "without data" not in started.console
        phone = started.phone()
        assert "market data" not in phone.ask("/status", "Mode")
        phone.close()
        beside = command(tmp_path, "doctor", **machine)
        assert "prices from Yahoo: asked by the running engine" in beside.stdout
        assert started.stop() == 0, started.console
    finally:
        started.clear_away()
    assert {each.scheme for each in server.asked} == {"https"}
    assert {each.symbol for each in server.charts()} == set(SYMBOLS)
    assert {each.status for each in server.charts()} == {200}
    alone = command(tmp_path, "doctor", **machine)
    assert "ok   prices from Yahoo: Yahoo answers: SPY " in alone.stdout
    server.faults.standing[EVERY_SYMBOL] = TOO_MANY
    refused = command(tmp_path, "doctor", **machine)
    assert "fix  prices from Yahoo: Yahoo asks us to slow down (too many requests); next try" in refused.stdout
    assert refused.returncode == 1
    _a_start_while_yahoo_refuses(server, machine, tmp_path)


def _a_start_while_yahoo_refuses(server: YahooServer, machine: Mapping[str, str], folder: Path) -> None:
    """It starts on the bars it has, asks hardly at all, and the owner sees why nothing new comes and until when."""
    asked = len(server.charts())
    again = Orchestrator(folder, "again.txt", **machine)
    try:
        again.until_ready()
        phone = again.phone()
        said = phone.ask("/status", "Mode")
        assert "asks us to slow down (too many requests)" in said
        assert "next try" in said
        phone.close()
        assert again.stop() == 0, again.console
    finally:
        again.clear_away()
    assert len(server.charts()) - asked <= 4, "as many as are asked at once"
