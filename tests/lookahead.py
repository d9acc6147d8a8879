"""Checks that an answer given at a moment does not depend on what happened later. For any code that sees bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime

import numpy as np

from core.series import BarSeries, seconds_of
from tests.series_builders import poisoned_after

Answer = Callable[[Sequence[BarSeries], datetime], object]


class LooksAhead(AssertionError):
    """An answer changed although only the future did."""


def assert_no_lookahead(answer: Answer, series: Sequence[BarSeries], moments: Iterable[datetime]) -> None:
    """`answer(series, at)` must be the same, bit for bit, whether the bars that close after `at` are as they were, cut
    off, or poisoned with wild prices. Raises LooksAhead naming the moment and the test that caught it."""
    for at in moments:
        honest = answer(series, at)
        futures = {
            "truncation": [_cut_off(each, at) for each in series],
            "poison": [poisoned_after(each, at) for each in series],
        }
        for name, changed in futures.items():
            if not same(answer(changed, at), honest):
                raise LooksAhead(f"{name}: what was answered at {at.isoformat()} knew of later bars")


def _cut_off(series: BarSeries, at: datetime) -> BarSeries:
    """Not by BarSeries.until: that is one of the guards under test."""
    return series.part(series.closed_at <= seconds_of(at))


def same(left: object, right: object) -> bool:
    """Equality to the last bit, NaN equal to NaN, through tuples, lists and dataclasses that hold arrays."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        return left.shape == right.shape and left.dtype == right.dtype and left.tobytes() == right.tobytes()
    if isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    if is_dataclass(left) and type(left) is type(right):
        return all(same(getattr(left, each.name), getattr(right, each.name)) for each in fields(left))
    return left == right
