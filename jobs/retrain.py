"""The hourly job that learns: trains in the worker when there is something new to learn, and registers the result."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.bars import BarSize
from core.domain.decisions import ModelState, ModelVersion
from core.domain.events import ModelTrained
from core.domain.instruments import Instrument
from core.errors import DataFault
from core.learning.growing import Lesson, labelled_moments, lessons_of
from core.learning.held_out import LEVEL
from core.learning.recipes import DEFAULT_RECIPE, RECIPES, Recipe
from core.learning.tracks import Lead
from core.learning.training import TrainingOutcome, TrainingRequest, train
from core.learning.validation import Scores
from core.ports import BarStore, UnitOfWork, UnitOfWorkFactory, Worker
from core.series import BarSeries, seconds_of
from core.strategy.bundle import names_for
from core.strategy.features import FEATURE_VERSION
from jobs.beside import keep_beside, kept_beside
from jobs.going_back import Held, held
from jobs.model_changes import Change, Fate, note
from jobs.schedule import JobSkipped

WHOLE_HISTORY = 100_000
# A refit of the same recipe may have bad luck on its held-out days; worse than this (nats) is no luck.
WORST_ABOVE_BASELINE = 0.05


def retrain(
    now: datetime,
    *,
    uow: UnitOfWorkFactory,
    bars: BarStore,
    instruments: Sequence[Instrument],
    worker: Worker,
    models_folder: Path,
    recipe: Recipe = RECIPES[DEFAULT_RECIPE],
    min_new_labels: int = 12,
    unseen: Collection[str] = (),
    force: bool = False,
    deadline: float = 600.0,
    checkpoint: Checkpoint = nowhere,
) -> str:
    """Trains on the daily bars closed by `now` (market time), registers the model and tells of it; returns a line.

    `unseen` are symbols that the champion was not shown, because the owner has added them: what they have to teach is
    new. `force` trains although nothing is new: the champion's files are lost or damaged. Raises JobSkipped with the
    reason where there is nothing to learn, Transient when the worker fails, DataFault when the result cannot be scored.
    """
    daily = tuple(bars.read(instrument.symbol, BarSize.D1, now, WHOLE_HISTORY) for instrument in instruments)
    with uow() as work:
        champion, known, waits = work.champion(), work.models(), held(work, now)
        beside = kept_beside(work, models_folder, recipe)
    if not force:
        _skip_while_held(waits)
        _skip_unless_new(daily, now, known, recipe, min_new_labels, unseen)
    try:
        with calling(checkpoint, "train"):
            outcome = worker.run(train, TrainingRequest(daily, models_folder, recipe, now, beside), deadline=deadline)
    except DataFault as fault:
        raise JobSkipped(f"not trained: {fault.reason}") from fault
    if champion is not None and champion.version == outcome.version:
        return f"model {outcome.version} came out the same again; its files are whole"
    if any(model.version == outcome.version for model in known):
        raise JobSkipped(f"model {outcome.version} came out again and had been set aside before")
    with uow() as work:
        _skip_if_overtaken(work, champion)
        line = register(work, outcome, now)
        work.commit("model")
    return line


def objection(scores: Scores) -> str:
    """Why a model of these scores must not go live; empty when it may."""
    excess = scores.log_loss - scores.baseline_log_loss
    if excess > WORST_ABOVE_BASELINE:
        return f"its log loss {scores.log_loss:.4f} is {excess:.4f} above the base rate's"
    return ""


def _skip_unless_new(
    daily: Sequence[BarSeries],
    now: datetime,
    known: Sequence[ModelVersion],
    recipe: Recipe,
    min_new_labels: int,
    unseen: Collection[str],
) -> None:
    """Counts from the newest bar that any model of this recipe has seen, rejected ones included."""
    kin = [each for each in known if each.feature_version == FEATURE_VERSION and each.recipe == recipe.name]
    newest = max((model.last_bar_at for model in kin), default=None)
    if newest is None:
        return _skip_where_all_lack(_lessons(daily, now, recipe))
    if unseen:
        names = {name for symbol in unseen for name in names_for(symbol)}
        if any(each.name in names and not each.lack for each in _lessons(daily, now, recipe)):
            return None
    moments = [labelled_moments(series, recipe) for series in daily]
    fresh = sum(int(((each > seconds_of(newest)) & (each < seconds_of(now))).sum()) for each in moments)
    if fresh < min_new_labels:
        raise JobSkipped(f"{fresh} new labelled rows, {min_new_labels} make retraining worth while")
    return None


def _lessons(daily: Sequence[BarSeries], now: datetime, recipe: Recipe) -> list[Lesson]:
    return [each.until(now, recipe.grower.window) for each in lessons_of(daily, recipe)]


def _skip_where_all_lack(lessons: Sequence[Lesson]) -> None:
    """Without asking the worker, which would be started for it each hour."""
    if all(each.lack for each in lessons):
        told = "; ".join(f"{each.name} has {each.lack}" for each in lessons) or "there are no assets"
        raise JobSkipped(f"not trained: there is too little to learn from: {told}")


def _skip_if_overtaken(work: UnitOfWork, champion: ModelVersion | None) -> None:
    """A contest was won, or the owner went back, while this was trained: what came of that stays in use."""
    newest = work.champion()
    if (newest.version if newest else "") != (champion.version if champion else ""):
        raise JobSkipped("another model came into use while this one was trained: it is not used")


def _skip_while_held(waits: Held | None) -> None:
    if waits is not None:
        raise JobSkipped(
            f"you went back to model {waits.version}; training waits until {waits.until:%Y-%m-%d %H:%M} UTC"
        )


def register(work: UnitOfWork, outcome: TrainingOutcome, now: datetime, won: str = "") -> str:
    """In the caller's transaction, with the news and a line for the record. `won` says in words what contest the recipe
    has won. Raises DataFault where the scores are not numbers."""
    reason = objection_to(outcome)
    model = _version_of(outcome, now, ModelState.REJECTED if reason else ModelState.CHAMPION)
    live = Fate.WON if won else Fate.LIVE
    work.add_model(model)
    note(work, Change(now, model.version, Fate.REJECTED if reason else live, reason or won))
    keep_beside(work, outcome.version, outcome.held_sha256)
    work.publish(_told(model, reason, won), market_time=now)
    scores = outcome.scores
    fate = f"rejected, {reason}; the former model stays" if reason else "live"
    return (
        f"model {model.version} ({model.recipe}) from {model.rows} rows: AUC {scores.auc:.3f}, "
        f"log loss {scores.log_loss:.4f} against {scores.baseline_log_loss:.4f}{_each(outcome)}; {fate}"
        f"{_without(outcome)}"
    )


def objection_to(outcome: TrainingOutcome) -> str:
    """Why what was trained must not go live; empty when it may. Raises DataFault where its scores are not numbers."""
    if not math.isfinite(outcome.scores.log_loss):
        raise DataFault("model", f"{outcome.version}: its log loss is not a number; the former model stays")
    return objection(outcome.scores) or _worse(outcome.behind)


def _worse(behind: Lead | None) -> str:
    """A refit has to be no worse than the model in use by more than luck."""
    if behind is None or behind.lead is None or behind.low is None or behind.low <= 0.0:
        return ""
    return (
        f"on {behind.rows} bars that both had held out it foresees worse than the model in use: by"
        f" {behind.lead:.4f} nats, at least {behind.low:.4f} but for {LEVEL:.0%} of chance"
    )


def _each(outcome: TrainingOutcome) -> str:
    """By how much each member of the pool does better than its base rate, in nats; less than nothing where it does
    worse."""
    gains = {name: each.baseline_log_loss - each.log_loss for name, each in outcome.by_member.items()}
    return f" (better by {', '.join(f'{name} {gain:+.4f}' for name, gain in gains.items())})" if gains else ""


def _without(outcome: TrainingOutcome) -> str:
    return "".join(f"; no model for {name} yet: {why}" for name, why in outcome.missing.items())


def _version_of(outcome: TrainingOutcome, now: datetime, state: ModelState) -> ModelVersion:
    scores = outcome.scores
    return ModelVersion(
        version=outcome.version,
        trained_at=now,
        last_bar_at=outcome.last_bar_at,
        event=outcome.event,
        feature_names=outcome.feature_names,
        feature_version=outcome.feature_version,
        rows=outcome.rows,
        path=outcome.path,
        sha256=outcome.sha256,
        flat_path=outcome.flat_path,
        flat_sha256=outcome.flat_sha256,
        validation_rows=scores.rows,
        validation_auc=scores.auc,
        validation_log_loss=scores.log_loss,
        baseline_log_loss=scores.baseline_log_loss,
        base_rate=scores.base_rate,
        state=state,
        recipe=outcome.recipe,
    )


def _told(model: ModelVersion, reason: str, won: str) -> ModelTrained:
    return ModelTrained(
        version=model.version,
        rows=model.rows,
        last_bar_at=model.last_bar_at,
        event=model.event,
        validation_rows=model.validation_rows,
        auc=model.validation_auc,
        log_loss=model.validation_log_loss,
        baseline_log_loss=model.baseline_log_loss,
        base_rate=model.base_rate,
        promoted=not reason,
        reason=reason or won,
    )
