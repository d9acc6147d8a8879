"""Forecasts that a model would have made at the time: refitted once a year on what was labelled before, its settings
chosen and its calibration fitted on held-out parts of those rows. Needs scikit-learn, imported when called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from core.learning.calibrating import calibrate
from core.learning.events import Event
from core.learning.folds import Fold, assert_apart, inner_starts, walk_forward
from core.learning.history import DAY, History
from core.learning.market import side_cost
from core.learning.samples import Samples, samples_of, uniqueness
from core.learning.validation import log_loss
from core.series import Floats, Mask, Seconds
from core.strategy.calibration import Calibration
from core.strategy.features import feature_matrix


class Pool(StrEnum):
    """Which instruments learn from one another."""

    ASSET = "asset"
    CLASS = "class"
    POOLED = "pooled"


@dataclass(frozen=True, slots=True)
class Grower:
    """How forests are grown. `leaves` are the settings to choose from: the fewest rows in a leaf. `window` is in days:
    older rows are forgotten. A pool with fewer rows than `least` makes no forecast. `trial_trees` grow while choosing.
    Each instrument is learned from at every `stride`-th bar: labels of 10 and 20 bars overlap, and the bars between
    tell next to nothing more.
    """

    trees: int = 60
    trial_trees: int = 20
    leaves: tuple[int, ...] = (40, 150)
    share: float = 0.5
    window: int = 3653
    least: int = 200
    stride: int = 3
    held_out: float = 0.4
    parts: int = 2
    seed: int = 20_240_101
    jobs: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """`probability` has one array a history, a value a bar; NaN where no forecast was made. `base` is, in the same
    shape, the base rate of the rows that the model had learned from. `fits` says what each fit chose."""

    probability: tuple[Floats, ...]
    base: tuple[Floats, ...]
    fits: tuple[Fit, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """One refit: its pool, when it began to forecast (seconds), the leaf it chose, rows, their sum of uniqueness."""

    pool: str
    since: int
    leaf: int
    rows: int
    independent: float
    calibration: Calibration


def forecast(
    histories: Sequence[History],
    event: Event,
    pool: Pool,
    starts: Sequence[int],
    end: int,
    grower: Grower,
    extra: Sequence[Floats] | None = None,
    allowed: Sequence[Floats] | None = None,
) -> Forecasts:
    """Walks forward over tests that begin at `starts` (seconds) and end at `end`.

    `extra` are further columns of features, `allowed` marks by 1 the bars to learn from and to forecast, each one array
    a history. Equal input gives equal output, whatever `grower.jobs` is.
    """
    probability = [np.full(len(history), np.nan) for history in histories]
    base = [np.full(len(history), np.nan) for history in histories]
    fits = []
    for name, members in _pools(histories, pool):
        chosen = [histories[place] for place in members]
        more = [extra[place] for place in members] if extra is not None else None
        samples = samples_of(chosen, event, [side_cost(history.symbol) for history in chosen], more)
        if allowed is not None:
            samples = samples.where(_is_allowed(samples, [allowed[place] for place in members]))
        samples = samples.where(samples.bar % grower.stride == 0)
        rows = [_rows(history, None if more is None else more[place]) for place, history in enumerate(chosen)]
        for fold, since, until in _folds(samples, starts, end, grower):
            found = _fitted(samples.where(fold.train), grower)
            if found is None:
                continue
            model, leaf, calibration, independent, rate = found
            fits.append(Fit(name, since, leaf, int(fold.train.sum()), independent, calibration))
            for place, history, features in zip(members, chosen, rows, strict=True):
                when = (history.bars.closed_at >= since) & (history.bars.closed_at < until)
                when &= np.isfinite(features).all(axis=1)
                if allowed is not None:
                    when &= allowed[place] == 1
                if when.any():
                    probability[place][when] = calibration.apply(_says(model, features[when]))
                    base[place][when] = rate
    return Forecasts(tuple(probability), tuple(base), tuple(fits))


def _pools(histories: Sequence[History], pool: Pool) -> Iterator[tuple[str, list[int]]]:
    names = [history.symbol for history in histories]
    if pool is Pool.ASSET:
        yield from ((name, [place]) for place, name in enumerate(names))
    elif pool is Pool.POOLED:
        yield "all", list(range(len(names)))
    else:
        for kind, is_coin in (("stocks", False), ("coins", True)):
            members = [place for place, name in enumerate(names) if name.endswith("-USD") is is_coin]
            if members:
                yield kind, members


def _folds(samples: Samples, starts: Sequence[int], end: int, grower: Grower) -> Iterator[tuple[Fold, int, int]]:
    bounds = [*starts, end]
    for fold in walk_forward(samples, starts, end, grower.window * DAY):
        place = int(np.searchsorted(bounds, samples.closed_at[fold.test].min(), side="right")) - 1
        if fold.train.any():
            assert_apart(samples, fold)
            yield fold, bounds[place], bounds[place + 1]


def _is_allowed(samples: Samples, allowed: Sequence[Floats]) -> Mask:
    out = np.zeros(len(samples), bool)
    for place, marks in enumerate(allowed):
        mine = samples.asset == place
        out[mine] = marks[samples.bar[mine]] == 1
    return out


def _rows(history: History, extra: Floats | None) -> Floats:
    rows = feature_matrix(history.bars)
    return rows if extra is None else np.column_stack((rows, extra))


def _fitted(train: Samples, grower: Grower) -> tuple[Any, int, Calibration, float, float] | None:
    """(model, leaf, calibration, sum of uniqueness, base rate); None where there is too little to learn from."""
    if len(train) < grower.least or len(np.unique(train.label)) < 2:
        return None
    weight = uniqueness(train.closed_at, train.ended_at)
    chosen = _chosen(train, weight, grower)
    if chosen is None:
        return None
    leaf, calibration = chosen
    model = _grow(train, weight, leaf, grower.trees, grower)
    rate = float(weight @ train.label) / float(weight.sum())
    return model, leaf, calibration, float(weight.sum()), rate


def _chosen(train: Samples, weight: Floats, grower: Grower) -> tuple[int, Calibration] | None:
    """The leaf with the least log loss on held-out parts of the training rows, and the calibration of what it said
    there. None where no part could be held out."""
    starts = inner_starts(train.closed_at, grower.parts, grower.held_out)
    folds = [
        fold
        for fold in walk_forward(train, starts, int(train.closed_at.max()) + 1, None)
        if fold.train.sum() >= grower.least // 2 and len(np.unique(train.label[fold.train])) == 2
    ]
    if not folds:
        return None
    tested = np.concatenate([np.flatnonzero(fold.test) for fold in folds])
    best: tuple[float, int, Floats] | None = None
    for leaf in grower.leaves:
        said = np.concatenate([_held_out(train, weight, fold, leaf, grower) for fold in folds])
        loss = _weighted_loss(said, train, tested, weight)
        if best is None or loss < best[0]:
            best = (loss, leaf, said)
    if best is None:
        return None
    return best[1], calibrate(best[2], train.label[tested], weight[tested])


def _held_out(train: Samples, weight: Floats, fold: Fold, leaf: int, grower: Grower) -> Floats:
    assert_apart(train, fold)
    model = _grow(train.where(fold.train), weight[fold.train], leaf, grower.trial_trees, grower)
    return _says(model, train.features[fold.test])


def _weighted_loss(said: Floats, train: Samples, tested: Seconds, weight: Floats) -> float:
    each = np.array([said, 1.0 - said])[1 - train.label[tested], np.arange(len(tested))]
    return float(-(weight[tested] @ np.log(np.clip(each, 1e-6, 1.0))) / weight[tested].sum())


def _grow(train: Samples, weight: Floats, leaf: int, trees: int, grower: Grower) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        n_estimators=trees,
        min_samples_leaf=leaf,
        max_samples=grower.share,
        max_features="sqrt",
        random_state=grower.seed,
        n_jobs=grower.jobs,
    )
    # A mean of 1: scikit-learn draws max_samples of the sum of the weights for each tree.
    model.fit(train.features, train.label, sample_weight=weight / weight.mean())
    return model.set_params(n_jobs=1)


def _says(model: Any, features: Floats) -> Floats:
    classes = list(model.classes_)
    if 1 not in classes:
        return np.zeros(len(features))
    said: Floats = model.predict_proba(features)[:, classes.index(1)]
    return said


@dataclass(frozen=True, slots=True)
class Skill:
    """Of the matured forecasts: `loss` in nats, `base_loss` that of always saying the training rows' base rate."""

    rows: int
    loss: float
    base_loss: float
    rate: float


def skill(histories: Sequence[History], event: Event, found: Forecasts, first: int, end: int) -> Skill:
    """Scores of what was forecast on bars closed from `first` until `end` (seconds), against what happened."""
    said, base, label = [], [], []
    for place, history in enumerate(histories):
        outcomes = event.outcomes(history.bars, side_cost(history.symbol))
        count = len(outcomes.label)
        closed = history.bars.closed_at[:count]
        usable = np.isfinite(found.probability[place][:count]) & np.isfinite(outcomes.gain)
        usable &= (closed >= first) & (closed < end)
        said.append(found.probability[place][:count][usable])
        base.append(found.base[place][:count][usable])
        label.append(outcomes.label[usable])
    outcome = np.concatenate(label)
    if not len(outcome):
        return Skill(0, float("nan"), float("nan"), float("nan"))
    return Skill(
        len(outcome),
        log_loss(np.concatenate(said), outcome),
        log_loss(np.concatenate(base), outcome),
        float(outcome.mean()),
    )
