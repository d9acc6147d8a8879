"""Recomputes the hash chain and compares it with the tables that people and programs read (X1)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Table, literal_column, select
from sqlalchemy.exc import DBAPIError

from core.domain.codec import decode
from core.domain.decisions import Decision
from core.storage import tables
from core.storage.chain import CONTEST, DECISION, NO_HASH, link_hash, reference_of
from core.storage.entries import TABLES, TYPES
from core.storage.statements import row_of

_TABLES: Final[Mapping[str, Table]] = {**TABLES, DECISION: tables.decisions}
_BROKEN: Final = (KeyError, TypeError, ValueError, AttributeError)


def verify_chain(connection: Connection) -> list[str]:
    """What is wrong with the record, in words; empty when every link, every row and every posted head fits.

    The end of the chain is vouched for by the heads in the daily reports: cutting it off, hashes and all, is seen when
    a report names a hash that is no longer there.
    """
    try:
        return [*check_links(connection), *_check_rows(connection), *_check_posted(connection)]
    except DBAPIError as error:
        return [f"the record cannot be read: {error.orig}"]


def check_links(connection: Connection, *, after: int = 0) -> Iterator[str]:
    """What is wrong with the links behind the first `after`, each recomputed. Raises DBAPIError."""
    previous, expected = _hash_at(connection, after), after + 1
    links = select(tables.chain).where(tables.chain.c.seq > after).order_by(tables.chain.c.seq)
    for row in connection.execute(links).yield_per(500):
        if row.seq != expected:
            yield f"link {expected}: missing"
        if row.previous != previous:
            yield f"link {row.seq}: does not follow the link before it"
        if row.hash != link_hash(row.previous, row.kind, row.payload):
            yield f"link {row.seq}: its content is not what was recorded"
        previous, expected = row.hash, row.seq + 1


def _hash_at(connection: Connection, seq: int) -> str:
    if seq == 0:
        return NO_HASH
    found = connection.execute(select(tables.chain.c.hash).where(tables.chain.c.seq == seq)).scalar()
    return found or NO_HASH


def _check_rows(connection: Connection) -> Iterator[str]:
    chain = tables.chain
    for kind, table in _TABLES.items():
        booked = _raw_rows(connection, table)
        links = select(chain.c.seq, chain.c.reference, chain.c.payload).where(chain.c.kind == kind)
        for link in connection.execute(links.order_by(chain.c.seq)).yield_per(500):
            yield from _check_row(connection, kind, link, booked.pop(link.seq, None))
        for seq in booked:
            yield f"{table.name} {seq}: a row without a link"
    # A contest stands in the chain alone.
    kinds = (*_TABLES, CONTEST)
    known = connection.execute(select(chain.c.seq, chain.c.kind).where(chain.c.kind.not_in(kinds)))
    yield from (f"link {seq}: of an unknown kind {kind}" for seq, kind in known)


def _check_row(connection: Connection, kind: str, link: Any, row: Mapping[str, Any] | None) -> Iterator[str]:
    table = _TABLES[kind]
    if row is None:
        yield f"{table.name} {link.seq}: the row is missing"
        return
    try:
        content = json.loads(link.payload)
        columns, reference = _expected(kind, content["body"])
        recorded_at = datetime.fromisoformat(content["recorded_at"])
        expected = _stored(connection, table, columns | {"seq": link.seq, "recorded_at": recorded_at})
    except _BROKEN as error:
        yield f"link {link.seq}: cannot be read ({error})"
        return
    if reference != link.reference:
        yield f"link {link.seq}: it is said to be about {link.reference}, but is about {reference}"
    for name, value in expected.items():
        if row[name] != value or type(row[name]) is not type(value):
            yield f"{table.name} {link.seq}: {name} is {row[name]!r}, recorded was {value!r}"


def _expected(kind: str, body: Any) -> tuple[dict[str, Any], str]:
    """The columns and the reference that a recorded body asks for."""
    if kind == DECISION:
        # Its signals and orders stand in the chain alone: nothing to compare, and reading them all would take minutes.
        decision = Decision(datetime.fromisoformat(body["at"]), body["account"], (), ())
        return {
            "at": decision.at,
            "account": decision.account,
            "signals": len(body["signals"]),
            "orders": len(body["orders"]),
        }, reference_of(decision)
    entry = decode(TYPES[kind], body)
    return row_of(entry), reference_of(entry)


def _stored(connection: Connection, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` in the form in which the database holds them."""
    return {column.name: _bound(connection, column, values[column.name]) for column in table.columns}


def _bound(connection: Connection, column: Column[Any], value: Any) -> Any:
    processor = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return processor(value) if processor else value


def _raw_rows(connection: Connection, table: Table) -> dict[int, Mapping[str, Any]]:
    """All rows as the database holds them, before any column type reads them: two texts may name one number."""
    raw: Any = select(*(literal_column(f'"{column.name}"').label(column.name) for column in table.columns))
    return {row["seq"]: dict(row) for row in connection.execute(raw.select_from(table)).mappings()}


def _check_posted(connection: Connection) -> Iterator[str]:
    reports = select(tables.outbox.c.id, tables.outbox.c.payload).where(tables.outbox.c.kind == "DailyReport")
    for row in connection.execute(reports):
        try:
            head = json.loads(row.payload)["ledger_head"]
        except _BROKEN as error:
            yield f"report {row.id}: cannot be read ({error})"
            continue
        found = select(tables.chain.c.seq).where(tables.chain.c.hash == head)
        if head != NO_HASH and connection.execute(found).first() is None:
            yield f"report {row.id}: the posted head {head[:12]} is not in the chain"
