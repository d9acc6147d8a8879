"""autotrader backtest: models trained as they would have been, and every decision of a period by the live rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from bot.backtest_lines import Line, lines_for
from bot.backtest_venue import make_memory_venue
from bot.bars_report import opened_as_it_is
from bot.bootstrap import SIMULATED
from bot.market_work import recipe_of
from bot.price_sources import (
    HistorySource,
    actions_at,
    dividends_of,
    make_calendar,
    make_history,
    make_simulated_market,
    rows_left_out,
)
from bot.replay import INSTALLATION
from core.backtest.bars import SourceBars, StoredPast
from core.backtest.curve import Holdings, holdings_of
from core.backtest.forecasts import Forecasts, ModelsInTime, Rows
from core.backtest.ledger import Books
from core.backtest.run import Played, Stage, Wanted, play
from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, Mode, World
from core.domain.bars import BarSize
from core.domain.instruments import Universe
from core.domain.orders import OrderNamespace
from core.domain.portfolio import Portfolio
from core.errors import DataFault, Fatal
from core.execution.desk import Desk
from core.performance import Held, Performance, bought_and_held, measure
from core.series import BarSeries, seconds_of
from core.settings import Settings
from core.settings.profiles import ProfileName
from core.strategy.policy import Policy, Strategy
from jobs.fan_out import FanOut
from jobs.luck import Luck, luck_of
from jobs.walk_forward import Cadence, Past, Promises, Trained, kept_promises, made, planned

FIRST_EPOCH = 1
MARKET = "SPY"
PLAIN = "plain rule"
LIVE_PERIOD = timedelta(hours=1)
Begin = Callable[[str, int], Callable[[int], object]]
"""begin(what, steps): something of so many steps begins; what it answers is told of each number of steps done."""


@dataclass(frozen=True, slots=True)
class BacktestOptions:
    """`first` and `last` are UTC dates, both included; `capital` in USD. Without `data` the simulated market of `seed`.

    `retrain` is how often models are trained anew; None: as the live engine does, whenever enough is new. `folder` is
    where finished trainings are kept. After `unlock` a brake on the drawdown is released,
    as an owner would; None: never. `delay` is how much later than decided
    orders reach the venue, as those of an owner who trades by hand. `stored` is the ledger whose bars are taken where
    no `data` is named. `beside` False leaves out the lines of parts of the symbols and the plain rule.
    """

    data: Path | None
    first: date
    last: date
    bar: BarSize
    symbols: tuple[str, ...]
    seed: int
    capital: Decimal
    folder: Path
    retrain: timedelta | None = timedelta(days=91)
    jobs: int = 1
    dask: str = ""
    every_tick: bool = False
    unlock: timedelta | None = None
    delay: timedelta = timedelta(0)
    stored: Path | None = None
    beside: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The rules played over some of the symbols, and these bought and held instead."""

    line: Line
    portfolio: Portfolio
    holdings: Holdings
    strategy: Performance
    held: Held | None
    played: Played
    books: Books


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """`profile` and `policy` are what was obeyed. `runs` begin with that of all symbols. `market` is SPY bought and
    held, where its bars are there. `plain` is the plain rule over the same symbols as each of `runs`, on daily bars
    with its profile's numbers; empty where it was not asked for or was tested itself, and where it could not be played,
    which `unplayed` explains. `luck` is of all symbols together, None for too short a period. `promises` are what the
    models foresaw for each daily bar of the period, and what came of it."""

    options: BacktestOptions
    profile: str
    policy: Policy
    runs: Sequence[Run]
    market: Held | None
    plain: Sequence[Run]
    unplayed: str
    luck: Luck | None
    promises: Promises
    trained: Sequence[Trained]
    left_out: Sequence[str]


class Backtest:
    """One period, once. `daily` are the daily bars that it knows of each symbol."""

    def __init__(self, settings: Settings, options: BacktestOptions) -> None:
        """Raises Fatal for a period or symbols without bars."""
        self._settings = settings
        self._policy = settings.policy()
        self._options = options
        self._start = datetime.combine(options.first, time(), UTC)
        self._end = datetime.combine(options.last, time(), UTC) + timedelta(days=1)
        if self._end <= self._start:
            raise Fatal(f"--to {options.last} lies before --from {options.first}")
        self._calendar = make_calendar()
        self._source = self._make_source()
        self._world = World.REAL if options.data is not None or options.stored is not None else World.SIMULATED
        self._sizes = tuple(dict.fromkeys((BarSize.D1, options.bar)))
        bars = self._bars(Universe.of(options.symbols), VirtualClock(self._start))
        self.daily = {symbol: bars.whole(symbol, BarSize.D1) for symbol in options.symbols}
        for symbol in options.symbols:
            if not len(bars.whole(symbol, options.bar).after(self._start)):
                raise Fatal(f"{symbol} cannot be tested: there is no {options.bar} bar of it in the period")

    def run(self, begin: Begin, plain: Sequence[Run] | None = None) -> BacktestResult:
        """Trains, decides and measures. The same files and settings give the same figures to the last digit. `plain` is
        the plain rule over the same symbols and period, where it was played before; empty: not wanted."""
        trained = self._train(begin)
        models = self._models(trained)
        lines = lines_for(self._options.symbols) if self._options.beside else lines_for(self._options.symbols)[:1]
        plain, unplayed = (plain, "") if plain is not None else self._plain(begin)
        runs = [self._run(line, models, begin) for line in lines]
        return BacktestResult(
            options=self._options,
            profile=self._settings.profile.value,
            policy=self._policy,
            runs=runs,
            market=self._hold((MARKET,), f"{MARKET}, held"),
            plain=plain,
            unplayed=unplayed,
            luck=_luck_of(runs[0], plain),
            promises=kept_promises(self._past(), models.probabilities, self._start),
            trained=trained,
            left_out=rows_left_out(self._source),
        )

    def _plain(self, begin: Begin) -> tuple[Sequence[Run], str]:
        """The rule that learning has to beat, by the same code over the same symbols and period, costs in."""
        if not self._options.beside or self._policy.strategy is Strategy.RULE:
            return (), ""
        try:
            ruled = self._settings.in_profile(ProfileName.RULE)
            tested = Backtest(ruled, replace(self._options, bar=BarSize.D1, every_tick=False))
        except Fatal as missing:
            return (), str(missing)
        lines = lines_for(self._options.symbols)
        named = [replace(each, name=f"{PLAIN}, {each.name}" if place else PLAIN) for place, each in enumerate(lines)]
        return [tested._run(each, ModelsInTime([]), begin) for each in named], ""

    def _make_source(self) -> HistorySource:
        if self._options.stored is not None:
            ledger = opened_as_it_is(self._options.stored)
            try:
                return StoredPast(ledger.bars, {*self._options.symbols, MARKET}, (BarSize.D1, BarSize.M5))
            finally:
                ledger.close()
        if self._options.data is None:
            return make_simulated_market(self._options.seed, self._calendar)
        if not self._options.data.is_dir():
            raise Fatal(f"--data {self._options.data}: there is no such folder")
        return make_history(self._options.data, self._calendar)

    def _bars(self, universe: Universe, clock: VirtualClock) -> SourceBars:
        return SourceBars(self._source, universe.all(), self._sizes, self._start, self._end, clock)

    def _train(self, begin: Begin) -> list[Trained]:
        if self._policy.strategy is Strategy.RULE:
            return []
        options = self._options
        past = self._past()
        every, least = options.retrain, self._settings.retrain_min_new_labels
        dues = planned(past, self._start, self._end, Cadence(every or LIVE_PERIOD, 1 if every else least))
        step = begin("trainings", len(dues))
        return made(past, dues, options.folder, FanOut(options.jobs, options.dask).map, lambda: step(1))

    def _past(self) -> Past:
        return Past(tuple(self.daily.values()), recipe_of(self._settings))

    def _models(self, trained: Sequence[Trained]) -> ModelsInTime:
        """Those that the live engine would have let trade, each with its answers for the time until the next."""
        rows = {symbol: Rows.of(series) for symbol, series in self.daily.items()}
        good = [each for each in trained if not each.objection]
        until = [*(seconds_of(each.at) for each in good[1:]), seconds_of(self._end)][: len(good)]
        return ModelsInTime(
            [
                (each.at, Forecasts.of(each.bundle, rows, seconds_of(each.at), last))
                for each, last in zip(good, until, strict=True)
            ]
        )

    def _run(self, line: Line, models: ModelsInTime, begin: Begin) -> Run:
        stage = self._stage(line.symbols, models)
        step, done = begin(line.name, (self._end - self._start).days), 0

        def progress(now: datetime) -> None:
            nonlocal done
            passed = (now - self._start).days
            if passed > done:
                step(passed - done)
                done = passed

        played = play(stage, progress, every_tick=self._options.every_tick)
        portfolio = stage.books.portfolios[SIMULATED]
        holdings = holdings_of(stage.books.entries, SIMULATED, played.prices, played.ticks)
        strategy = measure(
            line.name, holdings.curve(), portfolio.closed, costs=portfolio.fees, traded=portfolio.turnover
        )
        held = self._hold(line.symbols, f"{line.name}, held")
        return Run(line, portfolio, holdings, strategy, held, played, stage.books)

    def _stage(self, symbols: tuple[str, ...], models: ModelsInTime) -> Stage:
        books, clock, universe = Books(), VirtualClock(self._start), Universe.of(symbols)
        # Warnings are for the owner, and nobody is there. What he places late is not stale before it was placed.
        life = self._policy.entry_life + self._options.delay
        unwatched = replace(self._policy, stale_bars=0, near_stop_fraction=None, near_stop_atr=None, entry_life=life)
        wanted = Wanted(symbols)
        active = Universe(lambda: wanted.symbols)
        bars, finest = self._bars(universe, clock), self._sizes[-1]

        def bars_after(symbol: str, after: datetime, until: datetime) -> BarSeries:
            return bars.traded(symbol, finest, after, until)

        def actions(symbol: str) -> list[tuple[datetime, float]]:
            return actions_at(self._source, symbol, self._start, self._end)

        account, delay = Account(SIMULATED, AccountKind.SIMULATED, self._world), self._options.delay
        venue = make_memory_venue(
            account, clock, self._calendar, bars_after, self._source, universe, self._options.capital, delay
        )
        desk = Desk(
            ledger=books.unit_of_work,
            brokers={SIMULATED: venue},
            bars=bars.store(),
            calendar=self._calendar,
            market_clock=clock,
            system_clock=clock,
            namespace=OrderNamespace(INSTALLATION, FIRST_EPOCH),
            rules=lambda: unwatched,
            universe=active,
            world=self._world,
            signals_folder=None,
            trading_account=SIMULATED,
            confirm_size=self._options.bar,
            predictor=lambda: models.at(clock.now()),
            default_mode=Mode.AUTO,
            judged=lambda: wanted.judged,
        )
        return Stage(
            desk=desk,
            books=books,
            clock=clock,
            bars=bars,
            wanted=wanted,
            models=models,
            actions=actions,
            sizes=self._sizes,
            start=self._start,
            end=self._end,
            patience=self._options.unlock,
        )

    def _hold(self, symbols: Sequence[str], name: str) -> Held | None:
        """Equal parts of the symbols that have bars; None where none has."""
        bars = self._bars(Universe.of(symbols), VirtualClock(self._start))
        series = [bars.whole(symbol, self._options.bar) for symbol in symbols]
        dividends = {symbol: self._dividends(symbol) for symbol in symbols}
        costs = self._policy.cost_fraction
        return bought_and_held(series, self._start, self._end, self._options.capital, costs, dividends, name)

    def _dividends(self, symbol: str) -> list[tuple[datetime, float]]:
        try:
            return dividends_of(self._source, symbol, self._start, self._end)
        except DataFault:
            return []


def _luck_of(whole: Run, plain: Sequence[Run]) -> Luck | None:
    rule = plain[0].holdings.curve() if plain else None
    return luck_of(whole.holdings.curve(), rule, whole.strategy.days_a_year)
