"""How a forest learns: from which rows, how its settings are chosen and how it is calibrated. The one code path of the
live training, of backtests and of research. Needs scikit-learn, imported when called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from core.domain.instruments import instrument_for
from core.learning.calibrating import calibrate
from core.learning.events import Event
from core.learning.folds import Fold, assert_apart, inner_starts, walk_forward
from core.learning.history import History
from core.learning.market import side_cost
from core.learning.samples import Samples, samples_of, uniqueness
from core.series import Floats, Mask, Seconds
from core.strategy.bundle import ALL, COINS, STOCKS
from core.strategy.calibration import Calibration


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


def pools(symbols: Sequence[str], pool: Pool) -> Iterator[tuple[str, list[int]]]:
    """The name of each group that learns together, and which of `symbols` are in it."""
    if pool is Pool.ASSET:
        yield from ((name, [place]) for place, name in enumerate(symbols))
    elif pool is Pool.POOLED:
        yield ALL, list(range(len(symbols)))
    else:
        for kind, is_coin in ((STOCKS, False), (COINS, True)):
            members = [place for place, name in enumerate(symbols) if instrument_for(name).is_crypto is is_coin]
            if members:
                yield kind, members


def rows_to_learn(
    histories: Sequence[History],
    event: Event,
    grower: Grower,
    extra: Sequence[Floats] | None = None,
    allowed: Sequence[Floats] | None = None,
) -> Samples:
    """Of a group that learns together: every `grower.stride`-th bar with finite features and a matured label, of those
    that `allowed` marks by 1. `extra` are further columns of features; both are one array a history."""
    samples = samples_of(histories, event, [side_cost(history.symbol) for history in histories], extra)
    if allowed is not None:
        samples = samples.where(_is_allowed(samples, allowed))
    return samples.where(samples.bar % grower.stride == 0)


def _is_allowed(samples: Samples, allowed: Sequence[Floats]) -> Mask:
    out = np.zeros(len(samples), bool)
    for place, marks in enumerate(allowed):
        mine = samples.asset == place
        out[mine] = marks[samples.bar[mine]] == 1
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """`model` is scikit-learn's. `independent` is the rows' sum of uniqueness, `base_rate` the share of their weights
    in which the event came true."""

    model: Any
    leaf: int
    calibration: Calibration
    rows: int
    independent: float
    base_rate: float

    def foresee(self, features: Floats) -> Floats:
        """Calibrated probabilities of finite rows: (n, features) to (n,)."""
        return self.calibration.apply(_says(self.model, features))


def fitted(train: Samples, grower: Grower) -> Fitted | None:
    """None where there is too little to learn from."""
    if len(train) < grower.least or len(np.unique(train.label)) < 2:
        return None
    weight = uniqueness(train.closed_at, train.ended_at)
    chosen = _chosen(train, weight, grower)
    if chosen is None:
        return None
    leaf, calibration = chosen
    model = _grow(train, weight, leaf, grower.trees, grower)
    rate = float(weight @ train.label) / float(weight.sum())
    return Fitted(model, leaf, calibration, len(train), float(weight.sum()), rate)


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
