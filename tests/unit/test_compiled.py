"""What was compiled for one ledger file serves all of them; what is in them stays apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event, select

from core.storage import tables
from core.storage.engine import engine_for
from tests.ledger_builders import lay_out


def test_a_statement_that_one_file_was_asked_is_not_compiled_again_for_another(tmp_path: Path) -> None:
    used: list[Any] = []
    engines = []
    for name in ("one.db", "other.db"):
        lay_out(tmp_path / name)
        engines.append(engine_for(tmp_path / name, durable=False))
        event.listen(
            engines[-1], "after_cursor_execute", lambda _c, _cu, _s, _p, context, _m: used.append(context.compiled)
        )
    for engine in engines:
        with engine.begin() as connection:
            connection.execute(select(tables.guards).where(tables.guards.c.symbol == "SPY")).all()
        engine.dispose()
    first, second = used
    assert first is second
