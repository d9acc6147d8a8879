"""The tear sheet of a backtest: one page of HTML that needs nothing beside itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from html import escape

from bot.backtest import BacktestResult, Run
from bot.backtest_png import Picture
from bot.backtest_style import STYLE
from bot.backtest_views import Group, by_asset, by_reason, daily, drawdown, exposure, monthly
from bot.svg import Drawn, lines, promises, stacked
from core.performance import Curve, Performance

OURS, NO_COINS, NO_LATE, PLAIN = "#1f6feb", "#0e9f6e", "#8b5cf6", "#be185d"
HELD, MARKET, COINS = "#9aa4b2", "#d97706", "#f0b429"
COLOURS = (OURS, NO_COINS, NO_LATE)
MOST_RATIO = 1000
WARNING = "The past of assets that were chosen afterwards. No returns are promised."
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def sheet(result: BacktestResult, figures: Sequence[Performance], caveats: Sequence[str]) -> str:
    """The page. `figures` are the rows of the table of figures, `caveats` the sentences that belong to them."""
    whole = result.runs[0]
    body = [
        _head(result),
        _tiles(result, whole),
        _section("Figures", _table(figures), "Fees are what was charged; spread and slippage are in every price."),
        _section("Value of the account, USD (logarithmic)", _values(result)),
        _section("Below the highest value", _drawdowns(result)),
        _section("Months: AutoTrader, all assets", _months(whole)),
        _section("Part of the account invested", _invested(whole), _exposure_words(whole)),
        _section("By asset", _groups(by_asset(whole), with_fees=True)),
        '<div class="pair">',
        _section("By how it ended", _groups(by_reason(whole), with_fees=False)),
        _section("What the models promised, and what came true", _promised(result), _promise_words(result)),
        "</div>",
        _section(
            "What these figures do not show", f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in caveats)}</ul>"
        ),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>AutoTrader backtest</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def picture(result: BacktestResult, figures: Sequence[Performance]) -> Picture:
    """The same in short, to be drawn as one picture."""
    whole = result.runs[0]
    at, stocks, coins = exposure(whole)
    head = ["", "end value", "return a year", "Sharpe ratio", "largest drawdown", "trades", "won", "fees, USD"]
    rows = [
        [
            row.name,
            f"{row.end_value:,.0f}",
            _percent(row.annualised, True),
            _number(row.sharpe),
            _percent(-row.max_drawdown),
            f"{row.trades:,}" if row.trades else "–",
            _share(row.win_rate) or "–",
            f"{row.costs:,.0f}",
        ]
        for row in figures
    ]
    return Picture(
        title="AutoTrader backtest",
        facts=" · ".join(_facts(result)),
        assets=", ".join(result.options.symbols),
        warning=WARNING,
        lines=[head, *rows],
        values=[
            Drawn(name, colour, *daily(curve.at, curve.value), thin) for name, colour, curve, thin in _curves(result)
        ],
        drawdowns=[Drawn(name, colour, *drawdown(curve), thin) for name, colour, curve, thin in _curves(result)],
        months=monthly(whole.holdings.curve()),
        exposure=[Drawn("stocks and funds", OURS, at, stocks), Drawn("coins", COINS, at, coins)],
    )


def _facts(result: BacktestResult) -> tuple[str, ...]:
    options = result.options
    real = options.data is not None or options.stored is not None
    source = "real prices" if real else "SIMULATED prices"
    return (
        f"{options.first:%d %b %Y} to {options.last:%d %b %Y}",
        f"{options.bar} bars",
        f"{options.capital:,.0f} USD",
        source,
        f"profile {result.profile}",
        f"{len(result.trained)} models, walk-forward" if result.trained else "no model",
    )


def _head(result: BacktestResult) -> str:
    facts, symbols = _facts(result), ", ".join(result.options.symbols)
    return (
        '<header><p class="brand">AutoTrader</p><h1>Backtest</h1>'
        f"<p>{escape(' · '.join(facts))}</p><p>{escape(symbols)}</p>"
        f'<p class="warn">{WARNING}</p></header>'
    )


def _tiles(result: BacktestResult, whole: Run) -> str:
    ours, held = whole.strategy, whole.held.performance if whole.held is not None else None
    tiles = [
        _tile("return a year", _percent(ours.annualised, True), _beside("held", _percent_of(held, "annualised"))),
        _tile("Sharpe ratio", _number(ours.sharpe), _beside("held", _number(held.sharpe) if held else "")),
        _tile("largest drawdown", _percent(-ours.max_drawdown), _beside("held", _percent_of(held, "max_drawdown", -1))),
        _tile("closed trades", f"{ours.trades:,}", _beside("won", _share(ours.win_rate))),
        _tile("fees", f"{ours.costs:,.0f} USD", _beside("turnover", f"{ours.turnover:.1f} x")),
    ]
    lines_beside = "".join(
        f"<p class='beside'><b>{escape(run.line.name)}</b> {_percent(run.strategy.annualised, True)} a year, "
        f"Sharpe {_number(run.strategy.sharpe)}, drawdown {_percent(-run.strategy.max_drawdown)}</p>"
        for run in (*result.runs[1:], *result.plain)
    )
    return f'<div class="tiles">{"".join(tiles)}</div>{lines_beside}'


def _tile(name: str, value: str, note: str) -> str:
    return f'<div class="tile"><span>{name}</span><strong>{value}</strong><em>{note}</em></div>'


def _beside(name: str, value: str) -> str:
    return f"{name} {value}" if value else ""


def _section(title: str, content: str, note: str = "") -> str:
    words = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{content}{words}</section>"


def _table(figures: Sequence[Performance]) -> str:
    head = "".join(f"<th>{escape(row.name)}</th>" for row in figures)
    rows = [
        ("end value", [f"{row.end_value:,.0f}" for row in figures]),
        ("return", [_percent(row.total_return, True) for row in figures]),
        ("return a year", [_percent(row.annualised, True) for row in figures]),
        ("Sharpe ratio", [_number(row.sharpe) for row in figures]),
        ("largest drawdown", [_percent(-row.max_drawdown) for row in figures]),
        ("closed trades", [f"{row.trades:,}" if row.trades else "–" for row in figures]),
        ("won", [_share(row.win_rate) or "–" for row in figures]),
        ("profit factor", [_number(row.profit_factor) for row in figures]),
        ("fees, USD", [f"{row.costs:,.0f}" for row in figures]),
        ("turnover", [f"{row.turnover:.1f} x" for row in figures]),
        ("time invested", [f"{row.exposure:.0%}" for row in figures]),
    ]
    body = "".join(f"<tr><td>{name}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for name, cells in rows)
    return f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _curves(result: BacktestResult) -> Iterator[tuple[str, str, Curve, bool]]:
    for run, colour in zip(result.runs, COLOURS, strict=False):
        yield f"AutoTrader, {run.line.name}", colour, run.holdings.curve(), False
    whole = result.runs[0]
    if result.plain:
        yield result.plain[0].line.name, PLAIN, result.plain[0].holdings.curve(), False
    if whole.held is not None:
        yield "all, held", HELD, whole.held.curve, True
    if result.market is not None:
        yield "SPY, held", MARKET, result.market.curve, True


def _values(result: BacktestResult) -> str:
    drawn = [Drawn(name, colour, *daily(curve.at, curve.value), thin) for name, colour, curve, thin in _curves(result)]
    return lines(drawn, log=True) + _legend(drawn)


def _drawdowns(result: BacktestResult) -> str:
    drawn = [Drawn(name, colour, *drawdown(curve), thin) for name, colour, curve, thin in _curves(result)]
    return lines(drawn, height=220, percent=True) + _legend(drawn)


def _legend(drawn: Iterable[Drawn]) -> str:
    return (
        '<p class="legend">'
        + "".join(f'<span><i style="background:{one.colour}"></i>{escape(one.name)}</span>' for one in drawn)
        + "</p>"
    )


def _months(run: Run) -> str:
    head = "".join(f"<th>{month}</th>" for month in MONTHS)
    rows = []
    for year, months in monthly(run.holdings.curve()).items():
        total = 1.0
        for value in months:
            total *= 1.0 + (value or 0.0)
        cells = "".join(_month(value) for value in months)
        rows.append(f"<tr><td>{year}</td>{cells}{_month(total - 1.0, bold=True)}</tr>")
    return (
        f'<div class="wide"><table class="months"><thead><tr><th></th>{head}<th>year</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _month(value: float | None, *, bold: bool = False) -> str:
    if value is None:
        return "<td></td>"
    strength = min(1.0, abs(value) / 0.10) * 0.55
    colour = f"rgba(14,159,110,{strength:.2f})" if value >= 0 else f"rgba(220,60,60,{strength:.2f})"
    words = f"{round(100 * value, 1) or 0.0:+.1f}".replace("+0.0", "0.0")
    return f'<td style="background:{colour}">{f"<b>{words}</b>" if bold else words}</td>'


def _groups(groups: Sequence[Group], *, with_fees: bool) -> str:
    if not groups:
        return "<p>Nothing was sold in this period.</p>"
    names = ("", "trades", "won", "profit factor", "profit, USD", *(("fees", "turnover") if with_fees else ()), "held")
    rows = []
    for group in groups:
        cells = [
            f"{group.trades:,}",
            _share(group.win_rate) or "–",
            _number(group.profit_factor),
            f"{group.profit:+,.0f}",
        ]
        if with_fees:
            cells += [f"{group.fees or 0:,.0f}", f"{group.turnover or 0:,.0f}"]
        cells.append(_span(group.held))
        rows.append(f"<tr><td>{escape(group.name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _promised(result: BacktestResult) -> str:
    groups = result.promises.groups() if len(result.promises.label) else []
    return promises(groups, OURS) if groups else "<p>No forecast of this period has come to its end.</p>"


def _promise_words(result: BacktestResult) -> str:
    made = result.promises
    if not len(made.label):
        return ""
    base = made.base_rate
    return (
        f"'{made.event}': {len(made.label):,} forecasts that overlap in time. It happened {base:.1%} of the time. "
        f"Mean squared error {made.brier:.4f}; always saying {base:.1%} would give {base * (1 - base):.4f}. "
        "On the dashed line promises are kept; larger dots are promises made more often."
    )


def _invested(run: Run) -> str:
    at, stocks, coins = exposure(run)
    drawn = [Drawn("stocks and funds", OURS, at, stocks), Drawn("coins", COINS, at, coins)]
    return stacked(drawn, height=180) + _legend(drawn)


def _exposure_words(run: Run) -> str:
    return f"{run.strategy.exposure:.0%} on average; {run.strategy.turnover:.1f} times its value was traded."


def _percent(value: float | None, signed: bool = False) -> str:
    if value is None:
        return "–"
    return f"{100 * value:+.1f} %" if signed else f"{100 * value:.1f} %"


def _percent_of(row: Performance | None, name: str, sign: int = 1) -> str:
    value = getattr(row, name) if row is not None else None
    return "" if value is None else _percent(sign * value, sign > 0)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    """Ratios over next to nothing say nothing."""
    return "–" if value is None or abs(value) >= MOST_RATIO else f"{value:.2f}"


def _span(held: timedelta | None) -> str:
    if held is None:
        return "–"
    hours = held.total_seconds() / 3600
    return f"{hours / 24:.0f} d" if hours >= 48 else f"{hours:.1f} h"
