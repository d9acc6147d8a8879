"""How often forecasts came true, over time, as a picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from bot.png import LETTER_HEIGHT, Colour, Pixels, encoded, write
from core.domain.skill import TrackedPrediction
from core.series import Floats, Seconds, seconds_of
from jobs.model_changes import Change, Fate

PAPER, INK, GRID, LINE, COIN, BAND, MARK = range(7)
PALETTE: tuple[Colour, ...] = (
    (255, 255, 255),
    (40, 44, 52),
    (226, 229, 234),
    (30, 110, 190),
    (120, 126, 136),
    (206, 224, 242),
    (230, 150, 40),
)
WIDTH, HEIGHT = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 880, 52, 360
WINDOW = timedelta(days=28)
"""Each point counts the forecasts of so many days: a day's alone are too few."""
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


def picture(scored: Sequence[TrackedPrediction], changes: Sequence[Change]) -> bytes:
    """A PNG: the share of hits in the WINDOW before each day, with the band in which it lies two times of three where
    it is one half by luck, and a mark where another model came into use."""
    pixels = np.full((HEIGHT, WIDTH), PAPER, np.uint8)
    first, last = scored[0].prediction.bar_closed_at, scored[-1].prediction.bar_closed_at
    write(pixels, "FORECASTS THAT CAME TRUE - THE 28 DAYS BEFORE", 12, 12, INK, 2)
    days = _days(first, last)
    share, count = _shares(scored, days)
    place = np.linspace(LEFT, RIGHT - 1, len(days)).astype(np.int64)
    _band(pixels, place, count)
    for step in STEPS:
        pixels[_row(step), LEFT:RIGHT] = COIN if step == 0.5 else GRID
        write(pixels, f"{step:.0%}", 12, _row(step) - LETTER_HEIGHT // 2, INK)
    _marks(pixels, changes, first, last)
    _line(pixels, place, share)
    write(pixels, f"{first:%Y-%m-%d}", LEFT, BOTTOM + 14, INK)
    write(pixels, f"{last:%Y-%m-%d}", RIGHT - 60, BOTTOM + 14, INK)
    _legend(pixels)
    return encoded(pixels, PALETTE)


def _days(first: datetime, last: datetime) -> list[datetime]:
    return [first + timedelta(days=number) for number in range((last - first).days + 2)]


def _shares(scored: Sequence[TrackedPrediction], days: Sequence[datetime]) -> tuple[Floats, Seconds]:
    """(share of hits, how many) in the WINDOW before each of `days`; NaN where there were none."""
    at = np.array([seconds_of(each.prediction.bar_closed_at) for each in scored], np.int64)
    hits = np.concatenate(([0], np.cumsum([each.is_hit for each in scored])))
    ends = np.array([seconds_of(day) for day in days], np.int64)
    upper = np.searchsorted(at, ends, side="right")
    lower = np.searchsorted(at, ends - int(WINDOW.total_seconds()), side="right")
    count = (upper - lower).astype(np.int64)
    share = np.where(count > 0, (hits[upper] - hits[lower]) / np.maximum(count, 1), np.nan)
    return share, count


def _row(share: float) -> int:
    return round(BOTTOM - share * (BOTTOM - TOP))


def _band(
    pixels: Pixels,
    place: Seconds,
    count: Seconds,
) -> None:
    """One standard deviation of a share of `count` independent throws of a coin, on both sides of one half."""
    for column in range(LEFT, RIGHT):
        number = int(count[min(int(np.searchsorted(place, column)), len(count) - 1)])
        if number:
            reach = min(0.5, 0.5 / number**0.5)
            pixels[_row(0.5 + reach) : _row(0.5 - reach) + 1, column] = BAND


def _line(
    pixels: Pixels,
    place: Seconds,
    share: Floats,
) -> None:
    known = np.isfinite(share)
    columns = np.arange(LEFT, RIGHT)
    heights = np.interp(columns, place[known], share[known])
    former = _row(float(heights[0]))
    for column, height in zip(columns.tolist(), heights.tolist(), strict=True):
        row = _row(height)
        pixels[min(former, row) - 1 : max(former, row) + 2, column] = LINE
        former = row


def _marks(pixels: Pixels, changes: Sequence[Change], first: datetime, last: datetime) -> None:
    span = max((last - first).total_seconds(), 1.0)
    for change in changes:
        if change.fate is not Fate.REJECTED and first <= change.at <= last:
            column = LEFT + round((change.at - first).total_seconds() / span * (RIGHT - 1 - LEFT))
            pixels[TOP:BOTTOM:2, column] = MARK


def _legend(pixels: Pixels) -> None:
    x, y = LEFT, HEIGHT - 24
    for colour, words in ((LINE, "CAME TRUE"), (BAND, "LUCK - TWO TIMES OF THREE"), (MARK, "NEW MODEL")):
        pixels[y - 3 : y + 10, x : x + 14] = colour
        x = write(pixels, words, x + 20, y, INK) + 24
