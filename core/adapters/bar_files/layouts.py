"""Which column of a file holds what, by its first rows. Where two readings fit, or none, that is said instead.

Headers as of Yahoo's download and yfinance's (one or two rows), Binance's klines (none, or theirs), Alpaca's answers
(t, o, h, l, c, v) and alpaca-py's tables, and our own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core.series import VALUES

_SHORT = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
_TIMES = frozenset({"ts", "t", "date", "datetime", "timestamp", "time", "open time", "opentime", "unix", "date time"})
_ENDS = frozenset({"close time", "closetime"})
_SYMBOLS = frozenset({"symbol", "ticker", "s"})
_BESIDE = frozenset({"adj close", "dividends", "stock splits", "capital gains", "repaired?"})
_LEVELS = frozenset({"price", "ticker", ""})
KLINE = ("open time", *VALUES, "close time", "quote volume", "count", "taker volume", "taker quote volume", "ignore")


class TwoReadings(ValueError):
    """The file fits no reading, or more than one; the text says which."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns by number. `values` by the ticker a header names them for ("" where none does). `house_time`: the time
    column is our own `ts`, which is UTC. `words` say whose form it is."""

    words: str
    header_rows: int
    times: tuple[int, ...]
    time_names: tuple[str, ...]
    values: Mapping[str, Mapping[str, int]]
    symbols: int | None = None
    ends: int | None = None
    house_time: bool = field(default=False)


def layout_of(rows: Sequence[Sequence[str]]) -> Layout:
    """Of the first three rows (or as many as there are). Raises TwoReadings."""
    if not rows or not any(cell.strip() for cell in rows[0]):
        raise TwoReadings("it is empty")
    if _are_numbers(rows[0]):
        return _headless(rows[0])
    if len(rows) > 2 and all(_plain(row[0]) in _LEVELS for row in rows[:2] if row):
        return _two_headers(rows)
    return _one_header(rows[0])


def _one_header(header: Sequence[str]) -> Layout:
    names = [_plain(cell) for cell in header]
    times = tuple(at for at, name in enumerate(names) if name in _TIMES)
    columns, problems = _columns(names)
    if not times:
        problems.append("no column names the time (ts, date, timestamp, t, open time)")
    if problems:
        raise TwoReadings("; ".join(problems))
    symbols = [at for at, name in enumerate(names) if name in _SYMBOLS]
    ends = [at for at, name in enumerate(names) if name in _ENDS]
    if len(symbols) > 1 or len(ends) > 1:
        raise TwoReadings(f"two columns are named {names[(symbols if len(symbols) > 1 else ends)[0]]}")
    return Layout(
        _whose(names),
        1,
        times,
        tuple(header[at].strip() for at in times),
        {"": columns},
        symbols[0] if symbols else None,
        ends[0] if ends else None,
        [names[at] for at in times] == ["ts"],
    )


def _columns(names: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Where each value stands, and what is missing or said twice."""
    columns, problems, missing = dict[str, int](), list[str](), list[str]()
    for wanted in VALUES:
        found = [at for at, name in enumerate(names) if _SHORT.get(name, name) == wanted]
        alike = [name for name in names if name.startswith(f"{wanted} ") and name not in _ENDS | _TIMES]
        if len(found) == 1:
            columns[wanted] = found[0]
        elif found:
            problems.append(f"{len(found)} columns are named {wanted}")
        elif alike:
            problems.append(f"{' or '.join(alike)}: which one is the {wanted} is not said; rename that one to {wanted}")
        else:
            missing.append(wanted)
    if missing:
        problems.insert(0, f"no column is named {', '.join(missing)}")
    return columns, problems


def _two_headers(rows: Sequence[Sequence[str]]) -> Layout:
    """yfinance's table of one or more tickers: a row of prices' names, one of tickers, and one that names the dates."""
    upper, lower, third = ([cell.strip() for cell in row] for row in rows[:3])
    known = frozenset(VALUES) | _BESIDE
    is_price = [all(_plain(cell) in known for cell in row[1:]) for row in (upper, lower)]
    named = bool(third) and _plain(third[0]) in _TIMES and not any(third[1:])
    if is_price.count(True) != 1 or len(upper) != len(lower) or len(upper) < 2 or not named:
        raise TwoReadings(
            "it has two rows of headers that do not say which column is whose: one must name prices, one tickers, and "
            "a third the dates, as yfinance writes them"
        )
    prices, tickers = (upper, lower) if is_price[0] else (lower, upper)
    values: dict[str, dict[str, int]] = {}
    for ticker in dict.fromkeys(tickers[1:]):
        places = [at for at in range(1, len(tickers)) if tickers[at] == ticker]
        columns, problems = _columns([_plain(prices[at]) for at in places])
        if problems:
            raise TwoReadings(f"{ticker or 'a ticker without a name'}: {'; '.join(problems)}")
        values[ticker] = {name: places[at] for name, at in columns.items()}
    words = f"yfinance's table with two rows of headers, {', '.join(values)}"
    return Layout(words, 3, (0,), (third[0],), values)


def _headless(row: Sequence[str]) -> Layout:
    if len(row) != len(KLINE):
        raise TwoReadings(
            f"it has no header and {len(row)} columns; without one only Binance's klines with their 12 can be told"
        )
    values = {name: KLINE.index(name) for name in VALUES}
    return Layout("Binance's klines without a header", 0, (0,), ("open time",), {"": values}, ends=6)


def _whose(names: Sequence[str]) -> str:
    """Whose form a header is, for the report."""
    if "close time" in names:
        return "Binance's klines"
    if {"t", "o", "c"} <= set(names) or "trade count" in names:
        return "Alpaca's bars"
    return "Yahoo's download" if "adj close" in names else "a header with our names"


def _plain(cell: str) -> str:
    return " ".join(cell.replace("_", " ").strip(" \t\ufeff\"'").lower().split())


def _are_numbers(row: Sequence[str]) -> bool:
    return bool(row) and all(map(_is_number, _filled(row)))


def _filled(row: Sequence[str]) -> Iterator[str]:
    return (cell for cell in row if cell.strip())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
