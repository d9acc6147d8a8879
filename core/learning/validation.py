"""How good a model is on days it has not seen: a split by calendar time with a purge, and proper scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.learning.labels import Labels, TrainingRows
from core.series import Floats


@dataclass(frozen=True, slots=True)
class Scores:
    """`log_loss` in nats; `baseline_log_loss` is that of always saying the training rows' base rate."""

    rows: int
    auc: float
    log_loss: float
    baseline_log_loss: float
    base_rate: float


def purged_split(rows: TrainingRows, test_share: float) -> tuple[TrainingRows, TrainingRows]:
    """(train, test): the newest `test_share` of all days, over all assets at once, is the test."""
    days = np.unique(rows.closed_at)
    return split_at(rows, int(days[min(len(days) - 1, int(len(days) * (1.0 - test_share)))]))


def split_at(rows: TrainingRows, first: int) -> tuple[TrainingRows, TrainingRows]:
    """(train, test): the test begins with rows closed at `first` (seconds since 1970).

    A training row whose label became known only then or later would tell of the test's prices: it is purged.
    """
    return rows.where(rows.labelled_at < first), rows.where(rows.closed_at >= first)


def evaluate(probability: Floats, test: Labels, train: Labels) -> Scores:
    """Scores of `probability` (shape as `test`) against what happened, and of the base rate of `train`."""
    base_rate = float(train.mean())
    return Scores(
        len(test),
        auc(probability, test),
        log_loss(probability, test),
        log_loss(np.full(len(test), base_rate), test),
        base_rate,
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
