"""The daily housekeeping: a backup of the ledger, its integrity checked, old records of runs let go."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.errors import Fatal


class Ledger(Protocol):
    def back_up(self) -> Path: ...

    def verify(self) -> list[str]: ...

    def forget_runs(self, before: datetime) -> int: ...


def maintain(ledger: Ledger, keep_runs_since: datetime) -> str:
    """One line for the record. Raises Fatal when the record of decisions and entries does not verify."""
    problems = ledger.verify()
    if problems:
        raise Fatal(
            f"the ledger does not verify ({problems[0]}; {len(problems)} in all): stop trading on it, keep the file, "
            "and restore a copy from its backups folder"
        )
    copy = ledger.back_up()
    return f"verified; backed up to {copy.name}; {ledger.forget_runs(keep_runs_since)} old run records removed"
