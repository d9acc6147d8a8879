"""`kill -9` while files are imported: started again and again the import comes to the same store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fault.crashing import Crash, run_scenario

SCRIPT = Path(__file__).with_name("import_life.py")
KILLS = (
    Crash("bars.before_commit"),
    Crash("bars.after_commit", 2),
    Crash("import.before_commit"),
    Crash("import.after_commit"),
    Crash("lease.before_commit", 2),
)
"""One after the other, on one installation; the last one when the lease is given back."""


def lay_out(folder: Path) -> None:
    """Three files of two symbols; of two overlapping ones the first has a bar that is refused."""
    files = folder / "files"
    files.mkdir()

    def rows(first: int, last: int) -> str:
        times = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=5 * n) for n in range(last)]
        return "".join(
            f"{times[n].isoformat()},{100 + n % 7},{108 + n % 5},{99 - n % 3},{101 + n % 11 * 0.5},{900 + n % 13}\n"
            for n in range(first, last)
        )

    header = "ts,open,high,low,close,volume\n"
    bad = "2024-01-01T08:20:00Z,0,0,0,0,0\n"
    (files / "BTC-USD.5m.a.csv").write_text(header + rows(0, 100) + bad)
    (files / "BTC-USD.5m.b.csv").write_text(header + rows(60, 200))
    (files / "ETH-USD.5m.csv").write_text(header + rows(0, 90))


@pytest.mark.timeout(180)
@pytest.mark.feature("S2")
@pytest.mark.feature("S14")
def test_an_import_killed_at_its_commits_ends_with_the_store_of_an_undisturbed_one(tmp_path: Path) -> None:
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    for folder in (calm, stormy):
        folder.mkdir()
        lay_out(folder)
    undisturbed = run_scenario(SCRIPT, calm).facts
    assert undisturbed is not None
    assert (undisturbed["bars"], undisturbed["before"], undisturbed["exit"]) == (290, [], 0)
    for crash in KILLS:
        assert run_scenario(SCRIPT, stormy, crash=crash).was_killed, crash
    last = run_scenario(SCRIPT, stormy).facts
    assert last is not None
    assert last["digest"] == undisturbed["digest"]
    assert last["before"] == ["BTC-USD.5m.a.csv", "BTC-USD.5m.b.csv", "ETH-USD.5m.csv"]
