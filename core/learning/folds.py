"""Splits by calendar time over all instruments at once, with nothing of the test in the training rows.

Purging and embargo after Lopez de Prado, Advances in Financial Machine Learning (2018), section 7.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import DataFault
from core.learning.history import DAY
from core.learning.samples import Samples
from core.series import Mask, Seconds


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Masks over the rows of one set of samples."""

    train: Mask
    test: Mask


def purged(samples: Samples, test: Mask, embargo: int) -> Fold:
    """The rows outside `test` whose label's life does not touch the test's span, which is from its first features to
    its last label. After the span `embargo` seconds more are left out. Raises DataFault for an empty test."""
    if not test.any():
        raise DataFault("model", "a fold without rows to be tested on")
    begin, end = samples.closed_at[test].min(), samples.labelled_at[test].max() + embargo
    before, after = samples.labelled_at < begin, samples.closed_at > end
    return Fold(~test & (before | after), test)


def assert_apart(samples: Samples, fold: Fold) -> None:
    """Raises DataFault where a training label was still open at a time that the test knows, or the other way round."""
    begin, end = samples.closed_at[fold.test].min(), samples.labelled_at[fold.test].max()
    live = (samples.labelled_at[fold.train] >= begin) & (samples.closed_at[fold.train] <= end)
    if live.any():
        raise DataFault("model", f"{int(live.sum())} training labels overlap the test: the purge is too short")


def known(samples: Samples, at: int, window: int | None) -> Mask:
    """The rows that may be learned from at `at` (seconds): labelled before, and of the last `window` seconds."""
    kept: Mask = samples.labelled_at < at
    return kept if window is None else kept & (samples.closed_at >= at - window)


def walk_forward(samples: Samples, starts: Sequence[int], end: int, window: int | None) -> Iterator[Fold]:
    """For each of `starts` (seconds, ascending) a test of the rows closed from there until the next one, the last until
    `end`. Trained on what was labelled before: of the last `window` seconds, or of all where that is None.

    Every label's whole possible life is purged, so that the gap is at least the horizon in any instrument.
    """
    for begin, until in zip(starts, (*starts[1:], end), strict=True):
        test = (samples.closed_at >= begin) & (samples.closed_at < until)
        if not test.any():
            continue
        fold = purged(samples, test, 0)
        yield Fold(fold.train & known(samples, begin, window), test)


def inner_starts(closed_at: Seconds, parts: int, share: float) -> list[int]:
    """Where the newest `share` of the days is cut into `parts` tests of equal length; seconds, ascending."""
    days = np.unique(closed_at // DAY)
    first = int(len(days) * (1.0 - share))
    return [int(each[0]) * DAY for each in np.array_split(days[first:], parts) if len(each)]
