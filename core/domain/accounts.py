"""Accounts, modes and the badge that every money message carries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AccountKind(StrEnum):
    SIMULATED = "simulated"
    ALPACA_PAPER = "alpaca-paper"
    ALPACA_LIVE = "alpaca-live"
    MANUAL = "manual"


def is_in_app(account: str, *, needs_approval: bool) -> bool:
    """Whether an order for the owner's hand is to be made in the app of the account's own broker."""
    return not needs_approval and account != AccountKind.MANUAL


class Badge(StrEnum):
    PAPER = "PAPER"
    LIVE = "LIVE"
    MANUAL = "MANUAL"
    SIMULATED = "SIMULATED"


class Mode(StrEnum):
    """How a decision becomes an order: by itself, after the owner's approval, by the owner's hand, or not at all."""

    AUTO = "auto"
    CONFIRM = "confirm"
    MANUAL = "manual"
    OBSERVE = "observe"


class World(StrEnum):
    """Where prices come from. Simulated prices never share a database with real ones."""

    REAL = "real"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class Account:
    """`id` equals the kind's value: one account of each kind per installation."""

    id: str
    kind: AccountKind
    world: World
    currency: str = "USD"

    @property
    def is_manual(self) -> bool:
        return self.kind is AccountKind.MANUAL

    def badges(self) -> tuple[Badge, ...]:
        """What a money message of this account must show; simulated prices are always said."""
        own = {
            AccountKind.SIMULATED: Badge.SIMULATED,
            AccountKind.ALPACA_PAPER: Badge.PAPER,
            AccountKind.ALPACA_LIVE: Badge.LIVE,
            AccountKind.MANUAL: Badge.MANUAL,
        }[self.kind]
        if self.kind is AccountKind.SIMULATED:
            return (Badge.SIMULATED,) if self.world is World.SIMULATED else (Badge.PAPER,)
        return (own, Badge.SIMULATED) if self.world is World.SIMULATED else (own,)
