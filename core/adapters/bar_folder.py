"""A folder of files of bars, as one exports them or gets them elsewhere (core.feed.bar_files.BarFiles)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.adapters.bar_files.names import name_of
from core.adapters.bar_files.reading import read_file
from core.adapters.calendars import ExchangeCalendar
from core.feed.bar_files import FileBars, FileName, Wanted

SUBFOLDERS = ("daily", "intraday")


class BarFolder:
    """Finds and reads files (core.feed.bar_files.BarFiles)."""

    def __init__(self, calendar: ExchangeCalendar) -> None:
        self._calendar = calendar

    def find(self, place: Path) -> tuple[Sequence[FileName], Sequence[str]]:
        """The files of bars in a folder and its `daily` and `intraday`, or the file itself, in the order in which they
        are taken: own names before renamed ones, regular hours before extended ones; and the names of folders that
        were not looked into."""
        if place.is_file():
            return [name for name in [name_of(place)] if name is not None], ()
        places = [place, *(place / name for name in SUBFOLDERS)]
        paths = (path for each in places if each.is_dir() for path in each.iterdir() if path.is_file())
        found = [name for name in map(name_of, paths) if name is not None]
        found.sort(key=lambda name: (name.renamed, name.extended, name.symbol, str(name.path)))
        others = (each.name for each in place.iterdir() if each.is_dir() and each.name not in SUBFOLDERS)
        return found, sorted(name for name in others if not name.startswith("."))

    def read(self, name: FileName, wanted: Wanted) -> Sequence[FileBars]:
        """One entry per symbol. Raises DataFault, in words, for a file that is broken or can be read in two ways."""
        return read_file(name, wanted, self._calendar)
