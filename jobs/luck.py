"""How much of a backtest may be luck: its Sharpe ratio with an interval, its gain over the plain rule, and what is left
of that once all attempts on record are counted. The owner's side reaches core.learning through jobs alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.learning.figures import excess, sharpe_gain
from core.learning.statistics import Interval, deflated_sharpe
from core.learning.trials import Trial, count_trials, read_trials
from core.performance import Curve
from core.series import Floats, Seconds

ENOUGH_DAYS: Final = 250
SEED: Final = 20_240_101


@dataclass(frozen=True, slots=True)
class Luck:
    """Of `days` common days. `ratio` is the annual Sharpe ratio, `gain` that less the plain rule's at equal volatility,
    each with its 90 % interval (stationary bootstrap, blocks of 20 days on average, 2,000 rounds). `deflated` is the
    probability that the true gain is above zero, given that this is the best of `trials` attempts; `gain` and
    `deflated` are None where there is no plain rule beside it."""

    days: int
    ratio: Interval
    gain: Interval | None
    deflated: float | None
    trials: int


def luck_of(ours: Curve, rule: Curve | None, days_a_year: int) -> Luck | None:
    """None for less than ENOUGH_DAYS. The attempts are those of the committed record, and this one.

    Raises DataFault where the record's chain is broken.
    """
    record = read_trials()
    trials = count_trials(record) + 1
    if rule is None:
        returns = ours.daily()
        if len(returns) < ENOUGH_DAYS:
            return None
        return Luck(len(returns), _ratio(returns, days_a_year), None, None, trials)
    mine, theirs = _common_returns(ours, rule)
    if len(mine) < ENOUGH_DAYS:
        return None
    gain = sharpe_gain(mine, theirs, days_a_year, SEED)
    deflated = deflated_sharpe(excess(mine, theirs), trials, _spread(record))
    return Luck(len(mine), _ratio(mine, days_a_year), gain, deflated, trials)


def _ratio(returns: Floats, days_a_year: int) -> Interval:
    """A Sharpe ratio is its gain over an account that never moves."""
    return sharpe_gain(returns, np.zeros(len(returns)), days_a_year, SEED)


def _common_returns(ours: Curve, rule: Curve) -> tuple[Floats, Floats]:
    """Daily returns of both between the days that both have a last value of."""
    (days, mine), (others, theirs) = _closes(ours), _closes(rule)
    _, own, other = np.intersect1d(days, others, return_indices=True)
    return np.diff(mine[own]) / mine[own][:-1], np.diff(theirs[other]) / theirs[other][:-1]


def _closes(curve: Curve) -> tuple[Seconds, Floats]:
    """(UTC day, wealth at its end) of each day that has a point; one at 24:00Z belongs to the day that ends there."""
    days = (curve.at - 1) // 86_400
    last = np.append(np.diff(days) > 0, True)
    return days[last], curve.wealth()[last]


def _spread(record: tuple[Trial, ...]) -> float:
    """The deviation of the daily ratios of the excess over the rule among all different attempts on record."""
    known = {each.key: each.figures["excess"] for each in record}
    return float(np.std(list(known.values()), ddof=1)) if len(known) > 1 else 0.0
