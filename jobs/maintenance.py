"""The daily housekeeping: the ledger's integrity checked, a backup made, old records of runs and old bars let go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from core.domain.records import JobRun
from core.domain.views import Health
from core.errors import Fatal, Transient
from jobs.schedule import JobSkipped

COMPONENT = "backup"
NOT_AGAIN_FOR = timedelta(hours=20)


class Ledger(Protocol):
    def back_up(self) -> Path: ...

    def verify(self) -> list[str]: ...

    def advice(self, wrong: str) -> str: ...

    def forget_runs(self, before: datetime) -> int: ...


def skip_if_done(newest: JobRun | None, now: datetime) -> None:
    """The job is due every hour, so that a machine that sleeps at night is kept too; raises JobSkipped where it was
    done within the day."""
    done_at = newest.finished_at if newest is not None else None
    if done_at is not None and timedelta(0) <= now - done_at < NOT_AGAIN_FOR:
        raise JobSkipped(f"done at {done_at:%Y-%m-%d %H:%M} UTC")


def maintain(
    ledger: Ledger,
    keep_runs_since: datetime,
    health: Callable[[str, Health, str], None],
    others: Callable[[], Path | None] = lambda: None,
    forget_bars: Callable[[], int] = lambda: 0,
    forget_models: Callable[[], int] = lambda: 0,
) -> str:
    """One line for the record. `others` backs up what belongs to the ledger, `forget_bars` lets old ones go, and
    `forget_models` the files of models that nobody goes back to. A backup that fails degrades health and is tried again
    in an hour. Raises Fatal when the file or the record of decisions and entries is broken."""
    problems = ledger.verify()
    if problems:
        more = f" ({len(problems)} in all)" if len(problems) > 1 else ""
        raise Fatal(ledger.advice(f"it does not verify: {problems[0]}{more}"))
    try:
        copy = ledger.back_up()
        others()
    except Transient as failure:
        health(COMPONENT, Health.DEGRADED, str(failure))
        raise JobSkipped(f"verified; no backup: {failure}") from failure
    health(COMPONENT, Health.RUNNING, f"made {copy.name}")
    runs, bars, models = ledger.forget_runs(keep_runs_since), forget_bars(), forget_models()
    gone = f"{runs} old run records, {bars:,} old bars and {models} files of old models removed"
    return f"verified; backed up to {copy.name}; {gone}"
