"""Where an import writes to: the bars' store under the lease, or a rehearsal that writes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from bot.bootstrap import open_ledger
from bot.worlds import Place
from core.checkpoints import Checkpoint
from core.domain.bar_records import NO_NOTES, BarNotes
from core.domain.bars import BarSize
from core.errors import LeaseLost, Transient
from core.ports import Clock, LeaseKeeper, UnitOfWorkFactory
from core.series import BarSeries, concatenated
from core.settings import Settings
from core.storage.engine import database_path
from core.storage.store import Database

RENEW_SECONDS: Final = 10.0


class Store(Protocol):
    """What the import asks of the bars' store."""

    def held(self, symbol: str, size: BarSize) -> tuple[BarSeries, Sequence[str]]: ...

    def write_all(self, parts: Sequence[tuple[BarSeries, str]], notes: BarNotes = ..., /) -> Sequence[int]: ...


class _Rehearsal:
    """A store that keeps what is written to itself, over one that is only read (or none)."""

    def __init__(self, under: Store | None) -> None:
        self._under = under
        self._held: dict[tuple[str, BarSize], tuple[BarSeries, Sequence[str]]] = {}

    def held(self, symbol: str, size: BarSize) -> tuple[BarSeries, Sequence[str]]:
        key = (symbol, size)
        if key not in self._held:
            empty: tuple[BarSeries, Sequence[str]] = (BarSeries.empty(symbol, size), ())
            self._held[key] = self._under.held(symbol, size) if self._under is not None else empty
        return self._held[key]

    def write_all(self, parts: Sequence[tuple[BarSeries, str]], _notes: BarNotes = NO_NOTES) -> Sequence[int]:
        for series, source in parts:
            known, sources = self.held(series.symbol, series.size)
            both = concatenated(known, series)
            order = both.closed_at.argsort(kind="stable")
            names = [*sources, *[source] * len(series)]
            self._held[series.symbol, series.size] = both.part(order), [names[at] for at in order]
        return [len(series) for series, _ in parts]


@contextmanager
def opened(
    settings: Settings, place: Place, clock: Clock, checkpoint: Checkpoint, *, dry_run: bool
) -> Iterator[tuple[Store, UnitOfWorkFactory | None]]:
    """The store, held by the lease while it is written to; a rehearsal where nothing is to be written."""
    if dry_run and not database_path(place.database).exists():
        yield _Rehearsal(None), None
        return
    settings.make_folders()
    database = open_ledger(place, clock, checkpoint=checkpoint)
    try:
        if dry_run:
            yield _Rehearsal(database.bars), database.reading
            return
        with _held(database, clock):
            yield database.bars, database.unit_of_work
    finally:
        database.close()


@contextmanager
def _held(database: Database, clock: Clock) -> Iterator[None]:
    """The lease is renewed by a thread of its own: reading a large file may take longer than it lasts. Once it is
    lost every write is refused, so that the thread need not say so."""
    lease = database.lease()
    lease.acquire(clock.now())
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, clock, done), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        lease.release()


def _keep(lease: LeaseKeeper, clock: Clock, done: threading.Event) -> None:
    while not done.wait(RENEW_SECONDS):
        try:
            lease.renew(clock.now())
        except Transient:
            continue
        except LeaseLost:
            return
