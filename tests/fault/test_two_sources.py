"""A morning without Yahoo and with Alpaca beside it, over the wire: the real yfinance and alpaca-py, each before its
server, behind the collector of the product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.collect import Collected, Collector
from core.domain.bars import BarSize
from core.feed.standing import Rules
from core.series import BarSeries
from tests.alpaca_stand import CALENDAR, SPY, same, source_at
from tests.fakes_bars import MemoryBarStore, StillClock
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.yahoo_faults import BAD_GATEWAY
from tests.servers.yahoo_server import YahooServer
from tests.yahoo_stand import TRUTH, ask_at, forget_yfinance

M5, TICK = BarSize.M5, timedelta(minutes=5)
MORNING = datetime(2024, 11, 27, 15, 40, 20, tzinfo=UTC)
OUT_FROM, OUT_UNTIL = datetime(2024, 11, 27, 16, tzinfo=UTC), datetime(2024, 11, 27, 18, tzinfo=UTC)
DAY = TRUTH.bars(SPY, M5, MORNING + timedelta(days=1), 500)


def at_one_exchange(series: BarSeries) -> BarSeries:
    """As IEX sees the same market: a few hundredths of a percent beside, and a fortieth of the volume."""
    chance = np.random.default_rng(3)
    apart = 1 + chance.normal(0.0, 0.0002, len(series))
    prices = {name: getattr(series, name) * apart for name in ("open", "high", "low", "close")}
    return replace(series, **prices, volume=np.floor(series.volume * chance.uniform(0.02, 0.03, len(series))))


@dataclass
class Desk:
    yahoo: YahooServer
    alpaca: AlpacaDataServer
    clock: StillClock
    collector: Collector
    store: MemoryBarStore

    def run(self, until: datetime) -> list[Collected]:
        """Ticks until then; Yahoo is out of order in its two hours."""
        entries = []
        while self.clock.time + TICK <= until:
            self.clock.time += TICK
            self.yahoo.exchange.now = now = self.clock.time
            self.yahoo.faults.standing.clear()
            if OUT_FROM <= now < OUT_UNTIL:
                self.yahoo.faults.standing["SPY"] = BAD_GATEWAY
            entries += self.collector.collect([SPY], [M5], now).entries
        return entries

    def stored(self) -> BarSeries:
        return self.store.read("SPY", M5, self.clock.time, 1_000)


@pytest.fixture(params=["yahoo", "yahoo and alpaca"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    forget_yfinance()
    clock, store = StillClock(MORNING), MemoryBarStore()
    with (
        YahooServer({("SPY", M5): DAY}, MORNING) as yahoo,
        AlpacaDataServer({("SPY", M5): at_one_exchange(DAY)}, clock.now) as alpaca,
    ):
        sources = [ask_at(yahoo, tmp_path, clock), source_at(alpaca.address, clock)]
        used = sources if request.param == "yahoo and alpaca" else sources[:1]
        depth = {M5: timedelta(days=2)}
        yield Desk(yahoo, alpaca, clock, Collector(used, store, CALENDAR, depth=depth, rules=Rules()), store)


@pytest.mark.feature("S2")
@pytest.mark.feature("S14")
@pytest.mark.parametrize("desk", ["yahoo and alpaca"], indirect=True)
def test_alpaca_continues_while_yahoo_is_out_and_yahoo_heals_the_series_when_it_is_back(desk: Desk) -> None:
    before = desk.run(OUT_FROM)
    assert {entry.error for entry in before} == {""} and desk.alpaca.calls == []
    out = desk.run(OUT_UNTIL)
    silent = [entry for entry in out if entry.error]
    assert len(silent) == 2
    assert {entry.source for entry in out[len(silent) :]} == {"alpaca"}
    expected = DAY.until(out[-1].newest or OUT_UNTIL)
    stored = desk.stored()
    assert np.array_equal(stored.closed_at, expected.last(len(stored)).closed_at)
    assert np.abs(stored.close / expected.last(len(stored)).close - 1).max() < 0.002
    # One exchange's volumes are brought into the unit of the series.
    assert 0.5 < np.median(stored.volume[-10:] / expected.volume[-10:]) < 2.0
    (seam,) = desk.store.seams()
    assert (seam.source_from, seam.source_to) == ("yahoo", "alpaca")
    assert seam.volume_ratio == pytest.approx(0.025, rel=0.3)
    desk.run(OUT_UNTIL + timedelta(hours=2))
    assert [(each.source_from, each.source_to) for each in desk.store.seams()][-1] == ("alpaca", "yahoo")
    stored = desk.stored()
    assert same(stored, DAY.until(desk.clock.time).last(len(stored)))


@pytest.mark.feature("S14")
@pytest.mark.parametrize("desk", ["yahoo"], indirect=True)
def test_without_keys_the_last_good_bars_stay_and_the_gap_closes_when_yahoo_is_back(desk: Desk) -> None:
    desk.run(OUT_FROM)
    held = desk.stored()
    out = desk.run(OUT_UNTIL - TICK)
    assert all("out of order (HTTP 502)" in entry.error for entry in out[1:])
    assert same(desk.stored().until(OUT_FROM), held.until(OUT_FROM))
    assert len(desk.stored()) == len(held)
    desk.run(OUT_UNTIL + timedelta(minutes=30))
    stored = desk.stored()
    assert same(stored, DAY.until(desk.clock.time).last(len(stored)))
    assert desk.store.seams() == []
