"""Warnings: a price near a stop, bars that do not come. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import esc, paragraphs, table
from bot.menus import menu_token
from bot.message import Button, Message
from bot.render_marks import first_line, fits_a_button, headline, time_label
from core.domain.accounts import AccountKind
from core.domain.events import BarsStale, NearStop, StaleSeries
from core.domain.portfolio import GuardKind

MOST_LINES = 12
_GUARDS = {
    GuardKind.VENUE: "It rests at the broker.",
    GuardKind.ENGINE: "I watch it each minute while I run.",
    GuardKind.OWNER: "In your own account you sell: I send the card when it is reached.",
}


def render(event: NearStop | BarsStale, zone: ZoneInfo) -> Message:
    """`event` for the owner, with times in his `zone`."""
    return _near_stop(event, zone) if isinstance(event, NearStop) else _bars_stale(event, zone)


def _near_stop(event: NearStop, zone: ZoneInfo) -> Message:
    away = (event.price - event.stop) / event.price if event.price > 0 else None
    rows = [
        ("Price", numbers.price(event.price)),
        ("Stop", f"{numbers.price(event.stop)} ({numbers.percent(away)} away)"),
    ]
    if event.day_range and event.price > 0:
        rows.append(("Usual day", f"{numbers.percent(event.day_range / event.price)} up and down"))
    rows.append((time_label(event.badges), numbers.clock_time(event.at, zone)))
    if event.over:
        title = headline("🌤", f"{esc(event.symbol, 20)}: away from its stop again", event.badges)
        return Message(paragraphs(title, table(rows)))
    title = headline("⚠️", f"{esc(event.symbol, 20)}: near its stop", event.badges)
    symbol = event.symbol
    buttons = (
        (
            Button("✏️ Move the stop", menu_token(f"stop-{symbol}")),
            Button(f"🏳 Sell {symbol} …", menu_token(f"close-{symbol}")),
        ),
    )
    by_hand = event.guard is GuardKind.OWNER and event.account != AccountKind.MANUAL
    guard = "Only you can sell it now, in the broker's own app." if by_hand else _GUARDS[event.guard]
    return Message(paragraphs(title, table(rows), guard), buttons if fits_a_button(symbol) else ())


def _bars_stale(event: BarsStale, zone: ZoneInfo) -> Message:
    names = _names(event.series)
    if event.over:
        return Message(paragraphs(first_line("🌤", f"New bars again: {names}"), _lines(event, zone)))
    held = (
        f"⚠️ Held: {esc(', '.join(event.held), 200)}. Their stops are watched by the last price there is."
        if event.held
        else ""
    )
    return Message(
        paragraphs(
            first_line("🕰", f"No new bars: {names}"),
            _lines(event, zone),
            held,
            "The market is open. Nothing is bought on old prices; I tell you when they come again.",
        ),
        ((Button("🔄 Status", menu_token("status")),),),
    )


def _names(series: tuple[StaleSeries, ...]) -> str:
    """The first ones by name: they stand on the lock screen."""
    first = ", ".join(esc(each.symbol, 20) for each in series[:2])
    return first if len(series) <= 2 else f"{first} and {len(series) - 2} more"


def _lines(event: BarsStale, zone: ZoneInfo) -> str:
    what = "newest" if event.over else "last"
    rows = [
        (esc(each.symbol, 20), f"{what} {numbers.clock_time(each.newest, zone)}") for each in event.series[:MOST_LINES]
    ]
    more = len(event.series) - MOST_LINES
    return paragraphs(table(rows), f"and {more} more" if more > 0 else "")
