"""How much of a figure is luck: Sharpe ratios with their error, the price of trying often, and resampled intervals.

Sources: Bailey and Lopez de Prado, The Sharpe Ratio Efficient Frontier (2012) for the probabilistic Sharpe ratio; the
same, The Deflated Sharpe Ratio (2014); Bailey, Borwein, Lopez de Prado and Zhu, The Probability of Backtest Overfitting
(2017) for combinatorially symmetric cross-validation; Politis and Romano, A Circular Block-Resampling Procedure for
Stationary Data (1992) and The Stationary Bootstrap (1994).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from core.series import Floats

EULER = 0.577_215_664_901_532_9
_NORMAL = NormalDist()
_FLAT = 1e-12


def sharpe(returns: Floats) -> float:
    """Mean over sample standard deviation of one period's returns; 0 where they do not vary. Times the square root of
    the periods in a year it is the annual ratio."""
    spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return float(np.mean(returns)) / spread if spread > _FLAT else 0.0


def sharpe_error(returns: Floats) -> float:
    """Standard error of `sharpe`: sqrt((1 - s*SR + (k - 1)/4 * SR^2) / (n - 1)), s the skewness and k the kurtosis
    (3 for a normal) of the returns (2012, eq. 4 and 11)."""
    ratio, skew, kurtosis = sharpe(returns), *_shape(returns)
    return math.sqrt(max(0.0, 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2) / (len(returns) - 1))


def probabilistic_sharpe(returns: Floats, benchmark: float) -> float:
    """Probability that the true ratio lies above `benchmark` (of one period): Phi((SR - benchmark) / error)."""
    error = sharpe_error(returns)
    if error == 0.0:
        return 0.5
    return _NORMAL.cdf((sharpe(returns) - benchmark) / error)


def expected_highest(trials: int, spread: float) -> float:
    """What the best of `trials` worthless attempts shows, whose ratios have the standard deviation `spread`:
    spread * ((1 - g) * z(1 - 1/N) + g * z(1 - 1/(N*e))), g Euler's constant, z the normal quantile (2014, eq. 1)."""
    if trials < 2:
        return 0.0
    far, farther = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return spread * ((1.0 - EULER) * far + EULER * farther)


def deflated_sharpe(returns: Floats, trials: int, spread: float) -> float:
    """Probability that the true ratio is above zero, given that `returns` are the best of `trials` attempts whose
    ratios (of one period) have the standard deviation `spread`."""
    return probabilistic_sharpe(returns, expected_highest(trials, spread))


def _shape(values: Floats) -> tuple[float, float]:
    """(skewness, kurtosis) by moments of the sample; those of a normal where nothing varies."""
    off = values - np.mean(values)
    second = float(np.mean(off**2))
    if second <= _FLAT**2:
        return 0.0, 3.0
    return float(np.mean(off**3)) / second**1.5, float(np.mean(off**4)) / second**2


@dataclass(frozen=True, slots=True)
class Overfitting:
    """`probability` that the best in one half of the time is below the median in the other; `splits` is of how many
    halvings; `rank` the mean relative rank of the chosen one out of sample, 0 worst to 1 best."""

    probability: float
    splits: int
    rank: float


def overfitting(returns: Floats, blocks: int = 16) -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation (2017, section 2).

    `returns` has a row a period and a column an attempt, two or more. Time is cut into `blocks` (even) parts; each
    choice of half of them picks the attempt of the highest Sharpe ratio, and the other half ranks it:
    w = rank / (N + 1), overfitted where log(w / (1 - w)) <= 0.
    """
    periods, attempts = returns.shape
    if attempts < 2 or blocks % 2 or blocks < 2 or periods < 2 * blocks:
        raise ValueError("two attempts, an even number of blocks and two periods a block are needed")
    parts = np.array_split(np.arange(periods), blocks)
    sums = np.array([returns[part].sum(axis=0) for part in parts])
    squares = np.array([(returns[part] ** 2).sum(axis=0) for part in parts])
    sizes = np.array([len(part) for part in parts])
    ranks = []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        inside = np.zeros(blocks, bool)
        inside[list(chosen)] = True
        best = int(np.argmax(_ratios(sums[inside], squares[inside], sizes[inside])))
        outside = _ratios(sums[~inside], squares[~inside], sizes[~inside])
        # Ties share their rank: equal attempts are neither better nor worse than one another.
        below, equal = np.sum(outside < outside[best]), np.sum(outside == outside[best])
        ranks.append((below + (equal + 1) / 2.0) / (attempts + 1))
    found = np.array(ranks)
    return Overfitting(float(np.mean(found <= 0.5)), len(ranks), float(np.mean(found)))


def _ratios(sums: Floats, squares: Floats, sizes: NDArray[np.int64]) -> Floats:
    count = float(sizes.sum())
    mean = sums.sum(axis=0) / count
    variance = np.maximum(squares.sum(axis=0) / count - mean**2, 0.0)
    return np.where(variance > _FLAT**2, mean / np.sqrt(np.maximum(variance, _FLAT**2)), 0.0)


def circular_blocks(count: int, length: int, draw: np.random.Generator) -> NDArray[np.int64]:
    """`count` places of a series of that length, drawn as blocks of `length` that wrap round its end (1992)."""
    starts = draw.integers(0, count, -(-count // length))
    places: NDArray[np.int64] = ((starts[:, None] + np.arange(length)) % count).ravel()[:count]
    return places


def stationary_blocks(count: int, length: float, draw: np.random.Generator) -> NDArray[np.int64]:
    """`count` places drawn as blocks of random, geometric length with the mean `length`, wrapping round (1994)."""
    fresh = draw.random(count) < 1.0 / length
    fresh[0] = True
    starts = draw.integers(0, count, count)
    began = np.maximum.accumulate(np.where(fresh, np.arange(count), 0))
    places: NDArray[np.int64] = (starts[began] + np.arange(count) - began) % count
    return places


@dataclass(frozen=True, slots=True)
class Interval:
    """`value` of the sample itself, and the bounds that hold the central `level` of the resampled ones."""

    value: float
    low: float
    high: float
    level: float


def bootstrap(
    rows: Floats,
    figure: Callable[[Floats], float],
    draw: np.random.Generator,
    *,
    length: float,
    rounds: int,
    level: float,
) -> Interval:
    """Percentile interval of `figure` by the stationary bootstrap. `rows` has a row a period; what stands in one row
    is drawn together, so that a figure of two columns is a paired comparison."""
    values = _resampled(rows, figure, draw, length, rounds)
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(figure(rows), float(low), float(high), level)


def lower_bound(
    rows: Floats,
    figure: Callable[[Floats], float],
    draw: np.random.Generator,
    *,
    length: float,
    rounds: int,
    level: float,
) -> float:
    """What `figure` exceeds but for a chance of `level`: its value less Student's quantile times its standard error by
    the stationary bootstrap. There are as many independent observations as blocks of `length`, so that the quantile is
    that of so many less one degrees of freedom; unlike a percentile of the resampled values it reaches to chances
    smaller than one in `rounds`. Needs two blocks."""
    from scipy.special import stdtrit

    freedom = len(rows) / length - 1.0
    if freedom < 1.0:
        raise ValueError("two blocks of rows are needed")
    error = float(np.std(_resampled(rows, figure, draw, length, rounds), ddof=1))
    return figure(rows) + float(stdtrit(freedom, level)) * error


def _resampled(
    rows: Floats, figure: Callable[[Floats], float], draw: np.random.Generator, length: float, rounds: int
) -> Floats:
    return np.array([figure(rows[stationary_blocks(len(rows), length, draw)]) for _ in range(rounds)])
