"""Fits a recipe: what each member of its pool learns at a moment, how good that is on days that it has not seen, and
all of it in flat arrays. Needs scikit-learn, imported when called."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from core.errors import DataFault
from core.learning.fitting import Fitted, Grower, fitted, pools, rows_to_learn
from core.learning.folds import assert_apart, inner_starts, known, walk_forward
from core.learning.history import DAY, History
from core.learning.recipes import Recipe
from core.learning.samples import Samples
from core.learning.tracks import Track, nats
from core.learning.validation import Scores, pooled, scored
from core.series import BarSeries, Floats, Seconds, seconds_of, time_of
from core.strategy.bundle import Bundle, Member
from core.strategy.features import FEATURE_NAMES, FEATURE_VERSION, WARM_UP
from core.strategy.forest import QUANTILES, FlatForest

JUDGED_SHARE = 0.2
"""The newest part of the days, on which a recipe is judged before it is fitted on all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What the member `name` of a pool may learn from: `samples` number its `symbols`. `needed` rows make a forest that
    can be judged, too."""

    name: str
    symbols: tuple[str, ...]
    samples: Samples
    needed: int
    stride: int

    def until(self, at: datetime, window: int) -> Lesson:
        """What was labelled before `at`, of the last `window` days."""
        now = seconds_of(at)
        return replace(self, samples=self.samples.where(known(self.samples, now, window * DAY)))

    @property
    def lack(self) -> str:
        """Why nothing can be learned from it; empty where something can."""
        if len(self.samples) < self.needed:
            usable, needed = self.stride * len(self.samples), self.stride * self.needed
            return f"{usable} usable daily bars, about {needed} needed"
        if len(np.unique(self.samples.label)) < 2:
            return f"all of its {len(self.samples)} labels are the same"
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """A fitted recipe that is written nowhere yet. `estimators` are scikit-learn's and `by_member` the scores of each,
    by member; `last_bar_at` is the newest bar that a label was taken from. `held_out` is what was said while it was
    judged, in nats over saying one half."""

    bundle: Bundle
    estimators: Mapping[str, Any]
    rows: int
    last_bar_at: datetime
    scores: Scores
    by_member: Mapping[str, Scores]
    held_out: Track


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    said: Floats
    base: Floats
    test: Samples

    @property
    def scores(self) -> Scores:
        return scored(self.said, self.base, self.test.label)


def lessons_of(daily: Sequence[BarSeries], recipe: Recipe) -> tuple[Lesson, ...]:
    """One for each member of the recipe's pool, from closed daily bars of one series a symbol, in whatever order."""
    histories = [History(series, np.zeros(len(series))) for series in sorted(daily, key=lambda series: series.symbol)]
    event, grower = recipe.foresees, recipe.grower
    return tuple(
        Lesson(
            name,
            tuple(histories[place].symbol for place in members),
            rows_to_learn([histories[place] for place in members], event, grower),
            _needed(grower, event.horizon, len(members)),
            grower.stride,
        )
        for name, members in pools([history.symbol for history in histories], recipe.pool)
    )


def labelled_moments(series: BarSeries, recipe: Recipe) -> Seconds:
    """When the labels of the rows that the recipe learns from became known, ascending seconds; of all the series, and
    without computing a feature."""
    stride = recipe.grower.stride
    first = -(-(WARM_UP - 1) // stride) * stride
    return series.closed_at[first + recipe.foresees.horizon :: stride]


def _needed(grower: Grower, horizon: int, instruments: int) -> int:
    """As many as `grower.least` beside the days that are held back to judge by, and what is purged before them."""
    purged = instruments * math.ceil(horizon / grower.stride)
    return math.ceil((grower.least + purged) / (1.0 - JUDGED_SHARE)) + 1


def grow(lessons: Sequence[Lesson], recipe: Recipe, *, is_judged: bool = True) -> Grown:
    """Judges the recipe on the newest days, then fits it on all rows; its version is the hash of what was fitted.

    The same lessons give the same bundle, whatever the number of threads. The held-out days take part in nothing that
    is judged on them: neither in the choice of the leaf nor in the calibration. Without `is_judged` that is left out,
    and the scores are not numbers. Raises DataFault where no member has enough to learn from.
    """
    members, estimators, missing, judged = [], {}, {}, {}
    for lesson in lessons:
        found = None if lesson.lack else fitted(lesson.samples, recipe.grower)
        trial = _judge(lesson.samples, recipe.grower) if found is not None and is_judged else None
        if found is None or (is_judged and trial is None):
            missing[lesson.name] = lesson.lack or "its days are too much alike to be learned from and judged"
            continue
        members.append(_member(lesson, found, recipe))
        estimators[lesson.name] = found.model
        if trial is not None:
            judged[lesson.name] = trial
    if not members:
        told = "; ".join(f"{name} has {why}" for name, why in missing.items()) or "there are no bars"
        raise DataFault("model", f"there is too little to learn from: {told}")
    newest = max(int(lesson.samples.labelled_at.max()) for lesson in lessons if len(lesson.samples))
    return Grown(
        named(recipe, members, missing),
        estimators,
        sum(each.rows for each in members),
        time_of(newest),
        pooled([each.scores for each in judged.values()]),
        {name: each.scores for name, each in judged.items()},
        _held_out(recipe, {lesson.name: lesson.symbols for lesson in lessons}, judged),
    )


def _held_out(recipe: Recipe, symbols: Mapping[str, Sequence[str]], judged: Mapping[str, _Judged]) -> Track:
    closed_at, gained = {}, {}
    for name, each in judged.items():
        worth = nats(each.said, np.full(len(each.said), 0.5), each.test.label)
        for place, symbol in enumerate(symbols[name]):
            mine = each.test.asset == place
            if mine.any():
                closed_at[symbol], gained[symbol] = each.test.closed_at[mine], worth[mine]
    return Track(recipe.name, closed_at, gained)


def named(recipe: Recipe, members: Sequence[Member], missing: Mapping[str, str]) -> Bundle:
    """The bundle of `members`, its version the hash of all that it holds."""
    words = recipe.foresees.words
    unnamed = Bundle("", recipe.name, words, FEATURE_NAMES, FEATURE_VERSION, recipe.seed, tuple(members), dict(missing))
    return replace(unnamed, version=f"f{hashlib.sha256(unnamed.to_bytes()).hexdigest()[:12]}")


def _judge(samples: Samples, grower: Grower) -> _Judged | None:
    """What a model fitted before the newest days says of them; None where there is too little before them."""
    (start,) = inner_starts(samples.closed_at, 1, JUDGED_SHARE)
    (fold,) = walk_forward(samples, [start], int(samples.closed_at.max()) + 1, None)
    assert_apart(samples, fold)
    found = fitted(samples.where(fold.train), grower)
    if found is None:
        return None
    test = samples.where(fold.test)
    return _Judged(found.foresee(test.features), np.full(len(test), found.base_rate), test)


def _member(lesson: Lesson, found: Fitted, recipe: Recipe) -> Member:
    shares = np.linspace(0.0, 1.0, QUANTILES)
    quantiles = np.ascontiguousarray(np.quantile(lesson.samples.features, shares, axis=0).T)
    forest = replace(flatten(found.model, lesson.name, recipe.foresees.words), quantiles=quantiles)
    return Member(lesson.name, forest, found.calibration, found.leaf, found.rows, found.independent, found.base_rate)


def flatten(estimator: Any, version: str, event: str) -> FlatForest:
    """The flat form of a fitted RandomForestClassifier with classes 0 and 1 (or one of them alone)."""
    trees = [tree.tree_ for tree in estimator.estimators_]
    sizes = [tree.node_count for tree in trees]
    roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int32)
    columns: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "probability")}
    for tree, root in zip(trees, roots, strict=True):
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        columns["feature"].append(np.where(leaf, 0, tree.feature))
        columns["threshold"].append(np.where(leaf, 0.0, tree.threshold))
        columns["left"].append(np.where(leaf, own, tree.children_left) + root)
        columns["right"].append(np.where(leaf, own, tree.children_right) + root)
        columns["probability"].append(_positive_share(tree.value[:, 0, :], list(estimator.classes_)))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return FlatForest(
        version,
        event,
        FEATURE_NAMES,
        FEATURE_VERSION,
        roots,
        joined["feature"].astype(np.int32),
        joined["threshold"].astype(np.float64),
        joined["left"].astype(np.int32),
        joined["right"].astype(np.int32),
        joined["probability"].astype(np.float64),
        max(int(tree.max_depth) for tree in trees),
    )


def _positive_share(values: Any, classes: Sequence[Any]) -> Any:
    return values[:, classes.index(1)] if 1 in classes else np.zeros(len(values))
