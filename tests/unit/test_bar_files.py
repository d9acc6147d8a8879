"""Files of bars as Yahoo, yfinance, Binance, Alpaca and we write them; where two readings fit, none is taken."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.bar_files import times as times_module
from core.adapters.bar_folder import BarFolder
from core.adapters.calendars import ExchangeCalendar
from core.domain.bars import BarSize
from core.errors import DataFault
from core.feed.bar_files import FileBars, Wanted
from core.quality import Defect
from tests.fakes_bars import needs_shared_data

AS_IT_IS = Wanted()
HEADER = "ts,open,high,low,close,volume\n"


@pytest.fixture(scope="module")
def folder_of() -> BarFolder:
    return BarFolder(ExchangeCalendar())


@pytest.fixture
def read(tmp_path: Path, folder_of: BarFolder) -> Read:
    return Read(tmp_path, folder_of)


class Read:
    """Writes one file and reads it."""

    def __init__(self, place: Path, files: BarFolder) -> None:
        self._place = place
        self._files = files

    def all(self, name: str, content: str | bytes, wanted: Wanted = AS_IT_IS) -> list[FileBars]:
        path = self._place / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        (found,), _ = self._files.find(path)
        return list(self._files.read(found, wanted))

    def one(self, name: str, content: str | bytes, wanted: Wanted = AS_IT_IS) -> FileBars:
        (only,) = self.all(name, content, wanted)
        return only

    def refusal(self, name: str, content: str | bytes, wanted: Wanted = AS_IT_IS) -> str:
        with pytest.raises(DataFault) as fault:
            self.all(name, content, wanted)
        return fault.value.reason


def row(at: str, price: float, volume: int = 10) -> str:
    return f"{at},{price},{price + 1},{price - 1},{price},{volume}\n"


def opens(bars: FileBars) -> list[str]:
    return [f"{bar.opened_at:%Y-%m-%d %H:%M}" for bar in bars.series.bars()]


def session(first: str, count: int, minutes: int, zone: str = "") -> str:
    times = pd.date_range(first, periods=count, freq=f"{minutes}min")
    return "".join(row(f"{at:%Y-%m-%d %H:%M:%S}{zone}", 500 + number) for number, at in enumerate(times))


@pytest.mark.feature("S2")
def test_yahoos_download_is_read_at_its_traded_close_and_not_at_the_adjusted_one(read: Read) -> None:
    text = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-11-29,600,604,599,602,555.5,1000\n2024-12-02,1,2,1,2,1,5\n"
    bars = read.one("SPY.csv", text)
    assert (bars.series.symbol, bars.series.size, bars.words) == ("SPY", BarSize.D1, "Yahoo's download")
    assert bars.series.bar(0).close == 602.0
    assert opens(bars) == ["2024-11-29 14:30", "2024-12-02 14:30"]
    assert bars.series.bar(0).closed_at == datetime(2024, 11, 29, 18, tzinfo=UTC)


@pytest.mark.feature("S2")
@pytest.mark.parametrize("tickers_first", [True, False])
def test_yfinances_two_rows_of_headers_are_read_for_one_ticker_and_for_several(read: Read, tickers_first: bool) -> None:
    names = ["Close", "High", "Low", "Open", "Volume"]
    columns = pd.MultiIndex.from_product([names, ["SPY", "BTC-USD"]], names=["Price", "Ticker"])
    values = np.array([[2, 20, 3, 30, 1, 10, 2, 20, 7, 70]] * 2)
    frame = pd.DataFrame(values, pd.DatetimeIndex(["2024-12-02", "2024-12-03"], name="Date"), columns)
    if tickers_first:
        frame = frame.swaplevel(axis=1)
    spy, coin = read.all("prices.csv", frame.to_csv())
    assert (spy.series.symbol, coin.series.symbol) == ("SPY", "BTC-USD")
    assert [spy.series.bar(0).close, coin.series.bar(1).high, coin.series.bar(1).volume] == [2.0, 30.0, 70.0]
    alone = frame.loc[:, [each for each in frame.columns if "SPY" in each]].to_csv()
    assert read.one("spy_2024.csv", alone).series.bar(1).low == 1.0


def test_two_rows_of_headers_that_do_not_say_whose_a_column_is_are_refused_in_words(read: Read) -> None:
    text = "Price,Close,High\nTicker,SPY,SPY\n2024-12-02,1,2\n"
    assert "two rows of headers that do not say which column is whose" in read.refusal("SPY.csv", text)


@pytest.mark.feature("S2")
@pytest.mark.parametrize("unit", [1_000, 1_000_000])
def test_binances_klines_need_no_header_and_count_in_milli_or_microseconds(read: Read, unit: int) -> None:
    def kline(second: int) -> str:
        return f"{second * unit},1.5,2,1,1.8,70,{(second + 300) * unit - 1},120,9,30,50,0\n"

    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    text = kline(start) + kline(start + 300) + kline(start + 600)
    bars = read.one("BTCUSDT-5m-2025-01.csv", text)
    assert (bars.series.symbol, bars.series.size, bars.renamed) == ("BTC-USD", BarSize.M5, True)
    assert opens(bars) == ["2025-01-01 00:00", "2025-01-01 00:05", "2025-01-01 00:10"]
    assert bars.series.volume.tolist() == [70.0] * 3

    header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,tbv,tbqv,ignore\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("BTCUSDT-5m-2025-01.csv", header + text)
    assert opens(read.one("BTCUSDT-5m-2025-01.zip", packed.getvalue())) == opens(bars)


def test_a_file_in_which_binance_changed_its_unit_is_read_row_by_row(read: Read) -> None:
    before, after = (
        int(datetime(2025 - old, 12 if old else 1, 31 if old else 1, tzinfo=UTC).timestamp()) for old in (1, 0)
    )
    text = f"{before * 1000},1,1,1,1,1,{(before + 86400) * 1000 - 1},1,1,1,1,0\n"
    text += f"{after * 1_000_000},2,2,2,2,1,{(after + 86400) * 1_000_000 - 1},1,1,1,1,0\n"
    assert opens(read.one("ETHUSDT.csv", text)) == ["2024-12-31 00:00", "2025-01-01 00:00"]


@pytest.mark.feature("S2")
def test_alpacas_answers_are_read_as_json_as_lines_and_as_its_clients_table(read: Read) -> None:
    def bar(at: str, price: float) -> dict[str, object]:
        return {"t": at, "o": price, "h": price, "l": price, "c": price, "v": 5, "n": 2, "vw": price}

    days = [bar("2024-03-08T05:00:00Z", 550.0), bar("2024-03-11T04:00:00Z", 603.0)]
    single = json.dumps({"bars": days, "symbol": "SPY", "next_page_token": None})
    several = json.dumps({"bars": {"SPY": days, "QQQ": days[:1]}, "next_page_token": None})
    for bars in (
        read.one("page.json", single),
        read.one("SPY.jsonl", "".join(json.dumps(each) + "\n" for each in days)),
    ):
        assert opens(bars) == ["2024-03-08 14:30", "2024-03-11 13:30"]
    assert [
        each.series.symbol
        for each in read.all("page.json.gz", gzip.compress(several.encode()), Wanted(size=BarSize.D1))
    ] == [
        "QQQ",
        "SPY",
    ]
    table = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n" + "".join(
        f"BTC/USD,2024-12-02 {hour}:00:00+00:00,1,1,1,1,0.5,3,1\n" for hour in ("10", "11")
    )
    coin = read.one("export.csv", table)
    assert (coin.series.symbol, coin.series.size) == ("BTC-USD", BarSize.H1)


def test_a_coins_day_of_another_clock_is_refused_because_it_is_no_utc_day(read: Read) -> None:
    text = "t,o,h,l,c,v\n2024-07-03T05:00:00Z,1,1,1,1,1\n2024-07-04T05:00:00Z,1,1,1,1,1\n"
    assert "these begin at 05:00 UTC" in read.refusal("BTC-USD.csv", text)


def test_a_day_is_the_date_that_is_written_whatever_the_zone_behind_it(read: Read) -> None:
    for zone in ("Z", "-05:00", "+01:00", "+00:00"):
        text = HEADER + row(f"2024-11-29 00:00:00{zone}", 1.0) + row(f"2024-12-02 00:00:00{zone}", 2.0)
        assert opens(read.one("SPY.csv", text)) == ["2024-11-29 14:30", "2024-12-02 14:30"], zone
    shifted = HEADER + row("2024-11-28T16:00:00Z", 1.0) + row("2024-12-01T16:00:00Z", 2.0)
    assert "which day is meant cannot be told" in read.refusal("SPY.csv", shifted)


@pytest.mark.feature("S2")
def test_times_without_a_zone_are_taken_where_one_reading_alone_fits_the_sessions(read: Read) -> None:
    header = HEADER.replace("ts", "datetime")
    regular = session("2024-07-03 09:30", 42, 5)
    assert opens(read.one("SPY.5m.csv", header + regular))[0] == "2024-07-03 13:30"
    assert opens(read.one("SPY.5m.csv", header + session("2024-07-03 13:30", 42, 5)))[0] == "2024-07-03 13:30"
    assert "both UTC and New York fit" in read.refusal("SPY.5m.csv", header + session("2024-07-02 13:30", 12, 5))
    assert "neither UTC nor New York" in read.refusal("SPY.5m.csv", header + session("2024-07-03 08:00", 80, 5))
    assert "--zone" in read.refusal("BTC-USD.5m.csv", header + regular)
    said = read.one("BTC-USD.5m.csv", header + regular, Wanted(zone="UTC"))
    assert opens(said)[0] == "2024-07-03 09:30"
    assert opens(read.one("SPY.5m.csv", HEADER + session("2024-07-02 13:30", 12, 5)))[0] == "2024-07-02 13:30"


@given(
    st.lists(st.integers(-2_500_000_000, 4_400_000_000), min_size=1, max_size=20),
    st.sampled_from(
        ["", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00Zx", "2024-01-01 00:00:00Z", "nonsense nonsense 20"]
    ),
)
def test_the_form_that_is_read_fast_is_read_as_any_other(times: list[int], odd: str) -> None:
    texts = [f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%S}Z" for time in times]
    fast = times_module.stamps_of(pd.Series(texts))
    slow = times_module._from_texts(pd.Series(texts, dtype="string"))
    assert (fast.seconds.tolist(), fast.dates.tolist()) == (slow.seconds.tolist(), slow.dates.tolist())
    if odd:
        both = [*texts, odd]
        found = times_module.stamps_of(pd.Series(both))
        assert found.seconds.tolist() == times_module._from_texts(pd.Series(both, dtype="string")).seconds.tolist()


def test_a_day_and_a_month_that_cannot_be_told_apart_are_not_guessed(read: Read) -> None:
    header = HEADER.replace("ts", "Date")
    american = header + row("12/13/2024", 1.0) + row("12/16/2024", 2.0)
    assert opens(read.one("SPY.csv", american)) == ["2024-12-13 14:30", "2024-12-16 14:30"]
    unclear = header + row("12/02/2024", 1.0) + row("12/03/2024", 2.0)
    assert "month/day or as day/month" in read.refusal("SPY.csv", unclear)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("SPY.csv", "2024-12-02,1,1,1,1,1\n", "no column names the time"),
        ("SPY.csv", "20241202,1,1,1,1,1\n", "no header and 6 columns"),
        ("SPY.csv", "", "empty"),
        ("VTI.csv", "Date,Close,Volume\n2001-06-15,36.1,1067400\n", "no column is named open, high, low"),
        ("SPY.csv", "ts,open,high,low,close,Close,volume\n", "2 columns are named close"),
        ("BTC-USD.csv", "ts,open,high,low,close,Volume BTC,Volume USD\n", "volume btc or volume usd: which one"),
        ("SPY.csv", "ts,date,open,high,low,close,volume\n2024-12-02,2024-12-03,1,1,1,1,1\n", "tell of different times"),
        ("SPY.csv", HEADER + "yesterday,1,1,1,1,1\n", "no time in its column ts can be read"),
        ("my bars.csv", HEADER + row("2024-12-02", 1.0) + row("2024-12-03", 1.0), "say it with --symbol"),
        ("SPY.csv", HEADER + row("2024-12-02", 1.0), "too few to show it: say it with --size"),
        ("SPY.5m.csv", HEADER + session("2024-07-03 13:30", 9, 15, "Z"), "should be of 5m, but lie 15 m apart"),
        ("SPY.csv", HEADER + session("2024-07-03 13:30", 9, 15, "Z"), "and they lie 15 m apart"),
        ("SPY.1h.csv", HEADER + session("2024-07-02 14:00", 6, 60, "Z"), "6 of 6 begin between two of them"),
        ("SPY.5m.csv", HEADER + row("2024-12-02", 1.0) + row("2024-12-03", 1.0), "dates without a time of day"),
        (
            "SPY.csv",
            "ts;open;high;low;close;volume\n2024-12-02;1,5;1,5;1,5;1,5;1\n2024-12-03;1,5;1,5;1,5;1,5;1\n",
            "'1,5'",
        ),
        ("SPY.csv", HEADER + "2024-12-02T10:00:00Z,1,1,1,1,1\n2024-12-02 11:00,1,1,1,1,1\n", "others have none"),
        ("SPY.json", '{"quotes": []}', "no column is named"),
        ("SPY.csv.gz", "no gzip", "cannot be read: BadGzipFile"),
        ("SPY.zip", "no zip", "cannot be read: BadZipFile"),
        ("SPY.parquet", "no parquet", "Parquet is read where pyarrow is installed"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(read: Read, name: str, text: str, words: str) -> None:
    assert words in read.refusal(name, text)


def test_what_the_owner_says_beats_the_name_but_not_the_file_itself(read: Read) -> None:
    text = HEADER + row("2024-12-02", 1.0)
    said = read.one("export of mine.csv", text, Wanted("QQQ", BarSize.D1))
    assert (said.series.symbol, said.series.size) == ("QQQ", BarSize.D1)
    inside = "symbol,ts,open,high,low,close,volume\nSPY,2024-12-02,1,1,1,1,1\n"
    assert "you call it QQQ, but it says that it holds SPY" in read.refusal("x.csv", inside, Wanted("QQQ", BarSize.D1))


def test_rows_without_a_time_outside_sessions_and_between_bars_are_counted_with_a_sentence(read: Read) -> None:
    text = (
        HEADER
        + session("2024-07-03 13:30", 4, 5, "Z")
        + row("2024-07-03 13:57:00Z", 1.0)
        + row("2024-07-04 14:00:00Z", 1)
    )
    bars = read.one("SPY.5m.csv", text + row("nonsense", 1.0))
    assert (bars.rows, len(bars.series)) == (7, 4)
    assert [refusal.defect for refusal in bars.refused] == [Defect.TIMES, Defect.OFF_SESSION, Defect.TIMES]
    assert "1 rows of SPY.5m.csv have no usable time" in bars.refused[0].sentence
    assert "no session holds it" in bars.refused[1].sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [("SPY.adj.csv", "dividends taken out"), ("AAPL.raw.csv", "as they were paid"), ("SPY.15m.csv", "bars of 15m")],
)
def test_names_that_tell_of_another_kind_of_price_are_known_before_they_are_read(
    tmp_path: Path, folder_of: BarFolder, name: str, words: str
) -> None:
    (tmp_path / name).write_text("")
    (found,), _ = folder_of.find(tmp_path)
    assert words in found.unfit


def test_own_names_come_first_and_other_folders_are_named(tmp_path: Path, folder_of: BarFolder) -> None:
    for name in ("BTCUSDT.csv", "SPY.5m.extended.csv", ".hidden.csv", "notes.txt", "daily/SPY.csv", "BTC-USD.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "bad").mkdir()
    found, others = folder_of.find(tmp_path)
    assert [name.path.name for name in found] == ["BTC-USD.csv", "SPY.csv", "SPY.5m.extended.csv", "BTCUSDT.csv"]
    assert list(others) == ["bad"]


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "rows", "kept"),
    [
        ("daily/SPY.csv.gz", 8_038, 8_038),
        ("daily/BTCUSDT.binance-spot.csv.gz", 2_684, 2_684),
        ("intraday/SPY.1h.yahoo.202401-202601.csv.gz", 1_748, 1_748),
        ("intraday/SPY.5m.extended.202408-202508.csv.gz", 18_608, 7_728),
        ("bad/BTCUSDT.5m.duplicates_nonmonotone.csv.gz", 1_832, 1_832),
    ],
)
def test_real_files_are_read_to_the_last_row(folder_of: BarFolder, name: str, rows: int, kept: int) -> None:
    (found,), _ = folder_of.find(needs_shared_data.folder / name)
    (bars,) = folder_of.read(found, Wanted())
    assert (bars.rows, len(bars.series)) == (rows, kept)
