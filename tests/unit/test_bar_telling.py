"""What the owner hears when a source of bars is down and comes back: each change once, of many instruments at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bot.markup import visible
from bot.render import render
from core.adapters.calendars import ExchangeCalendar
from core.collect import Collector, CollectReport
from core.domain.bar_records import BarNotes, Seam, SeamKind
from core.domain.bars import BarSize
from core.domain.events import BarSourcesChanged, BarsRetold
from core.domain.instruments import instrument_for
from core.feed.gaps import expected_closes
from core.feed.standing import Rules, Standing
from core.feed.telling import BarTeller, from_text, to_text
from core.series import BarSeries, seconds_of
from core.storage.store import Database
from tests.feed_builders import Feed
from tests.ledger_builders import ledger

SYMBOLS = ("SPY", "QQQ", "IWM", "VTI", "BTC-USD", "ETH-USD", "ADA-USD", "SOL-USD")
INSTRUMENTS = tuple(instrument_for(symbol) for symbol in SYMBOLS)
M5, D1, STEP = BarSize.M5, BarSize.D1, timedelta(minutes=5)
NEW_YORK = ZoneInfo("America/New_York")
OPEN = datetime(2024, 6, 5, 13, 30, tzinfo=UTC)
DEPTH = {M5: timedelta(days=2), D1: timedelta(days=30)}
CALENDAR = ExchangeCalendar()


def truth() -> list[BarSeries]:
    """Five-minute bars and days of all eight, as the calendar has them."""
    found = []
    for number, instrument in enumerate(INSTRUMENTS):
        chance = np.random.default_rng(number)
        for size, back in ((M5, 3), (D1, 40)):
            first, last = seconds_of(OPEN - timedelta(days=back)), seconds_of(OPEN + timedelta(days=1))
            closed = expected_closes(CALENDAR, instrument.asset_class, size, first, last)
            steps = chance.normal(0, 0.001, len(closed))
            close = 100 * np.exp(np.cumsum(steps))
            before = close * np.exp(-steps)
            high, low = np.maximum(close, before) * 1.001, np.minimum(close, before) * 0.999
            volume = 1_000.0 + np.arange(len(closed))
            found.append(BarSeries(instrument.symbol, size, closed - 300, closed, before, high, low, close, volume))
    return found


TRUTH = truth()


class Day:
    """A trading day over a real ledger; `told` is what was sent, with when."""

    def __init__(self, database: Database, *feeds: Feed) -> None:
        self.database, self.feeds = database, feeds
        self.now = OPEN
        self.traded = INSTRUMENTS
        self.begin()

    def begin(self) -> None:
        """As a process does."""
        self.collector = Collector(self.feeds, self.database.bars, CALENDAR, depth=DEPTH, rules=Rules())
        self.teller = BarTeller(self.database.unit_of_work, self.database.bars, self.collector.best)
        self.collector.standings.update(self.teller.begin())

    def until(self, hour: int, minute: int = 0) -> CollectReport:
        """Tick by tick up to that time in New York."""
        end = self.now.astimezone(NEW_YORK).replace(hour=hour, minute=minute).astimezone(UTC)
        while self.now < end:
            self.now += STEP
            report = self.collector.collect(self.traded, (D1, M5), self.now)
            newest = {entry.symbol: entry.newest for entry in report.entries if entry.size is M5}
            reasons = {symbol: words for (symbol, _), words in self.collector.troubles.items()}
            self.teller.tell(self.collector.standings, newest, reasons, self.now)
        return report

    def told(self) -> list[tuple[str, str]]:
        with self.database.reading() as work:
            rows = work.messages(1_000)
        texts = [(row.market_time, visible(render(row.event, NEW_YORK).text)) for row in reversed(rows)]
        return [(f"{at.astimezone(NEW_YORK):%H:%M}", text) for at, text in texts]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = ledger(tmp_path)
    yield found
    found.close()


@pytest.mark.feature("S2")
@pytest.mark.feature("S14")
def test_a_dead_source_without_another_is_told_once_for_all_and_its_return_once(database: Database) -> None:
    yahoo = Feed("yahoo", TRUTH)
    day = Day(database, yahoo)
    day.until(11)
    yahoo.is_up = False
    # The process dies and comes back in the middle of it.
    day.until(11, 40)
    day.begin()
    report = day.until(13)
    assert set(report.errors(M5)) == set(SYMBOLS)
    yahoo.is_up = True
    report = day.until(14)
    assert not report.errors(M5)
    (first, held), (second, back) = day.told()
    assert (first, second) == ("11:15", "13:10")
    assert held.splitlines()[0] == "🟠 ADA-USD, BTC-USD, ETH-USD and 5 more: no new bars"
    for symbol in SYMBOLS:
        assert symbol in held
    assert "11:00" in held
    assert "nothing new" in held
    assert "Stops, targets and exits go on" in held
    assert "servers are out of order" in held
    assert back.splitlines()[0] == "💚 ADA-USD, BTC-USD, ETH-USD and 5 more: bars from Yahoo again"


@pytest.mark.feature("S2")
@pytest.mark.feature("S14")
def test_with_another_source_the_day_goes_on_and_both_changes_are_told_once(database: Database) -> None:
    yahoo, alpaca = Feed("yahoo", TRUTH), Feed("alpaca", TRUTH, off=0.0005)
    day = Day(database, yahoo, alpaca)
    day.until(11)
    yahoo.is_up = False
    assert not day.until(13).errors(M5)
    yahoo.is_up = True
    day.until(14, 30)
    (first, moved), (second, back) = day.told()
    assert (first, second) == ("11:15", "13:55")
    assert moved.splitlines()[0] == "🔀 ADA-USD, BTC-USD, ETH-USD and 5 more: bars from Alpaca"
    assert "12 bars that both have differ by at most 0.0" in moved
    assert back.splitlines()[0] == "💚 ADA-USD, BTC-USD, ETH-USD and 5 more: bars from Yahoo again"
    kinds = {(seam.source_from, seam.source_to) for seam in database.bars.seams()}
    assert kinds == {("yahoo", "alpaca"), ("alpaca", "yahoo")}


@pytest.mark.feature("S2")
def test_a_process_that_dies_before_it_could_tell_tells_afterwards_and_only_once(database: Database) -> None:
    yahoo, alpaca = Feed("yahoo", TRUTH), Feed("alpaca", TRUTH)
    day = Day(database, yahoo, alpaca)
    day.until(11)
    yahoo.is_up = False
    day.until(11, 10)
    day.now += STEP
    day.collector.collect(INSTRUMENTS, (D1, M5), day.now)
    assert day.told() == []
    day.begin()
    day.until(12)
    assert [text.splitlines()[0] for _, text in day.told()] == [
        "🔀 ADA-USD, BTC-USD, ETH-USD and 5 more: bars from Alpaca"
    ]


def test_of_what_is_not_traded_any_more_nothing_is_told(database: Database) -> None:
    yahoo = Feed("yahoo", TRUTH)
    day = Day(database, yahoo)
    day.until(10)
    yahoo.is_up = False
    day.until(10, 30)
    day.traded = tuple(each for each in INSTRUMENTS if each.symbol != "SPY")
    day.until(11)
    day.begin()
    yahoo.is_up = True
    day.until(11, 30)
    held, back = (text for _, text in day.told())
    assert "SPY" in held
    assert "SPY" not in back


def test_bars_told_anew_are_told_once_for_all_sizes(database: Database) -> None:
    teller = BarTeller(database.unit_of_work, database.bars, "yahoo")
    teller.begin()
    seams = [
        Seam("SPY", size, OPEN, SeamKind.RESCALED, "yahoo", "yahoo", 12, 0.0, OPEN, ratio=4.0001) for size in (M5, D1)
    ]
    database.bars.write_all([], BarNotes(seams=tuple(seams)))
    for _ in range(2):
        teller.tell({}, {}, {}, OPEN)
    BarTeller(database.unit_of_work, database.bars, "yahoo").tell({}, {}, {}, OPEN)
    with database.reading() as work:
        (row,) = work.messages()
    assert row.event == BarsRetold("SPY", "yahoo", 4.0001, ("5m", "1d"), OPEN)
    assert visible(render(row.event, NEW_YORK).text).startswith("✂️ SPY: prices in new units")


def test_what_was_told_of_comes_back_as_it_was() -> None:
    standings = {
        ("SPY", M5): Standing("alpaca", changed_at=OPEN),
        ("BTC-USD", D1): Standing("yahoo", True, OPEN),
        ("QQQ", M5): Standing("yahoo", failures=2),
    }
    found = from_text(to_text(standings, "yahoo"))
    assert found == {key: standings[key] for key in (("SPY", M5), ("BTC-USD", D1))}
    assert from_text(None) == {}


def test_nothing_new_is_written_while_nothing_changes(database: Database) -> None:
    yahoo = Feed("yahoo", TRUTH)
    day = Day(database, yahoo)
    day.until(10)
    assert day.told() == []
    with database.reading() as work:
        assert [row for row in work.messages() if isinstance(row.event, BarSourcesChanged)] == []
