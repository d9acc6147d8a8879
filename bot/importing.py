"""autotrader import FOLDER: bars from files into the store of this installation, resumable, with a report.

A file that was taken to its end is remembered in the ledger by its hash, and by its size and time of change so that it
need not be read to be known again. A file cut short is read again: what it brought stands there already and is not
written twice, so that the store comes to the same whenever the process died.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bot.import_store import Store, opened
from bot.price_sources import make_bar_files, make_calendar
from bot.worlds import Place, place_of
from core.checkpoints import Checkpoint, nowhere
from core.domain.accounts import World
from core.domain.bar_records import NO_NOTES, BarNotes, RefusedBar, Seam
from core.domain.bars import BarSize
from core.errors import DataFault, Fatal
from core.feed.bar_files import BarFiles, FileBars, FileName, Wanted
from core.feed.importing import SOURCE, Held, Plan, batches, plan
from core.ports import Clock, UnitOfWorkFactory
from core.quality import Refusal
from core.settings import Settings

BATCH: Final = 20_000
"""Bars that one transaction writes: the engine's own wait for no more than that."""
_BY_HASH, _BY_PLACE = "imported:", "imported.file:"
_HASHED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`again` reads also what was taken before; `dry_run` writes nothing."""

    place: Path
    wanted: Wanted
    dry_run: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class SeriesTaken:
    """What came of one symbol of a file, in bars. `off` are those outside sessions or between two bars."""

    symbol: str
    size: BarSize
    words: str
    rows: int
    taken: int
    known: int
    inside: int
    covered: int
    repeated: int
    seams: tuple[Seam, ...]
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """`unused`: left alone by a rule. `refused`: why nothing of it was taken. `before`: when it was taken already."""

    name: str
    series: tuple[SeriesTaken, ...] = ()
    unused: str = ""
    refused: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    place: Place
    dry_run: bool
    files: tuple[FileOutcome, ...]
    skipped_folders: tuple[str, ...]


@dataclass(slots=True)
class Importer:
    """One run over the files. `advance` is told how many bytes' worth of work was done."""

    options: ImportOptions
    files: BarFiles
    store: Store
    ledger: UnitOfWorkFactory | None
    clock: Clock
    advance: Callable[[int], object]
    own_names: set[tuple[str, BarSize]] = field(default_factory=set)
    _due: int = 0
    _told: int = 0

    def take(self, name: FileName) -> FileOutcome:
        """Everything about one file. A fault of it takes no other down."""
        self._due += name.path.stat().st_size
        try:
            return self._take(name)
        except DataFault as fault:
            return FileOutcome(name.path.name, refused=fault.reason)
        except OSError as error:
            return FileOutcome(name.path.name, refused=f"it cannot be read: {error.strerror or error}")
        finally:
            self._tell(self._due)

    def _tell(self, done: int) -> None:
        """`done`: bytes' worth of work since the start."""
        self.advance(done - self._told)
        self._told = done

    def _take(self, name: FileName) -> FileOutcome:
        if name.unfit:
            return FileOutcome(name.path.name, unused=name.unfit)
        mark = _Mark.of(name.path, self.options.wanted)
        before = None if self.options.again else self._remembered(mark)
        if before is not None:
            self._note_own(name, before["series"])
            return FileOutcome(name.path.name, before=before["at"])
        parts = self.files.read(name, self.options.wanted)
        if name.renamed and all((part.series.symbol, part.series.size) in self.own_names for part in parts):
            return FileOutcome(name.path.name, unused=f"a file of {parts[0].series.symbol}'s own name goes first")
        # Judged before anything is written: a file is taken as a whole or refused as a whole.
        plans = [self._plan(part) for part in parts]
        self._write(list(zip(parts, plans, strict=True)), mark.bytes // 2)
        taken = tuple(_taken(part, each) for part, each in zip(parts, plans, strict=True))
        series = [[each.symbol, each.size.value] for each in taken]
        self._remember(mark, series)
        self._note_own(name, series)
        return FileOutcome(name.path.name, taken)

    def _plan(self, part: FileBars) -> Plan:
        now = self.clock.now()
        held = Held(*self.store.held(part.series.symbol, part.series.size))
        return plan(part.series, held, now, now, extended=part.extended)

    def _write(self, planned: Sequence[tuple[FileBars, Plan]], share: int) -> None:
        """Batch by batch; `share` is the part of the file's bytes that writing is worth."""
        rows, written, now = sum(len(each.fresh) for _, each in planned), 0, self.clock.now()
        begun = self._due - share
        self._tell(begun)
        for part, each in planned:
            refused = tuple(_refused_bar(part, refusal, now) for refusal in each.refused)
            notes = BarNotes(seams=each.seams, refused=refused)
            if not len(each.fresh) and notes:
                self.store.write_all([], notes)
            for some in batches(each.fresh, BATCH):
                self.store.write_all([(some, SOURCE)], notes)
                notes, written = NO_NOTES, written + len(some)
                self._tell(begun + share * written // rows)

    def _note_own(self, name: FileName, series: Sequence[Sequence[str]]) -> None:
        if not name.renamed:
            self.own_names.update((symbol, BarSize(size)) for symbol, size in series)

    def _remembered(self, mark: _Mark) -> dict[str, Any] | None:
        """What is written of the file if it was taken to its end, as the owner calls it now."""
        if self.ledger is None:
            return None
        with self.ledger() as work:
            known = json.loads(work.value(_BY_PLACE + mark.place) or "{}")
            seen = known.get("bytes") == mark.bytes and known.get("changed") == mark.changed
            text = work.value(_BY_HASH + (known["hash"] if seen else mark.hash()))
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found if found is not None and found["as"] == mark.called else None

    def _remember(self, mark: _Mark, series: Sequence[Sequence[str]]) -> None:
        if self.ledger is None or self.options.dry_run:
            return
        with self.ledger() as work:
            entry = {"bytes": mark.bytes, "changed": mark.changed, "hash": mark.hash()}
            taken = {"as": mark.called, "at": self.clock.now().isoformat(timespec="seconds"), "series": series}
            work.set_value(_BY_PLACE + mark.place, json.dumps(entry))
            work.set_value(_BY_HASH + mark.hash(), json.dumps(taken))
            work.commit("import")


@dataclass(slots=True)
class _Mark:
    """What a file is known again by. `called` is what the owner said of it: said otherwise it is read anew."""

    path: Path
    place: str
    bytes: int
    changed: int
    called: list[str]
    _hash: str = ""

    @classmethod
    def of(cls, path: Path, wanted: Wanted) -> _Mark:
        facts = path.stat()
        called = [wanted.symbol, wanted.size.value if wanted.size else "", wanted.zone or ""]
        return cls(path, str(path.resolve()), facts.st_size, facts.st_mtime_ns, called)

    def hash(self) -> str:
        """SHA-256 of what is in the file and of the marks of its name, by which it is read; read once."""
        if not self._hash:
            digest = hashlib.sha256(self.path.name.encode())
            with self.path.open("rb") as file:
                while block := file.read(_HASHED_AT_ONCE):
                    digest.update(block)
            self._hash = digest.hexdigest()
        return self._hash


def import_files(
    settings: Settings,
    options: ImportOptions,
    clock: Clock,
    progress: Callable[[int], Callable[[int], object]],
    checkpoint: Checkpoint = nowhere,
) -> ImportReport:
    """Takes every file in turn. `progress` is told the bytes of all of them and gives what is told of each step.

    Raises Fatal where nothing can be taken: a folder without files of bars, a simulated installation, a ledger that
    another process holds.
    """
    files = make_bar_files(make_calendar())
    names, others = _found(files, options)
    place = _place(settings)
    with opened(settings, place, clock, checkpoint, dry_run=options.dry_run) as (store, ledger):
        advance = progress(sum(name.path.stat().st_size for name in names))
        work = Importer(options, files, store, ledger, clock, advance)
        outcomes = tuple(work.take(name) for name in names)
    return ImportReport(place, options.dry_run, outcomes, tuple(others))


def _found(files: BarFiles, options: ImportOptions) -> tuple[Sequence[FileName], Sequence[str]]:
    if not options.place.exists():
        raise Fatal(f"{options.place} is not there")
    if options.place.is_dir() and (options.wanted.symbol or options.wanted.size):
        raise Fatal("--symbol and --size are for a single file: name it instead of its folder")
    names, others = files.find(options.place)
    if not names:
        kinds = "CSV (also .gz or .zip), JSON or Parquet"
        raise Fatal(f"{options.place} holds no file of bars: {kinds}, named SYMBOL.SIZE.csv or the like")
    return names, others


def _place(settings: Settings) -> Place:
    """The installation's own ledger of real prices: files' prices never get into a simulated one."""
    place = place_of(settings, settings.world, lambda: "")
    if place.world is World.SIMULATED:
        raise Fatal(
            "this installation lives in the simulated market, and real prices are never mixed with simulated ones: set "
            "WORLD=real to import for an installation with real prices"
        )
    return place


def _refused_bar(part: FileBars, refusal: Refusal, now: Any) -> RefusedBar:
    of = part.series
    return RefusedBar(of.symbol, of.size, refusal.at, refusal.defect, SOURCE, refusal.sentence, now)


def _taken(part: FileBars, each: Plan) -> SeriesTaken:
    return SeriesTaken(
        part.series.symbol,
        part.series.size,
        part.words,
        part.rows,
        len(each.fresh),
        each.known,
        each.inside,
        each.covered,
        each.repeated,
        each.seams,
        (*part.refused, *each.refused),
    )
