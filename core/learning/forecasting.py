"""Forecasts that a model would have made at the time: refitted at given times on what was labelled before, by the same
functions as the live model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.learning.events import Event
from core.learning.fitting import Grower, Pool, fitted, pools, rows_to_learn
from core.learning.folds import Fold, assert_apart, walk_forward
from core.learning.history import DAY, History
from core.learning.market import side_cost
from core.learning.samples import Samples
from core.learning.validation import log_loss
from core.series import Floats
from core.strategy.calibration import Calibration
from core.strategy.features import feature_matrix


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
    for name, members in pools([history.symbol for history in histories], pool):
        chosen = [histories[place] for place in members]
        more = [extra[place] for place in members] if extra is not None else None
        marks = [allowed[place] for place in members] if allowed is not None else None
        samples = rows_to_learn(chosen, event, grower, more, marks)
        rows = [_rows(history, None if more is None else more[place]) for place, history in enumerate(chosen)]
        for fold, since, until in _folds(samples, starts, end, grower):
            found = fitted(samples.where(fold.train), grower)
            if found is None:
                continue
            fits.append(Fit(name, since, found.leaf, found.rows, found.independent, found.calibration))
            for place, history, features in zip(members, chosen, rows, strict=True):
                when = (history.bars.closed_at >= since) & (history.bars.closed_at < until)
                when &= np.isfinite(features).all(axis=1)
                if allowed is not None:
                    when &= allowed[place] == 1
                if when.any():
                    probability[place][when] = found.foresee(features[when])
                    base[place][when] = found.base_rate
    return Forecasts(tuple(probability), tuple(base), tuple(fits))


def _folds(samples: Samples, starts: Sequence[int], end: int, grower: Grower) -> Iterator[tuple[Fold, int, int]]:
    bounds = [*starts, end]
    for fold in walk_forward(samples, starts, end, grower.window * DAY):
        place = int(np.searchsorted(bounds, samples.closed_at[fold.test].min(), side="right")) - 1
        if fold.train.any():
            assert_apart(samples, fold)
            yield fold, bounds[place], bounds[place + 1]


def _rows(history: History, extra: Floats | None) -> Floats:
    rows = feature_matrix(history.bars)
    return rows if extra is None else np.column_stack((rows, extra))


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
