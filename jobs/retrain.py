"""The hourly job that learns: trains in the worker when there is something new to learn, and registers the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.bars import BarSize
from core.domain.decisions import ModelState, ModelVersion
from core.domain.events import ModelTrained
from core.domain.instruments import Instrument
from core.errors import DataFault
from core.learning.labels import count_matured, event_name
from core.learning.training import Recipe, TrainingOutcome, TrainingRequest, train
from core.learning.validation import Scores
from core.ports import BarStore, UnitOfWorkFactory, Worker
from core.series import BarSeries
from core.strategy.features import FEATURE_VERSION, WARM_UP
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
    horizon: int = 10,
    recipe: Recipe | None = None,
    min_new_labels: int = 40,
    force: bool = False,
    deadline: float = 600.0,
    checkpoint: Checkpoint = nowhere,
) -> str:
    """Trains on the daily bars closed by `now` (market time), registers the model and tells of it; returns a line.

    `force` trains although nothing is new: the champion's files are lost or damaged. Raises JobSkipped with the reason
    where there is nothing to learn, Transient when the worker fails, DataFault when the result cannot be scored.
    """
    recipe = recipe or Recipe()
    daily = _histories(bars, instruments, now, horizon)
    with uow() as work:
        champion, known, waits = work.champion(), work.models(), held(work, now)
    if not force:
        _skip_while_held(waits)
        _skip_unless_new(daily, known, horizon, min_new_labels)
    try:
        with calling(checkpoint, "train"):
            outcome = worker.run(train, TrainingRequest(daily, models_folder, horizon, recipe), deadline=deadline)
    except DataFault as fault:
        raise JobSkipped(f"not trained: {fault.reason}") from fault
    if champion is not None and champion.version == outcome.version:
        return f"model {outcome.version} came out the same again; its files are whole"
    if any(model.version == outcome.version for model in known):
        raise JobSkipped(f"model {outcome.version} came out again and had been set aside before")
    return _register(outcome, now, uow)


def objection(scores: Scores) -> str:
    """Why a model of these scores must not go live; empty when it may."""
    excess = scores.log_loss - scores.baseline_log_loss
    if excess > WORST_ABOVE_BASELINE:
        return f"its log loss {scores.log_loss:.4f} is {excess:.4f} above the base rate's"
    return ""


def _histories(bars: BarStore, instruments: Sequence[Instrument], now: datetime, horizon: int) -> tuple[BarSeries, ...]:
    read = (bars.read(instrument.symbol, BarSize.D1, now, WHOLE_HISTORY) for instrument in instruments)
    return tuple(series for series in read if len(series) >= WARM_UP + horizon)


def _skip_unless_new(
    daily: Sequence[BarSeries], known: Sequence[ModelVersion], horizon: int, min_new_labels: int
) -> None:
    """Counts from the newest bar that any model of this kind has seen, rejected ones included."""
    if not daily:
        raise JobSkipped(f"no asset has {WARM_UP + horizon} daily bars yet")
    kin = [each for each in known if each.feature_version == FEATURE_VERSION and each.event == event_name(horizon)]
    newest = max((model.last_bar_at for model in kin), default=None)
    if newest is None:
        return
    fresh = count_matured(daily, horizon, newest)
    if fresh < min_new_labels:
        raise JobSkipped(f"{fresh} new labelled rows, {min_new_labels} make retraining worth while")


def _skip_while_held(waits: Held | None) -> None:
    if waits is not None:
        raise JobSkipped(
            f"you went back to model {waits.version}; training waits until {waits.until:%Y-%m-%d %H:%M} UTC"
        )


def _register(outcome: TrainingOutcome, now: datetime, uow: UnitOfWorkFactory) -> str:
    if not math.isfinite(outcome.scores.log_loss):
        raise DataFault("model", f"{outcome.version}: its log loss is not a number; the former model stays")
    reason = objection(outcome.scores)
    model = _version_of(outcome, now, ModelState.REJECTED if reason else ModelState.CHAMPION)
    with uow() as work:
        work.add_model(model)
        note(work, Change(now, model.version, Fate.REJECTED if reason else Fate.LIVE, reason))
        work.publish(_told(model, reason), market_time=now)
        work.commit("model")
    scores = outcome.scores
    fate = f"rejected, {reason}; the former model stays" if reason else "live"
    return (
        f"model {model.version} from {model.rows} rows: AUC {scores.auc:.3f}, "
        f"log loss {scores.log_loss:.4f} against {scores.baseline_log_loss:.4f}; {fate}"
    )


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
    )


def _told(model: ModelVersion, reason: str) -> ModelTrained:
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
        reason=reason,
    )
