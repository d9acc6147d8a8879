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
from core.errors import DataFault
from core.feed.depth import MOST_DAILY_BARS
from core.ports import Calendar, Predictor
from core.series import BarSeries
from core.strategy.bundle import Bundle, names_for
from core.strategy.decide import decide
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION
from core.strategy.plain_rule import rule_verdict
from core.strategy.policy import Policy, Strategy
from core.strategy.predictor import ForestPredictor
from core.strategy.snapshot import AccountView, MarketView, Snapshot
from jobs.schedule import TICK_PERIOD, every

if TYPE_CHECKING:
    from core.learning.fitting import Grower
    from core.learning.recipes import Recipe

GLANCE_TREES = 20

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


Train = Callable[[Sequence[BarSeries], datetime, Sequence[str]], Predictor | None]


def scout(task: ScoutTask, recipe: Recipe) -> datetime | None:
    """`lively_start` with the real training: what the worker runs. The plain rule needs none."""
    if task.policy.strategy is Strategy.RULE:
        return lively_start(task, _untrained, _untrained)
    from core.learning.growing import grow, lessons_of

    def train(grower: Grower, daily: Sequence[BarSeries], at: datetime, symbols: Sequence[str]) -> Predictor | None:
        names = {name for symbol in symbols for name in names_for(symbol)}
        lessons = [each.until(at, grower.window) for each in lessons_of(daily, recipe) if each.name in names]
        try:
            bundle = grow(lessons, replace(recipe, grower=grower), is_judged=False).bundle
        except DataFault:
            return None
        return ForestPredictor(bundle, _unsaved(bundle, at))

    exact = recipe.grower
    quick = replace(exact, trees=min(GLANCE_TREES, exact.trees), trial_trees=GLANCE_TREES // 2, leaves=exact.leaves[:1])
    return lively_start(task, partial(train, quick), partial(train, exact))


def _untrained(_daily: Sequence[BarSeries], _at: datetime, _symbols: Sequence[str]) -> None:
    """The plain rule asks no model."""


def _unsaved(bundle: Bundle, at: datetime) -> ModelVersion:
    """The description of a model that is looked at and thrown away."""
    return ModelVersion(
        version=bundle.version,
        trained_at=at,
        last_bar_at=at,
        event=bundle.event,
        feature_names=FEATURE_NAMES,
        feature_version=FEATURE_VERSION,
        rows=0,
        path="",
        sha256="",
        flat_path="",
        flat_sha256="",
        validation_rows=0,
        validation_auc=0.5,
        validation_log_loss=0.0,
        baseline_log_loss=0.0,
        base_rate=0.5,
        recipe=bundle.recipe,
    )


def lively_start(task: ScoutTask, glance: Train, train: Train) -> datetime | None:
    """The newest start in [earliest, latest] at which a model trained on what is known then makes an entry within
    WATCHED minutes; None if there is none. Both functions get the daily bars closed by a moment, as many as the engine
    would have then, that moment, and the symbols that the model has to answer for; None where nothing can be learned
    from them. `glance` trains a quick model that finds candidates, `train` what the live one will say of them, and its
    word counts."""
    block = task.latest - BLOCK
    while block >= task.earliest:
        predictor = glance(_known(task.daily, block), block, tuple(task.daily))
        for entry, symbols in _entries(task, predictor, block, block + BLOCK):
            start = every(TICK_PERIOD)(entry - LEAD - TICK_PERIOD)
            exact_model = train(_known(task.daily, start), start, symbols)
            if next(_entries(task, exact_model, start, start + WATCHED), None) is not None:
                return start
        block -= BLOCK
    return None


def _known(daily: Mapping[str, BarSeries], now: datetime) -> list[BarSeries]:
    return [series.until(now).last(MOST_DAILY_BARS) for series in daily.values()]


def _entries(
    task: ScoutTask, predictor: Predictor | None, start: datetime, end: datetime
) -> Iterator[tuple[datetime, Sequence[str]]]:
    """At most one a day, in (start, end]: the first tick at which the decision holds an order, and what is bought."""
    if predictor is None and task.policy.strategy is not Strategy.RULE:
        return
    rule, now = every(TICK_PERIOD), start
    while (now := rule(now)) <= end:
        likely = _likely(task, predictor, now)
        if not likely:
            now = max(now, _next_change(task, now) - TICK_PERIOD)
            continue
        if orders := decide(_snapshot(task, now, likely), predictor, task.policy).orders:
            yield now, [order.symbol for order in orders]
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
