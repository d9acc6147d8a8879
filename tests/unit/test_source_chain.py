"""One source fails and another continues: never without a look at what both have, never without a recorded seam."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.calendars import ExchangeCalendar
from core.collect import Collected, Collector
from core.domain.bar_records import SeamKind
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.feed.standing import Rules, Standing
from core.series import BarSeries
from tests.fakes_bars import MemoryBarStore
from tests.feed_builders import Feed, same_bars
from tests.series_builders import random_walk

BTC = instrument_for("BTC-USD")
M5, STEP = BarSize.M5, timedelta(minutes=5)
START = datetime(2024, 6, 5, tzinfo=UTC)
CALENDAR = ExchangeCalendar()
DEPTH = {M5: timedelta(hours=10)}
TRUTH = random_walk("BTC-USD", 600, size=M5, start=START, swing=0.002)


class Line:
    """A collector over two sources, tick by tick."""

    def __init__(self, *feeds: Feed, store: MemoryBarStore | None = None) -> None:
        self.feeds = feeds
        self.store = store or MemoryBarStore()
        self.now = START + timedelta(hours=10)
        self.collector = Collector(feeds, self.store, CALENDAR, depth=DEPTH, rules=Rules())

    def tick(self, times: int = 1) -> Collected:
        for _ in range(times):
            self.now += STEP
            entry = self.collector.collect([BTC], [M5], self.now).entries[0]
        return entry

    def rows(self) -> list[tuple[int, str]]:
        return self.store.sources_of("BTC-USD", M5)

    def stored(self) -> BarSeries:
        return self.store.read("BTC-USD", M5, self.now, 10_000)


@pytest.mark.feature("S2")
def test_a_short_silence_moves_nothing_and_costs_only_the_entries_of_its_ticks() -> None:
    yahoo, alpaca = Feed("yahoo", [TRUTH]), Feed("alpaca", [TRUTH])
    line = Line(yahoo, alpaca)
    assert line.tick().error == ""
    yahoo.is_up = False
    assert [line.tick().error for _ in range(2)] == ["yahoo: its servers are out of order"] * 2
    yahoo.is_up = True
    assert line.tick().error == ""
    assert alpaca.asked == []
    assert same_bars(line.stored(), TRUTH.until(line.now).last(len(line.stored())))
    assert line.store.seams() == []


@pytest.mark.feature("S2")
def test_imported_bars_are_continued_at_once_where_they_fit_and_after_a_long_pause() -> None:
    known = TRUTH.until(START + timedelta(hours=6))
    line = Line(Feed("yahoo", [TRUTH]))
    line.store.write(known, "files")
    assert line.tick().error == ""
    (seam,) = line.store.seams()
    assert (seam.source_from, seam.source_to, seam.compared) == ("files", "yahoo", 12)
    assert same_bars(line.stored(), TRUTH.until(line.now))

    old = Line(Feed("yahoo", [TRUTH]))
    old.store.write(random_walk("BTC-USD", 600, size=M5, start=START - timedelta(days=30), swing=0.002), "files")
    assert old.tick().error == ""
    (seam,) = old.store.seams()
    assert (seam.source_from, seam.source_to, seam.compared) == ("files", "yahoo", 0)
    assert old.tick().error == ""


@pytest.mark.feature("S2")
def test_after_three_failures_the_other_source_continues_and_the_first_one_heals_the_series_when_it_is_back() -> None:
    yahoo, alpaca = Feed("yahoo", [TRUTH]), Feed("alpaca", [TRUTH], off=0.001, volume=0.02)
    line = Line(yahoo, alpaca)
    line.tick(2)
    before = line.now
    yahoo.is_up = False
    assert line.tick(2).error == "yahoo: its servers are out of order"
    entry = line.tick()
    assert (entry.error, entry.source, entry.written) == ("", "alpaca", 3)
    (seam,) = line.store.seams()
    assert (seam.kind, seam.source_from, seam.source_to) == (SeamKind.SOURCE, "yahoo", "alpaca")
    assert (seam.at, seam.compared) == (before + STEP, 12)
    assert 0 < seam.difference < 0.0011
    assert seam.volume_ratio == pytest.approx(0.02)
    # The volumes go on in the unit of the series.
    assert line.stored().volume[-3:] == pytest.approx(TRUTH.until(line.now).volume[-3:])
    line.tick(20)
    assert {source for _, source in line.rows()[-20:]} == {"alpaca"}
    yahoo.is_up = True
    back = line.tick(14)
    assert (back.error, back.source) == ("", "yahoo")
    assert {source for _, source in line.rows()} == {"yahoo"}
    assert same_bars(line.stored(), TRUTH.until(line.now).last(len(line.stored())))
    assert [(each.source_from, each.source_to, each.at) for each in line.store.seams()] == [
        ("yahoo", "alpaca", seam.at),
        ("alpaca", "yahoo", seam.at),
    ]


@pytest.mark.feature("S2")
def test_a_source_whose_bars_do_not_fit_continues_nothing_and_the_last_good_bars_stay() -> None:
    yahoo, alpaca = Feed("yahoo", [TRUTH]), Feed("alpaca", [TRUTH], off=0.05)
    line = Line(yahoo, alpaca)
    line.tick()
    newest = line.now
    yahoo.is_up = False
    error = line.tick(3).error
    assert error.startswith(
        f"last good bars until {newest:%Y-%m-%d %H:%MZ}; yahoo: its servers are out of order; alpaca: its closes"
    )
    assert line.stored().closed_at[-1] == newest.timestamp()
    assert line.collector.standings["BTC-USD", M5].held
    line.tick(3)
    yahoo.is_up = True
    # Its bars come at once, entries only after it has answered again twice.
    first = line.tick()
    assert first.error == f"last good bars until {newest:%Y-%m-%d %H:%MZ}; yahoo answers again"
    assert first.written > 3
    assert line.tick().error == ""
    assert line.store.seams() == []


@pytest.mark.feature("S2")
def test_a_source_that_answers_without_a_new_bar_for_two_hours_does_not_answer() -> None:
    yahoo, alpaca = Feed("yahoo", [TRUTH]), Feed("alpaca", [TRUTH])
    line = Line(yahoo, alpaca)
    line.tick()
    newest = line.now
    yahoo.held["BTC-USD", M5] = TRUTH.until(newest)
    assert line.tick(23).error == ""
    assert line.tick().error == f"yahoo: gave no bar since {newest:%Y-%m-%d %H:%MZ}"
    entry = line.tick(2)
    assert (entry.source, entry.error, entry.newest) == ("alpaca", "", line.now)


def test_a_restart_in_the_middle_of_an_outage_begins_a_fresh_count_and_ends_the_same() -> None:
    yahoo, alpaca = Feed("yahoo", [TRUTH]), Feed("alpaca", [TRUTH])
    line = Line(yahoo, alpaca)
    line.tick()
    yahoo.is_up = False
    line.tick(5)
    again = Line(yahoo, alpaca, store=line.store)
    again.now = line.now
    again.tick(3)
    yahoo.is_up = True
    again.tick(14)
    assert {source for _, source in again.rows()} == {"yahoo"}
    assert same_bars(again.stored(), TRUTH.until(again.now).last(len(again.stored())))


def test_a_crash_that_forgot_who_was_in_charge_leaves_no_mixture_without_a_seam() -> None:
    yahoo, alpaca = Feed("yahoo", [TRUTH]), Feed("alpaca", [TRUTH], off=0.001)
    line = Line(yahoo, alpaca)
    line.tick()
    yahoo.is_up = False
    line.tick(6)
    yahoo.is_up = True
    again = Line(yahoo, alpaca, store=line.store)
    again.now = line.now
    again.collector.standings["BTC-USD", M5] = Standing("yahoo")
    assert again.tick().source == "yahoo"
    check_seams(again)


def check_seams(line: Line) -> None:
    """Wherever two neighbouring bars come from two sources, a seam says so."""
    seams = {(int(seam.at.timestamp()), seam.source_from, seam.source_to) for seam in line.store.seams()}
    for (_, earlier), (close, later) in pairwise(line.rows()):
        assert earlier == later or (close, earlier, later) in seams


@pytest.mark.feature("S2")
@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60),
    st.sampled_from([0.0, 0.001, 0.1]),
)
def test_whatever_fails_when_no_two_sources_stand_side_by_side_without_a_seam(
    ticks: list[tuple[bool, bool, bool]], off: float
) -> None:
    """Each tick says who is up and whether the process was begun anew."""
    yahoo, alpaca = Feed("yahoo", [TRUTH]), Feed("alpaca", [TRUTH], off=off)
    line = Line(yahoo, alpaca)
    line.tick()
    for first, second, again in ticks:
        yahoo.is_up, alpaca.is_up = first, second
        if again:
            fresh = Line(yahoo, alpaca, store=line.store)
            fresh.now, line = line.now, fresh
        entry = line.tick()
        check_seams(line)
        assert entry.error or entry.newest == line.now
    yahoo.is_up = True
    line.tick(30)
    check_seams(line)
    assert line.collector.standings["BTC-USD", M5].source == "yahoo"
    assert line.rows()[-1][1] == "yahoo"
    assert same_bars(line.stored(), TRUTH.until(line.now).last(len(line.stored())))
