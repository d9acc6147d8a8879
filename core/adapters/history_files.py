"""Bars from files: CSV (.csv, .csv.gz) always, Parquet where pyarrow is installed.

A file is named SYMBOL[.SIZE][.anything].csv[.gz]; without a size it holds daily bars. Column `ts` (or date) is UTC: the
session date for daily bars, the open time for intraday bars. Prices are split-adjusted, unless `raw` is among the marks
of the name: then they are as they were paid, and the column `split` says where a share was split. A raw series is told
as its vendor would have told it at the time that is asked for: in the shares of that day.

Columns `dividend` (USD a share, in the file's own shares) and `split` (new shares for one old) of daily files become
corporate actions. A split of a file that is adjusted for it is none: its bars have no jump.

A size that no file of a symbol holds is made of its finer bars, where it has such.

Rulings (DESIGN 8, replay): BTCUSDT is BTC-USD, but a file of BTC-USD's own name wins; of files marked `extended` only
bars inside a session count, and only for sessions that no other file covers; overlaps are refused unless equal;
`adj` (dividend-adjusted) and `pre2014` files are not used.
"""

from __future__ import annotations

import importlib.util
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from core.adapters.calendars import NO_CLOSE, ExchangeCalendar
from core.adapters.history_actions import corporate_actions
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import Instrument, Listing, instrument_for
from core.domain.values import ONE
from core.errors import DataFault, Fatal, UnknownSymbol
from core.feed.aggregate import FINER, aggregate
from core.quality import Defect, Refusal, inspect
from core.series import PRICES, VALUES, BarSeries, Floats, Seconds, concatenated, merged, sealed, seconds_of, time_of

ENDINGS = (".csv.gz", ".csv", ".parquet")
SUBFOLDERS = ("daily", "intraday")
SIZES = {"1m": BarSize.M1, "5m": BarSize.M5, "1h": BarSize.H1, "60m": BarSize.H1, "1d": BarSize.D1}
OTHER_SIZES = frozenset({"2m", "3m", "10m", "15m", "30m", "2h", "4h", "1wk", "1mo"})
TIME_NAMES = ("ts", "date", "datetime", "timestamp")
SANE_TIMES = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

Key = tuple[str, BarSize]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    symbol: str
    size: BarSize
    extended: bool
    renamed: bool
    raw: bool


def _describe(path: Path) -> _File | None:
    """What a file's name says it holds; None for names that are not used."""
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
    if ending is None or (ending == ".parquet" and importlib.util.find_spec("pyarrow") is None):
        return None
    first, *marks = path.name.removesuffix(ending).split(".")
    if OTHER_SIZES & set(marks) or any(mark == "adj" or mark.startswith("pre2014") for mark in marks):
        return None
    size = next((SIZES[mark] for mark in marks if mark in SIZES), BarSize.D1)
    renamed = first.endswith("USDT") and len(first) > len("USDT")
    symbol = f"{first.removesuffix('USDT')}-USD" if renamed else first.upper()
    return _File(path, symbol, size, "extended" in marks, renamed, "raw" in marks)


class HistoryFiles:
    """MarketData over a folder and its `daily` and `intraday` subfolders. Reads each series once, when first asked."""

    name = "files"

    def __init__(self, folder: Path, calendar: ExchangeCalendar) -> None:
        self._calendar = calendar
        self._files = _catalogue(folder)
        self._series: dict[Key, BarSeries | DataFault] = {}
        self._refused: dict[Key, tuple[Refusal, ...]] = {}
        self._raw = _raw_symbols(self._files)
        self._actions: dict[str, tuple[CorporateAction, ...]] = {}
        self._lock = threading.Lock()

    def symbols(self, size: BarSize) -> tuple[str, ...]:
        """Every symbol with a file of that size, sorted."""
        return tuple(sorted(symbol for symbol, held in self._files if held is size))

    def span(self, symbol: str, size: BarSize) -> tuple[datetime, datetime]:
        """First open and last close. Raises DataFault where there is no usable bar."""
        series = self._load(symbol, size)
        return time_of(series.opened_at[0]), time_of(series.closed_at[-1])

    def look_up(self, symbol: str) -> Listing:
        """core.ports.SymbolLookup: the newest daily bar there is. Raises UnknownSymbol."""
        try:
            series = self._load(symbol, BarSize.D1)
        except DataFault as fault:
            raise UnknownSymbol(symbol, f"has no daily bars of it in files: {fault.reason}") from fault
        first, last = time_of(series.opened_at[0]), time_of(series.closed_at[-1])
        return Listing(symbol, symbol, "file", "USD", float(series.close[-1]), last, first.date())

    def refused(self) -> Mapping[Key, Sequence[Refusal]]:
        """Why rows were left out, per series read so far."""
        return dict(self._refused)

    def bars(self, instrument: Instrument, size: BarSize, end: datetime, count: int) -> BarSeries:
        """At most `count` newest bars closed at or before `end`, ascending; views of one array, not to be written to.

        Raises DataFault for a symbol without a usable file of that size.
        """
        series = self._series.get((instrument.symbol, size))
        if not isinstance(series, BarSeries):
            series = self._load(instrument.symbol, size)
        stop = int(series.closed_at.searchsorted(seconds_of(end), side="right"))
        known = series.part(slice(max(0, stop - count), stop))
        return self._as_of(known, end) if instrument.symbol in self._raw else known

    def reach(self, _size: BarSize) -> timedelta | None:
        """Whatever the files hold."""
        return None

    def actions(self, symbol: str, after: datetime, until: datetime) -> Sequence[CorporateAction]:
        """Dividends, and splits of raw files, that take effect after `after` and at or before `until`, ascending; none
        for a symbol without a usable daily file."""
        return [action for action in self._all_actions(symbol) if after < action.at <= until]

    def _all_actions(self, symbol: str) -> tuple[CorporateAction, ...]:
        if symbol not in self._actions:
            files = self._files.get((symbol, BarSize.D1), ())
            found = [action for file in files for action in corporate_actions(file.path, symbol, self._calendar)]
            kept = found if symbol in self._raw else [replace(action, ratio=ONE) for action in found]
            told = {action.at: action for action in kept if action.is_split or action.dividend > 0}
            self._actions[symbol] = tuple(told[at] for at in sorted(told))
        return self._actions[symbol]

    def _as_of(self, series: BarSeries, end: datetime) -> BarSeries:
        """A raw series in the shares of `end`: every split until then divides the bars before it."""
        factor = np.ones(len(series))
        for action in self._all_actions(series.symbol):
            if action.is_split and action.at <= end:
                factor[series.opened_at < seconds_of(action.at)] *= float(action.ratio)
        prices = (getattr(series, name) / factor for name in PRICES)
        columns = (series.opened_at, series.closed_at, *prices, series.volume * factor)
        return BarSeries(series.symbol, series.size, *columns)

    def _load(self, symbol: str, size: BarSize) -> BarSeries:
        key = (symbol, size)
        with self._lock:
            if key not in self._series:
                self._series[key] = self._read(key)
            found = self._series[key]
        if isinstance(found, DataFault):
            raise found
        return found

    def _read(self, key: Key) -> BarSeries | DataFault:
        symbol, size = key
        files = self._files.get(key, ())
        if not files:
            return self._made_of_finer(symbol, size)
        refused: list[Refusal] = []
        try:
            regular = _joined(symbol, size, [self._parse(file, refused) for file in files if not file.extended])
            extended = _joined(symbol, size, [self._parse(file, refused) for file in files if file.extended])
            series = sealed(_fill_sessions(regular, extended))
        except DataFault as fault:
            return fault
        finally:
            self._refused[key] = tuple(sorted(refused, key=lambda refusal: refusal.at))
        if not len(series):
            return DataFault(symbol, f"no usable {size} bar in {', '.join(file.path.name for file in files)}")
        return series

    def _made_of_finer(self, symbol: str, size: BarSize) -> BarSeries | DataFault:
        """Bars of a size that no file holds, made of the largest finer ones."""
        finer = next((each for each in FINER[size] if (symbol, each) in self._files), None)
        if finer is None:
            return DataFault(symbol, f"no file with {size} bars")
        # Not by `_load`, which holds the lock around this.
        small = self._series[symbol, finer] if (symbol, finer) in self._series else self._read((symbol, finer))
        if isinstance(small, DataFault):
            return small
        made = aggregate(self._calendar, instrument_for(symbol).asset_class, small, size)
        return sealed(made) if len(made) else DataFault(symbol, f"no whole {size} bar among its {finer} bars")

    def _parse(self, file: _File, refused: list[Refusal]) -> BarSeries:
        """The good bars of one file, with close times from the calendar."""
        labels, values = _read_columns(file, refused)
        asset_class = instrument_for(file.symbol).asset_class
        closes = self._calendar.bar_closes(asset_class, file.size, labels)
        outside = closes == NO_CLOSE
        if not file.extended:
            refused.extend(_off_session(file, at) for at in labels[outside])
        held = ~outside
        opened = self._calendar.bar_opens(asset_class, file.size, labels[held])
        columns = [values[name][held] for name in VALUES]
        inspection = inspect(BarSeries(file.symbol, file.size, opened, closes[held], *columns))
        refused.extend(inspection.refused)
        return inspection.good


def _catalogue(folder: Path) -> dict[Key, tuple[_File, ...]]:
    places = [folder, *(folder / name for name in SUBFOLDERS)]
    paths = sorted(path for place in places if place.is_dir() for path in place.iterdir() if path.is_file())
    described = [file for file in map(_describe, paths) if file is not None]
    found: dict[Key, tuple[_File, ...]] = {}
    for key in {(file.symbol, file.size) for file in described}:
        files = [file for file in described if (file.symbol, file.size) == key]
        own_name = [file for file in files if not file.renamed]
        found[key] = tuple(own_name or files)
    return found


def _raw_symbols(files: Mapping[Key, Sequence[_File]]) -> frozenset[str]:
    """The symbols whose prices are raw. Raises Fatal where a symbol has files of both kinds: they cannot be joined."""
    kinds: dict[str, set[bool]] = {}
    for (symbol, _), held in files.items():
        kinds.setdefault(symbol, set()).update(file.raw for file in held)
    mixed = sorted(symbol for symbol, found in kinds.items() if len(found) > 1)
    if mixed:
        raise Fatal(f"{', '.join(mixed)}: raw prices and prices adjusted for splits cannot be mixed in one folder")
    return frozenset(symbol for symbol, found in kinds.items() if True in found)


def _read_columns(file: _File, refused: list[Refusal]) -> tuple[Seconds, dict[str, Floats]]:
    """Times in seconds and the five value columns; unreadable values are NaN, rows without a sane time are refused."""
    try:
        table = pd.read_parquet(file.path) if file.path.suffix == ".parquet" else pd.read_csv(file.path)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise DataFault(file.symbol, f"{file.path.name} cannot be read: {error}") from error
    table.columns = [str(column).strip().lower() for column in table.columns]
    time_name = next((name for name in TIME_NAMES if name in table.columns), None)
    missing = [name for name in VALUES if name not in table.columns] + ([] if time_name else ["ts"])
    if missing:
        raise DataFault(file.symbol, f"{file.path.name} has no column {', '.join(missing)}")
    times = pd.to_datetime(table[time_name], utc=True, format="ISO8601", errors="coerce")
    known = ((times >= SANE_TIMES[0]) & (times < SANE_TIMES[1])).to_numpy()
    if not known.all():
        at = times[known].min().to_pydatetime() if known.any() else SANE_TIMES[0]
        sentence = f"{file.symbol} {file.size}: {(~known).sum()} rows of {file.path.name} have no usable time"
        refused.append(Refusal(at, Defect.TIMES, sentence))
    seconds = times[known].dt.as_unit("s").astype("int64").to_numpy()
    values = {
        name: pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)[known]
        for name in VALUES
    }
    return seconds, values


def _off_session(file: _File, label: np.int64) -> Refusal:
    at = time_of(label)
    sentence = f"{file.symbol} {file.size} bar of {at:%Y-%m-%d %H:%MZ} in {file.path.name}: no session holds it"
    return Refusal(at, Defect.OFF_SESSION, sentence)


def _joined(symbol: str, size: BarSize, parts: Sequence[BarSeries]) -> BarSeries:
    """The bars of several files in order. Raises DataFault where two of them tell of one time differently."""
    joined = BarSeries.empty(symbol, size)
    for part in parts:
        joined = _append(joined, part)
    return joined


def _append(known: BarSeries, more: BarSeries) -> BarSeries:
    both = concatenated(known, more)
    inspection = inspect(both)
    good = inspection.good
    overlapping = good.opened_at[1:] < good.closed_at[:-1]
    # One vendor's own file may hold a bar cut short by the next; only times that two files claim are in question.
    own = sum(int((part.opened_at[1:] < part.closed_at[:-1]).sum()) for part in (known, more))
    differing = [refusal.at for refusal in inspection.refused if refusal.defect is Defect.CONFLICT]
    if inspection.refused and not differing:
        fault = inspection.refused[0].sentence
        raise DataFault(known.symbol, f"two files of {known.size} bars do not fit together: {fault}")
    if differing or int(overlapping.sum()) > own:
        at = differing[0] if differing else time_of(good.opened_at[1:][overlapping][0])
        raise DataFault(
            known.symbol, f"two files of {known.size} bars differ where they overlap, first at {at:%Y-%m-%d %H:%MZ}"
        )
    return good


def _fill_sessions(regular: BarSeries, extended: BarSeries) -> BarSeries:
    """`regular`, and of `extended` the days that `regular` has no bar of."""
    if not len(extended):
        return regular
    days = np.unique(regular.closed_at // 86_400)
    fresh = extended.part(~np.isin(extended.closed_at // 86_400, days))
    return merged(regular, fresh)
