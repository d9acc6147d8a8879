"""What a batch of outbox rows says: one event, a card with its end, or several events in one message. Pure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.batches import Batch
from bot.markup import bold, code, esc, line, paragraphs, visible
from bot.message import Message
from bot.render import render, stamped
from bot.settling import settled_card
from core.domain.codec import canonical
from core.domain.records import OutboxMessage

_LOG = logging.getLogger(__name__)
_LONGEST_LINE = 140
_SHOWN_SYMBOLS = 4


def composed(batch: Batch, now: datetime, zone: ZoneInfo) -> Message:
    """The message that tells of every row of `batch`, with a word about its delivery. `now` by the system clock."""
    if batch.is_digest:
        message = digest(batch.rows, now, zone)
    else:
        card, end = batch.carrier, batch.newest
        settled = settled_card(end.event, card.event, zone) if end is not card else None
        message = settled or render_safely(end, zone)
    return stamped(message, batch.carrier.created_at, now, zone, repeat=batch.is_repeat)


def digest(rows: Sequence[OutboxMessage], now: datetime, zone: ZoneInfo) -> Message:
    """A burst in one message: a line or two for each event, in the order in which they happened."""
    symbols = list(dict.fromkeys(name for row in rows if (name := getattr(row.event, "symbol", ""))))
    named = f": {', '.join(symbols[:_SHOWN_SYMBOLS])}{' …' if len(symbols) > _SHOWN_SYMBOLS else ''}" if symbols else ""
    title = f"📦 {bold(f'{len(rows)} messages in one{line(named, 90)}')}"
    show_day = now - rows[0].created_at >= timedelta(hours=20)
    told = [f"{_time_of(row, zone, show_day=show_day)} {_short(row, zone)}" for row in rows]
    return Message(paragraphs(title, "\n".join(told)))


def _time_of(row: OutboxMessage, zone: ZoneInfo, *, show_day: bool) -> str:
    local = row.created_at.astimezone(zone)
    return f"{local:%a %H:%M}" if show_day else f"{local:%H:%M}"


def _short(row: OutboxMessage, zone: ZoneInfo) -> str:
    """The first line of the row's own message, and the words below it where they are no table."""
    first, _, rest = render_safely(row, zone).text.partition("\n")
    words = rest.strip().partition("\n")[0]
    if words.startswith("<pre>"):
        words = ""
    told = " – ".join(part for part in (visible(first), visible(words)) if part)
    return esc(told, _LONGEST_LINE)


def render_safely(row: OutboxMessage, zone: ZoneInfo) -> Message:
    """The row's message; where our own rendering fails, its bare data, so that the owner still gets it."""
    try:
        return render(row.event, zone)
    except Exception as defect:  # noqa: BLE001 - a defect in a text must not keep the event from the owner
        _LOG.error("message %s cannot be rendered", row.id, exc_info=defect)
        return Message(f"{type(row.event).__name__} (shown as it is stored)\n{code(esc(canonical(row.event), 3000))}")
