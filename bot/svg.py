"""Charts as SVG text: lines over time, stacked shares over time, and how a forecast's promises were kept. Pure.

Sizes are in units of the view box, which the page scales; colours are given by who draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from core.series import Floats, Seconds, time_of

WIDTH = 920
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 26
INK, FAINT, GRID = "#5b6472", "#8a93a1", "#e7eaef"


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One line: values at times in seconds since 1970, ascending. `thin` for what it is held against."""

    name: str
    colour: str
    at: Seconds
    values: Floats
    thin: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    """The room of a chart, and what its edges stand for."""

    first: float
    last: float
    low: float
    high: float
    height: int
    log: bool = False

    def x(self, at: float) -> float:
        return LEFT + (at - self.first) / max(1e-12, self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high, here = (math.log(v) for v in (self.low, self.high, value)) if self.log else self._plain(value)
        share = (here - low) / max(1e-12, high - low)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def _plain(self, value: float) -> tuple[float, float, float]:
        return self.low, self.high, value


def lines(drawn: Sequence[Drawn], *, height: int = 300, log: bool = False, percent: bool = False) -> str:
    """Lines over one span of time, with a grid of round values and years. With `percent` values are fractions."""
    values = np.concatenate([one.values for one in drawn])
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = low - abs(low) * 0.01 - 1e-9, high + abs(high) * 0.01 + 1e-9
    steps = _log_steps(low, high) if log else _steps(low, high)
    first, last = min(float(one.at[0]) for one in drawn), max(float(one.at[-1]) for one in drawn)
    frame = _Frame(first, last, min(low, steps[0]) if not log else low, max(high, steps[-1]), height, log)
    parts = [*_grid(frame, steps, percent), *_years(frame)]
    for one in sorted(drawn, key=lambda each: not each.thin):
        points = " ".join(
            f"{frame.x(at):.1f},{frame.y(value):.1f}"
            for at, value in zip(one.at.tolist(), one.values.tolist(), strict=True)
        )
        width = "1.2" if one.thin else "1.9"
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{one.colour}" stroke-width="{width}"'
            ' stroke-linejoin="round"/>'
        )
    return _svg(parts, height)


def stacked(drawn: Sequence[Drawn], *, height: int = 200) -> str:
    """Shares of one whole over time, one upon another from 0 to 1; all at the same times."""
    at = drawn[0].at
    frame = _Frame(float(at[0]), float(at[-1]), 0.0, 1.0, height)
    parts, below = list[str](), np.zeros(len(at))
    xs = [f"{frame.x(moment):.1f}" for moment in at.tolist()]
    for one in drawn:
        above = np.minimum(below + one.values, 1.0)
        there = [f"{x},{frame.y(value):.1f}" for x, value in zip(xs, above.tolist(), strict=True)]
        back = [f"{x},{frame.y(value):.1f}" for x, value in zip(xs, below.tolist(), strict=True)][::-1]
        parts.append(f'<polygon points="{" ".join(there + back)}" fill="{one.colour}" fill-opacity="0.8"/>')
        below = above
    return _svg([*parts, *_grid(frame, [0.0, 0.25, 0.5, 0.75, 1.0], True), *_years(frame)], height)


def promises(points: Sequence[tuple[float, float, int]], colour: str, *, height: int = 300) -> str:
    """(promised, kept, how often) of each group of forecasts, beside the line on which all promises are kept."""
    side, left = height - TOP - BOTTOM, LEFT
    most = max(count for _, _, count in points)

    def x(value: float) -> float:
        return left + value * side

    def y(value: float) -> float:
        return height - BOTTOM - value * side

    parts = list[str]()
    for step in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [
            f'<line x1="{x(0)}" y1="{y(step)}" x2="{x(1)}" y2="{y(step)}" stroke="{GRID}"/>',
            f'<text x="{left - 8}" y="{y(step) + 4}" text-anchor="end" fill="{INK}">{step:.0%}</text>',
            f'<text x="{x(step)}" y="{height - 8}" text-anchor="middle" fill="{INK}">{step:.0%}</text>',
        ]
    parts.append(f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="{FAINT}" stroke-dasharray="4 4"/>')
    for promised, kept, count in points:
        radius = 3 + 9 * math.sqrt(count / most)
        parts.append(
            f'<circle cx="{x(promised):.1f}" cy="{y(kept):.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.75">'
            f"<title>{promised:.0%} promised, {kept:.0%} came true, {count:,} times</title></circle>"
        )
    return _svg(parts, height, left + side + RIGHT)


def _svg(parts: Sequence[str], height: int, width: int = WIDTH) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" font-size="11">{"".join(parts)}</svg>'


def _grid(frame: _Frame, steps: Sequence[float], percent: bool) -> Iterator[str]:
    for step in steps:
        if not frame.low <= step <= frame.high:
            continue
        y = frame.y(step)
        label = f"{step:.0%}" if percent else _money(step)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{GRID}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{label}</text>'


def _years(frame: _Frame) -> Iterator[str]:
    """The beginnings of years, or of months where the span is short."""
    first, last = time_of(int(frame.first)), time_of(int(frame.last))
    months = (last.year - first.year) * 12 + last.month - first.month
    every = 12 if months > 30 else 3 if months > 10 else 1
    for number in range(months + 2):
        month = first.month - 1 + number
        moment = datetime(first.year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        if not first <= moment <= last or month % every:
            continue
        x = frame.x(moment.timestamp())
        words = f"{moment:%Y}" if every == 12 else f"{moment:%b %Y}"
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{frame.height - BOTTOM}" stroke="{GRID}"/>'
        if x < WIDTH - RIGHT - 30:
            yield f'<text x="{x + 4:.1f}" y="{frame.height - 8}" fill="{INK}">{words}</text>'


def _steps(low: float, high: float) -> list[float]:
    """About five round values from below `low` to above `high`."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _log_steps(low: float, high: float) -> list[float]:
    """Round values of a logarithmic scale; more of them where the span is small."""
    if high / low < 3:
        return [step for step in _steps(low, high) if step > 0]
    power = 10.0 ** math.floor(math.log10(low))
    found = list[float]()
    while power <= high:
        found += [factor * power for factor in (1, 2, 3, 5, 7)]
        power *= 10
    return [step for step in found if low * 0.99 <= step <= high * 1.01]


def _money(value: float) -> str:
    return f"{value:,.0f}"
