"""Dividends and splits from the columns beside daily prices."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.adapters.calendars import ExchangeCalendar
from core.domain.corporate import CorporateAction
from core.domain.instruments import instrument_for
from core.domain.values import ONE, ZERO, exact

COLUMNS = ("dividend", "split")


def corporate_actions(path: Path, symbol: str, calendar: ExchangeCalendar) -> Iterator[CorporateAction]:
    """Every row of a daily file (columns ts, close, dividend, split) that tells of a dividend or a split, in the file's
    own shares; none where both are missing or the file cannot be read.

    It takes effect at the open of the row's session. Odd remainders of a split are paid at the close before, divided
    by the ratio.
    """
    table = _table(path)
    if table is None:
        return
    asset_class = instrument_for(symbol).asset_class
    numbers = {name: pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in (*COLUMNS, "close")}
    told = (numbers["dividend"] > 0) | ((numbers["split"] > 0) & (numbers["split"] != 1))
    dates = pd.to_datetime(table["ts"], utc=True, format="ISO8601", errors="coerce")
    for row in np.flatnonzero(told & dates.notna().to_numpy()):
        bounds = calendar.session_bounds(asset_class, dates.iloc[int(row)].date())
        if bounds is None:
            continue
        dividend, split = (exact(float(numbers[name][row])) if numbers[name][row] > 0 else ZERO for name in COLUMNS)
        before = float(numbers["close"][row - 1]) if row else float("nan")
        ratio = split or ONE
        price = exact(before) / ratio if before > 0 else ZERO
        yield CorporateAction(symbol, bounds[0], dividend, ratio, price)


def _table(path: Path) -> Any:
    """The file with lower-case column names; None where it has no such columns."""
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (ValueError, OSError, EOFError, zlib.error):
        # Why a file cannot be read is told where its bars are asked for.
        return None
    table.columns = [str(column).strip().lower() for column in table.columns]
    table = table.rename(columns={"date": "ts"})
    wanted = ("ts", "close", *COLUMNS)
    for name in COLUMNS:
        if name not in table.columns:
            table[name] = 0.0
    return table if all(name in table.columns for name in wanted) else None
