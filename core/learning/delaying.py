"""What an order costs that is carried out an hour late: opens of coins moved by an hour of real trading."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core.learning.history import DAY
from core.learning.market import Market
from core.series import seconds_of


def an_hour_later(market: Market, folder: Path) -> Market:
    """The same market, but coins open at what they cost an hour after midnight, where `folder`/intraday holds hourly
    bars of the date (SYMBOLUSDT.1h.binance-spot.csv.gz); by the move of that hour, as the venues' prices differ."""
    opens = market.open.copy()
    for place in np.flatnonzero(market.crypto).tolist():
        name = market.symbols[place].removesuffix("-USD")
        path = folder / "intraday" / f"{name}USDT.1h.binance-spot.csv.gz"
        if path.exists():
            moves = _first_hours(path)
            opens[:, place] *= np.array([moves.get(int(day), 1.0) for day in market.day])
    return replace(market, open=np.clip(opens, market.low, market.high))


def _first_hours(path: Path) -> dict[int, float]:
    """By day since 1970: close over open of the hour that begins at midnight UTC."""
    moves = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = seconds_of(datetime.fromisoformat(row["ts"]).astimezone(UTC))
            if at % DAY == 0:
                moves[at // DAY] = float(row["close"]) / float(row["open"])
    return moves
