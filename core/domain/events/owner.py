"""The owner's silence, his choices, and strangers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.accounts import Badge, Mode


@dataclass(frozen=True, slots=True)
class StrangerSpoke:
    user_id: int
    summary: str


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """`mode` as the owner chose it; mode manual holds in its place until the broker of account `held_by` is back."""

    mode: Mode
    paused: bool
    until: datetime | None
    by: str
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class SettingsDiffer:
    """The environment says otherwise since the owner chose; his choice stays. `changes` are (name, the owner's value,
    the environment's then, the environment's now), as they would be written in .env."""

    changes: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class ProfileContradicted:
    """The environment says otherwise than the chosen profile, and its values count. `kept` are (name, the environment's
    value, the profile's), as they would be written in .env."""

    profile: str
    kept: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class OwnerSilent:
    """No sign of the owner since `since`; from `until` on nothing new is bought. Both by the system clock."""

    since: datetime
    until: datetime
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class OwnerReturned:
    """A sign of the owner after so long that entries had been held back: what happened meanwhile.

    `since` and `at` by the system clock; `profit` in USD of the positions that were closed meanwhile.
    """

    since: datetime
    at: datetime
    bought: int
    closed: int
    profit: Decimal
    open_positions: int
    waiting: int
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The one status message that is kept up to date in place; what it says is looked up when it is delivered."""

    pinned: bool
