"""Times as files write them: dates, times with and without a zone, and counts of seconds since 1970 in four units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd

from core.adapters.bar_files.layouts import TwoReadings
from core.adapters.calendars import DAY, NO_CLOSE, ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import AssetClass
from core.series import Seconds

NO_TIME: Final = -(2**62)
NEW_YORK: Final = "America/New_York"
_FIRST, _LAST = -2_208_988_800, 4_102_444_800
"""1900 and 2100."""
_UNITS: Final = (1, 1_000, 1_000_000, 1_000_000_000)
_SANE_COUNT: Final = 94_608_000
"""A count of seconds before 1973 would also be one of milliseconds."""
_ZONED = r"[T ]\d{1,2}:\d{2}.*(?:[Zz]|[+-]\d{2}:?\d{2})$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_SLASHED = r"^\d{1,2}/\d{1,2}/\d{4}$"
_HOUSE = "9999-99-99T99:99:99Z"
_MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?(?:[Zz]|[+-]\d{2}:?\d{2})?$"
_MOSTLY = 0.99
_SHORTEST_DAY, _LONGEST_PAUSE = 20 * 3_600, 4 * DAY


class Kind(StrEnum):
    """NAIVE: a time of day without a zone. MOMENT: with one, or a count since 1970."""

    DATE = "date"
    NAIVE = "naive"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True, eq=False)
class Stamps:
    """`seconds` since 1970, NAIVE and DATE as if they were UTC; NO_TIME where there is none. `dates` is the day as it
    is written, in seconds, where the time of day is written as midnight; NO_TIME elsewhere."""

    kind: Kind
    seconds: Seconds
    dates: Seconds


def stamps_of(column: pd.Series[Any]) -> Stamps:
    """Raises TwoReadings where days and months cannot be told apart, or some times have a zone and others have not."""
    if isinstance(column.dtype, pd.DatetimeTZDtype) or np.issubdtype(column.to_numpy().dtype, np.datetime64):
        return _from_times(column)
    plain = _house_form(column)
    if plain is not None:
        return plain
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    texts = column.astype("string").str.strip().fillna("")
    blank = (texts == "").to_numpy(np.bool_)
    if not blank.all() and not np.isnan(numbers[~blank]).any():
        return _from_counts(numbers)
    return _from_texts(texts)


def _house_form(column: pd.Series[Any]) -> Stamps | None:
    """2024-07-03T13:30:00Z in every row, in a third of the time of texts of any form; None for all others."""
    values = column.to_numpy()
    if not len(values) or not isinstance(values[0], str) or len(values[0]) != len(_HOUSE):
        return None
    try:
        texts = values.astype(f"U{len(_HOUSE) + 1}")
        letters = texts.view("U1").reshape(len(texts), len(_HOUSE) + 1)
        if any((letters[:, at] != letter).any() for at, letter in enumerate(_HOUSE) if letter != "9"):
            return None
        if (letters[:, -1] != "").any():
            return None
        seconds = texts.astype(f"U{len(_HOUSE) - 1}").astype("datetime64[s]").astype(np.int64)
    except (TypeError, ValueError):
        return None
    seconds = np.where((seconds >= _FIRST) & (seconds < _LAST), seconds, NO_TIME)
    return Stamps(Kind.MOMENT, seconds, np.where(seconds % DAY == 0, seconds, NO_TIME))


def _from_times(column: pd.Series[Any]) -> Stamps:
    is_zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    written = column.dt.tz_localize(None) if is_zoned else column
    seconds = _seconds(column.dt.tz_convert("UTC").dt.tz_localize(None) if is_zoned else column)
    days = _seconds(written)
    dates = np.where((days != NO_TIME) & (days % DAY == 0), days, NO_TIME)
    kind = Kind.MOMENT if is_zoned else Kind.DATE if bool((dates == days).all()) else Kind.NAIVE
    return Stamps(kind, seconds, dates)


def _from_counts(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> Stamps:
    """The units' ranges do not meet between 1973 and 2100, so that each row may have its own. YYYYMMDD is a date."""
    known = np.where(np.isfinite(numbers), numbers, 0.0)
    if known.any() and bool(((known == 0) | ((known > 19_000_000) & (known < 21_010_000))).all()):
        texts = pd.Series(np.where(known > 0, known, 0).astype(np.int64)).astype("string").str.zfill(8)
        return _from_texts(texts.str[:4] + "-" + texts.str[4:6] + "-" + texts.str[6:])
    seconds = np.full(len(known), NO_TIME, np.int64)
    for unit in _UNITS:
        fits = (known >= _SANE_COUNT * unit) & (known < _LAST * unit)
        seconds[fits] = (known[fits].astype(np.int64)) // unit
    return Stamps(Kind.MOMENT, seconds, np.full(len(known), NO_TIME, np.int64))


def _from_texts(texts: pd.Series[Any]) -> Stamps:
    texts = texts.reset_index(drop=True)
    filled = texts != ""
    if bool(filled.any()) and bool(texts[filled].str.match(_SLASHED).all()):
        return _slashed(texts)
    zoned, dated = texts.str.contains(_ZONED, regex=True), texts.str.match(_DATE)
    seconds = _seconds(pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce").dt.tz_localize(None))
    known = seconds != NO_TIME
    kinds = {Kind.MOMENT: zoned, Kind.DATE: dated, Kind.NAIVE: ~(zoned | dated)}
    present = [kind for kind, mask in kinds.items() if bool((mask.to_numpy(np.bool_) & known).any())]
    if Kind.MOMENT in present and len(present) > 1 and Kind.NAIVE in present:
        raise TwoReadings("some of its times have a zone and others have none")
    midnight = (texts.str.contains(_MIDNIGHT, regex=True) | dated).to_numpy(np.bool_) & known
    days = _seconds(pd.to_datetime(texts.str[:10], format="%Y-%m-%d", errors="coerce"))
    kind = next((kind for kind in (Kind.MOMENT, Kind.NAIVE) if kind in present), Kind.DATE)
    return Stamps(kind, seconds, np.where(midnight, days, NO_TIME))


def _slashed(texts: pd.Series[Any]) -> Stamps:
    """07/04/2024 is the fourth of July or the seventh of April: taken where only one of them makes dates of all."""
    readings = [_seconds(pd.to_datetime(texts, format=form, errors="coerce")) for form in ("%m/%d/%Y", "%d/%m/%Y")]
    blank = (texts == "").to_numpy(np.bool_)
    fitting = [seconds for seconds in readings if bool(((seconds != NO_TIME) | blank).all())]
    if len(fitting) != 1:
        raise TwoReadings("its dates can be read as month/day or as day/month; write them as 2024-07-04")
    return Stamps(Kind.DATE, fitting[0], fitting[0])


def _seconds(times: pd.Series[Any]) -> Seconds:
    """Of naive times; NO_TIME for none and for what is before 1900 or after 2100."""
    seconds = times.dt.as_unit("s").to_numpy().astype("datetime64[s]").astype(np.int64)
    return np.where(times.notna().to_numpy() & (seconds >= _FIRST) & (seconds < _LAST), seconds, NO_TIME)


def size_of(stamps: Stamps) -> BarSize | None:
    """The one size that the distances between the times show; None where they show none."""
    step = step_of(stamps.seconds)
    return next((size for size in BarSize if step is not None and fits(step, size)), None)


def fits(step: int, size: BarSize) -> bool:
    """Whether bars of a size may lie that far apart for the most part: days do over a weekend and a change of clock."""
    if size.is_intraday:
        return step == int(size.span.total_seconds())
    return _SHORTEST_DAY <= step <= _LONGEST_PAUSE


def step_of(seconds: Seconds) -> int | None:
    """The most frequent distance between neighbours in time, in seconds; None for fewer than two times."""
    gaps = np.diff(np.unique(seconds[seconds != NO_TIME]))
    if not len(gaps):
        return None
    distances, counts = np.unique(gaps, return_counts=True)
    return int(distances[np.argmax(counts)])


def labels_of(
    stamps: Stamps, size: BarSize, asset_class: AssetClass, calendar: ExchangeCalendar, zone: str | None
) -> Seconds:
    """What names each bar: its session's date for a day, its open else; NO_TIME where a row has none.

    `zone` is what the owner or the format says of times without one. Raises TwoReadings.
    """
    if size.is_intraday:
        return _opens(stamps, asset_class, calendar, zone)
    return _days(stamps, asset_class, calendar)


def _days(stamps: Stamps, asset_class: AssetClass, calendar: ExchangeCalendar) -> Seconds:
    seconds, known = stamps.seconds, stamps.seconds != NO_TIME
    if asset_class is AssetClass.CRYPTO:
        odd = seconds[known & (seconds % DAY != 0)]
        if len(odd):
            raise TwoReadings(f"a coin's day runs from 00:00 to 24:00 UTC; these begin at {_clock(odd[0])} UTC")
        return seconds
    labels = np.where(stamps.dates != NO_TIME, stamps.dates, NO_TIME)
    open_rows = known & (labels == NO_TIME)
    if not open_rows.any():
        return labels
    midnights = seconds[open_rows] // DAY * DAY
    local = pd.to_datetime(seconds[open_rows], unit="s", utc=True).tz_convert(NEW_YORK)
    in_session = np.isin(seconds[open_rows], _edges(calendar, midnights))
    good = np.asarray(local == local.normalize()) | (in_session if stamps.kind is Kind.MOMENT else False)
    if not good.all():
        first = seconds[open_rows][~good][0]
        raise TwoReadings(
            f"its days are stamped {_clock(first)} UTC, which is neither a midnight nor the open or close of a session;"
            " which day is meant cannot be told"
        )
    labels[open_rows] = midnights
    return labels


def _edges(calendar: ExchangeCalendar, midnights: Seconds) -> Seconds:
    opens = calendar.bar_opens(AssetClass.STOCK, BarSize.D1, midnights)
    return np.concatenate([opens, calendar.bar_closes(AssetClass.STOCK, BarSize.D1, midnights)])


def _opens(stamps: Stamps, asset_class: AssetClass, calendar: ExchangeCalendar, zone: str | None) -> Seconds:
    if stamps.kind is Kind.DATE:
        raise TwoReadings("it holds dates without a time of day, which cannot name bars shorter than a day")
    if stamps.kind is Kind.MOMENT or zone == "UTC":
        return stamps.seconds
    if zone is not None:
        return _in_zone(stamps.seconds, zone)
    if asset_class is AssetClass.CRYPTO:
        raise TwoReadings("its times have no zone: say which with --zone, for example --zone UTC")
    readings = {name: _in_zone(stamps.seconds, name) for name in ("UTC", NEW_YORK)}
    fitting = [name for name, opens in readings.items() if _share_in_session(opens, calendar) >= _MOSTLY]
    if len(fitting) != 1:
        both = "both UTC and New York fit" if fitting else "neither UTC nor New York fits the sessions"
        raise TwoReadings(f"its times have no zone, and {both}: say which with --zone")
    return readings[fitting[0]]


def _in_zone(seconds: Seconds, zone: str) -> Seconds:
    """Wall-clock times of a zone; those that a change of the clock makes twice or never are none."""
    naive = pd.Series(np.where(seconds == NO_TIME, 0, seconds)).astype("datetime64[s]")
    moments = naive.dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC").dt.tz_localize(None)
    return np.where(seconds == NO_TIME, NO_TIME, _seconds(moments))


def _share_in_session(opens: Seconds, calendar: ExchangeCalendar) -> float:
    known = opens[opens != NO_TIME]
    closes = calendar.bar_closes(AssetClass.STOCK, BarSize.M1, known)
    return float((closes != NO_CLOSE).mean()) if len(known) else 0.0


def _clock(second: np.int64) -> str:
    return f"{int(second) % DAY // 3_600:02d}:{int(second) % 3_600 // 60:02d}"
