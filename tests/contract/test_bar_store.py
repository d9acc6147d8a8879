"""Bars on disk: what was written comes back, whatever the order of writing, and the memory never lies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.bars import BarSize
from core.errors import DataFault
from core.series import BarSeries, seconds_of
from core.storage import bars as bars_module
from core.storage.bars import COLUMNS
from core.storage.store import Database, open_database
from tests.ledger_builders import ledger

START = datetime(2024, 3, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "ledger.db", durable=False)
    yield opened
    opened.close()


def series_of(*numbers: int, price: float = 100.0, symbol: str = "SPY") -> BarSeries:
    """5-minute bars; number n closes n * 5 minutes after the start and its close is `price` + n."""
    closed = np.array([seconds_of(START + timedelta(minutes=5 * n)) for n in numbers], np.int64)
    close = np.array([price + n for n in numbers], np.float64)
    return BarSeries(
        symbol, BarSize.M5, closed - 300, closed, close - 0.5, close + 1.25, close - 1.5, close, close * 1000 / 3
    )


def closes(series: BarSeries) -> list[float]:
    return [float(close) for close in series.close]


def read_all(database: Database, count: int = 10_000) -> BarSeries:
    return database.bars.read("SPY", BarSize.M5, END, count)


def test_an_empty_store_answers_with_nothing(database: Database) -> None:
    assert len(read_all(database)) == 0
    assert database.bars.newest_close("SPY", BarSize.M5) is None
    assert database.bars.oldest_close("SPY", BarSize.M5) is None
    assert database.bars.source_of("SPY", BarSize.M5) is None
    assert database.bars.write(BarSeries.empty("SPY", BarSize.M5), "yahoo") == 0


@pytest.mark.feature("S2")
def test_bars_come_back_to_the_last_bit_after_a_restart(tmp_path: Path) -> None:
    written = series_of(*range(1, 50), price=1 / 3)
    first = open_database(tmp_path / "ledger.db")
    assert first.bars.write(written, "yahoo") == 49
    first.close()
    again = open_database(tmp_path / "ledger.db")
    found = read_all(again)
    for name in COLUMNS:
        assert getattr(found, name).tolist() == getattr(written, name).tolist()
    assert again.bars.source_of("SPY", BarSize.M5) == "yahoo"
    again.close()


def test_only_the_newest_bars_closed_by_the_end_are_read(database: Database) -> None:
    database.bars.write(series_of(*range(1, 11)), "yahoo")
    end = START + timedelta(minutes=25)
    assert closes(database.bars.read("SPY", BarSize.M5, end, 3)) == [103, 104, 105]
    assert closes(database.bars.read("SPY", BarSize.M5, end - timedelta(seconds=1), 2)) == [103, 104]
    assert database.bars.newest_close("SPY", BarSize.M5) == START + timedelta(minutes=50)
    assert database.bars.oldest_close("SPY", BarSize.M5) == START + timedelta(minutes=5)


def test_several_series_are_written_in_one_transaction(database: Database) -> None:
    spy, btc = series_of(1, 2), series_of(2, 3, symbol="BTC-USD")
    assert database.bars.write_all([(spy, "yahoo"), (btc, "alpaca")]) == [2, 2]
    more = [(series_of(1, 2, 3), "yahoo"), (btc, "alpaca"), (BarSeries.empty("QQQ", BarSize.M5), "yahoo")]
    assert database.bars.write_all(more) == [1, 0, 0]
    assert database.bars.write_all([]) == []
    assert closes(read_all(database)) == [101, 102, 103]
    assert database.bars.source_of("BTC-USD", BarSize.M5) == "alpaca"


def test_one_bad_series_among_several_leaves_all_of_them_unwritten(database: Database) -> None:
    with pytest.raises(DataFault):
        database.bars.write_all([(series_of(1, symbol="BTC-USD"), "yahoo"), (series_of(2, 1), "yahoo")])
    assert database.bars.newest_close("BTC-USD", BarSize.M5) is None


def test_symbols_and_sizes_are_kept_apart(database: Database) -> None:
    database.bars.write(series_of(1, 2), "yahoo")
    database.bars.write(series_of(3, symbol="QQQ"), "yahoo")
    assert len(read_all(database)) == 2
    assert len(database.bars.read("QQQ", BarSize.M5, END, 9)) == 1
    assert len(database.bars.read("SPY", BarSize.D1, END, 9)) == 0


def test_bars_that_stand_there_already_are_not_written_again(database: Database) -> None:
    assert database.bars.write(series_of(1, 2, 3), "yahoo") == 3
    assert database.bars.write(series_of(1, 2, 3), "yahoo") == 0
    assert database.bars.write(series_of(2, 3, 4), "yahoo") == 1


def test_a_corrected_bar_replaces_the_old_one_also_in_the_middle(database: Database) -> None:
    database.bars.write(series_of(*range(1, 6)), "yahoo")
    read_all(database)
    assert database.bars.write(series_of(3, price=200.0), "yahoo") == 1
    assert closes(read_all(database)) == [101, 102, 203, 104, 105]


def test_the_source_is_that_of_the_newest_bar_and_a_new_source_writes_all(database: Database) -> None:
    database.bars.write(series_of(1, 2, 3), "simulated")
    assert database.bars.write(series_of(1, 2, 3), "yahoo") == 3
    assert database.bars.source_of("SPY", BarSize.M5) == "yahoo"
    database.bars.write(series_of(2), "files")
    assert database.bars.source_of("SPY", BarSize.M5) == "yahoo"


def test_what_was_read_cannot_be_changed_by_the_reader(database: Database) -> None:
    database.bars.write(series_of(1, 2, 3), "yahoo")
    with pytest.raises(ValueError, match="read-only"):
        read_all(database).close[0] = 1.0


@pytest.mark.parametrize(
    "bad",
    [series_of(2, 1), series_of(1, 1), series_of(1, price=float("nan")), series_of(1, price=float("inf"))],
    ids=["out of order", "doubled", "not a number", "infinite"],
)
def test_bad_bars_are_refused_whole(database: Database, bad: BarSeries) -> None:
    with pytest.raises(DataFault):
        database.bars.write(bad, "yahoo")
    assert len(read_all(database)) == 0


def test_readers_in_other_threads_always_see_whole_ascending_series(database: Database) -> None:
    faults: list[str] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen = read_all(database)
            if np.any(np.diff(seen.closed_at) != 300):
                faults.append("a gap or a double")

    thread = threading.Thread(target=watch)
    thread.start()
    for number in range(1, 60):
        database.bars.write(series_of(number, number + 1), "yahoo")
    done.set()
    thread.join(10)
    assert faults == []
    assert len(read_all(database)) == 60


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    writes=st.lists(
        st.tuples(st.sets(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 3)), min_size=1, max_size=8
    ),
    end=st.integers(0, 45),
    count=st.integers(1, 50),
)
def test_memory_and_file_agree_after_any_sequence_of_writes(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    writes: list[tuple[set[int], int]],
    end: int,
    count: int,
) -> None:
    monkeypatch.setattr(bars_module, "KEPT", 6)
    folder = tmp_path_factory.mktemp("bars")
    database = ledger(folder)
    expected: dict[int, float] = {}
    for numbers, price in writes:
        ordered = sorted(numbers)
        database.bars.write(series_of(*ordered, price=float(price)), "yahoo")
        expected |= {number: float(price + number) for number in ordered}
        moment = START + timedelta(minutes=5 * end)
        wanted = [expected[number] for number in sorted(expected) if number <= end][-count:]
        assert closes(database.bars.read("SPY", BarSize.M5, moment, count)) == wanted
        assert database.bars.newest_close("SPY", BarSize.M5) == START + timedelta(minutes=5 * max(expected))
        assert database.bars.oldest_close("SPY", BarSize.M5) == START + timedelta(minutes=5 * min(expected))
    database.close()
    again = open_database(folder / "ledger.db", durable=False)
    assert closes(read_all(again)) == [expected[number] for number in sorted(expected)]
    again.close()
