"""Recipes against one another: each walks forward over the same years, and what its forecasts are worth is compared on
the same bars. Runs in the worker.

Log losses of different events cannot be compared: an event that seldom happens is easily foreseen. What can be is the
information that a forecast holds beyond the base rate: the mean of log(p / base) for what happened, in nats, which is
the rate at which who bets by the forecast outgrows who bets by the base rate (Kelly, A New Interpretation of
Information Rate, 1956; Roulston and Smith, Evaluating Probabilistic Forecasts Using Information Theory, 2002). Always
saying the base rate is worth 0 for any event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from core.learning.events import Event
from core.learning.forecasting import forecast
from core.learning.history import DAY, History
from core.learning.labels import Labels
from core.learning.market import side_cost
from core.learning.recipes import Recipe
from core.learning.statistics import lower_bound
from core.series import BarSeries, Floats, Seconds, seconds_of

YEARS: Final = 5
YEAR: Final = timedelta(days=365)
ROUNDS = 2000
BLOCK: Final = 4.0
"""Days are drawn in blocks of so many horizons on average. Of tracks without a difference, whose labels overlap for 20
of 1,825 days, 6.3 % then won at a level of 5 %, 1.2 % at 1 % and 0.27 % at 0.2 % (1,500 pairs); with blocks of two
horizons 7.3, 1.5 and 0.4 %."""
LEAST_BLOCKS: Final = 12
"""Fewer independent stretches of time say nothing at the levels that are asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """One recipe to walk forward over the YEARS before `end`, refitted at the beginning of each."""

    daily: tuple[BarSeries, ...]
    recipe: Recipe
    end: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What a recipe's forecasts were worth: by symbol the closes of the bars they were made from (seconds, ascending)
    and, of each, the nats gained over the base rate that was known. Only what came due by the end."""

    recipe: str
    closed_at: Mapping[str, Seconds]
    gained: Mapping[str, Floats]

    @property
    def rows(self) -> int:
        return sum(len(each) for each in self.closed_at.values())

    @property
    def gain(self) -> float | None:
        """The mean over all forecasts; None without one."""
        return float(np.mean(np.concatenate(list(self.gained.values())))) if self.rows else None


@dataclass(frozen=True, slots=True)
class Lead:
    """By how much a challenger's gain is larger than the champion's on the `rows` that both have, in nats a forecast,
    and its lower bound; None where there is too little to tell."""

    rows: int
    lead: float | None = None
    low: float | None = None


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
            gained[history.symbol] = _nats(said[:count][due], base[:count][due], outcomes.label[due])
    return Track(walk.recipe.name, closed_at, gained)


def _nats(said: Floats, base: Floats, label: Labels) -> Floats:
    """log(said / base) of what happened; a certainty counts as 1 - 1e-6."""
    happened = label == 1
    given, known = (np.where(happened, each, 1.0 - each) for each in (said, base))
    worth: Floats = np.log(np.clip(given, 1e-6, 1.0)) - np.log(np.clip(known, 1e-6, 1.0))
    return worth


def compared(champion: Track, challenger: Track, horizon: int, level: float, seed: int) -> Lead:
    """On the bars of which both have foreseen something. All instruments of a day are drawn together, days in blocks,
    because labels overlap for as long as the longer `horizon`, in bars."""
    days, sums, counts = _by_day(champion, challenger)
    rows, length = int(counts.sum()), BLOCK * horizon
    if len(days) < LEAST_BLOCKS * length:
        return Lead(rows)
    table = np.column_stack((sums, counts))
    draw = np.random.default_rng(seed)
    return Lead(rows, _mean(table), lower_bound(table, _mean, draw, length=length, rounds=ROUNDS, level=level))


def _mean(table: Floats) -> float:
    return float(table[:, 0].sum() / table[:, 1].sum())


def _by_day(champion: Track, challenger: Track) -> tuple[Seconds, Floats, Floats]:
    """(days, sum of the differences of each, how many)."""
    days, differences = [np.empty(0, np.int64)], [np.empty(0)]
    for symbol in sorted(champion.closed_at.keys() & challenger.closed_at.keys()):
        both, mine, theirs = np.intersect1d(
            champion.closed_at[symbol], challenger.closed_at[symbol], assume_unique=True, return_indices=True
        )
        days.append(both // DAY)
        differences.append(challenger.gained[symbol][theirs] - champion.gained[symbol][mine])
    known, places = np.unique(np.concatenate(days), return_inverse=True)
    joined = np.concatenate(differences)
    sums, counts = (np.bincount(places, each, len(known)) for each in (joined, np.ones(len(joined))))
    return known, sums.astype(np.float64), counts.astype(np.float64)


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
