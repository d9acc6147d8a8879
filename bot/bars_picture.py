"""How complete the bars are, as a picture: a strip for each series, time from left to right. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bot.png import LETTER_HEIGHT, Colour, Pixels, encoded, write
from core.domain.bars import BarSize
from core.feed.coverage import Coverage
from core.series import Seconds, time_of

PAPER, INK, WHOLE, PARTLY, MISSING, LACKING, QUIET = range(7)
PALETTE: tuple[Colour, ...] = (
    (255, 255, 255),
    (40, 44, 52),
    (46, 160, 90),
    (160, 205, 120),
    (214, 60, 50),
    (240, 170, 60),
    (232, 234, 238),
)
WIDTH, STRIP_LEFT, STRIP_RIGHT = 900, 190, 820
MARGIN, ROW, STRIP, TITLE, BETWEEN = 12, 24, 14, 30, 12
LEGEND = (
    (WHOLE, "ALL BARS"),
    (PARTLY, "MOST"),
    (MISSING, "MISSING"),
    (LACKING, "NOT AT SOURCE"),
    (QUIET, "NO SESSION"),
)


def picture(series: Sequence[Coverage]) -> bytes:
    """A PNG. Each size has a block with its own span of time; the shares stand on the right, times are UTC."""
    drawn = [one for one in series if len(one.expected)]
    blocks = [(size, [one for one in drawn if one.size is size]) for size in BarSize]
    blocks = [(size, rows) for size, rows in blocks if rows]
    height = 2 * MARGIN + 2 * ROW + sum(TITLE + ROW * len(rows) + BETWEEN for _, rows in blocks)
    pixels = np.full((height, WIDTH), PAPER, np.uint8)
    y = MARGIN
    for size, rows in blocks:
        first = min(int(one.expected[0]) for one in rows)
        last = max(int(one.expected[-1]) for one in rows)
        write(pixels, f"{size} BARS  {time_of(first):%Y-%m-%d} - {time_of(last):%Y-%m-%d}", MARGIN, y, INK, 2)
        y += TITLE
        edges = np.linspace(first - 1, last, STRIP_RIGHT - STRIP_LEFT + 1)
        for one in rows:
            _strip(pixels, one, edges, y)
            y += ROW
        y += BETWEEN
    _legend(pixels, y)
    return encoded(pixels, PALETTE)


def _strip(pixels: Pixels, one: Coverage, edges: np.ndarray[tuple[int], np.dtype[np.float64]], y: int) -> None:
    letters = y + (STRIP - LETTER_HEIGHT) // 2
    write(pixels, f"{one.symbol[:14]} {one.source[:10]}", MARGIN, letters, INK)
    pixels[y : y + STRIP, STRIP_LEFT:STRIP_RIGHT] = _colours(one, edges)
    share = f"{100 * one.share:.2f}%" if one.missing else "100%"
    write(pixels, share, STRIP_RIGHT + 8, letters, INK)


def _colours(one: Coverage, edges: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Pixels:
    """One colour for each slice of time: the worst that is true of it, so that a single lost bar can be seen."""
    wanted, held, lack = (_count(column, edges) for column in (one.expected, one.held, one.lack))
    lost = np.maximum(wanted - held, 0)
    found = np.full(len(wanted), WHOLE, np.uint8)
    found[wanted == 0] = QUIET
    found[lost > 0] = PARTLY
    found[(lost > 0) & (lack >= lost)] = LACKING
    found[(lost > lack) & (2 * lost >= wanted)] = MISSING
    found[edges[1:] < one.expected[0]] = PAPER
    return found


def _count(closes: Seconds, edges: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Seconds:
    """How many close in each slice, its right edge included."""
    places = np.searchsorted(closes, edges, side="right")
    return np.diff(places).astype(np.int64)


def _legend(pixels: Pixels, y: int) -> None:
    x = MARGIN
    for colour, words in LEGEND:
        pixels[y : y + STRIP, x : x + STRIP] = colour
        x = write(pixels, words, x + STRIP + 6, y + (STRIP - LETTER_HEIGHT) // 2, INK) + 18
