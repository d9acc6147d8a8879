"""What may be luck in a backtest, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.luck import ENOUGH_DAYS, Luck


def words(luck: Luck | None) -> Iterator[str]:
    """Of all assets together, beside the plain rule where it was played."""
    if luck is None:
        yield f"Less than {ENOUGH_DAYS} days: nothing can be told from luck."
        return
    ratio = luck.ratio
    yield (
        f"The Sharpe ratio of all assets is {ratio.value:.2f}; nine in ten resamplings of its {luck.days:,} days (in "
        f"blocks of 20) lie between {ratio.low:.2f} and {ratio.high:.2f}."
    )
    if luck.gain is None or luck.deflated is None:
        return
    gain = luck.gain
    shown = "is above zero" if gain.low > 0 else "is below zero" if gain.high < 0 else "may be zero"
    yield (
        f"At equal volatility its gain over the plain rule is {gain.value:+.2f} (90 %: {gain.low:+.2f} to "
        f"{gain.high:+.2f}): it {shown}."
    )
    yield (
        f"Deflated Sharpe ratio of that gain: {luck.deflated:.3f}, the chance that it is real when the {luck.trials} "
        "attempts on record, this one among them, are counted. What you tried yourself is not known here: count it too."
    )


def figures(luck: Luck | None) -> object:
    """As plain values for JSON."""
    if luck is None:
        return None
    gain = luck.gain
    return {
        "days": luck.days,
        "sharpe": [luck.ratio.low, luck.ratio.value, luck.ratio.high],
        "gain_over_plain_rule": None if gain is None else [gain.low, gain.value, gain.high],
        "deflated_sharpe": luck.deflated,
        "trials": luck.trials,
    }
