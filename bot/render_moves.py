"""What moved a forecast, as the owner reads it: the base rate, then the features that moved it most. Pure."""

from __future__ import annotations

from collections.abc import Callable

from bot import numbers
from bot.markup import bold, esc
from core.domain.decisions import Contribution, Reasons

SHOWN = 4
Show = Callable[[float], str]


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}%"


def _finely(value: float) -> str:
    return f"{100 * value:+.2f}%"


_FEATURES: dict[str, tuple[str, Show]] = {
    "sma20_distance": ("price against its 20-day mean", _signed),
    "sma50_distance": ("price against its 50-day mean", _signed),
    "rsi14": ("RSI 14", lambda value: f"{100 * value:.0f}"),
    "macd": ("MACD, part of price", _finely),
    "macd_histogram": ("MACD histogram, part of price", _finely),
    "bollinger_b": ("place between its Bollinger bands", lambda value: f"{value:.2f}"),
    "atr_ratio": ("an ordinary day's range", lambda value: f"{100 * value:.1f}%"),
    "roc10": ("change over 10 days", _signed),
    "volume_z": ("volume, in deviations", lambda value: f"{value:+.1f}"),
}


def what_moved(reasons: Reasons | None) -> str:
    """A paragraph; empty where nothing is known of it. Its lines add up to what the forest said, and the last one tells
    what that is worth where it is calibrated."""
    if reasons is None:
        return ""
    ordered = sorted(reasons.contributions, key=lambda each: (-abs(each.points), each.feature))
    shown, others = ordered[:SHOWN], ordered[SHOWN:]
    lines = [bold("What moved the forecast"), f"{numbers.percent(reasons.base)} is how often it happens"]
    lines += [_line(each) for each in shown]
    if others:
        lines.append(f"{_points(sum(each.points for each in others))} points: {len(others)} others together")
    said = f"= {numbers.percent(reasons.probability)}"
    lines.append(said if reasons.calibrated is None else f"{said}, says the forest")
    if reasons.calibrated is not None:
        lines.append(f"{numbers.percent(reasons.calibrated)} after calibration on days it had not learned from")
    return "\n".join(lines)


def _line(moved: Contribution) -> str:
    name, show = _FEATURES.get(moved.feature, (moved.feature.replace("_", " "), lambda value: f"{value:.4g}"))
    rank = "" if moved.rank is None else f", {_rank(moved.rank)}"
    return f"{_points(moved.points)} points: {esc(name, 40)} {esc(show(moved.value), 20)}{rank}"


def _points(points: float) -> str:
    return f"{round(100 * points, 1) + 0.0:+.1f}"


def _rank(rank: float) -> str:
    """Against the days that the model learned from."""
    if rank >= 0.5:
        return f"above {100 * rank:.0f}% of the days it learned from"
    return f"below {100 * (1 - rank):.0f}% of the days it learned from"
