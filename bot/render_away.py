"""The owner's absence: told before it counts, and what happened meanwhile when he is back, on one screen. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import paragraphs, table
from bot.menus import menu_token
from bot.message import Button, Message
from bot.render_marks import headline
from core.domain.events import OwnerReturned, OwnerSilent


def silent(event: OwnerSilent, zone: ZoneInfo) -> Message:
    title = headline("👋", "Are you there?", event.badges)
    since, until = numbers.moment(event.since, zone), numbers.moment(event.until, zone)
    text = (
        f"I have had no sign of you since {since}. From {until} on I buy nothing new until you write or tap something; "
        "open positions stay guarded and are sold as ever. /settings AWAY_DAYS sets how long I wait."
    )
    return Message(paragraphs(title, text), ((Button("👋 I am here", menu_token("status")),),))


def returned(event: OwnerReturned, zone: ZoneInfo) -> Message:
    title = headline("🙋", f"Welcome back: {numbers.signed_money(event.profit)} meanwhile", event.badges)
    rows = (
        ("Last sign", numbers.moment(event.since, zone)),
        ("Away for", numbers.span(event.at - event.since)),
        ("Bought", numbers.count(event.bought, "time")),
        ("Closed", numbers.count(event.closed, "trade")),
        ("Profit", numbers.signed_money(event.profit)),
        ("Held now", numbers.count(event.open_positions, "position")),
        ("Waiting", numbers.count(event.waiting, "card")),
    )
    buttons = (
        Button("📊 Positions", menu_token("positions")),
        Button("✋ Pending", menu_token("pending")),
        Button("📄 Report", menu_token("report")),
    )
    return Message(paragraphs(title, table(rows), "New entries are allowed again."), (buttons,))
