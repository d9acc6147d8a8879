"""Files as tables of columns by number: CSV, also packed, JSON and JSON lines of Alpaca's answers, Parquet."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from core.adapters.bar_files.layouts import Layout, TwoReadings, layout_of

DELIMITERS = (",", ";", "\t", "|")
UNREADABLE = (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile, csv.Error)


def read_table(path: Path) -> tuple[pd.DataFrame, Layout]:
    """The rows of a file, columns by number, and which of them holds what.

    Raises TwoReadings for what cannot be told, and one of UNREADABLE for a file that is broken.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _from_parquet(path)
    with _opened(path) as text:
        if name.removesuffix(".gz").endswith((".json", ".jsonl", ".ndjson")):
            return _from_records(list(_records(text)))
        return _from_csv(text)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    name = path.name.lower()
    if name.endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as text:
            yield text
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            inside = [each for each in archive.namelist() if each.lower().endswith(".csv")]
            if len(inside) != 1:
                raise TwoReadings(f"it holds {len(inside)} CSV files; one is needed")
            with archive.open(inside[0]) as packed, io.TextIOWrapper(packed, "utf-8-sig", newline="") as text:
                yield text
    else:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield text


def _from_csv(text: TextIO) -> tuple[pd.DataFrame, Layout]:
    whole = io.StringIO(text.read())
    first = whole.readline()
    delimiter = max(DELIMITERS, key=first.count)
    whole.seek(0)
    rows = csv.reader(whole, delimiter=delimiter)
    layout = layout_of([row for row, _ in zip(rows, range(3), strict=False)])
    whole.seek(0)
    wanted = sorted(_used(layout))
    frame = pd.read_csv(
        whole,
        sep=delimiter,
        header=None,
        skiprows=layout.header_rows,
        usecols=wanted,
        low_memory=False,
        dtype={layout.symbols: str} if layout.symbols is not None else None,
    )
    return frame, layout


def _used(layout: Layout) -> set[int]:
    values = {at for columns in layout.values.values() for at in columns.values()}
    others = {at for at in (layout.symbols, layout.ends) if at is not None}
    return values | others | set(layout.times)


def _records(text: TextIO) -> Iterator[Mapping[str, Any]]:
    """Rows of an answer of Alpaca, of several of them one a line, or of bars one a line."""
    try:
        documents = [json.load(text)]
    except json.JSONDecodeError:
        text.seek(0)
        documents = [json.loads(line) for line in text if line.strip()]
    for document in documents:
        yield from _bars_of(document)


def _bars_of(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, list):
        for each in document:
            yield from _bars_of(each)
    elif not isinstance(document, dict):
        raise TwoReadings("its JSON holds no bars: objects with t, o, h, l, c, v are needed")
    elif "bars" not in document:
        yield document
    elif isinstance(document["bars"], dict):
        for symbol, bars in document["bars"].items():
            yield from ({**bar, "symbol": symbol} for bar in bars or ())
    else:
        named = {"symbol": document["symbol"]} if document.get("symbol") else {}
        yield from ({**bar, **named} for bar in document["bars"] or ())


def _from_records(records: list[Mapping[str, Any]]) -> tuple[pd.DataFrame, Layout]:
    frame = pd.DataFrame.from_records(records)
    return _numbered(frame)


def _from_parquet(path: Path) -> tuple[pd.DataFrame, Layout]:
    if importlib.util.find_spec("pyarrow") is None:
        raise TwoReadings("Parquet is read where pyarrow is installed, and here it is not")
    frame = pd.read_parquet(path)
    if any(frame.index.names):
        frame = frame.reset_index()
    return _numbered(frame)


def _numbered(frame: pd.DataFrame) -> tuple[pd.DataFrame, Layout]:
    layout = layout_of([[str(name) for name in frame.columns]])
    frame.columns = pd.RangeIndex(len(frame.columns))
    return frame, layout
