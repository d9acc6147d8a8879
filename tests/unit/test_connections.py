"""Connections that transactions hand on: nothing of one is seen by the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from core.storage.connections import MOST_AT_REST, Connections
from core.storage.engine import engine_for


@pytest.fixture
def connections(tmp_path: Path) -> Iterator[Connections]:
    made = Connections(engine_for(tmp_path / "file.db", durable=False))
    with made.open(writes=True) as connection:
        connection.execute(text("CREATE TABLE things (name TEXT)"))
        connection.commit()
    yield made
    made.close()


def things(connections: Connections) -> list[str]:
    with connections.open() as connection:
        return list(connection.execute(text("SELECT name FROM things")).scalars())


def test_the_next_transaction_has_the_connection_and_nothing_that_was_not_committed(connections: Connections) -> None:
    with connections.open(writes=True) as first:
        first.execute(text("INSERT INTO things VALUES ('forgotten')"))
    with connections.open() as second:
        assert second is first
        assert not second.in_transaction()
    assert things(connections) == []


def test_a_reader_after_a_writer_takes_no_lock(connections: Connections) -> None:
    with connections.open(writes=True) as used:
        used.execute(text("INSERT INTO things VALUES ('kept')"))
        used.commit()
    with connections.open() as reader:
        reader.execute(text("SELECT 1"))
        with connections.open(writes=True) as writer:
            writer.execute(text("INSERT INTO things VALUES ('beside')"))
            writer.commit()
    assert things(connections) == ["kept", "beside"]


def test_one_on_which_something_went_wrong_is_not_used_again(connections: Connections) -> None:
    with pytest.raises(RuntimeError), connections.open(writes=True) as broken:
        broken.execute(text("INSERT INTO things VALUES ('lost')"))
        raise RuntimeError
    assert broken.closed
    assert things(connections) == []


def test_few_are_kept_and_none_once_it_is_closed(connections: Connections) -> None:
    many = [connections.take(writes=False) for _ in range(MOST_AT_REST + 1)]
    for each in many:
        connections.give_back(each, is_sound=True)
    assert [each.closed for each in many] == [False] * MOST_AT_REST + [True]
    late = connections.take(writes=False)
    connections.close()
    connections.give_back(late, is_sound=True)
    assert all(each.closed for each in many)
