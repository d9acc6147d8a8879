"""`kill -9` while files are imported: started again and again the import comes to the same store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fault.crashing import run_scenario

SCRIPT = Path(__file__).with_name("import_life.py")
KILLS = (
    "founding.after_commit:1",
    "bars.before_commit:1",
    "bars.after_commit:2",
    "import.before_commit:1",
    "import.after_commit:1",
    "bars.after_commit:1",
    "lease.before_commit:2",
)
"""One after the other, on one installation; the last one when the lease is given back."""


def lay_out(files: Path) -> None:
    """Three files of two symbols; of two overlapping ones the first has a bar that is refused."""
    files.mkdir(parents=True)

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


@pytest.mark.feature("S2")
@pytest.mark.feature("S14")
def test_an_import_killed_at_its_commits_ends_with_the_store_of_an_undisturbed_one(tmp_path: Path) -> None:
    for name in ("calm", "stormy"):
        lay_out(tmp_path / name / "files")
    facts = run_scenario(SCRIPT, tmp_path, *KILLS).facts
    assert facts is not None
    assert facts["killed"] == [True] * len(KILLS)
    calm, stormy = facts["calm"], facts["stormy"]
    assert (calm["bars"], calm["before"], calm["exit"]) == (290, [], 0)
    assert stormy["digest"] == calm["digest"]
    assert stormy["before"] == ["BTC-USD.5m.a.csv", "BTC-USD.5m.b.csv", "ETH-USD.5m.csv"]
