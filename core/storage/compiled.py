"""Engines for SQLite files that share what was compiled: a statement is turned into SQL once a process."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

STATEMENTS: Final = 1_000
"""More than the program has."""
_compiled: Final[LRUCache[Any, Any]] = LRUCache(STATEMENTS)


class SharingDialect(SQLiteDialect_pysqlite):
    """SQLite as it is. A compiled statement is kept under its dialect, of which every engine has one of its own: all
    are equal, so that one engine finds what another has compiled."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharingDialect)

    def __hash__(self) -> int:
        return hash(SharingDialect)


registry.register("sqlite.sharing", __name__, SharingDialect.__name__)


def sharing_engine(where: str, **given: Any) -> Engine:
    """As `create_engine` for `sqlite://{where}`. A start opens several files, each of them more than once, and to
    compile a statement takes several times as long as to ask it."""
    return create_engine(f"sqlite+sharing://{where}", execution_options={"compiled_cache": _compiled}, **given)
