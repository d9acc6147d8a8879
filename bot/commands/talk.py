"""What a command gets and gives: the engine within reach, the owner's words, and messages as the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from bot.hands import Hands
from bot.live_status import LiveStatusDesk
from bot.message import Message
from bot.model_desk import ModelDesk
from bot.second_factor import SecondFactor
from core.domain.instruments import DEFAULT_SYMBOLS
from core.feed.coverage import Coverage
from core.ports import Clock, Owner, SymbolLookup, UnitOfWorkFactory
from core.settings.book import SettingsBook

ANSWERED = "answered"
"""The outcome of what only looks: nothing to add in a toast."""


class MarketClock(Protocol):
    """The market clock; `speed` is how many times as fast as real time it runs."""

    def now(self) -> datetime: ...

    def speed(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Talk:
    """The engine as commands see it. `book` holds the settings; `lookup` is asked about symbols, `coverage` about how
    complete the stored bars are. What the owner wants to be told, and how, and what waits for his word, is kept in the
    `ledger` by the commands themselves. `clock` is the system's: the owner's own time. `factor` is asked before
    what raises risk, where real money is traded and the owner wants it so. `models` knows the models and the way back
    to one of them."""

    owner: Owner
    hands: Hands
    market_clock: MarketClock
    book: SettingsBook
    ledger: UnitOfWorkFactory
    live: LiveStatusDesk
    clock: Clock
    lookup: SymbolLookup | None = None
    coverage: Callable[[], Sequence[Coverage]] | None = None
    factor: SecondFactor | None = None
    models: ModelDesk | None = None

    @property
    def symbols(self) -> Sequence[str]:
        """What is traded, and the coins that always have a short name."""
        return tuple(dict.fromkeys((*self.book.current.symbols, *DEFAULT_SYMBOLS)))

    @property
    def zone(self) -> ZoneInfo:
        """The owner's."""
        return self.book.current.zone


@dataclass(frozen=True, slots=True)
class Request:
    """One thing the owner asked for. `tap` is its business key: the same message or button gives the same key.
    `replied` is the text of our message that he replied to, empty for none."""

    words: str
    by: str
    tap: str
    replied: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer in chat; `outcome` is its short form for the audit and, after a tap, for the toast. `forgets`: the
    owner's message held a secret and is deleted."""

    messages: tuple[Message, ...]
    outcome: str
    forgets: bool = False


def reply(message: Message, outcome: str = ANSWERED) -> Reply:
    return Reply((message,), outcome)


Handler = Callable[[Talk, Request], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Command:
    """`usage` is what stands after the name; `words` explain it in the menu and in /help."""

    name: str
    usage: str
    words: str
    handler: Handler
