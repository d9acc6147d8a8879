"""Whether the forest's probability and the three classic indicators agree that now is a time to buy (DESIGN 8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.domain.decisions import Prediction, Verdict
from core.series import BarSeries, Floats
from core.strategy.features import FLAT
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
