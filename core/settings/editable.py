"""Which settings the owner may change from the chat, in which group, and in which unit he reads them.

Secrets, addresses, folders, real or paper money and the owner himself are not among them: those come from the
environment alone (DESIGN 8, settings).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeGuard

from annotated_types import Ge, Gt, Le, Lt

from core.settings.rows import text_of
from core.settings.table import Settings


class Group(StrEnum):
    RISK = "risk"
    SCHEDULE = "schedule"
    STYLE = "style"


class Unit(StrEnum):
    """PERCENT: kept as a fraction. NAME: a word."""

    PERCENT = "percent"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    COUNT = "count"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Editable:
    """`step` is what one tap adds or takes, in the setting's own unit. Limits in the same; an open one is not reached
    itself. `can_be_off`: an empty value means that the rule is off. `choices` are all the words there are, where they
    are few."""

    name: str
    group: Group
    unit: Unit
    step: Decimal
    about: str
    example: str
    default: str
    least: Decimal | None
    most: Decimal | None
    least_is_open: bool
    most_is_open: bool
    can_be_off: bool
    choices: tuple[str, ...] = ()


_PERCENT, _MINUTES, _HOURS, _COUNT = Unit.PERCENT, Unit.MINUTES, Unit.HOURS, Unit.COUNT
_TABLE: tuple[tuple[str, Group, Unit, str], ...] = (
    ("PROFILE", Group.RISK, Unit.NAME, "0"),
    ("STRATEGY", Group.RISK, Unit.NAME, "0"),
    ("MIN_PROBABILITY", Group.RISK, _PERCENT, "0.01"),
    ("SKILL_THROTTLE", Group.RISK, Unit.NAME, "0"),
    ("STOP_LOSS", Group.RISK, _PERCENT, "0.01"),
    ("TAKE_PROFIT", Group.RISK, _PERCENT, "0.01"),
    ("TRAILING_STOP", Group.RISK, _PERCENT, "0.01"),
    ("BREAK_EVEN_AT", Group.RISK, _PERCENT, "0.01"),
    ("MAX_ASSET_FRACTION", Group.RISK, _PERCENT, "0.05"),
    ("MAX_EXPOSURE_FRACTION", Group.RISK, _PERCENT, "0.10"),
    ("MAX_CRYPTO_FRACTION", Group.RISK, _PERCENT, "0.10"),
    ("DAILY_RISK_FRACTION", Group.RISK, _PERCENT, "0.0025"),
    ("VOLATILITY_TARGET", Group.RISK, _PERCENT, "0.01"),
    ("DAILY_LOSS_LIMIT", Group.RISK, _PERCENT, "0.01"),
    ("DRAWDOWN_LIMIT", Group.RISK, _PERCENT, "0.05"),
    ("LOSS_STREAK", Group.RISK, _COUNT, "1"),
    ("LOSS_STREAK_PAUSE_HOURS", Group.RISK, _HOURS, "6"),
    ("NEAR_STOP", Group.RISK, _PERCENT, "0.005"),
    ("NEAR_STOP_ATR", Group.RISK, _PERCENT, "0.05"),
    ("STALE_BARS", Group.SCHEDULE, _COUNT, "1"),
    ("FALLBACK_MINUTES", Group.SCHEDULE, _MINUTES, "5"),
    ("MIN_TRADE_GAP_MINUTES", Group.SCHEDULE, _MINUTES, "30"),
    ("ENTRY_LIFE_HOURS", Group.SCHEDULE, _HOURS, "6"),
    ("INSTRUCTION_LIFE_MINUTES", Group.SCHEDULE, _MINUTES, "15"),
    ("NO_ANSWER", Group.SCHEDULE, Unit.NAME, "0"),
    ("EXIT_REMINDER_MINUTES", Group.SCHEDULE, _MINUTES, "5"),
    ("AWAY_DAYS", Group.SCHEDULE, Unit.DAYS, "1"),
    ("TIME_ZONE", Group.STYLE, Unit.NAME, "0"),
)
_FIELDS = {field.alias: (attribute, field) for attribute, field in Settings.model_fields.items() if field.alias}


def attribute_of(name: str) -> str:
    """The field of `Settings` behind a setting's name."""
    return _FIELDS[name][0]


def _editable(name: str, group: Group, unit: Unit, step: str) -> Editable:
    field = _FIELDS[name][1]
    limits = {type(each): each for each in field.metadata}
    ge, gt, le, lt = (limits.get(kind) for kind in (Ge, Gt, Le, Lt))
    least, most = getattr(ge, "ge", getattr(gt, "gt", None)), getattr(le, "le", getattr(lt, "lt", None))
    return Editable(
        name,
        group,
        unit,
        Decimal(step),
        field.description or "",
        str((field.examples or [""])[0]),
        text_of(field.default),
        Decimal(str(least)) if least is not None else None,
        Decimal(str(most)) if most is not None else None,
        gt is not None,
        lt is not None,
        field.default is None,
        tuple(each.value for each in field.annotation) if _is_choice(field.annotation) else (),
    )


def _is_choice(kind: object) -> TypeGuard[type[StrEnum]]:
    return isinstance(kind, type) and issubclass(kind, StrEnum)


EDITABLE: Mapping[str, Editable] = {row[0]: _editable(*row) for row in _TABLE}
CHOSEN = "PROFILE"
"""Many values at once: shown before and after, and changed when that is confirmed."""
WATCHED = "SYMBOLS"
"""What is traded: changed by /watch alone, which asks the source of prices first."""
CHANGEABLE: Mapping[str, Editable] = {**EDITABLE, WATCHED: _editable(WATCHED, Group.STYLE, Unit.NAME, "0")}
"""Everything that a choice in the chat may stand for."""
