"""From the rows of a source to bars: those that are bars of a session, told once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from core.adapters.calendars import DAY, NO_CLOSE, ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass, Instrument
from core.series import PRICES, BarSeries, Floats, Mask, Seconds

ZONES = {AssetClass.STOCK: "America/New_York", AssetClass.CRYPTO: "UTC"}
"""Whose midnight begins a daily bar."""


class Table(Protocol):
    """Rows as a source gave them: starts of bars in seconds, and open, high, low, close, volume."""

    @property
    def times(self) -> Seconds: ...

    @property
    def columns(self) -> Mapping[str, Floats]: ...


def series_of(chart: Table, instrument: Instrument, size: BarSize, calendar: ExchangeCalendar) -> BarSeries:
    """Ascending bars, one in progress among them. Left out are rows between two bars (a live one), rows outside
    sessions, and bars that were told twice with different values."""
    asset_class = instrument.asset_class
    labels = chart.times if size.is_intraday else _dates(chart.times, instrument)
    closes = calendar.bar_closes(asset_class, size, labels)
    kept = (closes != NO_CLOSE) & _told_once(labels, chart, keep_last=not size.is_intraday)
    if size.is_intraday:
        kept &= _on_grid(asset_class, size, labels, calendar)
    if len(labels) > 1 and chart.times[-1] < chart.times[-2]:
        # A live row that came late is between two bars; if it is not, nobody can tell which of the two is which.
        kept[-2:] = (kept[-2] and not kept[-1]), False
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    opened = calendar.bar_opens(asset_class, size, labels[rows])
    columns = {name: column[rows] for name, column in chart.columns.items()}
    return BarSeries(instrument.symbol, size, opened, closes[rows], **columns)


def _told_once(labels: Seconds, chart: Table, *, keep_last: bool) -> Mask:
    """One row of each time, where all rows of it agree on the prices. The volumes may differ: of a day the later one is
    a little newer, of minutes it is that of a live row."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    same_time = ordered[1:] == ordered[:-1]
    differ = np.zeros(len(same_time), np.bool_)
    for name in PRICES:
        one, other = chart.columns[name][order][:-1], chart.columns[name][order][1:]
        differ |= ~((one == other) | (np.isnan(one) & np.isnan(other)))
    contested = np.isin(labels, ordered[1:][same_time & differ])
    chosen = np.ones(len(labels), np.bool_)
    chosen[order[:-1] if keep_last else order[1:]] = ~same_time
    return chosen & ~contested


def _dates(times: Seconds, instrument: Instrument) -> Seconds:
    """The local date of each row, as its midnight without a zone."""
    local = pd.to_datetime(times, unit="s", utc=True).tz_convert(ZONES[instrument.asset_class]).tz_localize(None)
    return np.asarray(local.as_unit("s").asi8, np.int64) // DAY * DAY


def _on_grid(asset_class: AssetClass, size: BarSize, opened: Seconds, calendar: ExchangeCalendar) -> Mask:
    span = int(size.span.total_seconds())
    if asset_class is AssetClass.CRYPTO:
        return np.asarray(opened % span == 0, np.bool_)
    session_opens = calendar.bar_opens(asset_class, BarSize.D1, opened // DAY * DAY)
    return np.asarray((opened - session_opens) % span == 0, np.bool_)
