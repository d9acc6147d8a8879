"""What is traded, as a list with buttons, and the cards that add to it and take from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, esc, italic, paragraphs, table
from bot.menus import menu_token
from bot.message import Button, Keyboard, Message, in_rows
from core.domain.instruments import Instrument, Listing, instrument_for
from core.execution.watching import Ties

IN_A_ROW = 3
MOST_BUTTONS = 60
SHORT_HISTORY = timedelta(days=365)
"""Less than that is too short for signals to mean much."""


def universe(symbols: Sequence[str], *, is_own: bool, most: int) -> Message:
    """`is_own`: the owner chose it here, .env says otherwise."""
    known = [instrument_for(symbol) for symbol in symbols]
    lines = [_class_line("📈", "Stocks and funds", [each for each in known if not each.is_crypto])]
    lines.append(_class_line("🪙", "Coins", [each for each in known if each.is_crypto]))
    chosen = "chosen here; /settings can undo it" if is_own else "as .env or the default says"
    return Message(
        paragraphs(
            f"👀 {bold('Watched: ' + numbers.count(len(symbols), 'asset'))}",
            "\n".join(line for line in lines if line),
            italic(f"The list is {chosen}. At most {most}. A tap below removes one, after a question."),
        ),
        (*_remove_rows(symbols), _last_row(is_own=is_own)),
    )


def _class_line(icon: str, title: str, instruments: Sequence[Instrument]) -> str:
    return f"{icon} {title}: {esc(', '.join(each.symbol for each in instruments))}" if instruments else ""


def _remove_rows(symbols: Sequence[str]) -> Keyboard:
    buttons = [Button(f"✖️ {each}", menu_token(f"watch-remove-{each}")) for each in symbols[:MOST_BUTTONS]]
    return in_rows(buttons, IN_A_ROW)


def _last_row(*, is_own: bool) -> tuple[Button, ...]:
    back = [Button("↩️ Back to .env", menu_token("watch-env"))] if is_own else []
    return (Button("➕ Add one", menu_token("watch-add")), *back)


def found(listing: Listing, now: datetime, zone: ZoneInfo, *, spoken: str, room: int) -> str:
    """What a source says of a symbol, before it is added. `room` is how many more may be added."""
    rows = [
        ("Class", f"{'coin' if instrument_for(listing.symbol).is_crypto else 'stock'} ({listing.kind.lower()})"),
        ("Last price", f"{numbers.price(Decimal(str(listing.price)))} {listing.currency}"),
        ("Made", numbers.moment(listing.at, zone)),
        ("First day", numbers.day(listing.first) if listing.first is not None else "not known"),
    ]
    if listing.first is not None:
        rows.append(("History", f"{(now.date() - listing.first).days / 365.25:.1f} years"))
    meant = f"You wrote {esc(spoken, 30)}; here that is {listing.symbol}." if spoken.upper() != listing.symbol else ""
    short = listing.first is not None and now.date() - listing.first < SHORT_HISTORY
    return paragraphs(
        f"👀 {bold(f'Watch {listing.symbol}?')}\n{esc(listing.name, 80)}",
        table(rows),
        meant,
        "⚠️ With less than a year of daily bars there is little to learn from: signals may stay away." if short else "",
        "From the next tick on its bars are collected, it is judged, and it may be bought by the rules of all the "
        f"others. Room for {room} more.",
    )


def removal(symbol: str) -> str:
    return paragraphs(
        f"👀 {bold(f'Stop watching {symbol}?')}",
        "From the next tick on it is neither judged nor bought. Its bars and its history in the ledger stay.",
    )


def tied(symbol: str, ties: Ties) -> Message:
    """Why it cannot be removed now, with the buttons that change that."""
    lines, buttons = [], list[Button]()
    for account, quantity in ties.held:
        lines.append(f"{numbers.quantity(quantity)} {symbol} are held in the account {esc(account)}")
    if ties.held:
        buttons.append(Button(f"🏳 Sell {symbol} …", menu_token(f"close-{symbol}")))
    if ties.orders:
        lines.append(f"{numbers.count(ties.orders, 'order')} for it {'is' if ties.orders == 1 else 'are'} at work")
    if ties.cards:
        named = ", ".join(f"#{number}" for number in ties.cards)
        lines.append(f"{'card' if len(ties.cards) == 1 else 'cards'} {named} about it wait for you")
        buttons.append(Button("✋ Pending", menu_token("pending")))
    return Message(
        paragraphs(
            f"✋ {bold(f'{symbol} stays watched for now')}",
            "\n".join(f"• {each}" for each in lines),
            "Who is not watched gets no stop that follows and no sale at his target: the exit comes first. Then "
            f"{code(f'/watch remove {symbol}')} again. Nothing was changed.",
        ),
        (tuple(buttons),) if buttons else (),
    )


def suggestion(problem: str, guesses: Iterable[str], verb: str = "add") -> Message:
    """A refusal in words; each guess is a button."""
    known = list(guesses)
    asked = f"Did you mean {esc(' or '.join(known))}?" if known else ""
    buttons = tuple(Button(each, menu_token(f"watch-{verb}-{each}")) for each in known)
    return Message(paragraphs(esc(problem), asked, "Nothing was changed."), (buttons,) if buttons else ())
