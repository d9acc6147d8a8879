"""Backtest throughput in bars a second, 8 assets of 5-minute and of daily bars, beside a plain Python loop over lists,
backtesting.py and vectorbt running the same rule on the same made-up prices (tests.bench.backtest_peers).

Method. Every contestant works in a process of its own; each peer is installed from PyPI into an environment of its own
in the folder given (a venv), once. Prices are ready in memory before the clock runs, results are in memory when it
stops. Ours is the whole decision path of the product: daily features, the forecasts of a forest for every daily bar,
confirmation, every risk rule, sizing over all assets with one account, orders at the simulated venue with Decimal
prices and fees, its fills, the ledger in memory and the equity curve. The peers trade each asset alone with money of
its own. Forecasts always say yes, so that the rule is the peers'. The number of trades shows that the work is alike.
vectorbt compiles in its first round, which is shown apart. freqtrade is not among them: its backtesting asks an
exchange for its markets before it begins. Figures are medians of the rounds; ratios compare within one
run: above 1 ours is faster.

Run: python -m tests.bench.backtest [FOLDER] [BARS] [ROUNDS]"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from bot.backtest import Backtest, BacktestOptions
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.feed.aggregate import aggregate
from core.series import BarSeries, concatenated, seconds_of
from core.settings import load_settings
from core.strategy.forest import FlatForest
from tests.forest_builders import bundle_of, small_forest

PEERS = {"backtesting": "backtesting==0.6.6", "vectorbt": "vectorbt==1.2.0"}
AIMS = {"backtesting": 10.0, "vectorbt": 2.0, "loop": 1 / 3}
ASSETS = 8
HISTORY = timedelta(days=150)
START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = tuple(f"S{number}-USD" for number in range(ASSETS))


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each round; `first` is that of the first where it is another matter."""

    name: str
    seconds: tuple[float, ...]
    trades: int
    first: float | None = None

    @property
    def median(self) -> float:
        return median(self.seconds)


def made_up(number: int, count: int, size: BarSize, start: datetime) -> BarSeries:
    """A random walk around the clock, the same for the same number."""
    chance, span = np.random.default_rng(number), int(size.span.total_seconds())
    spread = 0.0016 if size is BarSize.M5 else 0.03
    close = 100 * np.exp(np.cumsum(chance.normal(0.00001, spread, count)))
    opened = np.concatenate(([100.0], close[:-1])) * (1 + chance.normal(0, spread / 8, count))
    high = np.maximum(opened, close) * (1 + np.abs(chance.normal(0, spread / 3, count)))
    low = np.minimum(opened, close) * (1 - np.abs(chance.normal(0, spread / 3, count)))
    at = seconds_of(start) + span * np.arange(count, dtype=np.int64)
    return BarSeries(NAMES[number], size, at, at + span, opened, high, low, close, np.full(count, 1e6))


class MadeUp:
    """A source of such bars; its days before the period are walks of days."""

    name = "made up"

    def __init__(self, size: BarSize, count: int, calendar: Any) -> None:
        self._series: dict[tuple[str, BarSize], BarSeries] = {}
        for number, symbol in enumerate(NAMES):
            bars = made_up(number, count, size, START)
            before = made_up(number, HISTORY.days, BarSize.D1, START - HISTORY)
            scale = bars.open[0] / before.close[-1]
            prices = {name: getattr(before, name) * scale for name in ("open", "high", "low", "close")}
            days = bars if size is BarSize.D1 else aggregate(calendar, _crypto(), bars, BarSize.D1)
            self._series[symbol, size] = bars
            self._series[symbol, BarSize.D1] = concatenated(replace(before, **prices), days)

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        series = self._series[instrument.symbol, size]
        stop = int(series.closed_at.searchsorted(seconds_of(end), side="right"))
        return series.part(slice(max(0, stop - count), stop))

    def reach(self, _size: BarSize) -> None:
        return None

    def actions(self, _symbol: str, _after: datetime, _until: datetime) -> Sequence[Any]:
        return ()

    def refused(self) -> dict[Any, Any]:
        return {}

    def matrix(self, size: BarSize) -> dict[str, Any]:
        return {
            column: np.column_stack(
                [getattr(self._series[symbol, size], column)[-self.count(size) :] for symbol in NAMES]
            )
            for column in ("open", "high", "low", "close")
        }

    def count(self, size: BarSize) -> int:
        whole = len(self._series[NAMES[0], size])
        return whole if size.is_intraday else whole - HISTORY.days


def _crypto() -> Any:
    from core.domain.instruments import AssetClass

    return AssetClass.CRYPTO


class Sure(Backtest):
    """The product's backtest on prices in memory, with a forest that is there already and always says yes."""

    made: MadeUp

    def _make_source(self) -> Any:
        return self.made

    def _hold(self, symbols: Sequence[str], name: str) -> Any:
        return None


def sure(forest: FlatForest) -> FlatForest:
    """The same trees to walk through; every leaf is certain."""
    return replace(forest, probability=np.ones_like(forest.probability))


def ours(size: BarSize, count: int, rounds: int, folder: Path, forest: FlatForest) -> Measured:
    from bot.price_sources import make_calendar
    from core.learning.validation import Scores
    from jobs.walk_forward import Trained

    made = MadeUp(size, count, make_calendar())
    free = {"MAX_CRYPTO_FRACTION": "1", "DRAWDOWN_LIMIT": "0.99", "SKILL_THROTTLE": "ignored"}
    settings = load_settings({"STATE_DIR": str(folder), **free}, None)
    days = count * int(size.span.total_seconds()) // 86_400
    options = BacktestOptions(
        folder,
        START.date(),
        START.date() + timedelta(days=days - 1),
        size,
        NAMES,
        1,
        Decimal(100_000),
        folder,
        beside=False,
    )
    trained = [Trained(START, bundle_of(sure(forest)), 1, START, Scores(1, 0.5, 0.0, 0.0, 0.5))]
    spent, trades = [], 0
    for _ in range(rounds):
        tested = type("Bench", (Sure,), {"made": made, "_train": lambda _self, _begin: trained})(settings, options)
        began = perf_counter()
        result = tested.run(lambda _what, _steps: lambda _done: None)
        spent.append(perf_counter() - began)
        trades = len(result.runs[0].portfolio.closed)
    return Measured("ours", tuple(spent), trades)


def peer(name: str, folder: Path, data: Path, rounds: int) -> Measured:
    python = Path(sys.executable) if name == "loop" else installed(name, folder)
    script = Path(__file__).with_name("backtest_peers.py")
    compiled = name == "vectorbt"
    done = subprocess.run(
        [str(python), str(script), name, str(data), str(rounds + compiled)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = found["seconds"]
    return Measured(name, tuple(seconds[compiled:]), found["trades"], seconds[0] if compiled else None)


def installed(name: str, folder: Path) -> Path:
    """The interpreter that has the peer."""
    home = folder / name
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PEERS[name]], check=True)
        (home / "ready").touch()
    return python


def lines_of(size: BarSize, bars: int, measured: Sequence[Measured]) -> Iterator[str]:
    mine = measured[0]
    yield f"{ASSETS} assets, {bars:,} {size} bars together"
    for each in measured:
        words = f"  {each.name:<12} {bars / each.median:>12,.0f} bars/s  {each.median:8.3f} s  {each.trades:>6,} trades"
        if each is not mine:
            ratio = each.median / mine.median
            words += f"  ours is {ratio:.2f} times as fast"
            aim = AIMS.get(each.name)
            words += f" (aim {aim:.2f}: {'reached' if ratio >= aim else 'not reached'})" if aim else ""
        if each.first is not None:
            words += f"; with compilation {each.first:.1f} s"
        yield words


def main(arguments: list[str]) -> None:
    folder = Path(arguments[0] if arguments else Path(tempfile.gettempdir()) / "autotrader-bench-peers")
    count = int(arguments[1]) if len(arguments) > 1 else 125_000
    rounds = int(arguments[2]) if len(arguments) > 2 else 3
    folder.mkdir(parents=True, exist_ok=True)
    from bot.price_sources import make_calendar

    with tempfile.TemporaryDirectory() as scratch:
        for size, length in ((BarSize.M5, count // 288 * 288), (BarSize.D1, max(60, count // 288) * 6)):
            data = Path(scratch) / f"{size}.npz"
            np.savez(data, **MadeUp(size, length, make_calendar()).matrix(size))
            found = [ours(size, length, rounds, Path(scratch) / "state", small_forest())]
            found += [peer(name, folder, data, rounds) for name in ("loop", *PEERS)]
            print(*lines_of(size, length * ASSETS, found), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
