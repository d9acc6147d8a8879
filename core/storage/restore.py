"""Puts a backup in the ledger's place: prepared beside it, checked, and only then put there in one step.

What stood there before is kept in the folder `set-aside`. The restored ledger counts a new epoch, so that neither order
ids nor buttons of the time that was lost can be met again; its cards' numbers go on far above those of that time.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from core.errors import Fatal
from core.ports import Clock
from core.storage.backup import MARGIN, copy_database, sync_folder, taken_at
from core.storage.engine import engine_for
from core.storage.lease import in_words, is_held
from core.storage.migrate import migrate
from core.storage.process import this_process
from core.storage.schema import HEAD
from core.storage.soundness import Identity, faults, identity_of
from core.storage.store import Database, open_database
from core.storage.witness import Witness, read_witness

ASIDE: Final = "set-aside"
_LOGS: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """`taken_at` is when the backup was made; `aside` where the file is kept that stood there before."""

    taken_at: datetime
    epoch: int
    aside: Path | None


@dataclass(frozen=True, slots=True)
class _Present:
    """What is known of the ledger that is to be replaced; `fencing` 0 where it cannot be read."""

    epoch: int | None
    fencing: int = 0


def restore(ledger: Path, copy: Path, clock: Clock, settle: Callable[[Database, datetime, int], None]) -> Restored:
    """`settle` gets the restored ledger before it is put in place, when its backup was made, and its new epoch.

    Raises Fatal, and changes nothing, where a process holds the ledger, or `copy` is not a whole ledger of the same
    installation that this version of the program can read.
    """
    who = _checked(copy, ledger)
    made_at = taken_at(copy) or datetime.fromtimestamp(copy.stat().st_mtime, UTC)
    beside = ledger.with_name(f"{ledger.name}.restoring")
    ledger.parent.mkdir(parents=True, exist_ok=True)
    present = _claim(ledger, clock)
    try:
        _need_room(copy, ledger.parent)
        copy_database(copy, beside)
        epoch = _new_epoch(who, present, read_witness(ledger), clock.now())
        _prepare(beside, clock, present.fencing, epoch, lambda database: settle(database, made_at, epoch))
        aside = _put_in_place(ledger, beside, clock.now())
    except (OSError, sqlite3.Error) as error:
        raise Fatal(f"{copy} could not be put in the place of {ledger}: {error}. Nothing was lost.") from error
    finally:
        for name in ("", *_LOGS):
            beside.with_name(beside.name + name).unlink(missing_ok=True)
    return Restored(made_at, epoch, aside)


def _checked(copy: Path, ledger: Path) -> Identity:
    if not copy.is_file():
        raise Fatal(f"{copy}: there is no such file")
    who = identity_of(copy)
    if who is None:
        raise Fatal(f"{copy} is not a ledger of this program, or too damaged to be read")
    if who.revision > HEAD:
        raise Fatal(
            f"{copy} was written by a newer version of the program (schema {who.revision}, this one knows {HEAD})"
        )
    wrong = faults(copy)
    if wrong:
        raise Fatal(f"{copy} is not whole ({wrong[0]}; {len(wrong)} in all): choose another backup")
    known = identity_of(ledger) if ledger.exists() else None
    witness = read_witness(ledger)
    owner = known.installation_id if known else witness.installation_id if witness else who.installation_id
    if who.installation_id != owner:
        raise Fatal(f"{copy} is the ledger of another installation ({who.installation_id[:8]}, here is {owner[:8]})")
    if known is not None and known.world is not who.world:
        raise Fatal(f"{copy} holds {who.world} prices, {ledger} {known.world} ones")
    return who


def _claim(ledger: Path, clock: Clock) -> _Present:
    """Takes the ledger from everybody, a process that sleeps included, before it is replaced. Raises Fatal if held."""
    who = identity_of(ledger) if ledger.exists() else None
    if who is not None and who.lease is not None and is_held(who.lease, clock.now(), this_process()):
        raise Fatal(in_words(who.lease))
    if who is None or who.revision != HEAD or faults(ledger):
        return _Present(who.epoch if who else None)
    present = Database(ledger, engine_for(ledger, durable=True), clock)
    try:
        fencing = present.lease().acquire(clock.now()).fencing
        present.checkpoint_log()
    finally:
        present.close()
    return _Present(who.epoch, fencing)


def _new_epoch(who: Identity, present: _Present, witness: Witness | None, now: datetime) -> int:
    """Higher than any that was ever used: where nothing tells how many restores there were, the clock does."""
    known = [epoch for epoch in (present.epoch, witness.epoch if witness else None) if epoch is not None]
    return max(who.epoch, *known) + 1 if known else max(who.epoch + 1, int(now.timestamp()))


def _prepare(path: Path, clock: Clock, fencing: int, epoch: int, settle: Callable[[Database], None]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        # Whoever held the ledger when the backup was made holds nothing here; the oldest schemas know no lease.
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'lease'").fetchone():
            connection.execute("UPDATE lease SET held = 0")
    migrate(path, clock.now(), keep_copy=False)
    database = open_database(path, clock=clock)
    try:
        wrong = database.verify()
        if wrong:
            raise Fatal(f"the backup does not verify ({wrong[0]}; {len(wrong)} in all): choose another one")
        database.begin_epoch(epoch, fencing)
        settle(database)
        database.checkpoint_log()
    finally:
        database.close()
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _put_in_place(ledger: Path, beside: Path, now: datetime) -> Path | None:
    """At every moment a whole file stands under the ledger's name, and never with the log of another."""
    aside = None
    if ledger.exists():
        folder = ledger.parent / ASIDE
        folder.mkdir(exist_ok=True)
        aside = _free_name(folder, f"{ledger.stem}-{now.astimezone(UTC):%Y%m%dT%H%M%S}Z", ledger.suffix)
        _keep(ledger, aside)
        for name in _LOGS:
            log = ledger.with_name(ledger.name + name)
            if log.exists():
                log.replace(aside.with_name(aside.name + name))
    for name in _LOGS:
        ledger.with_name(ledger.name + name).unlink(missing_ok=True)
        beside.with_name(beside.name + name).unlink(missing_ok=True)
    beside.replace(ledger)
    sync_folder(ledger.parent)
    database = Database(ledger, engine_for(ledger, durable=True), _Standing(now))
    try:
        database.bear_witness()
    finally:
        database.close()
    return aside


def _free_name(folder: Path, stem: str, suffix: str) -> Path:
    names = (folder / f"{stem}{f'-{number}' if number else ''}{suffix}" for number in count())
    return next(name for name in names if not name.exists())


class _Standing:
    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


def _keep(file: Path, aside: Path) -> None:
    try:
        os.link(file, aside)
    except OSError:
        # A file system without hard links.
        shutil.copy2(file, aside)


def _need_room(copy: Path, folder: Path) -> None:
    needed, free = 2 * copy.stat().st_size + MARGIN, shutil.disk_usage(folder).free
    if free < needed:
        raise Fatal(f"no room to restore: {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")
