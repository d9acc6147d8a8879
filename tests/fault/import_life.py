"""A scenario (tests.fault.crashing): files are imported into one installation; what its store holds afterwards."""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from pathlib import Path

from bot import import_report, importing
from bot.importing import ImportOptions, import_files
from core.clock import SystemClock
from core.feed.bar_files import Wanted
from core.settings import load_settings
from tests.fault.crashing import checkpoint, report

SMALL_BATCH = 40


def digest(ledger: Path) -> tuple[str, int]:
    """A hash over every stored bar, and how many there are."""
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute("SELECT * FROM bars ORDER BY symbol, size, closed_at").fetchall()
        refused = connection.execute(
            "SELECT symbol, size, at, defect, sentence FROM bar_refusals ORDER BY symbol, size, at, defect"
        ).fetchall()
    return hashlib.sha256(repr((rows, refused)).encode()).hexdigest(), len(rows)


def main() -> None:
    folder = Path(sys.argv[1])
    settings = load_settings({"STATE_DIR": str(folder / "state"), "WORLD": "real"}, None)
    importing.BATCH = SMALL_BATCH  # type: ignore[misc]
    options = ImportOptions(folder / "files", Wanted())
    done = import_files(settings, options, SystemClock(), lambda _total: lambda _step: None, checkpoint)
    head, bars = digest(folder / "state" / "data" / "ledger-tryout.sqlite")
    before = [outcome.name for outcome in done.files if outcome.before]
    report({"digest": head, "bars": bars, "before": before, "exit": import_report.exit_code(done)})


if __name__ == "__main__":
    main()
