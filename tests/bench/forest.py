"""Prediction for 1, 8 and 500 instruments, beside scikit-learn's own call on one thread, on the same trees and rows.

Method. A pooled forest of 200 trees with leaves of 50 rows, larger than any that ships, is grown on random walks and
flattened. Contestants take turns, call
by call, in one process: the flat forest, scikit-learn's predict_proba with n_jobs=1, and the same call with checks of
its input switched off. The first calls do not count. Figures are medians; the ratio is scikit-learn's median by ours of
the same run: above 1 ours is faster. The largest difference of all answers is printed, and what an explanation of one
row costs.

Run: python -m tests.bench.forest [CALLS]"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from core.learning.events import EVENTS
from core.learning.fitting import Grower, Pool, fitted
from core.learning.growing import flatten, lessons_of
from core.learning.recipes import Recipe
from core.series import Floats
from tests.series_builders import random_walk

SIZES = (1, 8, 500)
CALLS = 60
AIM = 30.0
"""How many times faster one row is to be (the issue of this benchmark)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Median seconds a call of each contestant, and the largest difference between their answers."""

    rows: int
    ours: float
    theirs: float
    unchecked: float
    difference: float


def grown(trees: int = 200, bars: int = 2_700) -> tuple[Any, Any, Floats]:
    """scikit-learn's forest, ours, and the rows they were grown on."""
    recipe = Recipe("bench", "direction", Pool.POOLED, Grower(trees=trees, trial_trees=1, leaves=(50,), stride=1))
    (lesson,) = lessons_of([random_walk(f"S{number}", bars, seed=number) for number in range(8)], recipe)
    found = fitted(lesson.samples, recipe.grower)
    if found is None:
        raise RuntimeError("too few rows for a forest")
    return found.model, flatten(found.model, "bench", EVENTS["direction"].words), lesson.samples.features


def compare(estimator: Any, forest: Any, rows: Floats, size: int, calls: int) -> Compared:
    from sklearn import config_context

    def unchecked(part: Floats) -> Floats:
        with config_context(assume_finite=True, skip_parameter_validation=True):
            answer: Floats = estimator.predict_proba(part)[:, 1]
        return answer

    contestants: dict[str, Callable[[Floats], Floats]] = {
        "ours": forest.predict,
        "theirs": lambda part: estimator.predict_proba(part)[:, 1],
        "unchecked": unchecked,
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    difference = 0.0
    for call in range(calls + 3):
        begin = (call * 37) % max(1, len(rows) - size)
        part = rows[begin : begin + size]
        answers = {}
        for name, answer in contestants.items():
            began = perf_counter()
            answers[name] = answer(part)
            if call >= 3:
                times[name].append(perf_counter() - began)
        difference = max(difference, float(np.abs(answers["ours"] - answers["theirs"]).max()))
    found = {name: median(spent) for name, spent in times.items()}
    return Compared(size, found["ours"], found["theirs"], found["unchecked"], difference)


def lines_of(compared: Compared) -> Iterator[str]:
    yield (
        f"{compared.rows:>4} rows: ours {1e3 * compared.ours:8.3f} ms, scikit-learn {1e3 * compared.theirs:8.3f} ms "
        f"({compared.theirs / compared.ours:6.1f} times), without its checks {1e3 * compared.unchecked:8.3f} ms "
        f"({compared.unchecked / compared.ours:6.1f} times); largest difference {compared.difference:.1e}"
    )


def main(arguments: list[str]) -> None:
    calls = int(arguments[0]) if arguments else CALLS
    estimator, forest, rows = grown()
    print(f"200 trees, {len(forest.feature):,} nodes, depth {forest.depth}; {calls} calls each")
    for size in SIZES:
        compared = compare(estimator, forest, rows, size, max(5, calls if size < 100 else calls // 4))
        print(*lines_of(compared), sep="\n")
        if size == 1:
            ratio = compared.theirs / compared.ours
            print(f"     aim for one row: {AIM:.0f} times; {'reached' if ratio >= AIM else 'not reached'}")
    spent = []
    for row in rows[:calls]:
        began = perf_counter()
        forest.explain(row)
        spent.append(perf_counter() - began)
    print(f"     an explanation of one row: {1e3 * median(spent):.3f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
