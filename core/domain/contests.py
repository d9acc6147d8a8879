"""Contests of recipes: who walked forward, how far each came, and what it has cost of the budget of errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

BUDGET: Final = 0.10
"""The chance that a recipe which is no better than the champion's wins in any contest that this installation ever
holds."""


def level_of(number: int, challengers: int) -> float:
    """The chance of error that one challenger of contest `number` (from 1) may take: BUDGET * 6 / (pi^2 * number^2),
    shared equally. Over all numbers these add up to BUDGET (the sum of 1 / n^2 is pi^2 / 6), whatever the contests
    share of their bars, because probabilities of errors add up at most (Boole; Bonferroni for the challengers)."""
    return BUDGET * 6.0 / (math.pi**2 * number**2) / challengers


@dataclass(frozen=True, slots=True)
class Attempt:
    """One recipe in a contest. `rows` forecasts came due, worth `gain` nats each over saying the base rate that was
    known; `lead` is by how much more that is than the champion's on the same bars, `low` its lower bound at the chance
    of error `level`. None where it was not measured; `why` says so in words.
    """

    recipe: str
    event: str
    rows: int = 0
    gain: float | None = None
    lead: float | None = None
    low: float | None = None
    level: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Contest:
    """`number` counts those in which a challenger was measured: they have used up the budget. `at` by the market clock;
    `data` is the SHA-256 of the bars, closed from `first` until `last`. `winner` is the recipe that took the champion's
    place, empty for none; `outcome` says it in words. `before` is the link of the contest before, 0 for the first."""

    number: int
    at: datetime
    champion: str
    first: datetime
    last: datetime
    data: str
    attempts: tuple[Attempt, ...]
    winner: str
    outcome: str
    before: int = 0
