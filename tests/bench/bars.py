"""Bars on disk: writing a million of them, reading one series of 17,000, and the latest features of 8, 100 and 1,000
instruments, beside pandas' to_sql and read_sql on SQLite and, where pyarrow is installed, Parquet, on the same rows.

Method. Every contestant works in a process of its own on a fresh folder, the rows ready in memory before the clock
runs; rounds take turns. Both databases are WAL with synchronous=FULL and end with the log written back. The store keeps
rows by key and replaces what exists; to_sql appends, and gets the index without which reading one series would scan all
of them, its time included. Parquet is one file, sorted, in row groups of a series each; it can only be written anew.
Reading gives arrays or a frame of all columns, of another series each time, after one that does not count. Features are
the last row of the nine, from 400 bars of each instrument: at first from the file, then after each new bar of each. The
peer reads each series anew and computes the same with rolling and ewm. Sums over all that was read, and the largest
difference of a feature, show that all did the same. Figures are medians; the ratio in brackets is the peer's figure by
the store's of the same run: above 1 the store is better. Memory is the highest resident size less that before the work;
of reading, the peak that tracemalloc sees.

Run: python -m tests.bench.bars [BARS] [ROUNDS]"""

from __future__ import annotations

import importlib.util
import sqlite3
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from core.domain.bars import BarSize
from core.series import COLUMNS, BarSeries, Floats, concatenated
from core.storage.store import open_database
from core.strategy.features import FeatureTrack
from tests.bench.stage import in_process, peak_memory, resident_memory

LENGTH = 17_000
"""Bars of one series: five minutes of stocks over ten months."""
INSTRUMENTS = (8, 100, 1_000)
HISTORY = 400
NEW_BARS = 3
READS = 9
START = 1_700_000_100
END = datetime(2100, 1, 1, tzinfo=UTC)
MIB = 1 << 20


def symbol_of(number: int) -> str:
    return f"S{number:04d}"


def made_up(number: int, length: int) -> BarSeries:
    """A random walk in cents, the same for the same number."""
    chance = np.random.default_rng(number)
    close = np.round(100 * np.exp(chance.normal(0, 0.002, length).cumsum()), 2)
    opened = np.round(close * (1 + chance.normal(0, 0.0005, length)), 2)
    high = np.round(np.maximum(opened, close) * 1.001, 2)
    low = np.round(np.minimum(opened, close) * 0.999, 2)
    closed = START + 300 * np.arange(1, length + 1, dtype=np.int64)
    volume = np.round(chance.lognormal(9, 1, length))
    return BarSeries(symbol_of(number), BarSize.M5, closed - 300, closed, opened, high, low, close, volume)


def all_series(bars: int, length: int) -> list[BarSeries]:
    """`bars` of them in series of `length`, the last one shorter."""
    return [made_up(number, min(length, bars - at)) for number, at in enumerate(range(0, bars, length))]


def frame_of(parts: Sequence[BarSeries]) -> pd.DataFrame:
    """The rows as the store keeps them."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    symbols = np.repeat([part.symbol for part in parts], [len(part) for part in parts])
    return pd.DataFrame({"symbol": symbols, "size": "5m", **columns, "source": "bench"})


def digest(columns: Sequence[Any]) -> float:
    """What two contestants agree in if they read the same rows."""
    return float(sum(np.asarray(column, np.float64).sum() for column in columns))


class OurStore:
    """The product's own."""

    name = "store"

    def __init__(self, folder: Path) -> None:
        self._database = open_database(folder / "bars.sqlite")

    def ready(self, parts: Sequence[BarSeries]) -> Any:
        return list(parts)

    def write(self, ready: Any) -> None:
        for part in ready:
            self._database.bars.write(part, "bench")
        self._database.checkpoint_log()

    def read(self, symbol: str, count: int) -> list[Any]:
        series = self._database.bars.read(symbol, BarSize.M5, END, count)
        return [getattr(series, name) for name in COLUMNS]

    def series(self, symbol: str) -> BarSeries:
        return self._database.bars.read(symbol, BarSize.M5, END, HISTORY)

    def add(self, news: Sequence[BarSeries]) -> None:
        self._database.bars.write_all([(each, "bench") for each in news])

    def close(self) -> None:
        self._database.close()


class PandasSql:
    """to_sql and read_sql on SQLite."""

    name = "pandas"

    def __init__(self, folder: Path) -> None:
        self._connection = sqlite3.connect(folder / "bars.sqlite")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")

    def ready(self, parts: Sequence[BarSeries]) -> Any:
        return frame_of(parts)

    def write(self, ready: Any) -> None:
        ready.to_sql("bars", self._connection, if_exists="append", index=False)
        self._connection.execute("CREATE INDEX IF NOT EXISTS by_key ON bars (symbol, size, closed_at)")
        self._connection.commit()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def read(self, symbol: str, count: int) -> list[Any]:
        found = self.frame(symbol, count)
        return [found[name].to_numpy() for name in COLUMNS]

    def frame(self, symbol: str, count: int) -> pd.DataFrame:
        asked = (
            f"SELECT {', '.join(COLUMNS)} FROM (SELECT * FROM bars WHERE symbol = ? AND size = '5m' "
            "ORDER BY closed_at DESC LIMIT ?) ORDER BY closed_at"
        )
        return pd.read_sql(asked, self._connection, params=(symbol, count))

    def add(self, news: Sequence[BarSeries]) -> None:
        frame_of(news).to_sql("bars", self._connection, if_exists="append", index=False)
        self._connection.commit()

    def close(self) -> None:
        self._connection.close()


class Parquet:
    """One sorted file."""

    name = "parquet"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "bars.parquet"

    def ready(self, parts: Sequence[BarSeries]) -> Any:
        return frame_of(parts)

    def write(self, ready: Any) -> None:
        ready.to_parquet(self._file, index=False, row_group_size=LENGTH)

    def read(self, symbol: str, count: int) -> list[Any]:
        asked = [("symbol", "==", symbol)]
        found = pd.read_parquet(self._file, columns=list(COLUMNS), filters=asked).tail(count)
        return [found[name].to_numpy() for name in COLUMNS]

    def close(self) -> None:
        """Nothing is open."""


CONTESTANTS: dict[str, Any] = {each.name: each for each in (OurStore, PandasSql, Parquet)}


def contestants() -> list[str]:
    """Those that can take part here, the store first."""
    return [name for name in CONTESTANTS if name != Parquet.name or importlib.util.find_spec("pyarrow") is not None]


@dataclass(frozen=True, slots=True)
class Stored:
    """Seconds of writing, MiB on disk and of memory; seconds of each read, MiB of one, and what was read."""

    write: float
    disk: float
    memory: float
    reads: list[float]
    read_memory: float
    digest: float


def store_and_read(name: str, bars: int, length: int, reads: int) -> Stored:
    with tempfile.TemporaryDirectory(prefix="bars-") as folder:
        contestant = CONTESTANTS[name](Path(folder))
        ready = contestant.ready(all_series(bars, length))
        before = resident_memory()
        began = perf_counter()
        contestant.write(ready)
        wrote = perf_counter() - began
        memory = peak_memory() - before
        del ready
        disk = sum(file.stat().st_size for file in Path(folder).iterdir()) / MIB
        whole = max(bars // length, 1)
        seconds, total = list[float](), 0.0
        for number in range(reads + 1):
            began = perf_counter()
            found = contestant.read(symbol_of(number * 7 % whole), length)
            seconds.append(perf_counter() - began)
            total += digest(found)
        tracemalloc.start()
        contestant.read(symbol_of(whole // 2), length)
        peak = tracemalloc.get_traced_memory()[1] / MIB
        tracemalloc.stop()
        contestant.close()
    return Stored(wrote, disk, memory, seconds[1:], peak, total)


@dataclass(frozen=True, slots=True)
class Computed:
    """Seconds until the features of all were there: at first, and after each new bar; the last of them."""

    first: float
    later: list[float]
    memory: float
    rows: Floats = field(repr=False)


def compute(name: str, instruments: int) -> Computed:
    whole = [made_up(number, HISTORY + NEW_BARS) for number in range(instruments)]
    with tempfile.TemporaryDirectory(prefix="features-") as folder:
        known = CONTESTANTS[name](Path(folder))
        known.write(known.ready([each.part(slice(0, HISTORY)) for each in whole]))
        known.close()
        contestant = CONTESTANTS[name](Path(folder))
        latest = _ours(contestant, whole) if name == OurStore.name else _pandas(contestant, whole)
        before = resident_memory()
        seconds = list[float]()
        rows: Floats = np.empty(0)
        for bar in range(HISTORY, HISTORY + NEW_BARS + 1):
            began = perf_counter()
            rows = latest()
            seconds.append(perf_counter() - began)
            if bar < HISTORY + NEW_BARS:
                contestant.add([each.part(slice(bar, bar + 1)) for each in whole])
        memory = peak_memory() - before
        contestant.close()
    return Computed(seconds[0], seconds[1:], memory, rows)


def _ours(store: OurStore, whole: Sequence[BarSeries]) -> Callable[[], Floats]:
    """As the predictor does: a new bar costs the work of one bar."""
    tracks = {each.symbol: FeatureTrack() for each in whole}
    held = {each.symbol: each.part(slice(0, 0)) for each in whole}

    def row(symbol: str) -> Floats:
        newest = store.series(symbol)
        known = held[symbol]
        fresh = newest.part(newest.closed_at > known.closed_at[-1]) if len(known) else newest
        held[symbol] = concatenated(known, fresh) if len(known) else fresh
        return tracks[symbol].newest(held[symbol])

    return lambda: np.array([row(symbol) for symbol in tracks])


def _pandas(sql: PandasSql, whole: Sequence[BarSeries]) -> Callable[[], Floats]:
    return lambda: np.array([pandas_features(sql.frame(each.symbol, HISTORY + NEW_BARS)) for each in whole])


def pandas_features(bars: pd.DataFrame) -> Floats:
    """The newest row of core.strategy.features' matrix in the words of pandas; the seeds of its averages differ, which
    is forgotten after some hundred bars."""
    close, volume = bars["close"], bars["volume"]

    def ema(values: pd.Series[float], span: int) -> pd.Series[float]:
        return values.ewm(span=span, adjust=False).mean()

    def wilder(values: pd.Series[float]) -> pd.Series[float]:
        return values.ewm(alpha=1 / 14, adjust=False).mean()

    moves = close.diff().fillna(0.0)
    gain, loss = wilder(moves.clip(lower=0.0)), wilder(-moves.clip(upper=0.0))
    line = ema(close, 12) - ema(close, 26)
    before = close.shift(1).fillna(close.iloc[0])
    spread = np.maximum(bars["high"], before) - np.minimum(bars["low"], before)
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    columns = (
        close / mean - 1.0,
        close / close.rolling(50).mean() - 1.0,
        gain / (gain + loss),
        line / close,
        (line - ema(line, 9)) / close,
        0.5 + (close - mean) / (4.0 * deviation),
        wilder(spread) / close,
        close / close.shift(10) - 1.0,
        (volume - volume.rolling(20).mean()) / volume.rolling(20).std(ddof=0),
    )
    return np.array([float(column.iloc[-1]) for column in columns])


Results = dict[str, list[Stored]]


def measure_storage(bars: int, rounds: int, length: int = LENGTH, reads: int = READS, run: Any = in_process) -> Results:
    """By contestant, one result a round; they take turns."""
    found: Results = {name: [] for name in contestants()}
    for _ in range(rounds):
        for name, results in found.items():
            results.append(run(store_and_read, name, bars, length, reads))
    return found


def measure_features(instruments: int, run: Any = in_process) -> dict[str, Computed]:
    return {name: run(compute, name, instruments) for name in (OurStore.name, PandasSql.name)}


def storage_lines(found: Results, bars: int, length: int = LENGTH) -> Iterator[str]:
    ours = found[OurStore.name]
    if len({result.digest for results in found.values() for result in results}) != 1:
        raise AssertionError("they did not read the same")
    figures: tuple[tuple[str, Callable[[list[Stored]], float], str], ...] = (
        (f"writing {bars:,} bars", lambda each: median(one.write for one in each), "s"),
        ("  memory for it", lambda each: median(one.memory for one in each), "MiB"),
        ("  on disk", lambda each: median(one.disk for one in each), "MiB"),
        (
            f"reading {min(length, bars):,} of them",
            lambda each: 1000 * median([second for one in each for second in one.reads]),
            "ms",
        ),
        ("  memory for it", lambda each: median(one.read_memory for one in each), "MiB"),
    )
    for words, figure, unit in figures:
        yield _line(words, {name: figure(results) for name, results in found.items()}, unit, figure(ours))


def feature_lines(found: dict[str, Computed], instruments: int) -> Iterator[str]:
    ours = found[OurStore.name]
    first = {name: 1000 * each.first for name, each in found.items()}
    later = {name: 1000 * median(each.later) for name, each in found.items()}
    memory = {name: each.memory for name, each in found.items()}
    yield _line(f"features of {instruments:,}, from the file", first, "ms", 1000 * ours.first)
    yield _line("  after one new bar of each", later, "ms", 1000 * median(ours.later))
    yield _line("  memory for it", memory, "MiB", ours.memory)
    apart = float(np.abs(ours.rows - found[PandasSql.name].rows).max())
    yield f"  both computed the same: they differ by {apart:.1e} at most"


def _line(words: str, figures: dict[str, float], unit: str, ours: float) -> str:
    told = "  ".join(
        f"{name} {figure:9,.1f} {unit}" + (f" ({figure / ours:5.2f})" if name != OurStore.name and ours > 0 else "")
        for name, figure in figures.items()
    )
    return f"{words:34} {told}"


def main(bars: int, rounds: int) -> int:
    print(__doc__.partition("\n\nRun")[0], end="\n\n")
    if Parquet.name not in contestants():
        print("pyarrow is not installed: Parquet does not take part\n")
    print("\n".join(storage_lines(measure_storage(bars, rounds), bars)), flush=True)
    for instruments in INSTRUMENTS:
        print("\n".join(feature_lines(measure_features(instruments), instruments)), flush=True)
    return 0


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(main(given[0] if given else 1_000_000, given[1] if len(given) > 1 else 3))
