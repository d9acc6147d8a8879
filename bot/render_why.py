"""Why there is an order, or why not: the stored judgement of an asset in words. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import numbers, render_reasons
from bot.markup import italic, line, paragraphs, table
from bot.message import Message
from bot.render_marks import headline
from core.domain.decisions import Signal
from core.domain.views import Explanation


def explanation(why: Explanation, zone: ZoneInfo) -> Message:
    """The decision behind a card: what the model saw, then every gate with its answer."""
    card = why.instruction
    deed = f"{line(card.symbol, 20)} {card.side.upper()} {numbers.quantity(card.quantity)}"
    title = f"{headline('🔎', f'{deed}: why', why.badges)} · #{card.number}"
    if why.signal is None:
        return Message(paragraphs(title, render_reasons.listed(card.why, zone), italic("No signal led to this order.")))
    return Message(paragraphs(title, judgement(why.signal, zone)))


def judgement(signal: Signal, zone: ZoneInfo) -> str:
    """What is on record of one asset at one tick: forecast, age of its data, gates in words. Telegram HTML."""
    return paragraphs(_facts(signal, zone), render_reasons.gates(signal.verdicts, zone) or "No gate was asked.")


def _facts(signal: Signal, zone: ZoneInfo) -> str:
    rows = [("Judged", numbers.moment(signal.at, zone))]
    if signal.price is not None:
        rows.append(("Price", numbers.price(signal.price)))
    if signal.bar_closed_at is not None:
        rows.append(("Newest bar", f"{numbers.span(signal.at - signal.bar_closed_at)} old"))
    made = signal.prediction
    if made is None:
        return table([*rows, ("Confidence", "– (no forecast)")])
    rows += [
        ("Confidence", numbers.percent(made.probability)),
        ("Forecast", made.event),
        ("Daily bar", numbers.moment(made.bar_closed_at, zone)),
        ("Model", made.model_version),
    ]
    return table(rows)
