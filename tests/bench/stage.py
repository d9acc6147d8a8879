"""The engine as the product builds it, over a ledger file of its own and a made-up market: what benchmarks play on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import ParamSpec, TypeVar

from bot.bootstrap import Clocks, Engine, Hooks, build_engine, open_ledger
from bot.opening import open_accounts
from bot.price_sources import make_calendar
from bot.worlds import Place
from core.clock import VirtualClock
from core.cycle import CycleResult, run_cycle
from core.domain.accounts import World
from core.ports import UnitOfWorkFactory
from core.settings import load_settings
from core.storage.store import open_database
from core.strategy.forest import FlatForest
from tests.bench.made_up_market import MadeUpMarket
from tests.forest_builders import predictor_of

LIVELY = {
    "MIN_PROBABILITY": "0.4",
    "STOP_LOSS": "0.012",
    "TAKE_PROFIT": "0.02",
    "DAILY_LOSS_LIMIT": "0.99",
    "DRAWDOWN_LIMIT": "0.99",
    "LOSS_STREAK": "1000",
    "TIME_ZONE": "UTC",
}
"""Narrow levels and no brakes, so that positions come and go within a session."""
A_PLACE = 2_500
"""USD in one position, whatever the number of instruments: half of them can be held at once, so that work grows as the
list does."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """`durable` waits for the disk at every commit of the ledger. `venue_on_disk` False keeps the venue's journal in
    memory: it stands for somebody else's machine."""

    instruments: int
    forest: bytes
    durable: bool = True
    venue_on_disk: bool = True


class Stage:
    """One engine and its market; every `step` is a tick with a new bar of every instrument. Close it at the end."""

    def __init__(
        self,
        folder: Path,
        setup: Setup,
        market: MadeUpMarket,
        ledger_of: Callable[[Engine], UnitOfWorkFactory] | None = None,
    ) -> None:
        """`ledger_of` puts another store before the engine's own, for comparison."""
        self.market = market
        self._clock = VirtualClock(market.start)
        self._last = market.start
        cash = A_PLACE * max(4, setup.instruments // 2)
        environment = {
            **LIVELY,
            "STATE_DIR": str(folder),
            "START_CASH": str(cash),
            "MAX_ASSET_FRACTION": str(round(Decimal(A_PLACE) / cash, 6)),
        }
        settings = load_settings(environment, None)
        settings.make_folders()
        place = Place(
            World.SIMULATED,
            f"sqlite:///{folder / 'bench.sqlite'}",
            True,
            folder / "venue.sqlite" if setup.venue_on_disk else None,
            "bench",
        )
        self._stock(place)
        database = open_ledger(place, self._clock, durable=setup.durable, installation_id="bench")
        clocks, hooks = Clocks(self._clock, self._clock), Hooks(lambda _component, _state, _reason: None)
        engine = build_engine(settings, place, database, clocks, hooks, [], market.calendar, symbols=market.symbols)
        predictor = predictor_of(FlatForest.from_bytes(setup.forest))
        desk = replace(engine.desk, predictor=lambda: predictor)
        if ledger_of is not None:
            desk = replace(desk, ledger=ledger_of(engine), reader=None)
        self.engine = replace(engine, desk=desk)
        open_accounts(desk, settings.start_cash)

    def _stock(self, place: Place) -> None:
        """In a connection of its own, without waiting for the disk: afterwards nothing of it is in memory."""
        database = open_database(
            place.database, durable=False, clock=self._clock, world=place.world, installation_id="bench"
        )
        for series in self.market.stored_at_first():
            database.bars.write(series, "made up")
        database.close()

    def bring_bars(self, tick: datetime) -> float:
        """Moves the clock to `tick` and stores what has closed since; seconds that it took."""
        began = perf_counter()
        self._clock.move_to(tick)
        self.engine.database.bars.write_all([(part, "made up") for part in self.market.news(self._last, tick)])
        self._last = tick
        return perf_counter() - began

    def cycle(self, tick: datetime) -> CycleResult:
        return run_cycle(tick, self.engine.desk, tick)

    def head(self) -> str:
        """The hash over everything decided and booked: equal heads, equal runs."""
        with self.engine.database.reading() as work:
            return work.chain_head()

    def positions(self) -> int:
        with self.engine.database.reading() as work:
            return sum(len(work.portfolio(account.id).positions) for account in work.accounts())

    def close(self) -> None:
        self.engine.close()


def in_process(task: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs `task` in a process of its own, so that its memory is its own and scikit-learn stays out of ours."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(task, *arguments, **named).result()


def grown_forest(trees: int = 200) -> bytes:
    """One forest for eight made-up assets, larger than any that ships."""
    from core.learning.fitting import Grower, Pool, fitted
    from core.learning.growing import flatten, lessons_of
    from core.learning.recipes import Recipe

    market = MadeUpMarket(8, 1, make_calendar(), seed=99)
    recipe = Recipe("bench", "scaled", Pool.POOLED, Grower(trees=trees, trial_trees=1, leaves=(50,), stride=1))
    (lesson,) = lessons_of([asset.daily for asset in market.assets], recipe)
    found = fitted(lesson.samples, recipe.grower)
    if found is None:
        raise RuntimeError("too few rows for a forest")
    return flatten(found.model, "bench", recipe.foresees.words).to_bytes()


def milliseconds(seconds: list[float]) -> Mapping[str, float]:
    """Median, 99th percentile and worst."""
    if len(seconds) < 2:
        return {"p50": 1000 * seconds[0], "p99": 1000 * seconds[0], "max": 1000 * seconds[0]}
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {"p50": 1000 * cuts[49], "p99": 1000 * cuts[98], "max": 1000 * max(seconds)}


def peak_memory() -> float:
    """The process's largest resident size so far, MiB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def resident_memory() -> float:
    """MiB now."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
