"""A scenario (tests.fault.crashing): files are imported into two installations. One dies at each of the places named in
the arguments in turn (name and occurrence), by SIGKILL, and imports to the end then."""

from __future__ import annotations

import hashlib
import os
import signal
import sqlite3
import sys
from datetime import date
from pathlib import Path

from bot import import_report, importing
from bot.importing import ImportOptions, ImportReport, import_files
from core.adapters.calendars import ExchangeCalendar
from core.clock import SystemClock
from core.feed.bar_files import Wanted
from core.settings import load_settings
from tests.fault import crashing

SMALL_BATCH = 40


def digest(ledger: Path) -> tuple[str, int]:
    """A hash over every stored bar and every refusal, and how many bars there are."""
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute("SELECT * FROM bars ORDER BY symbol, size, closed_at").fetchall()
        refused = connection.execute(
            "SELECT symbol, size, at, defect, sentence FROM bar_refusals ORDER BY symbol, size, at, defect"
        ).fetchall()
    return hashlib.sha256(repr((rows, refused)).encode()).hexdigest(), len(rows)


def run(folder: Path) -> ImportReport:
    settings = load_settings({"STATE_DIR": str(folder / "state"), "WORLD": "real"}, None)
    options = ImportOptions(folder / "files", Wanted())
    return import_files(settings, options, SystemClock(), lambda _total: lambda _step: None, crashing.checkpoint)


def dies(folder: Path, name: str, occurrence: str) -> bool:
    """In a child of this process, which is ready at once."""
    child = os.fork()
    if not child:
        crashing._passed.clear()
        os.environ.update({crashing.CRASH_NAME: name, crashing.CRASH_OCCURRENCE: occurrence})
        run(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def held(folder: Path) -> dict[str, object]:
    """Imports to the end, and tells what is there then."""
    done = run(folder)
    head, bars = digest(folder / "state" / "data" / "ledger-tryout.sqlite")
    before = [outcome.name for outcome in done.files if outcome.before]
    return {"digest": head, "bars": bars, "before": before, "exit": import_report.exit_code(done)}


def main() -> None:
    folder, places = Path(sys.argv[1]), sys.argv[2:]
    calendar = ExchangeCalendar(date(2023, 1, 1), date(2025, 1, 1))
    importing.make_calendar = lambda: calendar
    importing.BATCH = SMALL_BATCH  # type: ignore[misc]
    calm = held(folder / "calm")
    killed = [dies(folder / "stormy", *place.split(":")) for place in places]
    crashing.report({"killed": killed, "calm": calm, "stormy": held(folder / "stormy")})


if __name__ == "__main__":
    main()
