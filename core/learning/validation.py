"""How good a model was on days it had not seen: proper scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.learning.labels import Labels
from core.series import Floats


@dataclass(frozen=True, slots=True)
class Scores:
    """`log_loss` in nats; `baseline_log_loss` is that of always saying the base rate of what had been
    learned from, `base_rate` in the mean."""

    rows: int
    auc: float
    log_loss: float
    baseline_log_loss: float
    base_rate: float


def scored(said: Floats, base: Floats, outcome: Labels) -> Scores:
    """Scores of the probabilities `said` against what happened, and of the base rates `base` that were known before:
    equal shapes."""
    return Scores(
        len(outcome), auc(said, outcome), log_loss(said, outcome), log_loss(base, outcome), float(base.mean())
    )


def pooled(parts: Sequence[Scores]) -> Scores:
    """Of several models together, each by its rows; not numbers where there are none. The area under the curve is the
    mean of theirs: between models whose base rates differ it would tell these apart and no days."""
    rows = sum(each.rows for each in parts)
    if not rows:
        return Scores(0, math.nan, math.nan, math.nan, math.nan)
    share = [each.rows / rows for each in parts]

    def mean(of: Callable[[Scores], float]) -> float:
        return math.fsum(part * of(each) for part, each in zip(share, parts, strict=True))

    return Scores(
        rows,
        mean(lambda each: each.auc),
        mean(lambda each: each.log_loss),
        mean(lambda each: each.baseline_log_loss),
        mean(lambda each: each.base_rate),
    )


def log_loss(probability: Floats, outcome: Labels) -> float:
    """Mean negative logarithm of the probability given to what happened, in nats; a certainty counts as 1 - 1e-15."""
    sure = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(outcome == 1, np.log(sure), np.log1p(-sure))))


def auc(probability: Floats, outcome: Labels) -> float:
    """Area under the ROC curve by the rank sum of Mann and Whitney, ties shared; 0.5 where there is nothing to rank."""
    positives = int(outcome.sum())
    negatives = len(outcome) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    _, group, sizes = np.unique(probability, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(sizes) - (sizes - 1) / 2.0
    rank_sum = float(mean_rank[group][outcome == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives)
