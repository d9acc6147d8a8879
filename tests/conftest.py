"""What every test gets: new ledgers without the wait for their migrations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.storage.engine import database_path
from core.storage.migrate import migrate


@pytest.fixture(scope="session", autouse=True)
def _new_ledgers_are_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new ledger is the file that the migrations made once, byte for byte; one that exists is migrated as ever.

    All migrations take a fifteenth of a second, and hundreds of tests begin with a new ledger.
    """

    @cache
    def migrated() -> bytes:
        path = tmp_path_factory.mktemp("migrated") / "ledger.sqlite"
        migrate(path, SystemClock().now())
        return path.read_bytes()

    def copied_or_migrated(where: str | Path, now: datetime) -> Path | None:
        path = database_path(where)
        if path.exists():
            return migrate(path, now)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(migrated())
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.storage.store.migrate", copied_or_migrated)
        yield
