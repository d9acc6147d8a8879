"""What the profiles earned, as tables of Markdown between the marks of PROFILES.md and of the README."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.settings.profile_figures import Book, Line, Measured, measured
from core.settings.profiles import DECLARED, PROFILES, ProfileName

PAGE, README = Path("core/settings/PROFILES.md"), Path("README.md")
BEGIN, END = "<!-- figures: written by bot.profile_figures -->", "<!-- end of figures -->"
_FULL = (
    "a year",
    "volatility",
    "Sharpe",
    "1st half",
    "2nd half",
    "drawdown",
    "trades",
    "won",
    "costs, USD",
    "invested",
    "brake",
)
_SHORT = ("a year", "Sharpe", "drawdown", "trades")


def write(repository: Path) -> None:
    """Both pages anew, from what is committed."""
    book = measured()
    for name, lines in ((PAGE, full(book)), (README, short(book))):
        page = (repository / name).read_text("utf-8")
        (repository / name).write_text(page_with(page, lines), encoding="utf-8")


def page_with(page: str, lines: Iterator[str]) -> str:
    """`page` with `lines` between its marks. Raises ValueError for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the figures")
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


def short(book: Book | None) -> Iterator[str]:
    """A table for the README: all assets, and the two parts of them."""
    yield _head("profile", "assets", *_SHORT)
    for name in ProfileName:
        made = book.profiles.get(name) if book is not None else None
        if made is None:
            yield _row(f"`{name}`", "not measured yet", *("" for _ in _SHORT))
            continue
        for place, line in enumerate(made.lines):
            yield _row(f"`{name}`" if place == 0 else "", line.name, *_few(line))
    for place, line in enumerate(book.held if book is not None else ()):
        yield _row("bought and held" if place == 0 else "", line.name, *_few(line))
    if book is not None:
        yield ""
        yield _how(book)
        yield ""
        yield from (_of_budget(made) for made in book.profiles.values() if _fell(made) > _budget(made))


def full(book: Book | None) -> Iterator[str]:
    """The rule by which values were chosen, every figure, and what neighbouring values come to."""
    for line in json.loads(DECLARED.read_bytes())["rule"]:
        yield f"- {line}"
    yield ""
    yield from _values()
    if book is None:
        yield ""
        yield "Nothing is measured yet."
        return
    yield ""
    yield "### Figures"
    yield ""
    yield _how(book)
    yield ""
    yield _head("", "assets", *_FULL)
    for made in book.profiles.values():
        for place, line in enumerate(made.lines):
            yield _row(f"**{made.profile}**" if place == 0 else "", line.name, *_many(line))
    for place, line in enumerate(book.held):
        yield _row("bought and held" if place == 0 else "", line.name, *_many(line))
    yield ""
    yield "*brake*: how often the drawdown brake fell, which was released after the days above."
    yield ""
    yield from (f"- {_of_budget(made)}" for made in book.profiles.values())
    recipes = sorted({made.recipe for made in book.profiles.values() if made.recipe})
    if recipes:
        yield f"- The forests are fitted by the recipe {', '.join(recipes)}; `rule` asks none."
    missing = [name.value for name in ProfileName if name not in book.profiles]
    if missing:
        yield f"- Not measured yet: {', '.join(missing)}."
    yield ""
    yield from _neighbours(book)


def _values() -> Iterator[str]:
    yield "### Values"
    yield ""
    yield _head("", *ProfileName)
    mission = PROFILES[ProfileName.MISSION]
    for name in mission.values:
        yield _row(f"`{name}`", *(PROFILES[each].values[name] or "off" for each in ProfileName))
    yield _row("budget of volatility", *(f"{PROFILES[each].volatility_budget:.1%}" for each in ProfileName))
    yield _row("budget of drawdown", *(f"{PROFILES[each].drawdown_budget:.1%}" for each in ProfileName))


def _of_budget(made: Measured) -> str:
    kept = "exceeds" if _fell(made) > _budget(made) else "stays within"
    return f"`{made.profile}`: the largest drawdown, {_fell(made):.1%}, {kept} its budget of {_budget(made):.1%}."


def _budget(made: Measured) -> float:
    return float(PROFILES[made.profile].drawdown_budget)


def _fell(made: Measured) -> float:
    return max(line.drawdown for line in made.lines)


def _neighbours(book: Book) -> Iterator[str]:
    """Labelled as what it is: nothing may be chosen by it."""
    yield "### Neighbouring values: how much hangs on the exact one"
    yield ""
    yield "All assets. This is a look at robustness, no search: nothing was chosen by it, so that its lines are no"
    yield "attempts of `core/learning/trials.jsonl`. Whoever chooses a value by it has to count every one of them."
    yield ""
    yield _head("", "changed", *_FULL)
    for made in book.profiles.values():
        yield _row(f"**{made.profile}**", "nothing", *_many(made.lines[0]))
        for each in made.neighbours:
            changed = ", ".join(f"`{name}={value}`" for name, value in each.changed.items())
            yield _row("", changed, *_many(each.line))


def _how(book: Book) -> str:
    how = book.conditions
    return (
        f"Daily bars, {how.first} to {how.last}, {how.capital:,} USD, costs in, measured on {how.on} by the code that "
        f"trades; models trained every {how.retrain_days} days; a brake on the drawdown released after "
        f"{how.unlock_days} days. The assets were chosen knowing how they went: read the parts first."
    )


def _few(line: Line) -> Sequence[str]:
    return f"{line.annualised:.1%}", f"{line.sharpe:.2f}", f"{line.drawdown:.1%}", f"{line.trades}"


def _many(line: Line) -> Sequence[str]:
    won = "-" if line.win_rate is None else f"{line.win_rate:.1%}"
    ratios = (f"{each:.2f}" for each in (line.sharpe, *line.halves))
    figures = (f"{line.annualised:.1%}", f"{line.volatility:.1%}", *ratios, f"{line.drawdown:.1%}")
    return (*figures, f"{line.trades}", won, f"{line.costs:,.0f}", f"{line.exposure:.1%}", f"{line.released}")


def _head(*names: str) -> str:
    return f"{_row(*names)}\n|{'---|' * len(names)}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
