"""autotrader bars: how complete the stored bars are, as a table, as a list of gaps, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.bars_picture import picture
from bot.price_sources import make_calendar
from bot.worlds import all_places
from core.clock import SystemClock
from core.domain.bar_records import KnownGap, Seam, SeamKind
from core.errors import Fatal
from core.feed.coverage import Coverage, covered
from core.feed.gaps import gaps_in, missing_closes
from core.series import time_of
from core.settings import Settings
from core.storage.bars import SqlBarStore
from core.storage.engine import database_path, engine_for
from core.storage.schema import HEAD
from core.storage.soundness import identity_of
from core.storage.store import Database

HEADS = ("symbol", "size", "source", "first", "last", "bars", "of", "gaps", "missing", "not at source", "seams")
LEFT = 5
"""So many columns are words, the rest numbers."""
MOST_SEAMS = 20


def report(settings: Settings, symbols: Sequence[str], *, gaps: bool, file: Path | None) -> str:
    """Of every ledger of this installation, in use or not; changes nothing but `file`. Raises Fatal."""
    places = [place for place in all_places(settings) if database_path(place.database).exists()]
    if not places:
        raise Fatal(f"there is no ledger in {settings.data_dir}")
    calendar, parts, drawn = make_calendar(), list[str](), list[Coverage]()
    for place in places:
        database = opened_as_it_is(database_path(place.database))
        try:
            found = covered(database.bars, calendar, symbols)
            drawn += found
            parts.append("\n".join([f"{database.path.name}:", *_words(database.bars, found, symbols, gaps=gaps)]))
        finally:
            database.close()
    if file is not None:
        file.write_bytes(picture(drawn))
        parts.append(f"drawn into {file}")
    return "\n\n".join(parts)


def opened_as_it_is(path: Path) -> Database:
    """To be read: an older file is not brought forward by being looked at. Raises Fatal."""
    who = identity_of(path)
    if who is None or who.revision != HEAD:
        raise Fatal(f"{path} is of another version of the program: start it once, it brings the file forward")
    return Database(path, engine_for(path, durable=True), SystemClock())


def _words(store: SqlBarStore, found: Sequence[Coverage], symbols: Sequence[str], *, gaps: bool) -> Iterator[str]:
    if not found:
        yield "no bars yet"
        return
    yield from table([_row(one) for one in found])
    for one in found:
        if one.refused:
            classes = ", ".join(f"{count:,} {defect}" for defect, count in sorted(one.refused.items()))
            yield f"refused of {one.symbol} {one.size}: {classes}"
    shown = [seam for seam in store.seams() if not symbols or seam.symbol in symbols]
    if len(shown) > MOST_SEAMS:
        yield f"the newest {MOST_SEAMS} of {len(shown)} seams:"
    yield from map(seam_words, shown[-MOST_SEAMS:])
    if gaps:
        for one in found:
            yield from _gaps(one, store.known_gaps(one.symbol, one.size))


def _row(one: Coverage) -> tuple[str, ...]:
    moment = "%Y-%m-%d %H:%M" if one.size.is_intraday else "%Y-%m-%d"
    lacking = f"{one.lacking:,} in {one.lacking_gaps:,}" if one.lacking else "0"
    numbers = (one.bars, len(one.expected), one.gaps, one.missing)
    return (
        one.symbol,
        one.size.value,
        one.source,
        f"{one.first:{moment}}",
        f"{one.last:{moment}}",
        *(f"{number:,}" for number in numbers),
        lacking,
        f"{one.seams + one.retold}",
    )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table with heads; times are UTC closes."""
    widths = [max(len(line[at]) for line in (HEADS, *rows)) for at in range(len(HEADS))]
    for line in (HEADS, *rows):
        cells = (
            cell.ljust(width) if at < LEFT else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def seam_words(seam: Seam) -> str:
    at = f"seam of {seam.symbol} {seam.size} at {seam.at:%Y-%m-%d %H:%MZ}"
    if seam.kind is SeamKind.RESCALED:
        return f"{at}: {seam.source_to} tells what was before in other units; all prices divided by {seam.ratio:.6g}"
    volume = f", volumes {seam.volume_ratio:.3g} times as large" if seam.volume_ratio is not None else ""
    return (
        f"{at}: {seam.source_from} until then, {seam.source_to} from then on; {seam.compared:,} bars of both differ by "
        f"{seam.difference:.2%} at most{volume}"
    )


def _gaps(one: Coverage, known: Sequence[KnownGap]) -> Iterator[str]:
    for gap in gaps_in(one.expected, missing_closes(one.expected, one.held)):
        first, last = time_of(gap.first), time_of(gap.last)
        why = next((each for each in known if each.first <= last and each.last >= first), None)
        said = "not asked for yet"
        if why is not None:
            asked = f"asked {why.asked_at:%Y-%m-%d %H:%MZ}, again {why.ask_again_at:%Y-%m-%d}"
            said = f"{why.source}: {why.reason} ({asked})"
        span = f"{first:%Y-%m-%d %H:%MZ} to {last:%Y-%m-%d %H:%MZ}"
        yield f"gap of {one.symbol} {one.size}: {gap.bars:,} closing {span}; {said}"
