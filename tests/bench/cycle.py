"""One full cycle with stored bars, for 8, 100 and 1,000 instruments: how long it takes, how long for each instrument,
where the time goes and how much memory it needs.

The engine is the product's own: a durable ledger, the simulated venue with its journal on disk, a forest of 200 trees,
2,000 daily and 300 five-minute bars of every instrument. Every tick brings every instrument a new bar, so that none is
idle, and positions come and go. Each size runs in a process of its own; the ratio compares the medians of one run.

Run: python -m tests.bench.cycle [INSTRUMENTS:TICKS ...]"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import core.cycle
from bot.price_sources import make_calendar
from tests.bench.made_up_market import MadeUpMarket
from tests.bench.stage import Setup, Stage, grown_forest, in_process, milliseconds, peak_memory, resident_memory

SIZES = ((8, 300), (100, 156), (1_000, 80))
"""Instruments and ticks. 78 ticks are a session: each but the shortest run lives through a change of day."""
BUDGETS = {8: 50.0, 1_000: 5_000.0}
"""Milliseconds (DESIGN 11)."""
STAGES = {
    "reconcile": ("reconcile",),
    "guards": ("protect", "clear_up", "look_after"),
    "picture": ("take_picture",),
    "decide": ("enter",),
    "commit": ("_commit",),
    "submit": ("submit_all",),
}
"""The functions of core.cycle that make up a stage; the rest of a cycle is shown as other."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each cycle, the first apart; `stages` sums the seconds of the others; memory in MiB."""

    instruments: int
    first: float
    cycles: list[float]
    processor: list[float]
    stages: dict[str, float]
    bars: list[float]
    orders: int
    fills: int
    held: int
    idle_memory: float
    peak: float

    @property
    def median(self) -> float:
        return milliseconds(self.cycles)["p50"]


def measure(instruments: int, ticks: int, forest: bytes) -> Measured:
    """Plays `ticks` cycles in this process."""
    idle_memory = resident_memory()
    market = MadeUpMarket(instruments, ticks // 78 + 1, make_calendar())
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory(prefix="cycle-") as folder:
        stage = Stage(Path(folder), Setup(instruments, forest), market)
        cycles, processor, bars, orders, fills = list[float](), list[float](), list[float](), 0, 0
        with _watched(spent):
            for tick in market.ticks()[:ticks]:
                bars.append(stage.bring_bars(tick))
                began, worked = perf_counter(), process_time()
                result = stage.cycle(tick)
                cycles.append(perf_counter() - began)
                processor.append(process_time() - worked)
                orders, fills = orders + result.submitted, fills + result.fills
                if len(cycles) == 1:
                    spent.clear()
        held = stage.positions()
        stage.close()
    return Measured(
        instruments,
        cycles[0],
        cycles[1:],
        processor[1:],
        {name: spent[name] for name in STAGES},
        bars[1:],
        orders,
        fills,
        held,
        idle_memory,
        peak_memory(),
    )


@contextmanager
def _watched(spent: dict[str, float]) -> Iterator[None]:
    """Adds up the time of each stage while the block runs."""
    originals = {name: getattr(core.cycle, name) for names in STAGES.values() for name in names}
    for stage, names in STAGES.items():
        for name in names:
            setattr(core.cycle, name, _timed(originals[name], stage, spent))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(core.cycle, name, original)


def _timed(work: Callable[..., Any], stage: str, spent: dict[str, float]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        began = perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            spent[stage] += perf_counter() - began

    return timed


def lines_of(measured: Measured, smallest: Measured) -> Iterator[str]:
    wall, worked = milliseconds(measured.cycles), milliseconds(measured.processor)
    each = measured.median / measured.instruments
    ratio = each / (smallest.median / smallest.instruments)
    budget = BUDGETS.get(measured.instruments)
    held_to = f"; {100 * wall['p50'] / budget:.0f} % of the budget of {budget:,.0f} ms" if budget else ""
    yield f"{measured.instruments} instruments, {len(measured.cycles)} cycles after the first{held_to}"
    yield f"  cycle        p50 {wall['p50']:8.1f} ms   p99 {wall['p99']:8.1f} ms   most {wall['max']:8.1f} ms"
    yield f"  processor    p50 {worked['p50']:8.1f} ms   p99 {worked['p99']:8.1f} ms   most {worked['max']:8.1f} ms"
    yield f"  an instrument    {1000 * each:8.0f} us, {ratio:.2f} of what it takes among {smallest.instruments}"
    yield f"  first cycle      {1000 * measured.first:8.1f} ms, bars and features read from nothing"
    stored = milliseconds(measured.bars)
    yield f"  storing the bars {stored['p50']:8.1f} ms before each cycle, not counted above"
    total = sum(measured.cycles)
    shares = {**measured.stages, "other": total - sum(measured.stages.values())}
    yield "  by stage     " + ", ".join(f"{name} {100 * spent / total:.0f} %" for name, spent in shares.items())
    yield f"  it traded    {measured.orders} orders, {measured.fills} fills, {measured.held} positions at the end"
    yield f"  memory       {measured.peak:.0f} MiB at most, {measured.idle_memory:.0f} before the engine was built"


def main(sizes: Sequence[tuple[int, int]]) -> int:
    print(__doc__.partition("\n\n")[2].partition("\n\nRun")[0])
    forest = in_process(grown_forest)
    smallest: Measured | None = None
    for instruments, ticks in sizes:
        measured = in_process(measure, instruments, ticks, forest)
        smallest = smallest or measured
        print("\n".join(lines_of(measured, smallest)), flush=True)
    return 0


def arguments(given: Sequence[str]) -> Sequence[tuple[int, int]]:
    pairs = [each.partition(":") for each in given]
    return [(int(count), int(ticks or 78)) for count, _, ticks in pairs] or SIZES


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
