"""What the owner should know. Each event is committed with the change it tells of and rendered only at delivery.

An event's class name and VERSION are stored beside its fields, so that an older row can still be read.
"""

from __future__ import annotations

from enum import IntEnum
from typing import get_args

from core.domain.events.bars import BarSourceNews, BarSourcesChanged, BarsRetold, BarsStale, StaleSeries
from core.domain.events.books import CashBooked, EntryUndone, UnitsAdjusted
from core.domain.events.brokers import BrokerFellBack, BrokerReturned, BrokerTroubled, FoundTrade, StopLeft
from core.domain.events.cards import (
    ExitReminder,
    InstructionChanged,
    InstructionIssued,
    InstructionSettled,
    QuestionAsked,
    QuestionSettled,
)
from core.domain.events.guards import BrakeReleased, BrakeSet, GuardMoved, NearStop, PositionUnguarded, ProtectionFailed
from core.domain.events.house import (
    EngineStarted,
    ErrorRaised,
    HealthChanged,
    LedgerRestored,
    ModelRestored,
    ModelTrained,
    SkillChanged,
    Welcome,
)
from core.domain.events.owner import (
    LiveStatus,
    ModeChanged,
    OwnerReturned,
    OwnerSilent,
    ProfileContradicted,
    SettingsDiffer,
    StrangerSpoke,
)
from core.domain.events.real_money import RealMoneyAsked, RealMoneyChanged, RealMoneyHeldBack
from core.domain.events.reports import ClosedForecast, DailyReport, ReportAccount, ReportPosition
from core.domain.events.trades import ExitQueued, OrderFilled, OrderRefused, OrderUncertain, SignalRaised
from core.domain.orders import Purpose

__all__ = [
    "EVENT_TYPES",
    "VERSION",
    "BarSourceNews",
    "BarSourcesChanged",
    "BarsRetold",
    "BarsStale",
    "BrakeReleased",
    "BrakeSet",
    "BrokerFellBack",
    "BrokerReturned",
    "BrokerTroubled",
    "CashBooked",
    "ClosedForecast",
    "DailyReport",
    "EngineStarted",
    "EntryUndone",
    "ErrorRaised",
    "Event",
    "ExitQueued",
    "ExitReminder",
    "FoundTrade",
    "GuardMoved",
    "HealthChanged",
    "InstructionChanged",
    "InstructionIssued",
    "InstructionSettled",
    "LedgerRestored",
    "LiveStatus",
    "ModeChanged",
    "ModelRestored",
    "ModelTrained",
    "NearStop",
    "OrderFilled",
    "OrderRefused",
    "OrderUncertain",
    "OwnerReturned",
    "OwnerSilent",
    "PositionUnguarded",
    "Priority",
    "ProfileContradicted",
    "ProtectionFailed",
    "QuestionAsked",
    "QuestionSettled",
    "RealMoneyAsked",
    "RealMoneyChanged",
    "RealMoneyHeldBack",
    "ReportAccount",
    "ReportPosition",
    "SettingsDiffer",
    "SignalRaised",
    "SkillChanged",
    "StaleSeries",
    "StopLeft",
    "StrangerSpoke",
    "UnitsAdjusted",
    "Welcome",
    "card_shown",
    "priority_of",
]

VERSION = 1


class Priority(IntEnum):
    """Smaller goes first."""

    CRITICAL = 0
    TRADE = 1
    NORMAL = 2
    CHATTER = 3


Event = (
    Welcome
    | EngineStarted
    | SignalRaised
    | InstructionIssued
    | InstructionChanged
    | InstructionSettled
    | OrderFilled
    | OrderRefused
    | OrderUncertain
    | PositionUnguarded
    | ModelTrained
    | SkillChanged
    | DailyReport
    | HealthChanged
    | ErrorRaised
    | StrangerSpoke
    | ModeChanged
    | QuestionAsked
    | QuestionSettled
    | ExitReminder
    | BrakeSet
    | BrakeReleased
    | GuardMoved
    | ProtectionFailed
    | ExitQueued
    | CashBooked
    | UnitsAdjusted
    | EntryUndone
    | LedgerRestored
    | SettingsDiffer
    | ProfileContradicted
    | OwnerSilent
    | OwnerReturned
    | BarSourcesChanged
    | BarsRetold
    | NearStop
    | BarsStale
    | BrokerTroubled
    | BrokerFellBack
    | BrokerReturned
    | RealMoneyAsked
    | RealMoneyChanged
    | RealMoneyHeldBack
    | ModelRestored
    | LiveStatus
)

EVENT_TYPES: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}

_PRIORITY: dict[type, Priority] = {
    OrderUncertain: Priority.CRITICAL,
    PositionUnguarded: Priority.CRITICAL,
    OrderRefused: Priority.CRITICAL,
    ErrorRaised: Priority.CRITICAL,
    ModeChanged: Priority.CRITICAL,
    QuestionAsked: Priority.CRITICAL,
    ExitReminder: Priority.CRITICAL,
    BrakeSet: Priority.CRITICAL,
    ProtectionFailed: Priority.CRITICAL,
    LedgerRestored: Priority.CRITICAL,
    OwnerSilent: Priority.CRITICAL,
    BrokerFellBack: Priority.CRITICAL,
    BrokerReturned: Priority.CRITICAL,
    RealMoneyAsked: Priority.CRITICAL,
    RealMoneyChanged: Priority.CRITICAL,
    RealMoneyHeldBack: Priority.CRITICAL,
    QuestionSettled: Priority.TRADE,
    ExitQueued: Priority.TRADE,
    UnitsAdjusted: Priority.TRADE,
    EntryUndone: Priority.TRADE,
    InstructionIssued: Priority.TRADE,
    InstructionChanged: Priority.TRADE,
    InstructionSettled: Priority.TRADE,
    OrderFilled: Priority.TRADE,
    SignalRaised: Priority.TRADE,
    NearStop: Priority.TRADE,
    ModelTrained: Priority.CHATTER,
    LiveStatus: Priority.CHATTER,
}


def card_shown(event: Event) -> InstructionIssued | None:
    """What a card shows after `event`; None for an event that shows no card."""
    if isinstance(event, InstructionChanged):
        return event.card
    return event if isinstance(event, InstructionIssued) else None


def priority_of(event: Event) -> Priority:
    """How soon it must reach the owner. Critical wherever they come from: a stop-loss that was hit, a card that asks
    him to sell, a part of the engine that stands still."""
    match event:
        case OrderFilled() if event.purpose is Purpose.STOP:
            return Priority.CRITICAL
        case InstructionIssued() if event.purpose is not Purpose.ENTRY:
            return Priority.CRITICAL
        case HealthChanged() if event.state == "HALTED":
            return Priority.CRITICAL
        case _:
            return _PRIORITY.get(type(event), Priority.NORMAL)
