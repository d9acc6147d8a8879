"""Files of bars: what is asked of them and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.domain.bars import BarSize
from core.quality import Refusal
from core.series import BarSeries


@dataclass(frozen=True, slots=True)
class FileName:
    """`symbol` is empty and `size` None where the name does not say them. `extended`: hours outside the session, too.
    `renamed`: a coin in tethers stands for the one in dollars. `unfit` says why such a file is not taken at all."""

    path: Path
    symbol: str
    size: BarSize | None
    extended: bool = False
    renamed: bool = False
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the owner said of a file: beats its name and its columns must agree. `zone` is that of times without one."""

    symbol: str = ""
    size: BarSize | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FileBars:
    """Bars of one file and symbol in the order of the file, as they are there; not yet inspected.

    `rows` is how many the file has of the symbol; `refused` are those without a usable time, outside every session or
    between two bars. `words` tell how the file was read.
    """

    series: BarSeries
    rows: int
    refused: tuple[Refusal, ...]
    words: str
    extended: bool
    renamed: bool


class BarFiles(Protocol):
    def find(self, place: Path) -> tuple[Sequence[FileName], Sequence[str]]:
        """The files of bars in a folder, or a file itself, in the order in which they are taken; and the names of
        folders that were not looked into."""
        ...

    def read(self, name: FileName, wanted: Wanted) -> Sequence[FileBars]:
        """One entry per symbol. Raises DataFault, in words, for a file that is broken or can be read in two ways."""
        ...
