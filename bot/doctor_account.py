"""What the doctor says of the account at Alpaca: whether orders can go there, and if not, what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from bot.finding import Finding
from core.domain.instruments import instrument_for
from core.domain.venue import VenueAccount
from core.errors import AccessRefused, MalformedAnswer, RateLimited, Transient, Unreachable, WrongAddress
from core.settings import Settings

ABOUT = "account at Alpaca"
CLOCKS_APART = timedelta(seconds=10)
"""How far this machine's clock may be from Alpaca's; a day's change of a machine without NTP is less."""
PAPER_KEYS, LIVE_KEYS = "PK", "AK"
"""How Alpaca's key ids begin."""


AskAccount = Callable[[Settings], VenueAccount]
"""Asks Alpaca for the account with the keys that are set. Raises Transient; WrongAddress where the keys are good for
the other kind of account."""


def examine_account(ask: AskAccount, settings: Settings) -> Iterator[Finding]:
    try:
        account = ask(settings)
    except Transient as trouble:
        yield Finding(ABOUT, f"Alpaca {trouble}", _advice(trouble, settings))
        return
    yield _named(account, settings)
    for words in account.restrictions:
        yield Finding(
            ABOUT, words, "only Alpaca or its app can lift that: look for its message there, or ask its support"
        )
    if account.ahead is not None and abs(account.ahead) > CLOCKS_APART:
        yield _clocks(account.ahead)
    yield from _coins(account, settings)


def _named(account: VenueAccount, settings: Settings) -> Finding:
    kind = "paper" if settings.alpaca_paper else "LIVE"
    worth = f", worth {account.equity:,.2f} USD" if account.equity is not None else ""
    held = len(account.positions)
    words = (
        f"{kind} account {account.number}{worth}, {account.cash:,.2f} USD in cash, "
        f"{held} position{'' if held == 1 else 's'}"
    )
    if settings.alpaca_paper or account.number == settings.allow_real_money:
        return Finding(ABOUT, words if account.restrictions else f"{words}; it takes orders")
    return Finding(
        ABOUT,
        f"{words}; ALLOW_REAL_MONEY names account {settings.allow_real_money}, so nothing is sent",
        f"set ALLOW_REAL_MONEY={account.number} if you mean this account, or the keys of the other one",
    )


def _clocks(ahead: timedelta) -> Finding:
    side = "behind" if ahead > timedelta(0) else "ahead of"
    return Finding(
        "clock",
        f"this machine is {abs(ahead).total_seconds():,.0f} s {side} Alpaca",
        "set this machine's clock, and let NTP keep it (on most systems: timedatectl set-ntp true)",
    )


def _coins(account: VenueAccount, settings: Settings) -> Iterator[Finding]:
    coins = [symbol for symbol in settings.symbols if instrument_for(symbol).is_crypto]
    if coins and not account.trades_coins:
        yield Finding(
            ABOUT,
            "it may not trade coins",
            f"agree to Alpaca's terms for coins on its web page, or take {', '.join(coins)} out of SYMBOLS",
        )


def _advice(trouble: Transient, settings: Settings) -> str:
    match trouble:
        case WrongAddress() if settings.alpaca_paper:
            return (
                "make keys of the paper account at Alpaca and set ALPACA_KEY_ID and ALPACA_SECRET_KEY to them; for "
                "real money set ALPACA_PAPER=false and ALLOW_REAL_MONEY to the account's number"
            )
        case WrongAddress():
            return (
                "set ALPACA_PAPER=true, which is paper money, or make keys of the live account and set ALPACA_KEY_ID "
                "and ALPACA_SECRET_KEY to them"
            )
        case AccessRefused():
            return (
                f"make new keys at Alpaca and set ALPACA_KEY_ID and ALPACA_SECRET_KEY to both halves{_hint(settings)}"
            )
        case RateLimited():
            return "wait a minute; other programs with the same keys use up its requests, too"
        case Unreachable():
            return (
                "check this machine's network and, if it has one, its proxy (HTTPS_PROXY); Alpaca may be down as well"
            )
        case MalformedAnswer():
            return "run doctor again in an hour; if it stays, install the newest version of this program"
        case _:
            return "run doctor again in a minute"


def _hint(settings: Settings) -> str:
    """What the key's first letters say where Alpaca accepts it nowhere."""
    key_id = settings.alpaca_keys[0] if settings.alpaca_keys is not None else ""
    if settings.alpaca_paper and key_id.startswith(LIVE_KEYS):
        return "; ALPACA_KEY_ID begins like one of a live account, and ALPACA_PAPER=true asks the paper one"
    if not settings.alpaca_paper and key_id.startswith(PAPER_KEYS):
        return "; ALPACA_KEY_ID begins like one of a paper account, and ALPACA_PAPER=false asks the live one"
    return ""
