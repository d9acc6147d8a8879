"""The bars of one file, with what was left out of it and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.adapters.bar_files.layouts import Layout, TwoReadings
from core.adapters.bar_files.names import house_symbol
from core.adapters.bar_files.tables import UNREADABLE, read_table
from core.adapters.bar_files.times import NO_TIME, Stamps, fits, labels_of, size_of, stamps_of, step_of
from core.adapters.calendars import DAY, NO_CLOSE, ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass, Instrument, instrument_for
from core.errors import DataFault
from core.feed.bar_files import FileBars, FileName, Wanted
from core.quality import Defect, Refusal
from core.series import VALUES, BarSeries, Floats, Seconds, time_of

LEAST_READABLE = 0.5


def read_file(name: FileName, wanted: Wanted, calendar: ExchangeCalendar) -> list[FileBars]:
    try:
        table, layout = read_table(name.path)
        return [part.bars(calendar) for part in _parts(name, wanted, table, layout)]
    except TwoReadings as refusal:
        raise DataFault(name.path.name, str(refusal)) from None
    except UNREADABLE as error:
        raise DataFault(name.path.name, f"it cannot be read: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The rows of one symbol."""

    name: FileName
    wanted: Wanted
    layout: Layout
    table: pd.DataFrame
    symbol: str
    renamed: bool
    columns: dict[str, int]

    def bars(self, calendar: ExchangeCalendar) -> FileBars:
        instrument, stamps = instrument_for(self.symbol), self._stamps()
        size = self._size(stamps)
        zone = self.wanted.zone or ("UTC" if self.layout.house_time else None)
        labels = labels_of(stamps, size, instrument.asset_class, calendar, zone)
        refused: list[Refusal] = []
        kept = labels != NO_TIME
        if not kept.all():
            refused.append(_timeless(self, int((~kept).sum()), labels[kept]))
        labels, rows = labels[kept], np.flatnonzero(kept)
        closes = calendar.bar_closes(instrument.asset_class, size, labels)
        outside = closes == NO_CLOSE
        off_grid = ~outside & ~_on_grid(instrument, size, labels, calendar)
        self._refuse_other_grid(size, off_grid, outside)
        for mask, defect, says in (
            (outside & (not self.name.extended), Defect.OFF_SESSION, "no session holds it"),
            (off_grid, Defect.TIMES, "it begins between two bars"),
        ):
            refused.extend(_refusals(self, size, labels[mask], defect, says))
        good = ~(outside | off_grid)
        opened = calendar.bar_opens(instrument.asset_class, size, labels[good])
        values = [self._value(field)[rows[good]] for field in VALUES]
        series = BarSeries(self.symbol, size, opened, closes[good], *values)
        return FileBars(series, len(self.table), tuple(refused), self.layout.words, self.name.extended, self.renamed)

    def _stamps(self) -> Stamps:
        """Columns that tell of time must tell of the same."""
        first, *others = [stamps_of(self.table[at]) for at in self.layout.times]
        for other, column in zip(others, self.layout.time_names[1:], strict=True):
            if not np.array_equal(first.seconds, other.seconds):
                raise TwoReadings(f"its columns {self.layout.time_names[0]} and {column} tell of different times")
        if not (first.seconds != NO_TIME).any():
            raise TwoReadings(f"no time in its column {self.layout.time_names[0]} can be read")
        return first

    def _size(self, stamps: Stamps) -> BarSize:
        """What was said, what the name says, or what the times show; they must not contradict each other."""
        shown, said = size_of(stamps), self.wanted.size or self.name.size
        step = step_of(stamps.seconds)
        is_lone = int((stamps.seconds != NO_TIME).sum()) == 2
        if (
            said is not None
            and step is not None
            and not fits(step, said)
            and not (is_lone and step > said.span.total_seconds())
        ):
            raise TwoReadings(f"its bars should be of {said}, but lie {_span(step)} apart")
        size = said or shown
        if size is None:
            far = f"lie {_span(step)} apart" if step is not None else "are too few to show it"
            raise TwoReadings(f"nothing says of which size its bars are, and they {far}: say it with --size")
        self._check_ends(stamps, size)
        return size

    def _check_ends(self, stamps: Stamps, size: BarSize) -> None:
        if self.layout.ends is None:
            return
        ends = stamps_of(self.table[self.layout.ends]).seconds
        both = (ends != NO_TIME) & (stamps.seconds != NO_TIME)
        lasting = ends[both] - stamps.seconds[both]
        span = int(size.span.total_seconds())
        if len(lasting) and not np.isin(lasting, (span, span - 1)).mean() > LEAST_READABLE:
            apart = _span(int(np.median(lasting)))
            raise TwoReadings(f"its opens and closes lie {apart} apart, but its bars are of {size}")

    def _value(self, field: str) -> Floats:
        column = self.table[self.columns[field]]
        numbers: Floats = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        unreadable = np.isnan(numbers) & column.notna().to_numpy()
        if len(numbers) and unreadable.mean() > LEAST_READABLE:
            example = str(column[unreadable].iloc[0])[:20]
            raise TwoReadings(f"its {field} cannot be read as numbers, for example {example!r}: write 1234.56")
        return numbers

    def _refuse_other_grid(self, size: BarSize, off_grid: Any, outside: Any) -> None:
        inside = int((~outside).sum())
        if inside and int(off_grid.sum()) > LEAST_READABLE * inside:
            raise TwoReadings(
                f"its {size} bars do not begin where those of a session do: {int(off_grid.sum())} of {inside} begin "
                "between two of them"
            )


def _parts(name: FileName, wanted: Wanted, table: pd.DataFrame, layout: Layout) -> Iterator[_Part]:
    for ticker, columns in layout.values.items():
        if layout.symbols is None:
            yield _part(name, wanted, table, layout, ticker, dict(columns))
            continue
        told = table[layout.symbols].astype("string").str.strip().fillna("")
        for each in sorted(told.unique()):
            rows = table[(told == each).to_numpy(np.bool_)].reset_index(drop=True)
            yield _part(name, wanted, rows, layout, str(each), dict(columns))


def _part(
    name: FileName, wanted: Wanted, table: pd.DataFrame, layout: Layout, told: str, columns: dict[str, int]
) -> _Part:
    """The symbol is what was said, what the columns say, or what the name says."""
    inside, renamed = house_symbol(told) if told else ("", False)
    if told and not inside:
        raise TwoReadings(f"it names {told!r}, which is no symbol")
    if wanted.symbol and inside and inside != wanted.symbol:
        raise TwoReadings(f"you call it {wanted.symbol}, but it says that it holds {inside}")
    if wanted.symbol:
        return _Part(name, wanted, layout, table, wanted.symbol, name.renamed or renamed, columns)
    if inside:
        return _Part(name, wanted, layout, table, inside, renamed, columns)
    if not name.symbol:
        raise TwoReadings("its name begins with no symbol: say it with --symbol")
    return _Part(name, wanted, layout, table, name.symbol, name.renamed, columns)


def _on_grid(instrument: Instrument, size: BarSize, labels: Seconds, calendar: ExchangeCalendar) -> Any:
    if not size.is_intraday:
        return np.ones(len(labels), np.bool_)
    begin: Any = 0
    if instrument.asset_class is AssetClass.STOCK:
        begin = calendar.bar_opens(AssetClass.STOCK, BarSize.D1, labels // DAY * DAY)
    return (labels - begin) % int(size.span.total_seconds()) == 0


def _timeless(part: _Part, count: int, known: Seconds) -> Refusal:
    at = time_of(known.min()) if len(known) else time_of(0)
    return Refusal(at, Defect.TIMES, f"{part.symbol}: {count} rows of {part.name.path.name} have no usable time")


def _refusals(part: _Part, size: BarSize, labels: Seconds, defect: Defect, says: str) -> Iterator[Refusal]:
    for label in labels:
        at = time_of(label)
        yield Refusal(at, defect, f"{part.symbol} {size} bar of {at:%Y-%m-%d %H:%MZ} in {part.name.path.name}: {says}")


def _span(seconds: int) -> str:
    for unit, name in ((DAY, "d"), (3_600, "h"), (60, "m")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
