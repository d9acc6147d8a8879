"""The trainings that a live engine would have made in a past period: when, on which rows, and with what result.

Each training sees the labels that had matured by its time and nothing later. Trainings know nothing of one another, so
that they are spread over processes; what is finished is kept by a hash of everything it was made of, and a run that was
cut short goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from core.errors import DataFault
from core.learning.growing import Lesson, grow, labelled_moments, lessons_of
from core.learning.labels import Labels
from core.learning.market import side_cost
from core.learning.recipes import Recipe
from core.learning.validation import Scores
from core.series import BarSeries, Floats, Seconds, seconds_of, time_of
from core.strategy.bundle import Bundle
from core.strategy.features import FEATURE_VERSION
from jobs.retrain import objection
from jobs.schedule import RETRAIN_PERIOD

FORMAT = 2
"""Part of every hash: raised when what a finished training holds changes."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """When a training is worth while: after `min_new_labels` new labelled rows, looked for every `period`."""

    period: timedelta = RETRAIN_PERIOD
    min_new_labels: int = 12


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One training as it is sent to a process."""

    lessons: tuple[Lesson, ...]
    recipe: Recipe

    def key(self) -> str:
        """SHA-256 (hex) over all that the result depends on; the number of threads is not part of it."""
        recipe = asdict(self.recipe.on(1))
        about = [FORMAT, FEATURE_VERSION, recipe, self.recipe.foresees.words, np.__version__]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for lesson in self.lessons:
            digest.update(f"{lesson.name} {lesson.needed}".encode())
            for name in lesson.samples.__slots__:
                digest.update(np.ascontiguousarray(getattr(lesson.samples, name)).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Past:
    """The daily bars of a period and what is learned from them. A moment sees the labels that were known by then."""

    daily: tuple[BarSeries, ...]
    recipe: Recipe

    @cached_property
    def lessons(self) -> tuple[Lesson, ...]:
        return lessons_of(self.daily, self.recipe)

    @cached_property
    def labelled_at(self) -> Seconds:
        """When the labels to learn from became known, ascending."""
        moments = (labelled_moments(series, self.recipe) for series in self.daily)
        return np.sort(np.concatenate([np.empty(0, np.int64), *moments]))

    def task(self, at: datetime) -> Task:
        window = self.recipe.grower.window
        return Task(tuple(lesson.until(at, window) for lesson in self.lessons), self.recipe)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A finished training. `objection` says why the live engine would not have used it; empty where it would."""

    at: datetime
    bundle: Bundle
    rows: int
    last_bar_at: datetime
    scores: Scores

    @property
    def objection(self) -> str:
        return objection(self.scores)


Mapper = Callable[[Callable[[Task], bytes], Iterable[Task]], Iterator[bytes]]
"""map(task, tasks): the results in the order of the tasks, made anywhere; tasks are taken as they are needed."""


def planned(past: Past, start: datetime, end: datetime, cadence: Cadence) -> list[datetime]:
    """When models are trained from `start` to `end`, as the hourly job would decide (jobs.retrain)."""
    found: list[datetime] = []
    newest = -1
    for due in _dues(past.daily, start, end, cadence.period):
        labelled = past.labelled_at[past.labelled_at < seconds_of(due)]
        if newest >= 0 and np.count_nonzero(labelled > newest) < cadence.min_new_labels:
            continue
        # Too little to learn from: the job is skipped and asks again the next time.
        if all(lesson.lack for lesson in past.task(due).lessons):
            continue
        newest = int(labelled[-1])
        found.append(due)
    return found


def made(
    past: Past, dues: Sequence[datetime], folder: Path, mapper: Mapper, progress: Callable[[], object]
) -> list[Trained]:
    """What each training gives, from `folder` where it is kept already. `progress` is told of each that is done.

    A training that the data does not allow (DataFault) is left out, as the live job leaves it out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{past.task(due).key()}.npz" for due in dues]
    missing = [(due, path) for due, path in zip(dues, paths, strict=True) if not path.exists()]
    for _ in range(len(dues) - len(missing)):
        progress()
    results = mapper(carry_out, (past.task(due) for due, _ in missing))
    for (_, path), result in zip(missing, results, strict=True):
        _keep(path, result)
        progress()
    found = (_read(path.read_bytes(), due) for due, path in zip(dues, paths, strict=True))
    return [trained for trained in found if trained is not None]


def carry_out(task: Task) -> bytes:
    """Runs in any process, on one thread; empty where the data does not allow it. The same rows give the same bytes."""
    try:
        grown = grow(task.lessons, task.recipe.on(1))
    except DataFault:
        return b""
    buffer = io.BytesIO()
    told = json.dumps({"rows": grown.rows, "last": seconds_of(grown.last_bar_at), "scores": asdict(grown.scores)})
    flat = np.frombuffer(grown.bundle.to_bytes(), np.uint8)
    np.savez(buffer, told=np.array(told), flat=flat)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True, eq=False)
class Promises:
    """What was foreseen of `event` from each daily bar of a period that has matured, and whether it came true; equal
    lengths."""

    event: str
    probability: Floats
    label: Labels

    def groups(self, width: float = 0.05) -> list[tuple[float, float, int]]:
        """(mean promise, share that came true, how many) for each step of `width` that has promises."""
        step = np.floor(self.probability / width).astype(np.int64)
        return [
            (
                float(self.probability[step == one].mean()),
                float(self.label[step == one].mean()),
                int((step == one).sum()),
            )
            for one in np.unique(step).tolist()
        ]

    @property
    def brier(self) -> float:
        """Mean squared difference of promise and outcome (Brier 1950); lower is better."""
        return float(np.mean((self.probability - self.label) ** 2))

    @property
    def base_rate(self) -> float:
        return float(self.label.mean())


def kept_promises(past: Past, foresee: Callable[[str, Seconds, Seconds], Floats], start: datetime) -> Promises:
    """`foresee(symbol, closes, moments)` is what was foreseen at each moment from the newest bar closed by then."""
    event = past.recipe.foresees
    found: list[tuple[Floats, Labels]] = [(np.empty(0), np.empty(0, np.int8))]
    for series in past.daily:
        first = int(np.searchsorted(series.closed_at, seconds_of(start), side="right"))
        outcomes = event.outcomes(series, side_cost(series.symbol))
        count = min(len(outcomes.label), max(0, len(series) - event.horizon))
        closes = series.closed_at[first:count]
        said = foresee(series.symbol, series.closed_at, closes)
        known = np.isfinite(said) & np.isfinite(outcomes.gain[first:count])
        found.append((said[known], outcomes.label[first:count][known]))
    said, outcome = (np.concatenate(column) for column in zip(*found, strict=True))
    return Promises(event.words, said, outcome)


def one_by_one(task: Callable[[Task], bytes], tasks: Iterable[Task]) -> Iterator[bytes]:
    """A Mapper in this very process."""
    return map(task, tasks)


def _read(data: bytes, at: datetime) -> Trained | None:
    if not data:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        told = json.loads(str(file["told"]))
        bundle = Bundle.from_bytes(file["flat"].tobytes())
    return Trained(at, bundle, told["rows"], time_of(told["last"]), Scores(**told["scores"]))


def _dues(daily: Sequence[BarSeries], start: datetime, end: datetime, period: timedelta) -> list[datetime]:
    """`start`, then the multiples of `period` (since 1970; of days: since `start`) that a new daily bar closed for."""
    step = int(period.total_seconds())
    origin = 0 if period <= RETRAIN_PERIOD else seconds_of(start)
    closes = [series.after(start).until(end).closed_at for series in daily]
    moments = np.unique(np.concatenate([np.empty(0, np.int64), *closes]))
    dues = np.unique(origin + -(-(moments - origin) // step) * step)
    return [start, *(time_of(due) for due in dues.tolist() if seconds_of(start) < due <= seconds_of(end))]


def _keep(path: Path, data: bytes) -> None:
    """Whole or not at all, so that a run cut short leaves nothing half finished."""
    with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)
