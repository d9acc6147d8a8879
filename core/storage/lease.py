"""One process at a time holds the ledger (DESIGN 8, instance). Times by the system clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from core.domain.records import Lease
from core.errors import Fatal, LeaseLost
from core.storage import tables
from core.storage.process import Holder, is_provably_dead
from core.storage.statements import row_of, upsert

TTL: Final = timedelta(seconds=30)

_L = tables.lease
_ROW = select(_L).where(_L.c.id == 1)
_FENCING = select(_L.c.fencing).where(_L.c.id == 1)
_TAKE = upsert(_L, ("id",))
_EXTEND = (
    update(_L)
    .where(_L.c.id == 1, _L.c.fencing == bindparam("of_fencing"))
    .values(expires_at=bindparam("new_expires_at", type_=_L.c.expires_at.type), held=bindparam("new_held"))
)


class Fence:
    """The fencing number this database object writes under; None until a lease was acquired through it."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.expires_at: datetime | None = None

    def check(self, connection: Connection) -> None:
        """Raises LeaseLost when another process took the lease since. Asked inside a transaction that holds the write
        lock, it holds until that ends."""
        if self.number is None:
            return
        current = connection.execute(_FENCING).scalar()
        if current != self.number:
            raise LeaseLost(f"another process took over the ledger (lease {current}, ours was {self.number})")


class DatabaseLease:
    """core.ports.LeaseKeeper. `writing` opens a write transaction under its checkpoint's name, `reading` a connection;
    `sleep` takes seconds."""

    def __init__(
        self,
        writing: Callable[[str], AbstractContextManager[Connection]],
        reading: Callable[[], AbstractContextManager[Connection]],
        fence: Fence,
        holder: Holder,
        *,
        life: timedelta = TTL,
        sleep: Callable[[float], None],
    ) -> None:
        self._writing = writing
        self._reading = reading
        self._fence = fence
        self._holder = holder
        self._life = life
        self._sleep = sleep

    def acquire(self, now: datetime) -> Lease:
        """Takes a lease that is free, expired, or held by a process of this machine that has ended.

        One that ends later than any holder could have written by our clock was written before the clock was set back:
        it is watched for its whole life, and taken if nobody renews it. Raises Fatal naming the process that holds it.
        """
        written_later = self._from_the_future(now)
        if written_later is not None:
            self._sleep(self._life.total_seconds())
        with self._writing("lease") as connection:
            row = connection.execute(_ROW).mappings().first()
            if row is not None and is_held(row, now, self._holder) and dict(row) != written_later:
                raise Fatal(in_words(row))
            fencing = (row["fencing"] if row else 0) + 1
            expires_at = now + self._life
            connection.execute(
                _TAKE,
                {
                    "id": 1,
                    **row_of(self._holder),
                    "fencing": fencing,
                    "acquired_at": now,
                    "expires_at": expires_at,
                    "held": True,
                },
            )
        self._fence.number, self._fence.expires_at = fencing, expires_at
        return Lease(str(self._holder), self._holder.pid, fencing, expires_at)

    def renew(self, now: datetime) -> Lease:
        """Raises LeaseLost when another process took it, or none was acquired."""
        fencing = self._own_number()
        expires_at = now + self._life
        with self._writing("lease") as connection:
            self._fence.check(connection)
            connection.execute(_EXTEND, {"of_fencing": fencing, "new_expires_at": expires_at, "new_held": True})
        self._fence.expires_at = expires_at
        return Lease(str(self._holder), self._holder.pid, fencing, expires_at)

    def check(self, now: datetime) -> None:
        """Before anything leaves the process: raises LeaseLost when another process took the lease.

        Clocks may have jumped and the process may have slept, so the ledger is asked every time. A lease that has run
        out, or soon will, is renewed first, so that nobody takes it in the same moment.
        """
        expires_at = self._fence.expires_at
        if expires_at is None or now >= expires_at - self._life / 3:
            self.renew(now)
            return
        with self._reading() as connection:
            self._fence.check(connection)

    def release(self) -> None:
        """Frees the lease for the next process; does nothing when another process took it already."""
        if self._fence.number is None:
            return
        with self._writing("lease") as connection:
            row = connection.execute(_ROW).mappings().one()
            connection.execute(
                _EXTEND,
                {"of_fencing": self._fence.number, "new_expires_at": row["expires_at"], "new_held": False},
            )

    def _from_the_future(self, now: datetime) -> dict[str, Any] | None:
        """The row of a lease that is held and ends later than one that was renewed just now."""
        with self._reading() as connection:
            row = connection.execute(_ROW).mappings().first()
        if row is None or not is_held(row, now, self._holder) or row["expires_at"] <= now + 2 * self._life:
            return None
        return dict(row)

    def _own_number(self) -> int:
        if self._fence.number is None:
            raise LeaseLost("no lease was acquired")
        return self._fence.number


def is_held(row: Any, now: datetime, here: Holder) -> bool:
    """Whether the lease's row still binds a process other than `here`."""
    holder = _holder_of(row)
    return bool(row["held"]) and now < row["expires_at"] and holder != here and not is_provably_dead(holder, here)


def in_words(row: Any) -> str:
    return (
        f"the ledger is held by process {row['pid']} on host {row['host']} since "
        f"{row['acquired_at']:%Y-%m-%d %H:%M:%S} UTC: stop it first, or wait until its lease ends at "
        f"{row['expires_at']:%H:%M:%S} UTC if it no longer runs"
    )


def _holder_of(row: Any) -> Holder:
    return Holder(row["host"], row["boot_id"], row["pid_namespace"], row["pid"], row["started"])
