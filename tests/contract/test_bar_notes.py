"""What is known of stored bars: gaps at a source, seams, refused bars; written together with the bars or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.domain.bar_records import BarNotes, GapsFound, KnownGap, RefusedBar, Seam, SeamKind
from core.domain.bars import BarSize
from core.errors import DataFault
from core.series import BarSeries, seconds_of
from core.storage.store import Database, open_database
from tests.fakes_bars import MemoryBarStore, steady_series
from tests.ledger_builders import START, ledger

M5, STEP = BarSize.M5, timedelta(minutes=5)
LATER = START + timedelta(days=9)


def gap(first: int, last: int, source: str = "yahoo", tries: int = 1) -> KnownGap:
    span = (START + first * STEP, START + last * STEP)
    return KnownGap("SPY", M5, source, *span, last - first + 1, "it has no such bars", LATER, tries)


def asked(first: int, last: int, *gaps: KnownGap, source: str = "yahoo") -> BarNotes:
    return BarNotes((GapsFound("SPY", M5, source, START + first * STEP, START + last * STEP, gaps),))


SEAM = Seam("SPY", M5, LATER, SeamKind.SOURCE, "yahoo", "alpaca", 12, 0.0004, LATER, volume_ratio=0.02)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = ledger(tmp_path)
    yield found
    found.close()


@pytest.fixture(params=["real", "fake"])
def store(request: pytest.FixtureRequest, database: Database) -> object:
    return database.bars if request.param == "real" else MemoryBarStore()


@pytest.mark.feature("S2")
def test_a_newer_ask_replaces_what_was_known_of_its_span_and_of_its_source_alone(store: MemoryBarStore) -> None:
    store.write_all([], asked(0, 90, gap(1, 4), gap(20, 29), gap(50, 50)))
    store.write_all([], asked(0, 90, gap(20, 29, "alpaca"), source="alpaca"))
    store.write_all([], asked(20, 60, gap(20, 22, tries=2)))
    assert store.known_gaps("SPY", M5) == [gap(1, 4), gap(20, 29, "alpaca"), gap(20, 22, tries=2)]
    assert store.known_gaps("QQQ", M5) == []
    assert store.known_gaps("SPY", BarSize.D1) == []


def test_stored_closes_are_told_within_their_bounds(store: MemoryBarStore) -> None:
    assert store.closes("SPY", M5, 0, seconds_of(LATER)).tolist() == []
    series = steady_series("SPY", M5, START, 4)
    store.write(series, "yahoo")
    first, second, third, _ = series.closed_at.tolist()
    assert store.closes("SPY", M5, first, third).tolist() == [second, third]


def test_seams_keep_the_order_in_which_they_were_recorded(store: MemoryBarStore) -> None:
    store.write_all([], BarNotes(seams=(SEAM,)))
    store.write_all([], BarNotes(seams=(replace(SEAM, at=START, volume_ratio=None),)))
    assert list(store.seams()) == [replace(SEAM, id=1), replace(SEAM, at=START, volume_ratio=None, id=2)]
    assert [seam.id for seam in store.seams(1)] == [2]


def test_a_gap_is_asked_for_again_after_a_day_then_ever_more_rarely(store: MemoryBarStore) -> None:
    days = [(gap(1, 1, tries=tries).ask_again_at - LATER) / timedelta(days=1) for tries in (1, 2, 3, 6, 7, 4_000)]
    assert days == [1, 2, 4, 32, 32, 32]


def test_a_refused_bar_counts_once_however_often_it_comes(database: Database) -> None:
    bad = RefusedBar("SPY", M5, START, "not finite", "yahoo", "a value is missing", LATER)
    for refused in ((bad,), (bad, replace(bad, at=LATER), replace(bad, defect="not positive"))):
        database.bars.write_all([], BarNotes(refused=refused))
    assert database.bars.refusals() == {("SPY", M5): {"not finite": 2, "not positive": 1}}


def test_notes_last_and_are_not_written_without_their_bars(tmp_path: Path) -> None:
    database = ledger(tmp_path)
    bad = steady_series("SPY", M5, START, 3).part(slice(None, None, -1))
    with pytest.raises(DataFault):
        database.bars.write_all([(bad, "alpaca")], BarNotes(seams=(SEAM,)))
    assert database.bars.seams() == []
    empty = BarSeries.empty("SPY", M5)
    assert database.bars.write_all([(empty, "alpaca")], BarNotes(seams=(SEAM,))) == [0]
    database.close()
    again = open_database(tmp_path / "ledger.db")
    assert again.bars.seams() == [replace(SEAM, id=1)]
    again.close()


@pytest.mark.feature("S2")
def test_old_bars_go_with_what_was_noted_of_them_and_others_stay(database: Database) -> None:
    store = database.bars
    old, days = steady_series("SPY", M5, START, 100), steady_series("SPY", BarSize.D1, START, 3)
    store.write_all([(old, "yahoo"), (days, "yahoo")], asked(0, 90, gap(1, 4), gap(60, 69)))
    store.write(steady_series("QQQ", M5, START, 100), "imported")
    bad = RefusedBar("SPY", M5, START, "not finite", "yahoo", "a value is missing", LATER)
    store.write_all([], BarNotes(refused=(bad, replace(bad, at=LATER))))
    store.read("SPY", M5, LATER, 5)
    before = START + 40 * STEP
    assert store.forget({M5: before}, "imported") == 39
    assert store.oldest_close("SPY", M5) == before
    assert len(store.read("SPY", M5, LATER, 1_000)) == 61
    assert len(store.read("SPY", BarSize.D1, LATER, 1_000)) == 3
    assert len(store.read("QQQ", M5, LATER, 1_000)) == 100
    assert store.known_gaps("SPY", M5) == [gap(60, 69)]
    assert store.refusals() == {("SPY", M5): {"not finite": 1}}
    assert store.forget({M5: before}, "imported") == 0
