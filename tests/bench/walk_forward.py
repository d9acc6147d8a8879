"""What a walk-forward costs beyond the bare fits of scikit-learn, what two workers save, and what a training leaves
behind in the process that asked for it.

Method. Trainings of the default recipe on made-up daily bars of eight symbols. Overhead: the processor seconds of a
whole walk-forward in this process (rows, weights, choice of leaf, calibration, flattening, files), against those of the
calls of scikit-learn's `fit` within it; its own predictions of what is held out are shown beside. Fan-out: the same
trainings by one process and by two, in turns; this is wall time, which a machine that others share spoils, so that the
load is printed with it. Memory: the resident size of a process that imports what the main process does and has one
training made by its worker, before and after.

Run: python -m tests.bench.walk_forward [TRAININGS]"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from core.learning.recipes import DEFAULT_RECIPE, RECIPES, Recipe
from jobs.fan_out import FanOut
from jobs.walk_forward import Past, carry_out, made, one_by_one
from tests.series_builders import random_walk

SYMBOLS = ("SPY", "QQQ", "IWM", "VTI", "BTC-USD", "ETH-USD", "ADA-USD", "SOL-USD")
TRAININGS = 4
BARS = 1_500
OVERHEAD_AIM, FAN_OUT_AIM = 0.10, 1.8
MEMORY = """
import resource, sys
from pathlib import Path
import bot.bootstrap
from jobs.worker import SpawnedWorker
from tests.bench.walk_forward import one_training

def size() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

if __name__ == "__main__":
    before = size()
    SpawnedWorker().run(one_training, sys.argv[1], deadline=600.0)
    print(before, size(), int("sklearn" in sys.modules))
"""


@dataclass(slots=True)
class Spent:
    """Processor seconds in all, and within scikit-learn's fits and predictions."""

    whole: float = 0.0
    fits: float = 0.0
    predictions: float = 0.0
    trainings: int = 0

    @property
    def overhead(self) -> float:
        """Beyond the fits, as a fraction of them."""
        return self.whole / self.fits - 1

    @property
    def own(self) -> float:
        """Beyond all that scikit-learn does, as a fraction of its fits."""
        return (self.whole - self.predictions) / self.fits - 1


@dataclass(slots=True)
class Wall:
    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)

    @property
    def gain(self) -> float:
        return median(self.one) / median(self.two)


def past_of(bars: int, recipe: Recipe) -> Past:
    return Past(tuple(random_walk(symbol, bars, seed=number) for number, symbol in enumerate(SYMBOLS)), recipe)


def dues_of(past: Past, count: int) -> list[datetime]:
    """The last `count` quarters of the bars."""
    end = datetime.fromtimestamp(int(past.daily[0].closed_at[-1]), UTC)
    return [end - timedelta(days=91) * number for number in reversed(range(count))]


def measured(past: Past, dues: list[datetime], folder: Path) -> Spent:
    from sklearn.ensemble import RandomForestClassifier

    spent = Spent()
    past.lessons  # noqa: B018 - features and labels are made once for all trainings
    with (
        _counted(RandomForestClassifier, "fit", spent, "fits"),
        _counted(RandomForestClassifier, "predict_proba", spent, "predictions"),
    ):
        began = process_time()
        spent.trainings = len(made(past, dues, folder, one_by_one, lambda: None))
        spent.whole = process_time() - began
    return spent


@contextmanager
def _counted(kind: Any, name: str, spent: Spent, where: str) -> Iterator[None]:
    called: Callable[..., Any] = getattr(kind, name)

    def counting(*arguments: Any, **named: Any) -> Any:
        began = process_time()
        try:
            return called(*arguments, **named)
        finally:
            setattr(spent, where, getattr(spent, where) + process_time() - began)

    setattr(kind, name, counting)
    try:
        yield
    finally:
        setattr(kind, name, called)


def fanned_out(past: Past, dues: list[datetime], rounds: int) -> Wall:
    tasks, wall = [past.task(due) for due in dues], Wall()
    for _ in range(rounds + 1):
        for jobs, spent in ((1, wall.one), (2, wall.two)):
            began = perf_counter()
            list(FanOut(jobs).map(carry_out, tasks))
            spent.append(perf_counter() - began)
    # The first round starts the two processes.
    return Wall(wall.one[1:], wall.two[1:])


def one_training(_name: str) -> int:
    """What the worker is asked for."""
    past = past_of(BARS, RECIPES[DEFAULT_RECIPE].on(1))
    return len(carry_out(past.task(dues_of(past, 1)[0])))


def memory() -> tuple[int, int, bool]:
    """Resident bytes before and after a training, and whether scikit-learn has come into the process."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "measure.py"
        script.write_text(MEMORY)
        place = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        done = subprocess.run([sys.executable, str(script), "x"], check=True, capture_output=True, text=True, env=place)
    before, after, has = map(int, done.stdout.split()[-3:])
    return before, after, bool(has)


def lines_of(spent: Spent, wall: Wall, sizes: tuple[int, int, bool]) -> Iterator[str]:
    reached = {True: "reached", False: "not reached"}
    yield (
        f"walk-forward, {spent.trainings} trainings of {DEFAULT_RECIPE}: {spent.whole:.2f} s of the processor, of "
        f"these {spent.fits:.2f} s in scikit-learn's fits and {spent.predictions:.2f} s in its predictions of what is "
        "held out"
    )
    yield (
        f"  beyond the fits {100 * spent.overhead:.1f} % (aim {100 * OVERHEAD_AIM:.0f} %: "
        f"{reached[spent.overhead < OVERHEAD_AIM]}), without these predictions {100 * spent.own:.1f} %"
    )
    load = os.getloadavg()[0]
    yield (
        f"  two workers are {wall.gain:.2f} times as fast as one (aim {FAN_OUT_AIM}: "
        f"{reached[wall.gain >= FAN_OUT_AIM]}); wall time, load {load:.1f} on {os.cpu_count()} processors"
    )
    before, after, has = sizes
    yield (
        f"  the process that asks for a training: {before / 2**20:.1f} MiB before, {after / 2**20:.1f} MiB after, "
        f"scikit-learn {'imported' if has else 'not imported'}"
    )


def main(arguments: list[str]) -> None:
    count = int(arguments[0]) if arguments else TRAININGS
    past = past_of(BARS, RECIPES[DEFAULT_RECIPE].on(1))
    dues = dues_of(past, count)
    with tempfile.TemporaryDirectory() as folder:
        spent = measured(past, dues, Path(folder))
    print(*lines_of(spent, fanned_out(past, dues, 2), memory()), sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
