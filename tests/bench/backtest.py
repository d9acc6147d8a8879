"""Backtest throughput in bars a second, 8 assets of 5-minute and of daily bars, beside a plain Python loop over lists,
backtesting.py, vectorbt and freqtrade running the same rule on the same made-up prices (tests.bench.backtest_peers);
then what walk-forward costs beyond its fits (tests.bench.walk_forward) and what a prediction costs
(tests.bench.forest).

Method. Every peer works in a process of its own and is installed from PyPI into an environment of its own in the
folder given (a venv), once; what cannot be installed is named as such. Contestants take turns, round by round.
Prices are in memory before the clock runs, results when it stops; seconds are those of the processor. Ours is the
whole decision path of the product: daily features, the forecasts of a forest for every daily bar, confirmation,
every risk rule, sizing over all assets with one account, orders at the simulated venue with Decimal prices and fees,
its fills, the ledger in memory and the equity curve; ticks that can change nothing are passed over, which
tests/property/test_backtest_skips.py holds to the books of every tick made. "every tick" is ours with none passed
over, and every reason written down. The peers trade each asset alone with money of its own. Forecasts always say
yes, so that the rule is the peers', and the live record, which would stop such forecasts, is ignored. The number of
trades shows how alike the work is: ours has one account and stops buying when it is invested. vectorbt compiles in a
first round, which is shown apart. freqtrade and "every tick" have one round. Figures are medians of the rounds;
ratios compare within one run: above 1 ours is faster.

Run: python -m tests.bench.backtest [FOLDER] [BARS] [ROUNDS]"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from bot.backtest import Backtest, BacktestOptions
from core.domain.bars import BarSize
from core.feed.aggregate import aggregate
from core.series import BarSeries, concatenated, seconds_of
from core.settings import load_settings
from core.strategy.forest import FlatForest
from tests.fakes_bars import KeptHistory
from tests.forest_builders import bundle_of, small_forest

PEERS = {"backtesting": "backtesting==0.6.6", "vectorbt": "vectorbt==1.2.0", "freqtrade": "freqtrade==2026.9"}
AIMS = {"backtesting": 10.0, "vectorbt": 2.0, "loop": 1 / 3}
SLOW = frozenset({"freqtrade"})
"""One round of these says enough."""
ASSETS = 8
HISTORY = timedelta(days=150)
START = datetime(2024, 1, 1, tzinfo=UTC)
NAMES = tuple(f"S{number}-USD" for number in range(ASSETS))


@dataclass(slots=True)
class Measured:
    """Processor seconds of each round; `first` is that of the first where it is another matter. `missing` says why
    there is nothing."""

    name: str
    seconds: list[float] = field(default_factory=list)
    trades: int = 0
    first: float | None = None
    missing: str = ""

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


class MadeUp(KeptHistory):
    """A source of such bars; its days before the period are walks of days."""

    name = "made up"

    def __init__(self, size: BarSize, count: int, calendar: Any) -> None:
        super().__init__()
        for number, symbol in enumerate(NAMES):
            bars = made_up(number, count, size, START)
            before = made_up(number, HISTORY.days, BarSize.D1, START - HISTORY)
            scale = bars.open[0] / before.close[-1]
            prices = {name: getattr(before, name) * scale for name in ("open", "high", "low", "close")}
            days = bars if size is BarSize.D1 else aggregate(calendar, _crypto(), bars, BarSize.D1)
            self._series[symbol, size] = bars
            self._series[symbol, BarSize.D1] = concatenated(replace(before, **prices), days)

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


def ours(size: BarSize, made: MadeUp, folder: Path, forest: FlatForest, *, every_tick: bool = False) -> Measured:
    """One round."""
    from core.learning.validation import Scores
    from jobs.walk_forward import Trained

    free = {"MAX_CRYPTO_FRACTION": "1", "DRAWDOWN_LIMIT": "0.99", "SKILL_THROTTLE": "ignored"}
    settings = load_settings({"STATE_DIR": str(folder), **free}, None)
    days = made.count(size) * int(size.span.total_seconds()) // 86_400
    options = BacktestOptions(
        folder,
        START.date(),
        START.date() + timedelta(days=days - 1),
        size,
        NAMES,
        1,
        Decimal(100_000),
        folder,
        every_tick=every_tick,
        beside=False,
    )
    trained = [Trained(START, bundle_of(sure(forest)), 1, START, Scores(1, 0.5, 0.0, 0.0, 0.5))]
    tested = type("Bench", (Sure,), {"made": made, "_train": lambda _self, _begin: trained})(settings, options)
    began = process_time()
    result = tested.run(lambda _what, _steps: lambda _done: None)
    spent = process_time() - began
    return Measured("every tick" if every_tick else "ours", [spent], len(result.runs[0].portfolio.closed))


class Peer:
    """Another program, asked for a round at a time."""

    def __init__(self, name: str, folder: Path, data: Path) -> None:
        self.measured = Measured(name)
        self._process: subprocess.Popen[str] | None = None
        try:
            python = Path(sys.executable) if name == "loop" else installed(name, folder)
        except subprocess.CalledProcessError as error:
            last = (error.stderr or "").strip().splitlines()[-1:]
            self.measured.missing = f"not installed: {last[0] if last else error}"
            return
        script = Path(__file__).with_name("backtest_peers.py")
        self._process = subprocess.Popen(
            [str(python), str(script), name, str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if name != "loop" else None,
            text=True,
        )
        if name == "vectorbt":
            self.measured.first = self._round()

    def play(self) -> None:
        enough = self.measured.name in SLOW and self.measured.seconds
        if self._process is not None and not enough and not self.measured.missing:
            spent = self._round()
            self.measured.seconds += [spent] if spent is not None else []

    def _round(self) -> float | None:
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        print("go", file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            _, told = self._process.communicate()
            self.measured.missing = f"failed: {(told or '').strip().splitlines()[-1:]}"
            return None
        found = json.loads(answer)
        self.measured.trades = found["trades"]
        return float(found["seconds"])

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.communicate()


def installed(name: str, folder: Path) -> Path:
    """The interpreter that has the peer. Raises CalledProcessError where it cannot be installed."""
    home = folder / name
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", PEERS[name]]
        subprocess.run(command, check=True, capture_output=True, text=True)
        (home / "ready").touch()
    return python


def compared(size: BarSize, length: int, rounds: int, folder: Path, scratch: Path) -> list[Measured]:
    """Ours first."""
    from bot.price_sources import make_calendar

    made, data = MadeUp(size, length, make_calendar()), scratch / f"{size}.npz"
    np.savez(data, **made.matrix(size))
    peers = [Peer(name, folder, data) for name in ("loop", *PEERS)]
    mine, state, forest = Measured("ours"), scratch / "state", small_forest()
    for _ in range(rounds):
        found = ours(size, made, state, forest)
        mine.seconds += found.seconds
        mine.trades = found.trades
        for each in peers:
            each.play()
    for each in peers:
        each.close()
    return [mine, ours(size, made, state, forest, every_tick=True), *(each.measured for each in peers)]


def lines_of(size: BarSize, bars: int, measured: Sequence[Measured]) -> Iterator[str]:
    mine = measured[0]
    yield f"{ASSETS} assets, {bars:,} {size} bars together; {len(mine.seconds)} rounds"
    for each in measured:
        if each.missing or not each.seconds:
            yield f"  {each.name:<12} {each.missing or 'no round'}"
            continue
        words = f"  {each.name:<12} {bars / each.median:>12,.0f} bars/s  {each.median:8.3f} s  {each.trades:>6,} trades"
        if each is not mine:
            ratio = each.median / mine.median
            words += f"  ours is {ratio:.2f} times as fast"
            aim = AIMS.get(each.name)
            words += f" (aim {aim:.2f}: {'reached' if ratio >= aim else 'not reached'})" if aim else ""
        if each.first is not None:
            words += f"; with compilation {each.first:.1f} s"
        yield words


def conditions() -> str:
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{platform.machine()}, {os.cpu_count()} processors, load {load} in the last 1, 5, 15 min; "
        f"Python {platform.python_version()}, numpy {np.__version__}; processor seconds, medians"
    )


def main(arguments: list[str]) -> None:
    from tests.bench import forest, walk_forward

    folder = Path(arguments[0] if arguments else Path(tempfile.gettempdir()) / "autotrader-bench-peers")
    count = int(arguments[1]) if len(arguments) > 1 else 28_800
    rounds = int(arguments[2]) if len(arguments) > 2 else 3
    folder.mkdir(parents=True, exist_ok=True)
    print(conditions(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for size, length in ((BarSize.M5, count // 288 * 288), (BarSize.D1, max(60, count // 288) * 6)):
            found = compared(size, length, rounds, folder, Path(scratch))
            print(*lines_of(size, length * ASSETS, found), sep="\n", flush=True)
    walk_forward.main([])
    forest.main([])
    print(conditions(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
