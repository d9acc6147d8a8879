"""What the owner can see of the models and do about them: looked up in the ledger, done in the writer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.contests import Contest
from core.domain.decisions import ModelVersion
from core.domain.records import JobRun
from core.domain.skill import LiveSkill, Standing, TrackedPrediction
from core.domain.views import OwnerAnswer
from core.execution.live_skill import live_skill, standings
from core.ports import Clock, ModelStore, UnitOfWork, UnitOfWorkFactory
from jobs import going_back
from jobs.going_back import Held
from jobs.model_changes import Change, changes, former
from jobs.recipe_words import recipe_in_words
from jobs.table import RETRAIN
from jobs.verdict import committed_verdict

SCORED_FOR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class ModelView:
    """`now` by the market clock. `scored` are the predictions of the last year by models of this recipe whose day has
    come, `skill` what the daily scoring made of them, `doubted` whose entries are held back or halved by their live
    record. `last_training` is the newest run that looked whether to train, `contest` the newest of recipes, `verdict`
    what research says about learning, `recipe` that of the model in words."""

    now: datetime
    model: ModelVersion | None
    former: ModelVersion | None
    held: Held | None
    changes: Sequence[Change]
    scored: Sequence[TrackedPrediction]
    skill: LiveSkill | None
    last_training: JobRun | None
    contest: Contest | None
    doubted: Sequence[Standing]
    verdict: str
    recipe: str

    @property
    def in_use_since(self) -> datetime | None:
        """When the model went live, or came back."""
        if self.model is None:
            return None
        mine = (each.at for each in self.changes if each.version == self.model.version)
        return next(mine, self.model.trained_at)


class ModelDesk:
    """`train` runs the training job at once, whatever is new, and returns when it is done."""

    def __init__(
        self,
        ledger: UnitOfWorkFactory,
        reader: UnitOfWorkFactory,
        store: ModelStore,
        market_clock: Clock,
        train: Callable[[], object],
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._store = store
        self._market_clock = market_clock
        self._train = train
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def view(self) -> ModelView:
        now = self._market_clock.now()
        with self._reader() as work:
            model, skill = work.champion(), live_skill(work)
            recipe = model.recipe if model is not None else ""
            return ModelView(
                now,
                model,
                former(work),
                going_back.held(work, now),
                changes(work),
                [each for each in work.tracked_predictions(recipe) if _counts(each, now - SCORED_FOR)],
                skill if skill is not None and skill.recipe == recipe else None,
                work.last_run(RETRAIN),
                next(iter(work.contests(1)), None),
                [standing for _, standing in sorted((standings(work).doubted or {}).items())],
                committed_verdict(),
                recipe_in_words(recipe),
            )

    def found(self, words: str) -> ModelVersion | None:
        """The one model whose version begins with `words`; None where there is none or more than one."""
        if not words:
            return None
        with self._reader() as work:
            fitting = [each for each in _all(work) if each.version.startswith(words.lower())]
        return fitting[0] if len(fitting) == 1 else None

    def go_back(self, version: str, instead_of: str, by: str) -> OwnerAnswer:
        now = self._market_clock.now()
        return going_back.go_back(version, instead_of, uow=self._ledger, store=self._store, now=now, by=by)

    def let_go(self) -> OwnerAnswer:
        return going_back.let_go(self._ledger, self._market_clock.now())

    def train_now(self) -> bool:
        """Begins in a thread of its own; False where one is at work already."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            self._thread = threading.Thread(target=self._train, name="train-now", daemon=True)
            self._thread.start()
            return True

    def close(self) -> None:
        """Waits for the training that is at work, which a worker that is stopped cuts short."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()


def _counts(each: TrackedPrediction, since: datetime) -> bool:
    return each.came_true is not None and each.prediction.bar_closed_at >= since


def _all(work: UnitOfWork) -> Sequence[ModelVersion]:
    return work.models(1000)
