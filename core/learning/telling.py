"""The figures of a search as the tables of RESEARCH.md: python -m core.learning.telling writes them between its marks.

No number in those tables is typed by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.learning.verdict import RESULTS, verdict

PAGE = Path(__file__).parent / "RESEARCH.md"
BEGIN, END = "<!-- figures: written by core.learning.telling -->", "<!-- end of figures -->"
GROUPS = ("all", "funds", "no ADA, SOL", "coins")
Row = Mapping[str, Any]


def page_with(page: str, found: Row) -> str:
    """`page` with the tables of `found` between its marks. Raises ValueError for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the figures")
    return f"{before}{BEGIN}\n\n" + "\n".join(tables(found)) + f"\n\n{END}{after}"


def tables(found: Row) -> Iterator[str]:
    """Lines of Markdown."""
    yield from _accounts(found)
    yield from _gates(found)
    yield from _verdict(found)
    yield from _further(found)


def _accounts(found: Row) -> Iterator[str]:
    first, last = found["period"]
    yield f"### Accounts, {first} to {last}, costs in"
    yield ""
    yield from _head("", "assets", *_COLUMNS)
    for name, lines in {**found["plain"], **found["tried"]}.items():
        for group in GROUPS:
            yield _row(_marked(found, name) if group == "all" else "", group, *_cells(lines[group]))
    yield _row("SPY held", "SPY", *_cells(found["spy"]))
    yield ""
    yield f"In bold the default ({found['default']}) and the rule to beat ({found['rule']})."
    yield ""


_COLUMNS = ("a year", "volatility", "Sharpe", "1st half", "2nd half", "drawdown", "trades", "wins", "exposure", "costs")


def _cells(figures: Row) -> Sequence[str]:
    return (
        _percent(figures["yearly"]),
        _percent(figures["volatility"]),
        f"{figures['sharpe']:.2f}",
        *(f"{half:.2f}" for half in figures["halves"]),
        _percent(figures["drawdown"]),
        str(figures["trades"]),
        _percent(figures["win_rate"]) if figures["trades"] else "-",
        _percent(figures["exposure"]),
        f"{figures['costs']:,.0f}",
    )


def _gates(found: Row) -> Iterator[str]:
    yield "### Events: base rate, and signals a year that the gate lets through"
    yield ""
    symbols = list(found["gates"][found["default"]]["base rates"])
    yield from _head("", *symbols)
    for name, gate in found["gates"].items():
        cells = (
            f"{100 * gate['base rates'][symbol]:.0f} % / {gate['signals a year'][symbol]:.1f}" for symbol in symbols
        )
        yield _row(name, *cells)
    yield ""
    yield "Log loss of the forecasts / of always saying the base rate that was known:"
    yield ""
    yield from _head("", *GROUPS)
    for name, skill in found["skill"].items():
        yield _row(name, *(f"{skill[group]['loss']:.4f} / {skill[group]['base_loss']:.4f}" for group in GROUPS))
    yield ""
    told: dict[str, str] = {name.split("-")[0]: gate["event"] for name, gate in found["gates"].items()}
    for event, words in told.items():
        yield f"- {event}: {words}"
    yield ""


def _verdict(found: Row) -> Iterator[str]:
    yield "### Does learning add anything?"
    yield ""
    yield verdict(found)
    yield ""
    yield f"Sharpe ratio less that of {found['rule']} in the same assets, with its 90 % interval:"
    yield ""
    yield from _head("", *GROUPS)
    for name, gains in found["gains"].items():
        yield _row(_marked(found, name), *(_interval(gains[group]) for group in GROUPS))
    chances = (f"{group} {100 * each['probability']:.0f} %" for group, each in found["overfitting"].items())
    yield ""
    yield (
        f"- Deflated Sharpe ratio of the default's excess over the rule, all assets, {found['trials']} different"
        f" attempts on record: {found['deflated']:.3f}. Standard error of its Sharpe ratio: {found['error']:.2f}."
    )
    yield (
        f"- Probability of backtest overfitting over {len(found['tried'])} configurations"
        f" ({found['overfitting']['all']['splits']:,} halvings): {', '.join(chances)}."
    )
    yield ""


def _marked(found: Row, name: str) -> str:
    return f"**{name}**" if name in (found["default"], found["rule"]) else name


def _interval(gain: Row) -> str:
    return f"{gain['value']:+.2f} ({gain['low']:+.2f} to {gain['high']:+.2f})"


def _further(found: Row) -> Iterator[str]:
    yield f"### The default ({found['default']}) under other conditions"
    yield ""
    yield from _head("", "assets", *_COLUMNS)
    for words, lines in found["conditions"].items():
        for group in GROUPS:
            yield _row(words if group == "all" else "", group, *_cells(lines[group]))
    for symbol, figures in found["per asset"].items():
        yield _row("an account of its own", symbol, *_cells(figures))
    yield ""
    transfer = found["transfer"]
    yield "### The transfer universe, once"
    yield ""
    yield from _head("", *_COLUMNS)
    for name, figures in transfer.items():
        if name != "gain":
            yield _row(name, *_cells(figures))
    yield ""
    yield f"Sharpe ratio less the rule's: {_interval(transfer['gain'])}."
    yield ""
    yield from _confirmation(found["confirmation"])
    yield "### The ablation: log loss without and with the further inputs"
    yield ""
    yield from _head("", *GROUPS)
    for span, losses in found["ablation"]["losses"].items():
        cells = (f"{losses[group]['without']:.5f} / {losses[group]['with']:.5f}" for group in GROUPS)
        yield _row(span, *cells)
    yield ""
    yield f"{'Kept' if found['ablation']['kept'] else 'Not kept'}, by the rule declared beforehand."


def _confirmation(found: Row) -> Iterator[str]:
    yield f"### Confirmed on the daily bar, or on bars of 5 minutes ({found['forecasts']}, stop 5 %, target 15 %)"
    yield ""
    yield from _head("", "trades", "gain of each", "of all", "hours after the daily close")
    for way, arms in found["ways"].items():
        for symbol, arm in arms.items():
            gains = (_percent(arm["gain"]), _percent(arm["total"]))
            yield _row(f"{way}, {symbol}", str(arm["trades"]), *gains, f"{arm['waiting']:.1f}")
    yield ""


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def main() -> int:
    """Writes the tables into the page."""
    found = json.loads(RESULTS.read_text("utf-8"))
    PAGE.write_text(page_with(PAGE.read_text("utf-8"), found), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
