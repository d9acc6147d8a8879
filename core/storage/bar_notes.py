"""What is known of stored bars besides their prices, in tables of its own: gaps at a source, seams, refused bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from core.domain.bar_records import BarNotes, KnownGap, Seam
from core.domain.bars import BarSize
from core.series import seconds_of, time_of
from core.storage import tables
from core.storage.statements import insert_new, row_of, upsert, value_of

_G, _S, _R = tables.bar_gaps, tables.bar_seams, tables.bar_refusals
_UPSERT_GAP = upsert(_G, ("symbol", "size", "source", "first"))
_NEW_REFUSAL = insert_new(_R)


def write_notes(connection: Connection, notes: BarNotes) -> None:
    """Inside the transaction that writes the bars they belong to."""
    for found in notes.gaps:
        first, last = seconds_of(found.first), seconds_of(found.last)
        of_source = (_G.c.symbol == found.symbol) & (_G.c.size == found.size) & (_G.c.source == found.source)
        connection.execute(delete(_G).where(of_source, _G.c.first >= first, _G.c.last <= last))
    gaps = [_in_seconds(row_of(gap), "first", "last") for found in notes.gaps for gap in found.gaps]
    if gaps:
        connection.execute(_UPSERT_GAP, gaps)
    for seam in notes.seams:
        row = _in_seconds(row_of(seam), "at")
        del row["id"]
        connection.execute(insert(_S), row)
    if notes.refused:
        connection.execute(_NEW_REFUSAL, [_in_seconds(row_of(refused), "at") for refused in notes.refused])


def known_gaps(connection: Connection, symbol: str, size: BarSize) -> Sequence[KnownGap]:
    """Every gap that some source is known to have in the series, ascending."""
    asked = select(_G).where(_G.c.symbol == symbol, _G.c.size == size).order_by(_G.c.first, _G.c.source)
    return [value_of(KnownGap, row) for row in _with_times(connection.execute(asked).mappings().all(), "first", "last")]


def seams(connection: Connection, after_id: int) -> Sequence[Seam]:
    """Those recorded after the one of that id, in the order of their recording."""
    rows = connection.execute(select(_S).where(_S.c.id > after_id).order_by(_S.c.id)).mappings().all()
    return [value_of(Seam, row) for row in _with_times(rows, "at")]


def refusals(connection: Connection) -> Mapping[tuple[str, BarSize], Mapping[str, int]]:
    """By series and class of defect, how many bars were refused."""
    counted = select(_R.c.symbol, _R.c.size, _R.c.defect, func.count()).group_by(_R.c.symbol, _R.c.size, _R.c.defect)
    found: dict[tuple[str, BarSize], dict[str, int]] = {}
    for symbol, size, defect, count in connection.execute(counted):
        found.setdefault((symbol, size), {})[defect] = count
    return found


def forget(connection: Connection, size: BarSize, before: int) -> None:
    """What is known of bars of that size from before a time (seconds); seams stay: they are few, and history."""
    connection.execute(delete(_G).where(_G.c.size == size, _G.c.last < before))
    connection.execute(delete(_R).where(_R.c.size == size, _R.c.at < before))


def _in_seconds(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return row | {name: seconds_of(row[name]) for name in names}


def _with_times(rows: Sequence[RowMapping], *names: str) -> Iterator[dict[str, Any]]:
    return (dict(row) | {name: time_of(row[name]) for name in names} for row in rows)
