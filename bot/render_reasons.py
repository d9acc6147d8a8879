"""The engine's reasons as the owner reads them: one line each, numbers and times as everywhere else. Pure.

The ledger keeps a reason as it was decided, with UTC times and plain numbers; only here does it get its looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import esc, line
from core.domain.decisions import Verdict

_NAMES = {
    "rule": "Plain rule",
    "sma": "Trend",
    "rsi": "RSI",
    "macd": "MACD",
    "session": "Market hours",
    "held": "Holding",
    "pending": "Open orders",
    "unknown": "Unsettled orders",
    "gap": "Trading pause",
    "bracket": "Protection",
    "cap": "Asset cap",
    "exposure": "Invested",
    "crypto": "Coins",
    "skill": "Live skill",
}
_ROUTINE = {
    "data": "fresh data",
    "bar": "new bar",
    "mode": "mode",
    "pause": "no pause",
    "brakes": "no brake",
    "session": "market open",
    "held": "not held",
    "pending": "nothing pending",
    "unknown": "nothing unsettled",
    "gap": "no recent trade",
    "skill": "live skill",
    "account": "account answers",
    "bracket": "stop and target",
    "cap": "asset cap",
    "exposure": "exposure cap",
    "crypto": "coin cap",
    "cash": "enough cash",
}
"""Gates whose yes needs no numbers: what they found, in two or three words."""
_STATES = {
    "submitting": "being sent",
    "awaiting owner": "for you",
    "accepted": "at the broker",
    "partially filled": "partly filled",
    "cancel pending": "being cancelled",
    "unknown": "fate unknown",
}
"""An order's state, as a reason gives it in brackets."""
_QUEUES = "queues"
_HALVED = "half the size"
_PERCENT = re.compile(r"(?<=\d) %")
_MINUS = re.compile(r"(?<![\w.,-])-(?=\d)")
_RSI = re.compile(r"\bRSI 14 (?=\d)")
_TIME = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d) UTC\b", re.ASCII)
_DOLLARS = re.compile(r"(?<![\w.,])(\d[\d,]{0,20}(?:\.\d{1,10})?) USD\b", re.ASCII)
_PRICE = re.compile(r"\b(price|stop-loss|take-profit|stop|target|around) (\d{1,20}(?:\.\d{1,10})?)(?![\w.%])", re.ASCII)
_STATE = re.compile(rf"(\bin|,) (\S+) \(({'|'.join(_STATES)})\)")
_PROBABILITY = re.compile(r"\d+(?:\.\d+)?% is ")


def words(text: str, zone: ZoneInfo) -> str:
    """`text` with 63.2%, $1,234.50, prices and the owner's time in the house's form. Plain text in, plain text out."""
    tidy = _MINUS.sub(numbers.MINUS, _RSI.sub("RSI(14) ", _PERCENT.sub("%", text)))
    tidy = _DOLLARS.sub(lambda found: f"${_price(found.group(1))}", tidy)
    tidy = _PRICE.sub(lambda found: f"{found.group(1)} {_price(found.group(2))}", tidy)
    tidy = _STATE.sub(lambda found: f"{found[1]} {found[2]} ({_STATES[found[3]]})", tidy)
    return _TIME.sub(lambda found: _moment(found.group(0), found.group(1), zone), tidy)


def sentence(text: str, zone: ZoneInfo, limit: int = 700) -> str:
    """A reason as a sentence of its own, escaped."""
    tidy = words(text, zone).strip()
    return esc(f"{tidy[:1].upper()}{tidy[1:]}", limit)


def full_sentence(text: str, zone: ZoneInfo) -> str:
    """Like `sentence`, with a full stop where it has none."""
    told = sentence(text, zone)
    return told if not told or told.endswith((".", "!", "?", "…")) else f"{told}."


def gates(verdicts: Iterable[Verdict], zone: ZoneInfo) -> str:
    """A line for each gate that said no or has numbers to show, and one for all others together."""
    asked = tuple(verdicts)
    lines = [f"{'✓' if one.passed else '✗'} {_gate_words(one, zone)}" for one in asked if not _is_routine(one)]
    routine = [_ROUTINE[one.gate] for one in asked if _is_routine(one)]
    if routine:
        lines.append(f"✓ {numbers.count(len(routine), 'more check')}: {', '.join(routine)}")
    return "\n".join(lines)


def every_gate(verdicts: Iterable[Verdict], zone: ZoneInfo) -> str:
    """A line for each gate, in the order in which they were asked."""
    lines = [f"{'✓' if one.passed else '✗'} {_gate_words(one, zone)}" for one in verdicts]
    return "\n".join(lines) or "No gate was asked."


def listed(why: str, zone: ZoneInfo) -> str:
    """Why an order was made: a list where there are several reasons, a sentence where there is one."""
    parts = [part.strip() for part in why.split("; ") if part.strip()]
    if len(parts) < 2:
        return sentence(why, zone)
    return "\n".join(f"✓ {esc(_named(words(part, zone)), 200)}" for part in parts[:12])


def _is_routine(verdict: Verdict) -> bool:
    queued = verdict.gate == "session" and verdict.reason.startswith(_QUEUES)
    is_halved = verdict.gate == "skill" and verdict.reason.startswith(_HALVED)
    return verdict.passed and verdict.gate in _ROUTINE and not queued and not is_halved


def _gate_words(verdict: Verdict, zone: ZoneInfo) -> str:
    """The gate's name and reason; a reason that begins with the name needs no second one."""
    name = line(_NAMES.get(verdict.gate, verdict.gate.replace("_", " ").capitalize()), 30)
    reason = line(words(verdict.reason, zone))
    return reason if name and reason.lower().startswith(name.lower()) else f"{name}: {reason}"


def _named(reason: str) -> str:
    if _PROBABILITY.match(reason):
        return f"Probability: {reason}"
    return f"Trend: {reason}" if reason.startswith("close ") else f"{reason[:1].upper()}{reason[1:]}"


def _price(text: str) -> str:
    return numbers.price(Decimal(text.replace(",", "")))


def _moment(whole: str, text: str, zone: ZoneInfo) -> str:
    """In the owner's zone; what only looks like a time stays as it is."""
    with suppress(ValueError, OverflowError):
        return numbers.moment(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC), zone)
    return whole
