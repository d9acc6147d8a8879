"""What all tests share: new ledgers without the wait for their migrations, and the order in which files are begun."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from bot.kept import kept_for_good
from core.clock import SystemClock
from core.storage.engine import database_path
from core.storage.migrate import migrate

LONGEST_FIRST = (
    "property/test_order_machine.py",
    "golden/test_replay.py",
    "e2e/test_product.py",
    "e2e/test_process.py",
    "fault/test_kill_points.py",
    "property/test_simulated_broker.py",
    "fault/test_kill_nine.py",
    "e2e/test_local_phone_media.py",
    "e2e/test_local_phone.py",
    "fault/test_cycle_crash.py",
    "fault/test_damage.py",
    "fault/test_bot_connection.py",
    "fault/test_delivery_kills.py",
    "golden/test_scenes.py",
    "soak/test_fault_soak.py",
    "unit/test_known_events.py",
    "property/test_quality_properties.py",
    "property/test_ledger_properties.py",
    "fault/test_sleeping.py",
    "fault/test_import_kills.py",
    "fault/test_ledger_kill.py",
    "property/test_own_books.py",
    "unit/test_worker.py",
    "unit/test_scheduler.py",
    "unit/test_job_parts.py",
)
"""Files that take seconds, the longest first. A file stays on one processor: begun last, it leaves the other idle."""


def pytest_configure(config: pytest.Config) -> None:
    # By itself pytest-xdist begins with the files of the most tests, which are seldom the long ones.
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded with the tests lives as long as they do: the garbage collector need not walk through it."""
    with kept_for_good():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Every other worker loads the files from the last to the first, so that each finds half of them compiled."""
    report = yield
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    if isinstance(collector, pytest.Directory) and int(worker.removeprefix("gw")) % 2:
        report.result.reverse()
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Raises UsageError where the list names a file that is not there."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST_FIRST)}
    lost = [str(path) for path in ranks if not path.exists()]
    if lost:
        raise pytest.UsageError(f"tests/conftest.py: LONGEST_FIRST names {', '.join(lost)}")
    items.sort(key=lambda item: (ranks.get(item.path, len(ranks)), item.path))


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
