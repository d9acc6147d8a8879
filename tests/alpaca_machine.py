"""A machine on which Alpaca's real addresses lead to servers of the test: the whole program runs there unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from core.clock import SystemClock
from core.domain.bars import Bar, BarSize
from core.series import BarSeries
from tests.builders import COIN, FIVE, rising_days, rising_minutes
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.alpaca_http import KEY_ID, SECRET, AlpacaHttp
from tests.servers.alpaca_trading_server import LIVE_KEY_ID, LIVE_SECRET, AlpacaTradingServer
from tests.servers.https_proxy import HttpsProxy, make_certificates

PAPER_HOST, LIVE_HOST, DATA_HOST = "paper-api.alpaca.markets", "api.alpaca.markets", "data.alpaca.markets"
NUMBER = "123456789"
PRICE = Decimal(100)
HOUR = timedelta(hours=1)
PAPER_KEYS = {"ALPACA_KEY_ID": KEY_ID, "ALPACA_SECRET_KEY": SECRET}
LIVE_KEYS = {
    "ALPACA_KEY_ID": LIVE_KEY_ID,
    "ALPACA_SECRET_KEY": LIVE_SECRET,
    "ALPACA_PAPER": "false",
    "ALLOW_REAL_MONEY": NUMBER,
}


@dataclass(frozen=True)
class AlpacaMachine:
    """`settings` are the environment of every program there: how it reaches the world, and a coin that is a purchase
    right now by bars that end with this moment."""

    paper: AlpacaTradingServer
    live: AlpacaTradingServer
    data: AlpacaDataServer
    proxy: HttpsProxy
    settings: Mapping[str, str]

    def cut_off(self) -> None:
        """From now on the proxy leads nowhere."""
        self.proxy._routes.clear()


@contextmanager
def alpaca_machine(folder: Path) -> Iterator[AlpacaMachine]:
    clock = SystemClock()
    now = clock.now()
    end = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % FIVE
    day = end.replace(hour=0, minute=0)
    known = {
        (COIN, BarSize.H1): _hours(rising_days(COIN, day, 1_000)),
        (COIN, BarSize.M5): rising_minutes(COIN, end, 3_000),
    }
    certificates = make_certificates(folder, [PAPER_HOST, LIVE_HOST, DATA_HOST])
    with ExitStack() as stack:
        paper = stack.enter_context(AlpacaTradingServer(clock.now))
        live = stack.enter_context(AlpacaTradingServer(clock.now, cash=Decimal(12_345), number=NUMBER))
        data = stack.enter_context(AlpacaDataServer(known, clock.now))
        live.keys, live.other_keys = {LIVE_KEY_ID: LIVE_SECRET}, {KEY_ID: SECRET}
        data.keys = {KEY_ID: SECRET, LIVE_KEY_ID: LIVE_SECRET}
        for server in (paper, live):
            server.set_price("BTC/USD", PRICE)
        routes: Mapping[str, AlpacaHttp] = {PAPER_HOST: paper, LIVE_HOST: live, DATA_HOST: data}
        proxy = stack.enter_context(
            HttpsProxy(certificates, {host: int(server.address.rpartition(":")[2]) for host, server in routes.items()})
        )
        settings = {
            "HTTPS_PROXY": proxy.address,
            **certificates.trust(),
            "WORLD": "auto",
            "DATA_SOURCES": "alpaca",
            "SYMBOLS": COIN,
            # The forecast shall not stand in the way of what is shown here.
            "MIN_PROBABILITY": "0",
        }
        yield AlpacaMachine(paper, live, data, proxy, settings)


def _hours(days: BarSeries) -> BarSeries:
    """From each day's open to its close in even steps: of coins Alpaca is asked for hours, its days begin elsewhere."""
    bars = [
        Bar(day.symbol, BarSize.H1, begun, begun + HOUR, opened, max(opened, closed), min(opened, closed), closed, 40.0)
        for day in days.bars()
        for number in range(24)
        for begun in [day.opened_at + number * HOUR]
        for opened, closed in [(_at(day, number), _at(day, number + 1))]
    ]
    return BarSeries.of(days.symbol, BarSize.H1, bars)


def _at(day: Bar, hours: int) -> float:
    return round(day.open + (day.close - day.open) * hours / 24, 4)
