"""How a message says what it is about: badges, account names, headlines, and the mark of a simulated market. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bot.markup import bold, italic, line, visible
from core.domain.accounts import AccountKind, Badge
from core.domain.events import ReportAccount

DOT = " ·\u00a0"
MARK_ROOM = 32
"""UTF-16 units that `marked` may add to a message."""
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.=-]{0,19}")
_ACCOUNTS = {
    AccountKind.SIMULATED.value: "Simulated broker",
    AccountKind.MANUAL.value: "Manual account",
    AccountKind.ALPACA_PAPER.value: "Alpaca",
    AccountKind.ALPACA_LIVE.value: "Alpaca",
}


def badges(marks: Iterable[Badge]) -> str:
    """PAPER, or MANUAL SIMULATED; an account without a mark says so rather than nothing."""
    return "\u00a0".join(mark.value for mark in marks) or "ACCOUNT UNKNOWN"


def all_badges(accounts: Sequence[ReportAccount], marks: Sequence[Badge]) -> str:
    """For a message about several accounts: SIMULATED is true of all or none of them, so it says enough alone."""
    if len(accounts) > 1 and Badge.SIMULATED in marks:
        return Badge.SIMULATED.value
    return badges(marks)


def headline(icon: str, text: str, marks: Iterable[Badge], *more: str) -> str:
    """The first line: what the lock screen shows. `text` and `more` are escaped already."""
    return first_line(icon, text, badges(marks), *more)


def first_line(icon: str, text: str, *more: str) -> str:
    """Breaks before a dot or an @, never behind it: neither ends a line of a phone."""
    whole = " · ".join((f"{icon} {bold(text)}", *more))
    return whole.replace(" · ", DOT).replace(" @ ", " @\u00a0")


def fits_a_button(symbol: str) -> bool:
    """Whether a button can carry the symbol back."""
    return _SYMBOL.fullmatch(symbol) is not None


def account_name(account: str) -> str:
    """The account as plain text for people: Simulated broker, Manual account."""
    return _ACCOUNTS.get(account, " ".join(account.split())[:40])


def account_title(account: str, marks: Iterable[Badge]) -> str:
    """The account within a message that carries SIMULATED in its first line where that is true; escaped."""
    told = {Badge.SIMULATED, Badge.MANUAL} if account == AccountKind.MANUAL.value else {Badge.SIMULATED}
    left = [mark for mark in marks if mark not in told]
    return f"{line(account_name(account), 40)}{f' · {badges(left)}' if left else ''}"


def time_label(marks: Iterable[Badge]) -> str:
    """What a time of the market clock is called: in a simulated market it is not the owner's time."""
    return "Market time" if Badge.SIMULATED in tuple(marks) else "Time"


def marked(text: str, mark: str, *, html: bool = True) -> str:
    """One outgoing message with `mark` on it, unless its first line has it: behind a title, otherwise below the text.

    Every message of a simulated market passes here on its way out, whatever it is about.
    """
    first, end, rest = text.partition("\n")
    if not mark or re.search(rf"\b{mark}\b", visible(first) if html else first):
        return text
    if html and first.endswith("</b>"):
        return f"{first}{DOT}{mark}{end}{rest}"
    return f"{text}\n\n{italic(mark) if html else mark}"
