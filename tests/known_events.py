"""What the gate says: of each class of defect, on genuine files where there are any; and of every known event in the
real market data, judged at once and as it would have arrived, bar by bar.

Run: python -m tests.known_events"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from core.adapters.calendars import NO_CLOSE, ExchangeCalendar
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.quality import CONTEXT, Defect, Refusal, inspect
from core.series import BarSeries, merged, seconds_of, time_of
from tests.fakes_bars import needs_shared_data

COLUMNS = ("open", "high", "low", "close", "volume")
BESIDE = 12
SIZES = {"1m": BarSize.M1, "5m": BarSize.M5, "1h": BarSize.H1}
DEFECTS: Sequence[tuple[str, str, str]] = (
    ("ADA-USD.1d.nan_before_listing.csv.gz", "ADA-USD", "1d"),
    ("MKC.1d.open_zero.csv.gz", "MKC", "1d"),
    ("RUB.1d.spike.csv.gz", "RUB=X", "1d"),
    ("AUDUSD.1d.spike.csv.gz", "AUDUSD=X", "1d"),
    ("IDR.1d.spike.csv.gz", "IDR=X", "1d"),
    ("BTCUSDT.5m.duplicates_nonmonotone.csv.gz", "BTC-USD", "5m"),
    ("BTCUSDT.1h.shifted_plus8h.csv.gz", "BTC-USD", "1h"),
)


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    kind: str
    symbol: str
    file: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d} {self.symbol} {self.kind}"


def events() -> list[Event]:
    """Those whose file is there; some are named whose file is not needed."""
    with (needs_shared_data.folder / "events" / "known_events.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    found = [
        Event(datetime.fromisoformat(row["date"]).replace(tzinfo=UTC), row["kind"], row["symbol"], row["file"])
        for row in rows
    ]
    return [event for event in found if (needs_shared_data.folder / event.file).is_file()]


@cache
def _calendar() -> ExchangeCalendar:
    return ExchangeCalendar()


@cache
def series_of(file: str, symbol: str) -> BarSeries:
    """All rows of a file as they stand there, closes by the calendar; a currency's day ends at 24:00Z."""
    table = pd.read_csv(needs_shared_data.folder / file)
    size = next((SIZES[mark] for mark in Path(file).name.split(".") if mark in SIZES), BarSize.D1)
    labels = pd.to_datetime(table["ts"], utc=True).dt.as_unit("s").astype("int64").to_numpy()
    asset_class = instrument_for(symbol).asset_class
    closes = _calendar().bar_closes(asset_class, size, labels)
    closes = np.where(closes == NO_CLOSE, labels + int(size.span.total_seconds()), closes)
    opens = _calendar().bar_opens(asset_class, size, labels)
    return BarSeries(symbol, size, opens, closes, *(table[name].to_numpy(np.float64) for name in COLUMNS))


def around(event: Event) -> BarSeries:
    series = series_of(event.file, event.symbol.replace("USDT", "-USD"))
    row = int(np.searchsorted(series.closed_at, seconds_of(event.at)))
    return series.part(slice(max(0, row - BESIDE), row + BESIDE + timedelta(days=1) // series.size.span))


def arrival(series: BarSeries) -> tuple[BarSeries, list[Refusal]]:
    """What is stored at the end, and what was refused on the way, where each bar is asked for when it closes, with
    those before it that are not stored."""
    stored, refused = BarSeries.empty(series.symbol, series.size), list[Refusal]()
    for row in range(len(series)):
        newest = stored.closed_at[-1] if len(stored) else 0
        first = min(int(np.searchsorted(series.closed_at, newest, side="right")), max(0, row - 3))
        asked = series.part(slice(max(0, first), row + 1))
        inspection = inspect(asked, time_of(series.closed_at[row]), stored.last(CONTEXT))
        refused.extend(inspection.refused)
        stored = merged(stored, inspection.good)
    return stored, refused


def defect_rows() -> Iterator[tuple[str, str, str]]:
    """Class, where it was found and how often, the first sentence about it."""
    for file, symbol, _ in DEFECTS:
        series, known = series_of(f"bad/{file}", symbol), None
        if "shifted" in file:
            true = series_of("intraday/BTCUSDT.1h.binance-spot.csv.gz", symbol)
            known = true.until(time_of(series.closed_at[-1])).last(2 * CONTEXT)
        inspection = inspect(series, known=known)
        if inspection.repeated:
            yield "repetition", f"{file}: {inspection.repeated}", f"dropped; {inspection.out_of_order} out of order"
        for defect, number in Counter(refusal.defect for refusal in inspection.refused).items():
            first = next(refusal.sentence for refusal in inspection.refused if refusal.defect is defect)
            yield str(defect), f"{file}: {number}", first


def made_rows() -> Iterator[tuple[str, str, str]]:
    """The classes of which no genuine example is at hand, made of genuine bars."""
    spy = series_of("intraday/SPY.5m.rth.202402-202603.csv.gz", "SPY").part(slice(0, 60))
    end = time_of(spy.closed_at[-1])
    rows = np.arange(len(spy))
    again = spy.part(np.concatenate([rows[:30], np.full(4, 29), rows[34:]]))
    moved = {name: getattr(spy, name) * np.where(rows == 59, 0.7, 1.0) for name in ("low", "close")}
    doubled = spy.part(np.sort(np.append(rows, 40)))
    made = (
        ("the last ones after the moment of asking", spy, end - timedelta(minutes=9)),
        ("closed when it opened", replace(spy, closed_at=np.where(rows == 5, spy.opened_at, spy.closed_at)), None),
        ("one time twice", replace(doubled, close=doubled.close - 0.01 * (np.arange(61) == 40)), None),
        ("the newest moved by 30 %", replace(spy, **moved), end),
        ("one bar five times", replace(again, opened_at=spy.opened_at, closed_at=spy.closed_at), None),
        ("volumes in lots from row 40 on", replace(spy, volume=spy.volume / np.where(rows < 40, 1, 10_000)), None),
    )
    for case, series, at in made:
        refused = inspect(series, at).refused
        yield str(refused[0].defect), f"made: {case}: {len(refused)}", refused[0].sentence


def main() -> None:
    for each in (*defect_rows(), *made_rows()):
        print(" | ".join(each))
    known, passed, waited = events(), 0, 0
    for event in known:
        series = around(event)
        refused = inspect(series).refused
        stored, on_the_way = arrival(series)
        waits = [each for each in on_the_way if each.defect is Defect.UNCONFIRMED]
        waited += len(waits)
        if not refused and len(stored) == len(series) and len(waits) == len(on_the_way):
            passed += 1
        else:
            print(f"NOT PASSED {event}: {[each.sentence for each in (*refused, *on_the_way)][:2]}")
    print(f"{passed} of {len(known)} known events passed; {waited} bars waited for the next one")


if __name__ == "__main__":
    main()
