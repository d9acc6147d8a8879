"""What a recipe's forecasts were worth, bar by bar, and how two of them compare on the same bars. Pure.

Log losses of different events cannot be compared: an event that seldom happens is easily foreseen. What can be is the
information that a forecast holds beyond the base rate: the mean of log(p / base) for what happened, in nats, which is
the rate at which who bets by the forecast outgrows who bets by the base rate (Kelly, A New Interpretation of
Information Rate, 1956; Roulston and Smith, Evaluating Probabilistic Forecasts Using Information Theory, 2002). Always
saying the base rate is worth 0 for any event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.learning.history import DAY
from core.learning.labels import Labels
from core.learning.statistics import lower_bound
from core.series import Floats, Seconds

ROUNDS = 2000
BLOCK: Final = 4.0
"""Days are drawn in blocks of so many horizons on average. Of 1,500 pairs of tracks without a difference, 1,825 days
long and with labels that overlap for 20, 6.0 % won at a level of 5 %, 1.3 % at 1 % and 0.3 % at 0.2 % with blocks of
100 days; of 40 days 7.3, 1.5 and 0.4 %."""
DAYS_A_BAR: Final = 1.4
"""Calendar days to a session."""
LEAST_BLOCKS: Final = 12
"""Fewer independent stretches of time say nothing at the levels that are asked for in contests."""


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


def nats(said: Floats, base: Floats, label: Labels) -> Floats:
    """log(said / base) of what happened; a certainty counts as 1 - 1e-6."""
    happened = label == 1
    given, known = (np.where(happened, each, 1.0 - each) for each in (said, base))
    worth: Floats = np.log(np.clip(given, 1e-6, 1.0)) - np.log(np.clip(known, 1e-6, 1.0))
    return worth


def compared(
    champion: Track, challenger: Track, horizon: int, level: float, seed: int, least: int = LEAST_BLOCKS
) -> Lead:
    """On the bars of which both have foreseen something. All instruments of a day are drawn together, days in blocks,
    because labels overlap for as long as the longer `horizon`, in bars. `least` blocks have to be there."""
    sums, counts = _by_day(champion, challenger)
    rows, length = int(counts.sum()), BLOCK * DAYS_A_BAR * horizon
    if len(counts) < least * length:
        return Lead(rows)
    table = np.column_stack((sums, counts))
    draw = np.random.default_rng(seed)
    return Lead(rows, _mean(table), lower_bound(table, _mean, draw, length=length, rounds=ROUNDS, level=level))


def _mean(table: Floats) -> float:
    return float(table[:, 0].sum() / table[:, 1].sum())


def _by_day(champion: Track, challenger: Track) -> tuple[Floats, Floats]:
    """(sum of the differences, how many) of each calendar day from the first to the last."""
    days, differences = [np.empty(0, np.int64)], [np.empty(0)]
    for symbol in sorted(champion.closed_at.keys() & challenger.closed_at.keys()):
        both, mine, theirs = np.intersect1d(
            champion.closed_at[symbol], challenger.closed_at[symbol], assume_unique=True, return_indices=True
        )
        days.append(both // DAY)
        differences.append(challenger.gained[symbol][theirs] - champion.gained[symbol][mine])
    when, joined = np.concatenate(days), np.concatenate(differences)
    if not len(when):
        return np.empty(0), np.empty(0)
    places = when - when.min()
    sums, counts = (np.bincount(places, each) for each in (joined, np.ones(len(places))))
    return sums.astype(np.float64), counts.astype(np.float64)
