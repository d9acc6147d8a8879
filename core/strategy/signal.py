"""Whether the forest's probability and the three classic indicators agree that now is a time to buy (DESIGN 8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.domain.decisions import Prediction, Verdict
from core.series import BarSeries, Floats
from core.strategy.features import FAST, FLAT, SIGNAL, SLOW, sma
from core.strategy.policy import Policy
from core.strategy.weights import Weights, weights_for

MIN_CONFIRM_BARS = 50


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The newest values of the confirming indicators: prices in USD, RSI 0 to 100."""

    close: float
    sma20: float
    sma50: float
    rsi14: float
    histogram: float


def confirmation(bars: BarSeries, newest: int) -> Confirmation | None:
    """The indicators at the last of `bars`, from the newest `newest` of them; None while there are too few."""
    seen = bars.last(newest)
    if len(seen) < MIN_CONFIRM_BARS:
        return None
    close = seen.close
    weights = weights_for(len(close))
    return Confirmation(
        float(close[-1]),
        _mean(close[-20:]),
        _mean(close[-50:]),
        _rsi(close, weights),
        float((weights.macd - weights.signal) @ close),
    )


def _mean(values: Floats) -> float:
    return float(np.add.reduce(values)) / len(values)


def _rsi(close: Floats, weights: Weights) -> float:
    """Wilder's relative strength index, 0 to 100; a line that never moved is neutral, 50."""
    moves = np.zeros(len(close))
    np.subtract(close[1:], close[:-1], out=moves[1:])
    gain = float(weights.wilder @ np.maximum(moves, 0.0))
    total = gain + float(weights.wilder @ np.maximum(-moves, 0.0))
    return 50.0 if total <= FLAT * close[-1] else 100.0 * gain / total


def signal_verdicts(prediction: Prediction | None, bars: BarSeries, policy: Policy, why_none: str) -> list[Verdict]:
    """Probability, SMA, RSI and MACD, in this order. `why_none` says why there is no prediction."""
    seen = confirmation(bars, policy.confirm_bars)
    return [probability_verdict(prediction, policy, why_none), *_confirming(seen, len(bars), policy)]


def probability_verdict(prediction: Prediction | None, policy: Policy, why_none: str = "no prediction") -> Verdict:
    """Passes where the probability lies above the threshold, not at it."""
    if prediction is None:
        return Verdict("probability", False, why_none)
    passed = prediction.probability > policy.min_probability
    relation = "above" if passed else "not above"
    found, wanted = 100 * prediction.probability, 100 * policy.min_probability
    return Verdict("probability", passed, f"{found:.1f} % is {relation} {wanted:.0f} % ({prediction.event})")


def _confirming(seen: Confirmation | None, count: int, policy: Policy) -> list[Verdict]:
    if seen is None or not np.isfinite((seen.sma50, seen.rsi14, seen.histogram)).all():
        missing = f"{count} closed bars, {MIN_CONFIRM_BARS} valid ones needed"
        return [Verdict(gate, False, missing) for gate in ("sma", "rsi", "macd")]
    return [sma_verdict(seen), rsi_verdict(seen, policy), macd_verdict(seen)]


def sma_verdict(seen: Confirmation) -> Verdict:
    """The trend: close above SMA 20 above SMA 50."""
    passed = seen.close > seen.sma20 > seen.sma50
    numbers = f"close {_price(seen.close)}, SMA 20 {_price(seen.sma20)}, SMA 50 {_price(seen.sma50)}"
    return Verdict("sma", passed, f"{numbers}: {'an uptrend' if passed else 'no uptrend'}")


def rsi_verdict(seen: Confirmation, policy: Policy) -> Verdict:
    """Neither weak nor overheated: RSI 14 inside the band, its ends included."""
    passed = policy.rsi_low <= seen.rsi14 <= policy.rsi_high
    relation = "within" if passed else "outside"
    return Verdict(
        "rsi", passed, f"RSI 14 {seen.rsi14:.1f} is {relation} {policy.rsi_low:.0f} to {policy.rsi_high:.0f}"
    )


def macd_verdict(seen: Confirmation) -> Verdict:
    """Momentum: the MACD histogram above zero."""
    passed = seen.histogram > 0
    share = 100 * seen.histogram / seen.close
    return Verdict("macd", passed, f"MACD histogram {share:+.3f} % of price is {'' if passed else 'not '}above 0")


def _price(value: float) -> str:
    return f"{value:,.2f}" if value >= 10 else f"{value:.4f}"


SURE_BARS = 250
"""From so many confirming bars on the beginning of a recursive average weighs less than a billionth in its end."""
_NEAR = 1e-7
_NEAR_RSI = 0.01


def may_confirm(bars: BarSeries, policy: Policy) -> NDArray[np.bool_]:
    """Whether SMA, RSI and MACD may confirm at each bar, shape (len(bars),): false only where they do not.

    For many bars at once, by averages over the whole series and with room for what the window of `confirmation` and
    the order of additions make of them: what may confirm has still to be judged.
    """
    close = bars.close
    trend = (close * (1 + _NEAR) > sma(close, 20)) & (sma(close, 20) * (1 + _NEAR) > sma(close, 50))
    enough = np.arange(len(close)) >= MIN_CONFIRM_BARS - 1
    if policy.confirm_bars < SURE_BARS:
        return enough & trend
    moves = np.diff(close, prepend=close[:1])
    gain, loss = smooth(np.maximum(moves, 0.0), 14, 14, 1 / 14), smooth(np.maximum(-moves, 0.0), 14, 14, 1 / 14)
    total = gain + loss
    with np.errstate(divide="ignore", invalid="ignore"):
        rsi = np.where(total <= FLAT * close, 50.0, 100.0 * gain / total)
    banded = (rsi >= policy.rsi_low - _NEAR_RSI) & (rsi <= policy.rsi_high + _NEAR_RSI)
    line = smooth(close, SLOW - 1, FAST, 2 / (FAST + 1)) - smooth(close, SLOW - 1, SLOW, 2 / (SLOW + 1))
    histogram = line - smooth(line, SLOW + SIGNAL - 2, SIGNAL, 2 / (SIGNAL + 1))
    may: NDArray[np.bool_] = enough & trend & banded & (histogram > -_NEAR * close)
    return may


def smooth(values: Floats, first: int, period: int, weight: float) -> Floats:
    """The recursive average of core.strategy.features for a long series, equal up to rounding: seeded at index `first`
    with the mean of the `period` values that end there, NaN before it. Shape as given."""
    out = np.full(len(values), np.nan)
    if len(values) > first:
        seeded = values[first:].copy()
        seeded[0] = values[first - period + 1 : first + 1].mean()
        out[first:] = pd.Series(seeded).ewm(alpha=weight, adjust=False).mean().to_numpy()
    return out
