"""Recipes against one another: each walks forward over the same years. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from core.learning.events import Event
from core.learning.forecasting import forecast
from core.learning.history import History
from core.learning.market import side_cost
from core.learning.recipes import Recipe
from core.learning.tracks import Track, nats
from core.series import BarSeries, seconds_of

YEARS: Final = 5
YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """One recipe to walk forward over the YEARS before `end`, refitted at the beginning of each."""

    daily: tuple[BarSeries, ...]
    recipe: Recipe
    end: datetime


def walked(walk: Walk) -> Track:
    """Equal input gives an equal track, whatever the number of threads."""
    histories = [History(series.until(walk.end), np.zeros(len(series.until(walk.end)))) for series in walk.daily]
    event, end = walk.recipe.foresees, seconds_of(walk.end)
    starts = [seconds_of(walk.end - YEAR * back) for back in range(YEARS, 0, -1)]
    # Forecasts of the last bar, too: the end itself is not among them.
    found = forecast(histories, event, walk.recipe.pool, starts, end + 1, walk.recipe.grower)
    closed_at, gained = {}, {}
    for history, said, base in zip(histories, found.probability, found.base, strict=True):
        outcomes = event.outcomes(history.bars, side_cost(history.symbol))
        count = len(outcomes.label)
        due = np.isfinite(said[:count]) & np.isfinite(outcomes.gain)
        if due.any():
            closed_at[history.symbol] = history.bars.closed_at[:count][due]
            gained[history.symbol] = nats(said[:count][due], base[:count][due], outcomes.label[due])
    return Track(walk.recipe.name, closed_at, gained)


def base_rates(daily: Sequence[BarSeries], event: Event, end: datetime) -> Mapping[str, float]:
    """How often the event came true in each instrument over the YEARS before `end`; those without an outcome are
    left out."""
    found = {}
    for series in daily:
        bars = series.until(end)
        outcomes = event.outcomes(bars, side_cost(bars.symbol))
        closed = bars.closed_at[: len(outcomes.label)]
        counts = np.isfinite(outcomes.gain) & (closed >= seconds_of(end - YEAR * YEARS))
        if counts.any():
            found[bars.symbol] = float(outcomes.label[counts].mean())
    return found
