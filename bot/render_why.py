"""Why there is an order, or why not: the stored judgement of an asset in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bot import numbers, render_reasons, render_skill
from bot.markup import bold, code, esc, italic, line, paragraphs, table
from bot.menus import menu_token
from bot.message import Button, Keyboard, Message
from bot.render_marks import fits_a_button, headline
from bot.render_moves import what_moved
from core.domain.accounts import Badge
from core.domain.decisions import Reasons, Signal
from core.domain.events import ClosedForecast
from core.domain.views import Explanation


def explanation(why: Explanation, zone: ZoneInfo) -> Message:
    """The decision behind a card: what the model saw, then every gate with its answer."""
    card = why.instruction
    deed = f"{line(card.symbol, 20)} {card.side.upper()} {numbers.quantity(card.quantity)}"
    title = headline("🔎", f"{deed}: why", why.badges, f"#{card.number}")
    if why.signal is None:
        return Message(paragraphs(title, render_reasons.listed(card.why, zone), italic("No signal led to this order.")))
    return Message(paragraphs(title, judgement(why.signal, zone, why.reasons)))


def judgement(signal: Signal, zone: ZoneInfo, moved: Reasons | None = None) -> str:
    """What is on record of one asset at one tick: forecast, what moved it, age of its data, gates in words. HTML."""
    gates = render_reasons.gates(signal.verdicts, zone) or "No gate was asked."
    return paragraphs(_facts(signal, zone), what_moved(moved), gates)


def _facts(signal: Signal, zone: ZoneInfo) -> str:
    rows = [("Judged", numbers.moment(signal.at, zone))]
    if signal.price is not None:
        rows.append(("Price", numbers.price(signal.price)))
    if signal.bar_closed_at is not None:
        rows.append(("Newest bar", f"{numbers.span(signal.at - signal.bar_closed_at)} old"))
    made = signal.prediction
    if made is None:
        return table(rows if signal.is_by_rule else [*rows, ("Confidence", "– (no forecast)")])
    asked = " (not asked)" if signal.is_by_rule else ""
    rows += [
        ("Confidence", f"{numbers.percent(made.probability)}{asked}"),
        ("Daily bar", numbers.moment(made.bar_closed_at, zone)),
        ("Model", made.model_version),
    ]
    return table(rows)


def signals(judged: Sequence[Signal], marks: tuple[Badge, ...], zone: ZoneInfo) -> Message:
    """A line or two for each asset: what it was judged to be, and the first gate that said no."""
    if not judged:
        return Message("📈 Nothing has been judged yet: the first cycle is still to come.")
    wanted = sum(each.is_buy for each in judged)
    title = headline("📈", f"Signals: {wanted} of {len(judged)} say buy", marks)
    newest = max(each.at for each in judged)
    return Message(
        paragraphs(
            title, "\n".join(_verdict(each, zone) for each in judged), f"Newest of {numbers.moment(newest, zone)}."
        ),
        _why_buttons([each.symbol for each in judged]),
    )


def _chance(signal: Signal) -> str:
    return f" {numbers.percent(signal.confidence)}" if signal.confidence is not None else ""


def _verdict(signal: Signal, zone: ZoneInfo) -> str:
    name = f"{'🟢' if signal.is_buy else '▫️'} {bold(line(signal.symbol, 20))}{_chance(signal)}"
    if signal.veto is None:
        return f"{name}: {'buy' if signal.is_buy else 'no gate was asked'}"
    return f"{name}: {render_reasons.gates([signal.veto], zone)}"


def why(
    signal: Signal,
    marks: tuple[Badge, ...],
    market_now: datetime,
    zone: ZoneInfo,
    moved: Reasons | None = None,
    closed: Sequence[ClosedForecast] = (),
) -> Message:
    """The stored judgement of one asset: what the model saw and what moved it, every gate in order with its words; and
    what became of its last trades."""
    said = "buy" if signal.is_buy else "no entry"
    title = headline("🔎", f"{line(signal.symbol, 20)}{_chance(signal)}: {said}, why", marks)
    age = f"Judged {numbers.span(market_now - signal.at)} ago."
    keyboard = ((Button("📈 All signals", menu_token("signals")),), *_why_buttons([signal.symbol]))
    return Message(
        paragraphs(
            title,
            age,
            _facts(signal, zone),
            what_moved(moved),
            render_reasons.every_gate(signal.verdicts, zone),
            f"{bold('Its last trades')}\n{render_skill.closed(closed, zone)}" if closed else "",
        ),
        keyboard,
    )


def no_judgement(spoken: str, judged: Sequence[Signal]) -> Message:
    names = ", ".join(line(each.symbol, 20) for each in judged[:40]) or "none yet"
    said = f"I have judged nothing called {esc(spoken, 40)}." if spoken else "Why what? Name an asset."
    example = code(line(f"/why {judged[0].symbol if judged else 'SPY'}", 40))
    return Message(f"{said} Judged: {names}. For example {example}", _why_buttons([each.symbol for each in judged]))


def _why_buttons(symbols: Sequence[str]) -> Keyboard:
    buttons = [Button(f"🔎 {symbol}", menu_token(f"why-{symbol}")) for symbol in symbols if fits_a_button(symbol)]
    return tuple(tuple(buttons[index : index + 3]) for index in range(0, min(len(buttons), 24), 3))
