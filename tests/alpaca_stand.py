"""The real alpaca-py behind our adapters, in front of a server that plays Alpaca: what most tests of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from core.adapters.alpaca_data import AlpacaData
from core.adapters.alpaca_service import AlpacaService
from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport
from core.adapters.calendars import ExchangeCalendar
from core.adapters.pacing import Pacer, Restraint
from core.adapters.simulated_market import SimulatedMarket
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.series import BarSeries
from tests.fakes_bars import StillClock
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.yahoo_server import known_moment

NOW = known_moment()
SPY, BTC = instrument_for("SPY"), instrument_for("BTC-USD")
CALENDAR = ExchangeCalendar()
KEYS = AlpacaKeys(KEY_ID, SECRET)
COLUMNS = ("opened_at", "closed_at", "open", "high", "low", "close", "volume")
COUNTS = {BarSize.D1: 60, BarSize.M5: 1_000, BarSize.H1: 800}
TRUTH = SimulatedMarket(5, ("SPY", "BTC-USD"), CALENDAR)
KNOWN: Mapping[tuple[str, BarSize], BarSeries] = {
    (instrument.symbol, size): TRUTH.bars(instrument, size, NOW + timedelta(days=1), count)
    for instrument in (SPY, BTC)
    for size, count in COUNTS.items()
}
"""What Alpaca knows: up to the day after NOW, so that what it should not show yet is there to be shown by mistake."""


@dataclass(frozen=True)
class Stand:
    server: AlpacaDataServer
    clock: StillClock
    service: AlpacaService
    restraint: Restraint
    alpaca: AlpacaData
    slept: list[float]


def service_at(
    address: str | None,
    clock: StillClock,
    sleep: Callable[[float], None] = lambda _: None,
    keys: AlpacaKeys = KEYS,
    spacing: float = 0.0,
    **options: Any,
) -> tuple[AlpacaService, Restraint]:
    restraint = Restraint(clock.now, np.random.default_rng(1))
    transport = AlpacaTransport(clock, sleep, Pacer(spacing, clock.monotonic, sleep), restraint, budget=5.0)
    return AlpacaService(keys, transport, restraint, address=address, **options), restraint


def source_at(address: str | None, clock: StillClock | None = None, budget: float = 5.0, **options: Any) -> AlpacaData:
    """Our source, asking at `address`; `options` as `service_at` takes them."""
    watch = clock or StillClock(NOW)
    service, _ = service_at(address, watch, **options)
    return AlpacaData(service, CALENDAR, watch, budget=budget)


@pytest.fixture
def stand() -> Iterator[Stand]:
    slept: list[float] = []
    clock = StillClock(NOW)
    with AlpacaDataServer(KNOWN, clock.now) as server:
        service, restraint = service_at(server.address, clock, slept.append)
        yield Stand(server, clock, service, restraint, AlpacaData(service, CALENDAR, clock, budget=5.0), slept)


def same(one: BarSeries, other: BarSeries) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in COLUMNS)
