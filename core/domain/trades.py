"""Which events tell of one trade (D13): its story begins with one message, and the others reply to it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.events import (
    EntryUndone,
    Event,
    InstructionIssued,
    InstructionSettled,
    OrderFilled,
    OrderRefused,
    SignalRaised,
    UnitsAdjusted,
)
from core.domain.orders import Purpose, Side

_OVER = " over"
_CAME_TO_NOTHING = frozenset({"skipped", "expired"})


@dataclass(frozen=True, slots=True)
class Story:
    """The trade of one account and symbol that was told of last. `opening` is the outbox row of its first message."""

    opening: int
    is_over: bool = False

    def text(self) -> str:
        return f"{self.opening}{_OVER if self.is_over else ''}"

    @classmethod
    def parse(cls, text: str) -> Story:
        return cls(int(text.removesuffix(_OVER)), text.endswith(_OVER))


def trade_of(event: Event) -> tuple[str, str] | None:
    """Account and symbol of the trade that an event tells of; None where it is about no single one."""
    account, symbol = getattr(event, "account", ""), getattr(event, "symbol", "")
    return (account, symbol) if account and symbol else None


def begins_trade(event: Event, *, is_open: bool, is_held: bool) -> bool:
    """Whether `event` is the first of a new trade. `is_open`: a trade of that account and symbol is being told of.

    A signal begins one unless the asset is held; what follows from it does not. An entry without a signal begins one
    by its card, a buy of the owner's own by its fill, an adopted position by its adjustment.
    """
    if isinstance(event, SignalRaised):
        return not (is_open and is_held)
    if is_open:
        return False
    if isinstance(event, InstructionIssued):
        return event.purpose is Purpose.ENTRY
    if isinstance(event, OrderFilled):
        return event.side is Side.BUY
    return isinstance(event, UnitsAdjusted) and event.before == 0


def ends_trade(event: Event, *, is_held: bool) -> bool:
    """Whether the trade is over with `event`; what is still told of it belongs to it all the same."""
    if is_held:
        return False
    match event:
        case OrderFilled():
            return event.side is Side.SELL
        case OrderRefused():
            return event.purpose is Purpose.ENTRY
        case InstructionSettled():
            return event.outcome in _CAME_TO_NOTHING
        case _:
            return isinstance(event, EntryUndone)
