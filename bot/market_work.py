"""What the market jobs do with an engine: the same for a live run and a replay."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from bot.bootstrap import Engine
from bot.data_health import data_health
from bot.opening import LAST_SEEN
from core.collect import CollectReport
from core.cycle import CycleResult, run_cycle
from core.domain.views import Health
from core.execution import watch
from core.execution.live_skill import look_at_skill
from core.execution.views import publish_daily_report
from core.feed.backfill import BackFiller
from core.feed.telling import BarTeller, places
from core.learning.recipes import DEFAULT_RECIPE, RECIPES, Recipe
from core.ports import Choosy, Predictor, Worker
from core.settings import Settings
from core.strategy.policy import Throttle
from jobs.retrain import retrain
from jobs.schedule import JobSkipped
from jobs.scoring import score_predictions
from jobs.table import BACKFILL, MarketWork

log = logging.getLogger(__name__)

MARKET_DATA = "market data"
MARKET_TIME = "market_time"
"""The newest tick's scheduled time: where simulated time resumes after a restart."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Which runs could change nothing, and need not be made in virtual time."""

    tick: Callable[[datetime], bool]
    guard: Callable[[datetime], bool]
    retrain: Callable[[datetime], bool]


def _never(_due: datetime) -> bool:
    return False


NEVER_IDLE = Idle(_never, _never, _never)


class Retraining:
    """The hourly job: trains where there is something new to learn, or where the live model's file was refused."""

    def __init__(self, engine: Engine, worker: Worker, settings: Settings) -> None:
        self._engine = engine
        self._worker = worker
        self._settings = settings
        self._turn = threading.Lock()
        self.trained = 0

    def __call__(self, due: datetime) -> str:
        return self._run(due, self._settings.retrain_min_new_labels)

    def whatever_is_new(self, due: datetime) -> str:
        """Because the owner asks for it."""
        return self._run(due, 0)

    def _run(self, due: datetime, min_new_labels: int) -> str:
        with self._turn:
            return self._train(due, min_new_labels)

    def _train(self, due: datetime, min_new_labels: int) -> str:
        desk, champion = self._engine.desk, self._engine.champion
        live = champion()
        line = retrain(
            due,
            uow=desk.ledger,
            bars=desk.bars,
            instruments=desk.instruments,
            worker=self._worker,
            models_folder=self._settings.models_dir,
            recipe=self._recipe(),
            min_new_labels=min_new_labels,
            unseen=unseen(live, [each.symbol for each in desk.instruments]),
            force=champion.is_refused,
            checkpoint=desk.checkpoint,
        )
        champion.trained_anew()
        self.trained += 1
        return line

    def _recipe(self) -> Recipe:
        """That of the live model; the default one where there is none yet, or one that this program does not know."""
        with self._engine.desk.ledger() as work:
            champion = work.champion()
        return recipe_of(self._settings, champion.recipe if champion is not None else DEFAULT_RECIPE)


def unseen(live: Predictor | None, symbols: Sequence[str]) -> list[str]:
    """Which of `symbols` the live model was not shown: it knows neither a forecast of them nor why it has none."""
    return [each for each in symbols if not live.has_seen(each)] if isinstance(live, Choosy) else []


def recipe_of(settings: Settings, name: str = DEFAULT_RECIPE) -> Recipe:
    """The recipe of that name, the default one where there is none, with as many trees as the owner set. Grown on all
    processors: that changes no result."""
    recipe = RECIPES.get(name, RECIPES[DEFAULT_RECIPE])
    trees, trial = settings.model_trees, min(recipe.grower.trial_trees, settings.model_trees)
    return replace(recipe, grower=replace(recipe.grower, trees=trees, trial_trees=trial)).on(os.cpu_count() or 1)


def recipes_of(settings: Settings) -> Mapping[str, Recipe]:
    """Every recipe by name, with as many trees as the owner set."""
    return {name: recipe_of(settings, name) for name in RECIPES}


class _Feed:
    """What is told of the bars' sources; a process begins with what the one before has told."""

    def __init__(self, engine: Engine) -> None:
        self._collector = engine.collector
        self._teller = BarTeller(engine.desk.ledger, engine.desk.bars, engine.collector.best)
        if self._collector.rules is not None:
            self._collector.standings.update(self._teller.begin())

    def tell(self, collected: CollectReport, due: datetime) -> None:
        if self._collector.rules is None:
            return
        newest: dict[str, datetime | None] = {entry.symbol: None for entry in collected.entries}
        for entry in collected.entries:
            known = newest[entry.symbol]
            if entry.newest is not None:
                newest[entry.symbol] = entry.newest if known is None else max(known, entry.newest)
        reasons = {symbol: words for (symbol, _), words in self._collector.troubles.items()}
        self._teller.tell(self._collector.standings, newest, reasons, due)


def market_work(
    engine: Engine,
    retrain: Callable[[datetime], str],
    after_cycle: Callable[[], object] = lambda: None,
    idle: Idle = NEVER_IDLE,
    after_look: Callable[[], object] = lambda: None,
    contest: Callable[[datetime], str] | None = None,
) -> MarketWork:
    """`after_cycle` runs behind each cycle, outside its transactions: what waits to be told is told then. `after_look`
    runs behind each cycle and each guard's run: guards may have changed. `contest` is held where it is given."""
    desk, feed = engine.desk, _Feed(engine)
    look_at_skill(desk)

    def collect(due: datetime) -> CollectReport:
        collected = engine.collector.collect(desk.instruments, engine.sizes, due)
        elsewhere = places(engine.collector.standings, engine.collector.best)
        patient = engine.collector.rules is not None
        desk.health(MARKET_DATA, *data_health(collected, elsewhere, is_patient=patient))
        return collected

    def cycle(due: datetime, collected: CollectReport) -> CycleResult:
        faults = {symbol: words for size in engine.sizes for symbol, words in collected.errors(size).items()}
        feed.tell(collected, due)
        result = run_cycle(due, desk, due, faults)
        with desk.ledger() as work:
            work.set_value(MARKET_TIME, due.isoformat())
            work.set_value(LAST_SEEN, desk.system_clock.now().isoformat())
            work.commit("seen")
        after_look()
        after_cycle()
        return result

    def guard(due: datetime) -> str:
        done = watch.guard(desk, desk.market_clock.now(), due)
        after_look()
        return done

    def report(due: datetime) -> str:
        applied = desk.policy.skill_throttle is Throttle.APPLIED
        scored = score_predictions(due, desk.ledger, desk.bars, desk.calendar, in_force=applied)
        look_at_skill(desk)
        if not publish_daily_report(desk, due):
            raise JobSkipped("this trading day has its report")
        return f"published; {scored} predictions scored"

    return MarketWork(
        fill=None if engine.filler is None else partial(_fill, engine, engine.filler),
        collect=collect,
        cycle=cycle,
        guard=guard,
        retrain=retrain,
        report=report,
        tick_idle=idle.tick,
        guard_idle=idle.guard,
        retrain_idle=idle.retrain,
        contest=contest,
    )


def _fill(engine: Engine, filler: BackFiller, due: datetime) -> str:
    done = filler.fill(engine.desk.instruments, engine.sizes, due)
    engine.desk.health(BACKFILL, Health.RUNNING, done.words)
    if done.bars:
        log.info("back-fill: %s", done.words)
    return done.words
