"""Back-filling from a Yahoo that fails now and then: the store ends as if it never had, in about the fewest calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.adapters.history_files import HistoryFiles
from core.adapters.simulated_market import SimulatedMarket
from core.collect import Collector
from core.domain.bars import BarSize
from core.domain.instruments import DEFAULT_SYMBOLS, Instrument, instrument_for
from core.feed.gaps import expected_closes
from core.ports import MarketData
from core.series import BarSeries, seconds_of
from core.storage.store import Database, open_database
from tests.fakes_bars import StillClock, needs_shared_data
from tests.servers.yahoo_server import YahooServer
from tests.yahoo_stand import CALENDAR, COLUMNS, NOW, ask_at, forget_yfinance

EIGHT = tuple(instrument_for(symbol) for symbol in DEFAULT_SYMBOLS)
SIZES = (BarSize.D1, BarSize.M5)
TICK = timedelta(minutes=5)
SHARE, SEED = 0.10, 20241127
Known = Mapping[tuple[str, BarSize], BarSeries]


@dataclass(frozen=True)
class Run:
    """What one run had at its end, and what it took. `ticks` are the times at which it collected."""

    stored: Mapping[tuple[str, BarSize], bytes]
    ticks: Sequence[datetime]
    calls: int
    failed: int


def known_until(end: datetime, days: int, source_of: Callable[[Instrument], MarketData]) -> Known:
    """`days` of 5-minute bars and 200 daily ones."""
    found = {}
    for instrument in EIGHT:
        for size, most in ((BarSize.D1, 200), (BarSize.M5, 288 * days)):
            series = source_of(instrument).bars(instrument, size, end, most)
            found[instrument.symbol, size] = series.after(end - timedelta(days=days if size.is_intraday else 300))
    return found


def due_calls(ticks: Sequence[datetime], known: Known) -> int:
    """The fewest calls: one for each series at each tick since whose forerunner a bar of it has closed."""
    count = 0
    for instrument in EIGHT:
        for size in SIZES:
            before = seconds_of(ticks[0]) - 1_000 * 86_400
            for tick in map(seconds_of, ticks):
                count += len(expected_closes(CALENDAR, instrument.asset_class, size, before, tick)) > 0
                before = tick
    return count


def run(server: YahooServer, known: Known, folder: Path, ticks: Sequence[datetime], *, until_whole: bool) -> Run:
    """Collects at `ticks`, and then every five minutes until nothing is missing where that is asked for."""
    forget_yfinance()
    server.asked.clear()
    clock = StillClock(ticks[0])
    database = open_database(folder / "ledger.db", durable=False)
    source = ask_at(server, folder, clock, budget=20.0)
    depth = {BarSize.D1: timedelta(days=300), BarSize.M5: timedelta(days=64)}
    collector = Collector([source], database.bars, CALENDAR, depth=depth, parallel=4)
    done: list[datetime] = []
    try:
        while len(done) < len(ticks) or (until_whole and _missing(database, known, done[-1])):
            assert len(done) < len(ticks) + 50, "it never gets there"
            clock.time = server.exchange.now = ticks[len(done)] if len(done) < len(ticks) else done[-1] + TICK
            collector.collect(EIGHT, SIZES, clock.time)
            done.append(clock.time)
        stored = {key: _content(database, key, done[-1]) for key in known}
    finally:
        collector.close()
        database.close()
    return Run(stored, done, len(server.charts()), sum(each.status != 200 for each in server.charts()))


def _missing(database: Database, known: Known, at: datetime) -> bool:
    return any(
        len(database.bars.read(symbol, size, at, 1_000_000)) < len(series.until(at))
        for (symbol, size), series in known.items()
    )


def _content(database: Database, key: tuple[str, BarSize], at: datetime) -> bytes:
    series = database.bars.read(*key, at, 1_000_000)
    return b"".join(np.ascontiguousarray(getattr(series, name)).tobytes() for name in COLUMNS)


def bytes_of(series: BarSeries) -> bytes:
    return b"".join(np.ascontiguousarray(getattr(series, name)).tobytes() for name in COLUMNS)


def compare(known: Known, folder: Path, ticks: Sequence[datetime], say: Callable[[str], object]) -> None:
    with YahooServer(known, ticks[0]) as server:
        server.faults.by_chance(SHARE, SEED)
        (folder / "faulty").mkdir()
        faulty = run(server, known, folder / "faulty", ticks, until_whole=True)
        met = server.faults.met
        server.faults.clear()
        (folder / "clean").mkdir()
        clean = run(server, known, folder / "clean", faulty.ticks, until_whole=False)
    least = due_calls(faulty.ticks, known)
    bars = sum(len(series.until(faulty.ticks[-1])) for series in known.values())
    say(
        f"{bars:,} bars of {len(EIGHT)} assets at {len(faulty.ticks)} ticks: the fewest calls are {least}; "
        f"{clean.calls} were made where all answer, {faulty.calls} where {SHARE:.0%} fail ({met} did)"
    )
    assert clean.calls == least
    assert met > 0
    assert faulty.calls <= least + 2 * met
    for key, series in known.items():
        assert clean.stored[key] == bytes_of(series.until(faulty.ticks[-1])), key
        assert faulty.stored[key] == clean.stored[key], key


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], object]]:
    """Prints past pytest's capture: what the run took is worth seeing each time."""

    def tell(words: str) -> None:
        with capsys.disabled():
            print(f"\n{words}")

    yield tell


@pytest.mark.feature("S2")
@pytest.mark.feature("S14")
def test_a_backfill_with_failing_calls_ends_complete_and_equal_to_the_clean_one(tmp_path: Path, say: Any) -> None:
    market = SimulatedMarket(7, DEFAULT_SYMBOLS, CALENDAR)
    known = known_until(NOW + timedelta(days=2), 6, lambda _: market)
    ticks = [NOW + timedelta(hours=2) * number for number in range(8)]
    compare(known, tmp_path, ticks, say)


@pytest.mark.long
@pytest.mark.feature("S2")
@pytest.mark.shared_data
@needs_shared_data
def test_sixty_real_days_of_eight_assets_end_complete_and_equal(tmp_path: Path, say: Any) -> None:
    """IWM and VTI, of which there are no real bars of five minutes, come from the simulated market."""
    market = SimulatedMarket(7, DEFAULT_SYMBOLS, CALENDAR)
    files = HistoryFiles(needs_shared_data.folder, CALENDAR)
    known = known_until(
        NOW + timedelta(days=2), 60, lambda instrument: market if instrument.symbol in ("IWM", "VTI") else files
    )
    ticks = [NOW + TICK * number for number in range(24)] + [NOW + timedelta(hours=number) for number in range(3, 24)]
    compare(known, tmp_path, ticks, say)
