"""What must hold for any value, any booking order and any edit."""

from __future__ import annotations

import sqlite3
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, insert, select

from core.domain.codec import canonical, decode, encode
from core.domain.decisions import Decision, ModelVersion
from core.domain.events import EVENT_TYPES, DailyReport
from core.domain.orders import Order, Side
from core.domain.portfolio import CashKind, CashMovement, Entry, Fill, Portfolio, PositionAdjustment, portfolio_of
from core.domain.records import Instruction
from core.storage.columns import DecimalText, JsonText, UtcDateTime
from core.storage.store import Database, open_database
from core.storage.verify import verify_chain
from tests.ledger_builders import START, a_decision, a_deposit, a_fill, ledger, write

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15) | st.decimals(
    allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
seconds = st.integers(-60_000_000_000, 250_000_000_000)  # from the year 68 to the year 9892
times = st.builds(
    lambda at, micro, zone: (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at, microseconds=micro)).astimezone(
        zone
    ),
    seconds,
    st.integers(0, 999_999),
    zones,
)

_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    Decimal: decimals,
    datetime: times,
    date: st.dates(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    str: st.text(max_size=20),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotated type, made from its fields, so that a new field is tested without being listed."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if each is type(None) else values_of(each) for each in arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(each) for each in arguments))
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        built = {field.name: values_of(hints[field.name]) for field in fields(kind)}
        return st.builds(typing.cast(Callable[..., Any], kind), **built)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    return _VALUES[kind]


@pytest.mark.parametrize(
    "kind",
    [*EVENT_TYPES.values(), Order, Fill, CashMovement, PositionAdjustment, Decision, ModelVersion, Instruction],
    ids=lambda kind: kind.__name__,
)
def test_everything_that_is_stored_reads_back_as_it_was(kind: type[Any]) -> None:
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values_of(kind))
    def check(value: Any) -> None:
        again = decode(kind, encode(value))
        assert again == value
        assert canonical(again) == canonical(value)

    check()


_metadata = MetaData()
_samples = Table(
    "samples",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("amount", DecimalText),
    Column("at", UtcDateTime),
    Column("body", JsonText),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(decimals, times), min_size=1, max_size=10))
def test_numbers_and_times_come_back_exactly_and_times_sort_as_times(samples: list[tuple[Decimal, datetime]]) -> None:
    engine = create_engine("sqlite://")
    _metadata.create_all(engine)
    with engine.begin() as connection:
        rows = [{"amount": amount, "at": at, "body": {"n": n}} for n, (amount, at) in enumerate(samples)]
        connection.execute(insert(_samples), rows)
        read = connection.execute(select(_samples).order_by(_samples.c.id)).all()
        assert [(row.amount, row.at) for row in read] == samples
        assert all(row.at.tzinfo is UTC for row in read)
        assert [row.body for row in read] == [{"n": n} for n in range(len(samples))]
        in_order = connection.execute(select(_samples.c.at).order_by(_samples.c.at)).scalars().all()
        assert in_order == sorted(at for _, at in samples)
        middle = samples[0][1]
        later = connection.execute(select(_samples.c.id).where(_samples.c.at > middle)).scalars().all()
        assert len(later) == sum(at > middle for _, at in samples)
    engine.dispose()


coins = st.decimals(min_value="0.000001", max_value=50, places=6)
prices = st.decimals(min_value="0.0001", max_value=90_000, places=4)
fees = st.decimals(min_value=0, max_value="0.5", places=6)


def entries_with(number: int) -> st.SearchStrategy[Entry]:
    fill = st.builds(
        a_fill,
        st.just(f"f-{number}"),
        account=st.sampled_from(["simulated", "manual"]),
        symbol=st.sampled_from(["BTC-USD", "ETH-USD"]),
        side=st.sampled_from(Side),
        quantity=coins,
        price=prices,
        fee=fees,
        fee_currency=st.just("USD"),
    )
    cash = st.builds(
        CashMovement,
        st.just(f"c-{number}"),
        st.sampled_from(["simulated", "manual"]),
        st.sampled_from(CashKind),
        st.decimals(min_value=-5000, max_value=5000, places=2),
        st.just(START),
    )
    adjustment = st.builds(
        PositionAdjustment,
        st.just(f"a-{number}"),
        st.sampled_from(["simulated", "manual"]),
        st.sampled_from(["BTC-USD", "ETH-USD"]),
        st.sampled_from(list(typing.get_type_hints(PositionAdjustment)["kind"])),
        st.decimals(min_value=-3, max_value=3, places=4),
        st.decimals(min_value=-900, max_value=900, places=2),
        st.just(START),
    )
    return fill | cash | adjustment


@st.composite
def sessions(draw: st.DrawFn) -> list[tuple[bool, bool, list[Entry]]]:
    """Units of work: does it commit, does it look at the portfolio first, and what does it book."""
    made, number = [], 0
    for _ in range(draw(st.integers(1, 6))):
        entries = []
        for _ in range(draw(st.integers(0, 4))):
            number += 1
            entries.append(draw(entries_with(number)))
        made.append((draw(st.booleans()), draw(st.booleans()), entries))
    return made


@settings(max_examples=25, deadline=None)
@given(sessions())
def test_the_remembered_portfolio_is_what_the_entries_add_up_to(
    tmp_path_factory: pytest.TempPathFactory, booked: list[tuple[bool, bool, list[Entry]]]
) -> None:
    database = ledger(tmp_path_factory.mktemp("ledger"))
    committed: list[Entry] = []
    for commits, looks_first, entries in booked:
        with database.unit_of_work() as uow:
            if looks_first:
                assert uow.portfolio("simulated") == expected("simulated", committed)
            for entry in entries:
                assert uow.book(entry, recorded_at=START)
            assert uow.portfolio("manual") == expected("manual", [*committed, *entries])
            if commits:
                uow.commit()
                committed += entries
        with database.reading() as uow:
            assert list(uow.entries()) == committed
            for account in ("simulated", "manual"):
                assert uow.portfolio(account) == expected(account, committed)
    database.close()
    again = open_database(database.path, durable=False)
    with again.reading() as uow:
        assert uow.portfolio("simulated") == expected("simulated", committed)
    assert again.verify() == []
    again.close()


def expected(account: str, entries: list[Entry]) -> Portfolio:
    return portfolio_of(account, [entry for entry in entries if entry.account == account])


CHAINED = ("chain", "fills", "cash_movements", "position_adjustments", "decisions")


def booked_ledger(folder: Path) -> Database:
    database = ledger(folder)

    def book(uow: Any) -> None:
        uow.book(a_deposit(), recorded_at=START)
        uow.record_decision(a_decision(), recorded_at=START)
        uow.book(a_fill(), recorded_at=START)
        uow.book(
            decode(
                PositionAdjustment,
                {
                    "id": "a-1", "account": "simulated", "symbol": "SPY", "kind": "split",
                    "quantity": "4", "cost": "0", "at": "2024-03-01T15:00:00+00:00", "note": "2 for 1",
                },
            ),
            recorded_at=START,
        )  # fmt: skip
        uow.publish(a_report(uow.chain_head()), market_time=START)

    write(database, book)
    return database


def a_report(head: str) -> DailyReport:
    return DailyReport(START.date(), START, (), (), None, None, 0, 0, "RUNNING", (), head)


def edit(path: Path, statement: str, parameters: tuple[Any, ...] = ()) -> None:
    """Changes the file as somebody with access to it could, past the triggers."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in CHAINED:
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_refuses_update")
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_refuses_delete")
        connection.execute(statement, parameters)


@cache
def cells(path: Path) -> list[tuple[str, str, int, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [
            (table, name, row["seq"], row[name])
            for table in CHAINED
            for row in connection.execute(f"SELECT * FROM {table}")
            for name in row.keys()  # noqa: SIM118 - a row is not a mapping
        ]


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = booked_ledger(tmp_path_factory.mktemp("intact"))
    assert database.verify() == []
    database.close()
    return database.path


@pytest.fixture(scope="module")
def open_to_edits(intact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    copy = tmp_path_factory.mktemp("copy") / "ledger.db"
    copy.write_bytes(intact.read_bytes())
    edit(copy, "SELECT 1")
    engine = create_engine(f"sqlite:///{copy}")
    yield engine
    engine.dispose()


@pytest.mark.feature("X1")
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_edit_of_any_cell_of_the_record_is_found(intact: Path, open_to_edits: Engine, data: st.DataObject) -> None:
    table, name, seq, value = data.draw(st.sampled_from(cells(intact)))
    changed = data.draw(edits_of(value))
    with open_to_edits.connect() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {name} = ? WHERE seq = ?", (changed, seq))
        assert verify_chain(connection) != []
        connection.rollback()
        assert verify_chain(connection) == []


def edits_of(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, int):
        return st.integers(1, 500).filter(lambda other: other != value).map(lambda other: other + (other <= 4) * 500)
    one_character = st.tuples(st.integers(0, max(len(value) - 1, 0)), st.sampled_from("0129 aZ-.\u00e9")).map(
        lambda at: value[: at[0]] + at[1] + value[at[0] + 1 :]
    )
    shorter = st.integers(0, max(len(value) - 1, 0)).map(lambda end: value[:end])
    longer = st.sampled_from(["0", ".0", " ", "\n", "Z"]).map(lambda more: value + more)
    return (one_character | shorter | longer).filter(lambda other: other != value)


@pytest.mark.feature("X1")
@pytest.mark.parametrize("table", CHAINED)
def test_a_row_taken_out_of_the_record_is_found(intact: Path, tmp_path: Path, table: str) -> None:
    copy = tmp_path / "ledger.db"
    copy.write_bytes(intact.read_bytes())
    edit(copy, f"DELETE FROM {table} WHERE seq = (SELECT min(seq) FROM {table})")
    assert problems(copy) != []


@pytest.mark.feature("X1")
def test_an_end_cut_off_with_all_its_rows_is_found_by_the_head_the_owner_was_sent(intact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ledger.db"
    copy.write_bytes(intact.read_bytes())
    for table in ("position_adjustments", "chain"):
        edit(copy, f"DELETE FROM {table} WHERE seq = 4")
    (problem,) = problems(copy)
    assert "posted head" in problem


@pytest.mark.feature("X1")
def test_a_record_that_is_no_text_any_more_is_reported_not_raised(intact: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ledger.db"
    copy.write_bytes(intact.read_bytes())
    edit(copy, "UPDATE chain SET payload = CAST(x'ff00fe' AS TEXT) WHERE seq = 2")
    assert problems(copy) != []


def problems(path: Path) -> list[str]:
    database = open_database(path, durable=False)
    found = database.verify()
    database.close()
    return found
