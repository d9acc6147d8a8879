"""The real yfinance behind our adapter, in front of a server that plays Yahoo: what most tests of it need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.adapters.calendars import ExchangeCalendar
from core.adapters.simulated_market import SimulatedMarket
from core.adapters.yahoo import YahooData
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.series import BarSeries
from tests.fakes_bars import StillClock
from tests.servers.yahoo_server import YahooServer, known_moment

NOW = known_moment()
SPY, BTC = instrument_for("SPY"), instrument_for("BTC-USD")
CALENDAR = ExchangeCalendar()
COLUMNS = ("opened_at", "closed_at", "open", "high", "low", "close", "volume")
COUNTS = {BarSize.D1: 400, BarSize.H1: 400, BarSize.M5: 2_000}
TRUTH = SimulatedMarket(5, ("SPY", "BTC-USD"), CALENDAR)
KNOWN: Mapping[tuple[str, BarSize], BarSeries] = {
    (instrument.symbol, size): TRUTH.bars(instrument, size, NOW + timedelta(days=1), count)
    for instrument in (SPY, BTC)
    for size, count in COUNTS.items()
}
"""What Yahoo knows: up to the day after NOW, so that what it should not show yet is there to be shown by mistake."""


@dataclass(frozen=True)
class Stand:
    server: YahooServer
    clock: StillClock
    yahoo: YahooData
    slept: list[float]


def forget_yfinance() -> None:
    """yfinance keeps cookie, crumb and answers for the life of the process: a test begins without them."""
    import yfinance.data

    yfinance.data.SingletonMeta._instances.clear()
    yfinance.data.YfData.cache_get.cache_clear()


def ask_at(
    server: YahooServer,
    folder: Path,
    clock: StillClock | None = None,
    sleep: Callable[[float], None] = lambda _: None,
    session: Any = None,
    **options: Any,
) -> YahooData:
    """Our adapter, asking `server`; `options` are budget, spacing and whatever else it takes."""
    wanted = {"budget": 5.0, "spacing": 0.0} | options
    chance = np.random.default_rng(1)
    make = session or server.session()
    return YahooData(CALENDAR, clock or StillClock(NOW), sleep, folder / "yfinance", chance, session=make, **wanted)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    forget_yfinance()
    slept: list[float] = []
    with YahooServer(KNOWN, NOW) as server:
        clock = StillClock(NOW)
        yield Stand(server, clock, ask_at(server, tmp_path, clock, slept.append), slept)


def same(one: BarSeries, other: BarSeries) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in COLUMNS)
