"""What won a contest is trained on all that is known, as the hourly job trains, and goes live with its contest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.bars import BarSize
from core.domain.contests import Contest
from core.domain.instruments import Instrument
from core.learning.recipes import Recipe
from core.learning.training import TrainingOutcome, TrainingRequest, train
from core.ports import BarStore, UnitOfWork, UnitOfWorkFactory, Worker
from jobs.contest import WHOLE_HISTORY, Refit
from jobs.retrain import objection_to, register


@dataclass(frozen=True, slots=True)
class Winners:
    """Trains the winner of the contest at `now`, by market time; `deadline` in seconds."""

    now: datetime
    uow: UnitOfWorkFactory
    bars: BarStore
    instruments: Sequence[Instrument]
    worker: Worker
    models_folder: Path
    deadline: float = 600.0
    checkpoint: Checkpoint = nowhere

    def prepare(self, recipe: Recipe) -> Refit | str:
        """What registers it, or why it must not go live. Raises DataFault where it cannot be learned or judged,
        Transient when the worker fails."""
        read = (self.bars.read(each.symbol, BarSize.D1, self.now, WHOLE_HISTORY) for each in self.instruments)
        request = TrainingRequest(tuple(read), self.models_folder, recipe, self.now)
        with calling(self.checkpoint, "train"):
            outcome = self.worker.run(train, request, deadline=self.deadline)
        if reason := objection_to(outcome):
            return reason
        with self.uow() as work:
            if work.model(outcome.version) is not None:
                return f"model {outcome.version} came out again, and had been set aside or replaced before"
        return _Registering(outcome, self.now)


@dataclass(frozen=True, slots=True)
class _Registering:
    outcome: TrainingOutcome
    now: datetime

    def __call__(self, work: UnitOfWork, held: Contest) -> str:
        return register(work, self.outcome, self.now, held.outcome)
