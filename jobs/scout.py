"""Finds a moment of a generated history at which the real decision path soon makes an entry: where a demonstration
begins, so that a newcomer sees the system act within minutes. Nothing in the core knows of it: the model, the threshold
and the rules are the ones that trade."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from core.domain.accounts import Account, AccountKind, Mode, World
from core.domain.decisions import ModelVersion
from core.domain.instruments import Instrument
from core.domain.orders import OrderNamespace
from core.domain.portfolio import Portfolio
from core.domain.values import exact
from core.ports import Calendar, Predictor
from core.series import BarSeries
from core.strategy.decide import decide
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION
from core.strategy.plain_rule import rule_verdict
from core.strategy.policy import Policy, Strategy
from core.strategy.predictor import ForestPredictor
from core.strategy.snapshot import AccountView, MarketView, Snapshot
from jobs.schedule import TICK_PERIOD, every

if TYPE_CHECKING:
    from core.learning.training import Recipe

UNSAVED = "scout"
GLANCE_TREES = 40

LEAD = timedelta(minutes=15)
WATCHED = timedelta(minutes=45)
BLOCK = timedelta(days=5)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, eq=False)
class ScoutTask:
    """What the search may look at. Times aware UTC; `cash` in USD."""

    daily: Mapping[str, BarSeries]
    intraday: Mapping[str, BarSeries]
    instruments: Sequence[Instrument]
    calendar: Calendar
    policy: Policy
    cash: Decimal
    earliest: datetime
    latest: datetime


Train = Callable[[Sequence[BarSeries]], Predictor | None]


def scout(task: ScoutTask, recipe: Recipe) -> datetime | None:
    """`lively_start` with the real training: what the worker runs. The plain rule needs none."""
    if task.policy.strategy is Strategy.RULE:
        return lively_start(task, lambda _known: None, lambda _known: None)
    from core.learning.labels import event_name, training_rows
    from core.learning.training import fit, flatten

    event = event_name(task.policy.label_horizon)

    def train(daily: Sequence[BarSeries], trees: int) -> Predictor:
        rows = training_rows(tuple(daily), task.policy.label_horizon, recipe.newest)
        forest = flatten(fit(rows, replace(recipe, trees=trees)), UNSAVED, event)
        return ForestPredictor(forest, _unsaved(event, task.latest))

    return lively_start(task, partial(train, trees=min(GLANCE_TREES, recipe.trees)), partial(train, trees=recipe.trees))


def _unsaved(event: str, at: datetime) -> ModelVersion:
    """The description of a forest that is looked at and thrown away."""
    return ModelVersion(
        UNSAVED, at, at, event, FEATURE_NAMES, FEATURE_VERSION, 0, "", "", "", "", 0, 0.5, 0.0, 0.0, 0.5
    )


def lively_start(task: ScoutTask, glance: Train, train: Train) -> datetime | None:
    """The newest start in [earliest, latest] at which a model trained on what is known then makes an entry within
    WATCHED minutes; None if there is none. Both functions get the daily bars closed by a moment: `glance` trains a
    quick forest that finds candidates, `train` the one that will be live, whose word counts."""
    block = task.latest - BLOCK
    while block >= task.earliest:
        predictor = glance(_known(task.daily, block))
        for entry in _entries(task, predictor, block, block + BLOCK):
            start = every(TICK_PERIOD)(entry - LEAD - TICK_PERIOD)
            exact_model = train(_known(task.daily, start))
            if next(_entries(task, exact_model, start, start + WATCHED), None) is not None:
                return start
        block -= BLOCK
    return None


def _known(daily: Mapping[str, BarSeries], now: datetime) -> list[BarSeries]:
    return [series.until(now) for series in daily.values()]


def _entries(task: ScoutTask, predictor: Predictor | None, start: datetime, end: datetime) -> Iterator[datetime]:
    """At most one entry a day, in (start, end]: the first tick at which the decision holds an order."""
    rule, now = every(TICK_PERIOD), start
    while (now := rule(now)) <= end:
        likely = _likely(task, predictor, now)
        if not likely:
            now = max(now, _next_change(task, now) - TICK_PERIOD)
            continue
        if decide(_snapshot(task, now, likely), predictor, task.policy).orders:
            yield now
            now += DAY


def _likely(task: ScoutTask, predictor: Predictor | None, now: datetime) -> list[Instrument]:
    """Instruments whose daily probability passes the gate, or that the plain rule wants; only they can make an
    entry."""
    if predictor is None:
        return [each for each in task.instruments if rule_verdict(task.daily[each.symbol].until(now)).passed]
    found = []
    for instrument in task.instruments:
        prediction = predictor.predict(task.daily[instrument.symbol].until(now))
        if prediction is not None and prediction.probability > task.policy.min_probability:
            found.append(instrument)
    return found


def _next_change(task: ScoutTask, now: datetime) -> datetime:
    """Probabilities change only when a daily bar closes."""
    return min(task.calendar.next_close(instrument.asset_class, now) for instrument in task.instruments)


def _snapshot(task: ScoutTask, now: datetime, instruments: Sequence[Instrument]) -> Snapshot:
    account = Account(AccountKind.SIMULATED.value, AccountKind.SIMULATED, World.SIMULATED)
    portfolio = replace(Portfolio(account.id), cash=task.cash)
    return Snapshot(
        now=now,
        origin=now.isoformat(),
        mode=Mode.AUTO,
        markets=tuple(_market(task, instrument, now) for instrument in instruments),
        accounts=(AccountView(account, portfolio, (), {}),),
        entry_account=account.id,
        brakes=(),
        namespace=OrderNamespace("scout", 0),
    )


def _market(task: ScoutTask, instrument: Instrument, now: datetime) -> MarketView:
    confirm = task.intraday[instrument.symbol].until(now).last(task.policy.confirm_bars)
    bar = confirm.bar(len(confirm) - 1)
    return MarketView(
        instrument=instrument,
        daily=task.daily[instrument.symbol].until(now),
        confirm=confirm,
        price=exact(bar.close),
        price_at=bar.closed_at,
        is_open=task.calendar.is_open(instrument.asset_class, now),
        next_open=task.calendar.next_open(instrument.asset_class, now),
    )
