"""Back-fill over the wire: yfinance before a server that plays Yahoo, where a tenth of the calls fails, rows come
without values and bars were lost. It ends as the clean run, in few calls more than needed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.adapters.simulated_market import SimulatedMarket
from core.collect import Collector
from core.domain.bar_records import BarNotes, GapsFound
from core.domain.bars import BarSize
from core.domain.instruments import DEFAULT_SYMBOLS, Instrument, instrument_for
from core.feed.backfill import SETTLED, BackFiller
from core.feed.depth import wanted_closes
from core.feed.gaps import missing_closes, windows, without
from core.feed.standing import Rules
from core.series import BarSeries, seconds_of
from tests.fakes_bars import MemoryBarStore, StillClock
from tests.feed_builders import same_bars
from tests.servers.yahoo_faults import PASSING, Fault, nulls, spoiled
from tests.servers.yahoo_server import YahooServer
from tests.yahoo_stand import CALENDAR, NOW, ask_at, forget_yfinance

M5 = BarSize.M5
FAILING = [PASSING[name] for name in ("502", "reset", "cut", "short", "page")]


class Life:
    """A store that is kept up to date from Yahoo, tick by tick."""

    def __init__(self, server: YahooServer, folder: Path, symbols: tuple[str, ...], days: int) -> None:
        forget_yfinance()
        self.server, self.instruments = server, tuple(map(instrument_for, symbols))
        self.depth: Mapping[BarSize, timedelta] = {M5: timedelta(days=days)}
        self.clock, self.store = StillClock(NOW), MemoryBarStore()
        self.yahoo = ask_at(server, folder, self.clock)
        self.begin()

    def begin(self) -> None:
        """As a process does."""
        self.collector = Collector([self.yahoo], self.store, CALENDAR, depth=self.depth, rules=Rules())
        self.filler = BackFiller([self.yahoo], self.store, CALENDAR, depth=self.depth)

    def until(self, end: datetime, step: timedelta) -> None:
        while self.clock.time < end:
            self.clock.time += step
            self.server.exchange.now = self.clock.time
            self.collector.collect(self.instruments, [M5], self.clock.time)
            self.filler.fill(self.instruments, [M5], self.clock.time)

    def series(self, symbol: str) -> BarSeries:
        return self.store.read(symbol, M5, self.clock.time, 1_000_000)

    def lose(self, share: float, chance: np.random.Generator) -> int:
        """Bars go from the store while the process is down; returns the least number of calls that bring them back."""
        least, kept = 0, MemoryBarStore()
        for instrument in self.instruments:
            series = self.series(instrument.symbol)
            lost = chance.random(len(series)) < share
            lost[-20:] = False
            kept.write(series.part(~lost), "yahoo")
            wanted = wanted_closes(CALENDAR, instrument, M5, self.depth, seconds_of(self.clock.time))
            wanted = wanted[wanted <= seconds_of(self.clock.time - SETTLED)]
            known = [(seconds_of(gap.first), seconds_of(gap.last)) for gap in self._known(instrument).gaps]
            gone = without(missing_closes(wanted, series.closed_at[~lost]), known)
            least += len(list(windows(wanted, gone, 20_000)))
        kept.write_all([], BarNotes(tuple(self._known(each) for each in self.instruments)))
        self.store = kept
        self.begin()
        return least

    def _known(self, instrument: Instrument) -> GapsFound:
        gaps = tuple(self.store.known_gaps(instrument.symbol, M5))
        return GapsFound(instrument.symbol, M5, "yahoo", NOW - timedelta(days=99), self.clock.time, gaps)


def mended_under_fire(folder: Path, symbols: tuple[str, ...], days: int) -> None:
    market = SimulatedMarket(5, symbols, CALENDAR)
    end = NOW + timedelta(days=2)
    known = {
        (each, M5): market.bars(instrument_for(each), M5, end, 288 * (days + 4) if each.endswith("-USD") else 90 * days)
        for each in symbols
    }
    with YahooServer(known, NOW) as server:
        clean = Life(server, folder / "clean", symbols, days)
        clean.until(NOW + timedelta(hours=1), timedelta(hours=1))
        chance = np.random.default_rng(11)

        def choose(_symbol: str) -> Fault | None:
            return FAILING[int(chance.integers(len(FAILING)))] if chance.random() < 0.1 else None

        life = Life(server, folder / "fire", symbols, days)
        server.exchange.now = NOW
        # The first answer of each has a row without values: refused, and known as a gap with its reason.
        server.faults.once.update({each: [spoiled(nulls)] for each in symbols})
        server.faults.choose = choose
        life.until(NOW + timedelta(minutes=15), timedelta(minutes=5))
        reasons = {gap.reason for each in symbols for gap in life.store.known_gaps(each, M5) if gap.bars == 1}
        assert "what it gave was refused: not finite" in reasons
        least = life.lose(0.02, chance)
        server.asked.clear()
        met = server.faults.met
        life.until(NOW + timedelta(minutes=40), timedelta(minutes=5))
        calls, failed = len(server.charts()), server.faults.met - met
        tail = 5 * len(symbols)
        print(f"\n{calls} requests in five ticks, {failed} of them failed: {tail} for new bars, {least} for lost ones")
        assert calls <= tail + least + failed
        # A day later what came without values is asked for again, and is there.
        life.until(NOW + timedelta(hours=26), timedelta(hours=1))
        server.faults.choose = None
        life.until(NOW + timedelta(hours=28), timedelta(hours=1))
        clean.clock.time = life.clock.time
        clean.until(life.clock.time + timedelta(minutes=5), timedelta(minutes=5))
        life.until(life.clock.time + timedelta(minutes=5), timedelta(minutes=5))
        for each in symbols:
            ours, theirs = life.series(each), clean.series(each)
            first = max(ours.closed_at[0], theirs.closed_at[0])
            assert same_bars(ours.part(ours.closed_at >= first), theirs.part(theirs.closed_at >= first)), each
            assert len(ours) > 100


@pytest.mark.feature("S2")
def test_lost_and_spoiled_bars_come_back_though_a_tenth_of_the_calls_fails(tmp_path: Path) -> None:
    mended_under_fire(tmp_path, ("SPY", "BTC-USD"), 8)


@pytest.mark.long
@pytest.mark.feature("S2")
def test_sixty_days_of_eight_assets_come_back_though_a_tenth_of_the_calls_fails(tmp_path: Path) -> None:
    mended_under_fire(tmp_path, DEFAULT_SYMBOLS, 59)
