"""The tear sheet as one picture, for a chat or a slide. Runs in the worker: matplotlib is imported only when a function
is called, by its object interface, and may be missing."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.svg import Drawn
from core.errors import Fatal
from core.series import time_of

INCHES, DPI = (11.0, 12.5), 110
PAPER, INK, FAINT, GRID = "#ffffff", "#1b2430", "#5b6472", "#e7eaef"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Everything that is drawn. `lines` are rows of a table, the first its head; `months` by year fractions."""

    title: str
    facts: str
    assets: str
    warning: str
    lines: Sequence[Sequence[str]]
    values: Sequence[Drawn]
    drawdowns: Sequence[Drawn]
    months: Mapping[int, Sequence[float | None]]
    exposure: Sequence[Drawn]


def draw(picture: Picture) -> bytes:
    """A PNG. Raises Fatal, with what to do, where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullLocator
    except ImportError:
        raise Fatal("no picture (PNG) was drawn: it needs matplotlib; pip install 'autotrader[charts]'") from None
    figure = Figure(INCHES, dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.text(0.06, 0.968, picture.title, size=20, weight="bold", color=INK)
    figure.text(0.06, 0.948, picture.facts, size=9.5, color=FAINT)
    figure.text(0.06, 0.934, picture.assets, size=9.5, color=FAINT)
    figure.text(0.06, 0.918, picture.warning, size=9.5, color="#9a3412", weight="bold")
    _table(figure.add_axes((0.06, 0.755, 0.90, 0.155)), picture.lines)
    values = figure.add_axes((0.09, 0.51, 0.87, 0.215))
    _lines(values, picture.values, "Value of the account, USD (logarithmic)")
    values.set_yscale("log")
    values.yaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
    values.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    values.yaxis.set_minor_locator(NullLocator())
    values.legend(frameon=False, fontsize=8, loc="upper left", labelcolor=INK)
    below = figure.add_axes((0.09, 0.345, 0.87, 0.125))
    _lines(below, picture.drawdowns, "Below the highest value")
    below.yaxis.set_major_formatter(lambda value, _place: f"{value:.0%}")
    _months(figure.add_axes((0.09, 0.19, 0.87, 0.105)), picture.months)
    _stacked(figure.add_axes((0.09, 0.04, 0.87, 0.10)), picture.exposure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": "AutoTrader"})
    return buffer.getvalue()


def _style(axes: Any, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, weight="bold", color=INK)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, colors=FAINT, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _dates(one: Drawn) -> list[Any]:
    return [time_of(second) for second in one.at.tolist()]


def _lines(axes: Any, drawn: Sequence[Drawn], title: str) -> None:
    _style(axes, title)
    for one in sorted(drawn, key=lambda each: not each.thin):
        axes.plot(_dates(one), one.values, color=one.colour, lw=0.9 if one.thin else 1.5, label=one.name)
    axes.margins(x=0)


def _stacked(axes: Any, drawn: Sequence[Drawn]) -> None:
    _style(axes, "Part of the account invested")
    axes.stackplot(
        _dates(drawn[0]),
        *(one.values for one in drawn),
        colors=[one.colour for one in drawn],
        alpha=0.85,
        labels=[one.name for one in drawn],
    )
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:.0%}")
    axes.legend(frameon=False, fontsize=8, loc="upper left", ncols=2, labelcolor=INK)


def _months(axes: Any, months: Mapping[int, Sequence[float | None]]) -> None:
    _style(axes, "Months, %")
    axes.grid(visible=False)
    grid = np.array([[np.nan if value is None else value for value in year] for year in months.values()])
    axes.imshow(grid, cmap="RdYlGn", vmin=-0.12, vmax=0.12, aspect="auto", alpha=0.75)
    axes.set_xticks(range(12), MONTHS)
    axes.set_yticks(range(len(months)), [str(year) for year in months])
    for row, year in enumerate(months.values()):
        for column, value in enumerate(year):
            if value is not None:
                axes.text(
                    column,
                    row,
                    f"{round(100 * value, 1) or 0.0:+.1f}".replace("+0.0", "0.0"),
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color=INK,
                )


def _table(axes: Any, lines: Sequence[Sequence[str]]) -> None:
    axes.axis("off")
    shown = axes.table([list(line) for line in lines[1:]], colLabels=list(lines[0]), cellLoc="right", bbox=(0, 0, 1, 1))
    shown.auto_set_font_size(False)
    shown.set_fontsize(8)
    for (row, column), cell in shown.get_celld().items():
        cell.set_edgecolor(GRID)
        cell.visible_edges = "B"
        cell.get_text().set_color(FAINT if row == 0 else INK)
        if column == 0:
            cell.get_text().set_horizontalalignment("left")
