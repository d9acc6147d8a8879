"""One run: the live tick over a ledger in memory, at every moment of the period at which something may happen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from core.backtest.ahead import Ahead, SymbolAhead, Ticks, day_ends, first_ticks, symbol_ahead, units_at
from core.backtest.bars import SourceBars
from core.backtest.forecasts import ModelsInTime
from core.backtest.ledger import Books
from core.backtest.record import RecordInTime, record_in_time
from core.backtest.skipping import Skipper
from core.clock import VirtualClock
from core.cycle import FIRST_CARD, recover, run_cycle
from core.domain.bars import BarSize
from core.domain.decisions import BrakeKind, Decision
from core.domain.skill import Standings
from core.execution.desk import Desk
from core.execution.live_skill import STANDINGS, keep_standings
from core.execution.locks import unlock
from core.series import Floats, Seconds, seconds_of, time_of
from core.strategy.policy import Strategy, Throttle

TICK = timedelta(minutes=5)
"""How often the live engine looks (jobs.schedule)."""


class Wanted:
    """Which of the symbols a tick has to look at, in the order in which they are listed."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.all = self.symbols = symbols
        self.judged: Collection[str] | None = None

    def only(self, some: Collection[str], judged: Collection[str]) -> None:
        """`judged` of them may be bought. A list of its own each time: what was derived from the former one is dropped
        with it."""
        self.symbols, self.judged = tuple(symbol for symbol in self.all if symbol in some), judged

    def everything(self) -> None:
        self.symbols, self.judged = self.all, None


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What a run needs, put together by the composition root: `desk` works on `books`, its clocks are `clock`.

    `sizes` begin with daily bars and end with those that confirm. `wanted` says
    what the desk trades at the moment. `actions` tells when a symbol paid or
    was split, and new units for one old. After `patience`
    a brake on the drawdown is released; None: never.
    """

    desk: Desk
    books: Books
    clock: VirtualClock
    bars: SourceBars
    wanted: Wanted
    models: ModelsInTime
    actions: Callable[[str], Sequence[tuple[datetime, float]]]
    sizes: tuple[BarSize, ...]
    start: datetime
    end: datetime
    patience: timedelta | None = None


@dataclass(slots=True)
class Played:
    """What a run left behind. `ticks` are all moments with a new bar, in seconds; `prices` what each of them knows of a
    symbol; `made` how many were looked at; `bars` how many bars of the confirming size closed in the period.
    `decisions` are kept where every tick is made.
    """

    ticks: Seconds
    prices: dict[str, Floats]
    made: int = 0
    bars: int = 0
    decisions: list[Decision] = field(default_factory=list)


def play(stage: Stage, progress: Callable[[datetime], object], *, every_tick: bool = False) -> Played:
    """Drives the period to its end. With `every_tick` also the ticks are made that can change nothing."""
    ticks = ticks_of(stage)
    ahead = look_ahead(stage, ticks)
    played = Played(ticks, {name: symbol.price for name, symbol in ahead.symbols.items()}, bars=_bars_in(stage))
    if every_tick:
        stage.books.decided = played.decisions.append
    begin(stage)
    record = _record(stage, ahead)
    ahead = ahead.without(record.observes)
    skipper = Skipper(stage.desk, stage.books, stage.bars, ahead, stage.desk.broker_account or "", stage.patience)
    index = 0
    while index <= ahead.last:
        now = time_of(ticks[index])
        stage.clock.move_to(now)
        _release(stage, now)
        _note(stage, record.at(now))
        if not every_tick:
            judged = skipper.wanted(index)
            stage.wanted.only(judged | skipper.bound(), judged)
        run_cycle(now, stage.desk, now, stage.bars.faults(now))
        played.made += 1
        progress(now)
        stage.wanted.everything()
        index = index + 1 if every_tick else skipper.next(index)
    return played


def _record(stage: Stage, ahead: Ahead) -> RecordInTime:
    """Nothing where no decision would look at it."""
    policy = stage.desk.policy
    if policy.strategy is Strategy.RULE or policy.skill_throttle is Throttle.IGNORED:
        return RecordInTime([])
    return record_in_time(stage.bars, stage.models, stage.desk.calendar, ahead.symbols, ahead.ticks, stage.end)


def _note(stage: Stage, standings: Standings) -> None:
    """What the scoring of the last evening has left behind, if it is news."""
    if standings.doubted or STANDINGS in stage.books.values:
        with stage.desk.committing("scores") as work:
            keep_standings(work, standings)


def _release(stage: Stage, now: datetime) -> None:
    """What the owner would have sent after his patience was over: /unlock drawdown."""
    for brake in list(stage.books.brakes.values()):
        if brake.kind is BrakeKind.DRAWDOWN and stage.patience is not None and now - brake.since >= stage.patience:
            unlock(stage.desk, brake.kind, brake.scope, "the options of the run")
            stage.books.released.append(brake)


def look_ahead(stage: Stage, ticks: Seconds) -> Ahead:
    symbols, actions = dict[str, SymbolAhead](), dict[str, Ticks]()
    for instrument in stage.desk.instruments:
        symbol = instrument.symbol
        daily, confirm = (stage.bars.whole(symbol, size) for size in (stage.sizes[0], stage.sizes[-1]))
        likely = stage.models.probabilities(symbol, daily.closed_at, ticks)
        happened = stage.actions(symbol)
        units = units_at(happened, ticks)
        symbols[symbol] = symbol_ahead(daily, confirm, likely, units, ticks, stage.start, stage.desk.policy)
        actions[symbol] = first_ticks([at for at, _ in happened], ticks)
    return Ahead(ticks, day_ends(ticks, stage.desk.calendar.day_end), symbols, actions)


def begin(stage: Stage) -> None:
    """Accounts are opened as at a first start. The newcomer's card for the manual account is left out: nobody is there
    to tap it."""
    recover(stage.desk, stage.start)
    with stage.desk.committing("greeting") as work:
        work.set_value(FIRST_CARD, stage.start.isoformat())


def ticks_of(stage: Stage) -> Seconds:
    """The ticks that see a bar first, ascending, in seconds; the end of the period is one."""
    period, moments = int(TICK.total_seconds()), [np.array([seconds_of(stage.end)], np.int64)]
    for instrument in stage.desk.instruments:
        for size in stage.sizes:
            closes = stage.bars.whole(instrument.symbol, size).after(stage.start).closed_at
            moments.append(-(-closes // period) * period)
    return np.unique(np.concatenate(moments))


def _bars_in(stage: Stage) -> int:
    size = stage.sizes[-1]
    return sum(len(stage.bars.whole(each.symbol, size).after(stage.start).closed_at) for each in stage.desk.instruments)
