"""Job runs, named values, the audit of the owner's commands, taps, and the equity curve."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, select, update

from core.domain.records import AuditRecord, EquityPoint, JobOutcome, JobRun
from core.storage import tables
from core.storage.session import Session, new_id
from core.storage.statements import insert_new, row_of, upsert, value_of

_J = tables.job_runs
_V = tables.named_values
_E = tables.equity
_START = insert(_J)
_FINISH = (
    update(_J)
    .where(_J.c.id == bindparam("of_id"))
    .values(
        finished_at=bindparam("new_finished_at", type_=_J.c.finished_at.type),
        outcome=bindparam("new_outcome", type_=_J.c.outcome.type),
        detail=bindparam("new_detail"),
    )
)
_LAST = select(_J).where(_J.c.job == bindparam("of_job")).order_by(_J.c.id.desc()).limit(1)
_LAST_WITH = _LAST.where(_J.c.outcome == bindparam("of_outcome"))
_UNFINISHED = select(_J).where(_J.c.outcome == JobOutcome.RUNNING).order_by(_J.c.id)
_VALUE = select(_V.c.value).where(_V.c.key == bindparam("of_key"))
_SET_VALUE = upsert(_V, ("key",))
_DROP_VALUE = delete(_V).where(_V.c.key == bindparam("of_key"))
_AUDIT = insert(tables.audit)
_TRAIL = select(tables.audit).order_by(tables.audit.c.id.desc()).limit(bindparam("most")).offset(bindparam("skip"))
_TAP = insert_new(tables.taps)
_ADD_EQUITY = upsert(_E, ("account", "at"))
_EQUITY = select(_E).where(_E.c.account == bindparam("of_account")).order_by(_E.c.at)
_EQUITY_SINCE = _EQUITY.where(_E.c.at >= bindparam("since"))


class Journal(Session):
    def start_job(self, job: str, scheduled_at: datetime, started_at: datetime) -> int:
        return self._add_job(job, scheduled_at, started_at, None, JobOutcome.RUNNING, "")

    def finish_job(self, run_id: int, finished_at: datetime, outcome: JobOutcome, detail: str) -> None:
        """Raises KeyError for an unknown run."""
        written = self._write(
            _FINISH,
            {"of_id": run_id, "new_finished_at": finished_at, "new_outcome": outcome, "new_detail": detail},
        )
        if written.rowcount != 1:
            raise KeyError(run_id)

    def record_job(self, job: str, scheduled_at: datetime, at: datetime, outcome: JobOutcome, detail: str) -> None:
        """A run that began and ended at once, or never began (missed, skipped)."""
        self._add_job(job, scheduled_at, at, at, outcome, detail)

    def _add_job(
        self,
        job: str,
        scheduled_at: datetime,
        started_at: datetime,
        finished_at: datetime | None,
        outcome: JobOutcome,
        detail: str,
    ) -> int:
        written = self._write(
            _START,
            {
                "job": job,
                "scheduled_at": scheduled_at,
                "started_at": started_at,
                "finished_at": finished_at,
                "outcome": outcome,
                "detail": detail,
            },
        )
        return new_id(written)

    def last_run(self, job: str, outcome: JobOutcome | None = None) -> JobRun | None:
        """The run written last, with that outcome if one is given."""
        row = (
            self._row(_LAST, {"of_job": job})
            if outcome is None
            else self._row(_LAST_WITH, {"of_job": job, "of_outcome": outcome})
        )
        return value_of(JobRun, row) if row else None

    def unfinished_jobs(self) -> Sequence[JobRun]:
        """The oldest first."""
        return [value_of(JobRun, row) for row in self._rows(_UNFINISHED)]

    def value(self, key: str) -> str | None:
        return self._recalled(_V, key, lambda: self._read_value(key))

    def _read_value(self, key: str) -> str | None:
        row = self._row(_VALUE, {"of_key": key})
        return row["value"] if row else None

    def set_value(self, key: str, value: str | None) -> None:
        """None removes it."""
        if value is None:
            self._write(_DROP_VALUE, {"of_key": key}, question=key)
        else:
            self._write(_SET_VALUE, {"key": key, "value": value}, question=key)

    def audit(self, record: AuditRecord) -> None:
        self._write(_AUDIT, row_of(record))

    def audit_trail(self, limit: int = 50, skip: int = 0) -> Sequence[AuditRecord]:
        """The newest first, after the `skip` newest ones."""
        return [value_of(AuditRecord, row) for row in self._rows(_TRAIL, {"most": limit, "skip": skip})]

    def seen_tap(self, key: str, at: datetime) -> bool:
        """Records a business key of an owner's tap; True when it was there before."""
        return self._write(_TAP, {"key": key, "at": at}).rowcount == 0

    def add_equity(self, point: EquityPoint) -> None:
        """A second point of the same account and moment replaces the first."""
        self._write(_ADD_EQUITY, row_of(point))

    def equity(self, account: str, since: datetime | None = None) -> Sequence[EquityPoint]:
        """In order of time; `since` inclusive."""
        rows = (
            self._rows(_EQUITY, {"of_account": account})
            if since is None
            else self._rows(_EQUITY_SINCE, {"of_account": account, "since": since})
        )
        return [value_of(EquityPoint, row) for row in rows]
