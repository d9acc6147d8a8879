"""What the profiles earned in a past period, as it was measured and committed: read only, by the hash of what was
declared. `python -m bot.profile_figures` writes the file anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from core.settings.profiles import DIGEST, ProfileName

FIGURES = Path(__file__).parent / "profile_figures.json"


@dataclass(frozen=True, slots=True)
class Line:
    """Some assets over the period, net of costs. Fractions; `costs` in USD; `volatility` is a year's; `halves` are the
    Sharpe ratios of the first and the second half of the days; `released` is how often the drawdown brake fell."""

    name: str
    annualised: float
    volatility: float
    sharpe: float
    halves: tuple[float, float]
    drawdown: float
    trades: int
    win_rate: float | None
    costs: float
    turnover: float
    exposure: float
    released: int

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Line:
        first, second = row["halves"]
        return cls(**{**row, "halves": (first, second)})


@dataclass(frozen=True, slots=True)
class Conditions:
    """How everything was measured. `first` and `last` are both included; `capital` in USD. A brake on the drawdown was
    released after `unlock_days`; models were trained every `retrain_days`. `data` is a hash of the bars."""

    on: date
    first: date
    last: date
    bar: str
    capital: int
    unlock_days: int
    retrain_days: int
    data: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The same profile with one setting at another value, as it would be written in .env; all assets."""

    changed: Mapping[str, str]
    line: Line


@dataclass(frozen=True, slots=True)
class Measured:
    """One profile: `lines` begin with all assets. `recipe` is the model's, empty where none was asked."""

    profile: ProfileName
    recipe: str
    lines: Sequence[Line]
    neighbours: Sequence[Neighbour]


@dataclass(frozen=True, slots=True)
class Book:
    """All that was measured by one declaration; `held` are the same assets bought and held, and SPY."""

    conditions: Conditions
    held: Sequence[Line]
    profiles: Mapping[ProfileName, Measured]


@cache
def measured() -> Book | None:
    """What is committed with this program; None where that was measured by another declaration, or not at all."""
    return read_book(json.loads(FIGURES.read_text("utf-8"))) if FIGURES.exists() else None


def read_book(told: Mapping[str, Any]) -> Book | None:
    """None for figures of another declaration."""
    if told["declared"] != DIGEST:
        return None
    dates = {name: date.fromisoformat(told["conditions"][name]) for name in ("on", "first", "last")}
    return Book(
        Conditions(**{**told["conditions"], **dates}),
        tuple(map(Line.read, told["held"])),
        {ProfileName(name): _measured(ProfileName(name), row) for name, row in told["profiles"].items()},
    )


def _measured(name: ProfileName, row: Mapping[str, Any]) -> Measured:
    return Measured(
        name,
        row["recipe"],
        tuple(map(Line.read, row["lines"])),
        tuple(Neighbour(each["changed"], Line.read(each["line"])) for each in row["neighbours"]),
    )
