"""autotrader bars: what is stored, what is missing and why, in words and as a picture."""

from __future__ import annotations

import os
import struct
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bot import bars_picture
from bot.cli import main
from bot.png import encoded, write
from core.adapters.calendars import ExchangeCalendar
from core.clock import VirtualClock
from core.domain.accounts import World
from core.domain.bar_records import BarNotes, GapsFound, KnownGap, RefusedBar, Seam, SeamKind
from core.domain.bars import BarSize
from core.domain.instruments import instrument_for
from core.feed.coverage import covered
from core.feed.gaps import expected_closes
from core.series import BarSeries, seconds_of, time_of
from core.storage.store import Database, open_database

M5, D1 = BarSize.M5, BarSize.D1
NOW = datetime(2024, 7, 8, 18, tzinfo=UTC)
CALENDAR = ExchangeCalendar()


def series_of(symbol: str, size: BarSize, days: int) -> BarSeries:
    instrument = instrument_for(symbol)
    until = seconds_of(NOW)
    closed = expected_closes(CALENDAR, instrument.asset_class, size, until - days * 86_400, until)
    level = 100 + np.arange(len(closed)) / 100
    return BarSeries(symbol, size, closed - 300, closed, level, level + 1, level - 1, level, level)


def without(series: BarSeries, first: int, last: int) -> BarSeries:
    return series.part(np.r_[0:first, last : len(series)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose ledger holds six series with what can be wrong with them."""
    data = tmp_path / "data"
    data.mkdir()
    database = open_database(data / "ledger-tryout.sqlite", clock=VirtualClock(NOW), world=World.REAL)
    fill(database)
    database.close()
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name in ("STATE_DIR", "DATABASE_URL"):
            monkeypatch.delenv(name)
    return tmp_path


def fill(database: Database) -> None:
    spy, btc = series_of("SPY", M5, 20), series_of("BTC-USD", M5, 20)
    parts = [
        (without(spy, 400, 412), "yahoo"),
        (without(without(btc, 1_000, 1_200), 300, 330), "yahoo"),
        (series_of("QQQ", M5, 12), "yahoo"),
        *((series_of(symbol, D1, 900), "yahoo") for symbol in ("SPY", "QQQ", "BTC-USD")),
    ]
    first, last = time_of(btc.closed_at[300]), time_of(btc.closed_at[329])
    gap = KnownGap("BTC-USD", M5, "yahoo", first, last, 30, "it gave none", NOW)
    seam = Seam("SPY", M5, NOW - timedelta(days=4), SeamKind.SOURCE, "yahoo", "alpaca", 12, 0.0004, NOW, 1.0, 0.02)
    split = Seam("QQQ", D1, NOW - timedelta(days=9), SeamKind.RESCALED, "yahoo", "yahoo", 12, 0.0, NOW, 4.0)
    bad = [RefusedBar("SPY", M5, NOW - timedelta(hours=each), "spike", "yahoo", "high", NOW) for each in range(3)]
    notes = BarNotes((GapsFound("BTC-USD", M5, "yahoo", first, last, (gap,)),), (seam, split), tuple(bad))
    database.bars.write_all(parts, notes)


@pytest.mark.feature("S2")
def test_the_table_tells_of_each_series_what_is_there_what_is_missing_and_what_its_source_does_not_have(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bars"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ledger-tryout.sqlite:"
    cells = {tuple(line.split()[:2]): line.split() for line in lines[2:8]}
    assert list(cells) == [
        ("BTC-USD", "5m"),
        ("QQQ", "5m"),
        ("SPY", "5m"),
        ("BTC-USD", "1d"),
        ("QQQ", "1d"),
        ("SPY", "1d"),
    ]
    assert cells["BTC-USD", "5m"][2:] == (
        ["yahoo", "2024-06-18", "18:05", "2024-07-08", "18:00", "5,530", "5,760", "2", "230", "30", "in", "1", "0"]
    )
    assert cells["SPY", "5m"][-4:] == ["1", "12", "0", "1"]
    assert cells["QQQ", "1d"][-4:] == ["0", "0", "0", "1"]
    assert "refused of SPY 5m: 3 spike" in lines
    assert any(line.startswith("seam of SPY 5m at 2024-07-04 18:00Z: yahoo until then, alpaca from") for line in lines)
    assert any("all prices divided by 4" in line for line in lines)
    assert len({len(line) for line in lines[1:8] if line.endswith(("seams", "0", "1"))}) == 1


@pytest.mark.feature("S2")
def test_every_gap_is_listed_with_what_its_source_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bars", "--gaps", "--symbols", "btc-usd"]) == 0
    out = capsys.readouterr().out
    assert "SPY" not in out
    gaps = [line for line in out.splitlines() if line.startswith("gap of")]
    assert len(gaps) == 2
    assert gaps[0].endswith("; yahoo: it gave none (asked 2024-07-08 18:00Z, again 2024-07-09)")
    assert "30 closing" in gaps[0]
    assert gaps[1].endswith("not asked for yet")


def test_a_ledger_is_only_read_and_one_without_bars_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = folder / "data" / "ledger-tryout.sqlite"
    before = ledger.read_bytes()
    assert main(["bars", "--symbols", "VTI"]) == 0
    assert capsys.readouterr().out == "ledger-tryout.sqlite:\nno bars yet\n"
    assert ledger.read_bytes() == before
    ledger.unlink()
    assert main(["bars"]) == 1
    assert "there is no ledger in" in capsys.readouterr().err


def pixels_of(png: bytes) -> np.ndarray:
    """The places in the palette, read back by the format's own rules."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


@pytest.mark.feature("S2")
def test_the_picture_shows_gaps_in_red_and_what_the_source_does_not_have_in_orange(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bars", "--picture", "bars.png"]) == 0
    assert capsys.readouterr().out.endswith("drawn into bars.png\n")
    seen = pixels_of((folder / "bars.png").read_bytes())
    strip = slice(bars_picture.STRIP_LEFT, bars_picture.STRIP_RIGHT)
    first = bars_picture.MARGIN + bars_picture.TITLE + 2
    bitcoin = seen[first, strip]
    assert {bars_picture.WHOLE, bars_picture.MISSING, bars_picture.LACKING} <= set(bitcoin.tolist())
    # Two hundred bars of 5,760 are 3.5 % of the strip; the known thirty come before them.
    assert (bitcoin == bars_picture.MISSING).sum() == pytest.approx(0.035 * len(bitcoin), abs=2)
    assert np.flatnonzero(bitcoin == bars_picture.LACKING).max() < np.flatnonzero(bitcoin == bars_picture.MISSING).min()
    spy = seen[first + 2 * bars_picture.ROW, strip]
    assert (spy == bars_picture.QUIET).mean() > 0.5
    # QQQ begins later than the others.
    qqq = seen[first + bars_picture.ROW, strip]
    assert (qqq == bars_picture.PAPER).mean() == pytest.approx(8 / 20, abs=0.05)


def test_letters_are_cut_at_the_edge_of_the_paper() -> None:
    paper = np.zeros((9, 20), np.uint8)
    assert write(paper, "w8%?", 2, 5, 1) == 2 + 4 * 6
    assert paper[5:, 2:].any()
    assert pixels_of(encoded(paper, bars_picture.PALETTE)).tolist() == paper.tolist()


def test_an_empty_store_has_an_empty_picture(tmp_path: Path) -> None:
    database = open_database(tmp_path / "ledger.db", clock=VirtualClock(NOW))
    found = covered(database.bars, CALENDAR)
    database.close()
    assert found == []
    assert pixels_of(bars_picture.picture(found)).shape[1] == bars_picture.WIDTH
