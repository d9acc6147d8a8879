"""What the live forecasts have been worth: news of lost and regained trust, and the words of reports. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, esc, line, paragraphs, table
from bot.message import Message
from bot.render_marks import first_line
from core.domain.events import ClosedForecast, SkillChanged
from core.domain.skill import ALL, SkillRecord, Standing, Trust, Waiting

_TITLES = {
    Trust.TRUSTED: ("🌤", "trusted again"),
    Trust.THROTTLED: ("🐢", "half the size"),
    Trust.OBSERVED: ("👀", "observed only"),
}
_MEANING = {
    Trust.TRUSTED: "Its forecasts have done well enough since: purchases have their full size again.",
    Trust.THROTTLED: "Until its forecasts do better, purchases have half their size.",
    Trust.OBSERVED: (
        "Until its forecasts do better, it is not bought. It is judged each day all the same, and comes back by itself."
    ),
}
_RISEN = "Its forecasts have done better since: it is bought again, at half the size."
_DOUBTED = {Trust.TRUSTED: "trusted", Trust.THROTTLED: "half the size", Trust.OBSERVED: "observed only"}
MOST_TRADES = 10
MOST_REASONS = 4
_EXITS = "Stops, targets and sales of what is held go on as they are."
_OFF = "Nothing follows: you have set SKILL_THROTTLE to ignored (/settings)."


def changed(event: SkillChanged) -> Message:
    icon, stage = _TITLES[event.trust]
    whose = "The model" if event.symbol == ALL else line(event.symbol, 20)
    title = first_line(icon, f"{whose}: {stage}")
    meaning = _RISEN if (event.before, event.trust) == (Trust.OBSERVED, Trust.THROTTLED) else _MEANING[event.trust]
    return Message(paragraphs(title, f"{meaning if event.in_force else _OFF} {_EXITS}", esc(event.reason, 400)))


def live(record: SkillRecord | None, doubted: Sequence[Standing], waiting: Sequence[Waiting]) -> str:
    """The live record beside always saying the base rate, how true its probabilities were, and what waits. HTML."""
    lines = [_figures(record)] if record is not None else []
    lines += [f"{_whose(each.symbol)}: {_DOUBTED[each.trust]}, because of {esc(each.reason, 300)}." for each in doubted]
    if waiting:
        lines.append(_waits(waiting))
    told = "\n".join(lines)
    return paragraphs(f"{bold('Live record')}\n{told}" if told else "", _groups(record))


def closed(trades: Sequence[ClosedForecast], zone: ZoneInfo) -> str:
    """A line or two a trade: what it brought, and what had been foreseen. HTML; empty without any."""
    told = [_trade(each, zone) for each in trades[:MOST_TRADES]]
    if len(trades) > MOST_TRADES:
        told.append(f"and {len(trades) - MOST_TRADES} more")
    return "\n".join(told)


def _figures(record: SkillRecord) -> str:
    """Fewer than two independent outcomes have no interval, and say nothing."""
    gain = f"{'+' if record.gain > 0 else ''}{numbers.measure(record.gain, 3)}"
    losses = numbers.measure(record.log_loss, 3), numbers.measure(record.base_log_loss, 3)
    told = f"Log loss {losses[0]}, of always saying the base rate {losses[1]}: {gain} nats"
    if record.gain_low is not None and record.gain_high is not None:
        low, high = numbers.measure(record.gain_low, 3), numbers.measure(record.gain_high, 3)
        is_known = record.gain_low > 0 or record.gain_high < 0
        told += f" (90% interval {low} to {high}{'' if is_known else ': that may be luck'})"
    many = _outcomes(record.independent)
    return (
        f"{told}, Brier score {numbers.measure(record.brier, 3)} against {numbers.measure(record.base_brier, 3)}, in "
        f"{record.count:,} forecasts of a year that came due, no more than {many}."
    )


def _outcomes(independent: float) -> str:
    return numbers.count(round(independent), "independent outcome") if math.isfinite(independent) else "– outcomes"


def _groups(record: SkillRecord | None) -> str:
    """What was said, and how often it came true."""
    if record is None or not record.groups:
        return ""
    rows = [
        (
            f"{numbers.percent(each.low, places=0)}–{numbers.percent(each.high, places=0)}",
            f"{numbers.percent(each.came_true, places=0)} came true, of {each.count:,}",
        )
        for each in record.groups
    ]
    return table((("Said", "and then"), *rows))


def _waits(waiting: Sequence[Waiting]) -> str:
    most = sorted(waiting, key=lambda each: -each.count)
    told = "; ".join(f"{each.count:,} {line(each.reason, 90)}" for each in most[:MOST_REASONS])
    left = sum(each.count for each in most[MOST_REASONS:])
    return f"Waiting: {told}{f'; {left:,} for other reasons' if left > 0 else ''}."


def _whose(symbol: str) -> str:
    return "All together" if symbol == ALL else line(symbol, 20)


def _trade(trade: ClosedForecast, zone: ZoneInfo) -> str:
    part = f" ({numbers.signed_percent(trade.profit_fraction, places=2)})" if trade.profit_fraction is not None else ""
    deed = f"{bold(line(trade.symbol, 20))} {numbers.signed_money(trade.profit)}{part}, {trade.purpose.value}"
    return f"{deed}, {numbers.moment(trade.closed_at, zone)}. {_foreseen(trade)}"


def _foreseen(trade: ClosedForecast) -> str:
    if trade.probability is None:
        return "No forecast led to it."
    outcome = {True: "It came true.", False: "It did not come true.", None: "Not known yet."}[trade.came_true]
    return f"Forecast {numbers.percent(trade.probability)}: {line(trade.event, 120)}. {outcome}"
