"""Which parts of the symbols a figure is shown for beside the whole: a figure of assets that were chosen with hindsight
says little without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.instruments import instrument_for

LATE_COINS = ("ADA-USD", "SOL-USD")
"""Coins that nobody would have listed at the beginning of most tests, and that are here because they rose."""


@dataclass(frozen=True, slots=True)
class Line:
    """Some of the symbols under a name."""

    name: str
    symbols: tuple[str, ...]


def lines_for(symbols: Sequence[str]) -> list[Line]:
    """All of them first; then, where that is another list, those that are no coins, and all but the late coins."""
    whole = tuple(symbols)
    stocks = tuple(symbol for symbol in symbols if not instrument_for(symbol).is_crypto)
    early = tuple(symbol for symbol in symbols if symbol not in LATE_COINS)
    parts = [Line("all", whole), Line("no coins", stocks), Line("no ADA, SOL", early)]
    found: list[Line] = []
    for part in parts:
        if part.symbols and part.symbols not in [known.symbols for known in found]:
            found.append(part)
    return found
