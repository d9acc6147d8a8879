"""Messages about a broker as a whole: that it fails, that the owner's hand takes its place, that it is back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, esc, italic, line, paragraphs, table
from bot.menus import menu_token
from bot.message import Button, Message
from bot.render_marks import account_name, headline
from bot.render_reasons import words
from core.domain.accounts import Badge, Mode
from core.domain.events import BrokerFellBack, BrokerReturned, BrokerTroubled, FoundTrade, StopLeft
from core.domain.views import Fallback

MOST_LINES = 12
_BUTTONS = ((Button("🔄 Status", menu_token("status")), Button("✋ Pending", menu_token("pending"))),)


def render(event: BrokerTroubled | BrokerFellBack | BrokerReturned, zone: ZoneInfo) -> Message:
    """`event` for the owner, with times in his `zone`."""
    match event:
        case BrokerTroubled():
            return _troubled(event, zone)
        case BrokerFellBack():
            return _fell_back(event, zone)
        case BrokerReturned():
            return _returned(event, zone)


def why_manual(view: Fallback, zone: ZoneInfo) -> str:
    """Why another mode holds than the owner's own, for /mode and /status; escaped."""
    name = line(account_name(view.account), 40)
    since = numbers.clock_time(view.since, zone)
    return (
        f"Manual, because {name} {line(view.says)} (since {since}). Your own choice, {view.chosen.value}, comes back "
        f"by itself with {name}."
    )


def _troubled(event: BrokerTroubled, zone: ZoneInfo) -> Message:
    name = line(account_name(event.account), 40)
    title = headline("🟠", f"{name} {line(event.says, 80)}", event.badges)
    later = ""
    if event.patient_until is not None:
        until = numbers.clock_time(event.patient_until, zone)
        later = f" If it lasts until {until}, purchases come to you as cards."
    return Message(
        paragraphs(
            title,
            esc(event.advice),
            f"Nothing new is bought there meanwhile.{later}",
            table(_times(event, zone)),
            _words(event.words, zone),
        )
    )


def _times(event: BrokerTroubled | BrokerFellBack, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    yield "Since", numbers.clock_time(event.since, zone)
    if event.seen_at is not None:
        yield "Seen well", numbers.clock_time(event.seen_at, zone)


def _fell_back(event: BrokerFellBack, zone: ZoneInfo) -> Message:
    name = line(account_name(event.account), 40)
    what = f"{name} {line(event.says, 80)}"
    title = headline("✋", f"Mode {event.mode.value}: {what}", event.badges)
    return Message(
        paragraphs(
            title,
            esc(event.advice),
            table(_times(event, zone)),
            _entries(event),
            _positions(event.positions, name),
            _doubts(event.in_doubt, name),
            _withdrawn(event.withdrawn),
            _comes_back(event, name),
            _words(event.words, zone),
        ),
        _BUTTONS,
    )


def _words(said: str, zone: ZoneInfo) -> str:
    return italic(f"Its words: {line(words(said, zone), 300)}") if said.strip() else ""


def _entries(event: BrokerFellBack) -> str:
    if event.mode is not Mode.MANUAL:
        return "Nothing new is bought there."
    if event.cash <= 0:
        return (
            "I would send you cards to buy by hand, but your manual account has no declared cash, so there are none. "
            f"{code('/cash 5000')} declares it."
        )
    return f"Entries are cards for your manual account now; they spend its {numbers.money(event.cash)} and no more."


def _positions(left: tuple[StopLeft, ...], name: str) -> str:
    if not left:
        return ""
    resting = [_stop_words(each) for each in left if each.rests]
    bare = [_stop_words(each) for each in left if not each.rests]
    parts = []
    if resting:
        parts.append(f"{bold(f'Rests at {name}')}, which goes on without me:\n{_listed(resting)}")
    if bare:
        parts.append(
            f"🚨 {bold('No stop rests there')}: I watch these and can only alarm you. Put a stop in {name}'s own app, "
            f"or sell there.\n{_listed(bare)}"
        )
    return "\n\n".join(parts)


def _stop_words(left: StopLeft) -> str:
    stop = f"stop {numbers.price(left.stop)}" if left.stop is not None else "no stop"
    return f"{left.symbol} {numbers.quantity(left.quantity)}: {stop}"


def _listed(rows: Iterable[str]) -> str:
    shown = list(rows)
    more = [f"and {len(shown) - MOST_LINES} more"] if len(shown) > MOST_LINES else []
    return "\n".join([*(f"• {line(each, 80)}" for each in shown[:MOST_LINES]), *more])


def _doubts(symbols: tuple[str, ...], name: str) -> str:
    if not symbols:
        return ""
    names = line(", ".join(symbols), 200)
    return (
        f"❓ {names}: I do not know whether an order arrived. Look for it in {name}'s own app before you trade it by "
        "hand; I look it up as soon as I can."
    )


def _withdrawn(number: int) -> str:
    return f"{numbers.count(number, 'card')} that waited for your approval taken back." if number > 0 else ""


def _comes_back(event: BrokerFellBack, name: str) -> str:
    if event.chosen is event.mode:
        return ""
    return f"Your own mode, {event.chosen.value}, comes back by itself once {name} answers and both sides agree."


def _returned(event: BrokerReturned, zone: ZoneInfo) -> Message:
    name = line(account_name(event.account), 40)
    mode = f": mode {event.mode.value}" if event.fell_at is not None else ""
    title = headline("💚", f"{name} is back{mode}", event.badges)
    return Message(
        paragraphs(
            title,
            f"It was out since {numbers.moment(event.since, zone)}. Orders, fills and positions are compared.",
            _found(event.found, zone, simulated=Badge.SIMULATED in event.badges),
            f"{numbers.count(event.cards, 'card')} to sell in its app settled." if event.cards > 0 else "",
            _still(event),
        ),
        ((Button("🔄 Status", menu_token("status")), Button("📊 Positions", menu_token("positions"))),),
    )


def _found(found: tuple[FoundTrade, ...], zone: ZoneInfo, *, simulated: bool) -> str:
    if not found:
        return "Nothing was traded there meanwhile."
    rows = [
        f"{each.symbol} {'bought' if each.bought else 'sold'} {numbers.quantity(each.quantity)} @ "
        f"{numbers.price(each.price)}, {numbers.clock_time(each.at, zone)}{', by your hand' if each.by_hand else ''}"
        for each in found
    ]
    return f"{bold('Meanwhile there')}{' (market time)' if simulated else ''}:\n{_listed(rows)}"


def _still(event: BrokerReturned) -> str:
    parts = []
    if event.in_doubt:
        parts.append(f"❓ Still looked up: {line(', '.join(event.in_doubt), 200)}.")
    if event.questions > 0:
        parts.append(f"{numbers.count(event.questions, 'question')} about it wait for your answer (/pending).")
    return " ".join(parts)
