"""What the owner wants to hear, and when without a sound (D10, D11): pure rules, kept as two values of the ledger.

What is critical always comes, with a sound unless he silenced its topic; quiet hours never silence it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from core.domain.events import (
    BarSourcesChanged,
    BarsRetold,
    BarsStale,
    BrakeReleased,
    BrakeSet,
    BrokerFellBack,
    BrokerReturned,
    BrokerTroubled,
    CashBooked,
    DailyReport,
    EngineStarted,
    EntryUndone,
    ErrorRaised,
    Event,
    ExitQueued,
    ExitReminder,
    GuardMoved,
    HealthChanged,
    InstructionChanged,
    InstructionIssued,
    InstructionSettled,
    LedgerRestored,
    ModeChanged,
    ModelRestored,
    ModelTrained,
    NearStop,
    OrderFilled,
    OrderRefused,
    OrderUncertain,
    OwnerReturned,
    OwnerSilent,
    PositionUnguarded,
    Priority,
    ProfileContradicted,
    ProtectionFailed,
    QuestionAsked,
    QuestionSettled,
    RealMoneyAsked,
    RealMoneyChanged,
    RealMoneyHeldBack,
    SettingsDiffer,
    SignalRaised,
    SkillChanged,
    StrangerSpoke,
    UnitsAdjusted,
    Welcome,
    priority_of,
)
from core.ports import UnitOfWork

TOPICS_KEY = "notify"
QUIET_KEY = "quiet_hours"
_HOURS = re.compile(r"(\d{1,2})(?:[:.h](\d{2}))?\s*(?:-|–|—|to|until)\s*(\d{1,2})(?:[:.h](\d{2}))?", re.ASCII)


class Loudness(StrEnum):
    ON = "on"
    SILENT = "silent"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Topic:
    """Events that are switched together. `must`: they ask something of the owner or warn him, so they cannot be off."""

    name: str
    words: str
    kinds: tuple[type, ...]
    must: bool = False

    def choices(self) -> tuple[Loudness, ...]:
        return (Loudness.ON, Loudness.SILENT) if self.must else tuple(Loudness)


TOPICS: tuple[Topic, ...] = (
    Topic("signals", "buy signals", (SignalRaised,)),
    Topic("fills", "fills; stop-losses always", (OrderFilled,)),
    Topic("stops", "stops that follow the price", (GuardMoved,)),
    Topic("bookings", "cash, splits, corrections", (CashBooked, UnitsAdjusted, EntryUndone, BarsRetold)),
    Topic("report", "the daily report", (DailyReport,)),
    Topic("model", "new models, lost skill", (ModelTrained, ModelRestored, SkillChanged)),
    Topic("health", "what fails; halts always", (HealthChanged, BarSourcesChanged, BrokerTroubled)),
    Topic("warnings", "near a stop, old prices", (NearStop, BarsStale)),
    Topic("starts", "starts, and gaps before", (Welcome, EngineStarted)),
    Topic("strangers", "who else writes to me", (StrangerSpoke,)),
    Topic(
        "cards",
        "orders, questions to you",
        (InstructionIssued, InstructionChanged, InstructionSettled, QuestionAsked, QuestionSettled, ExitReminder),
        must=True,
    ),
    Topic(
        "control",
        "mode, brakes, settings",
        (
            ModeChanged,
            BrokerFellBack,
            BrokerReturned,
            BrakeSet,
            BrakeReleased,
            SettingsDiffer,
            ProfileContradicted,
            OwnerSilent,
            OwnerReturned,
            RealMoneyAsked,
            RealMoneyChanged,
            RealMoneyHeldBack,
        ),
        must=True,
    ),
    Topic(
        "alarms",
        "errors, missing stops",
        (ErrorRaised, OrderRefused, OrderUncertain, PositionUnguarded, ProtectionFailed, ExitQueued, LedgerRestored),
        must=True,
    ),
)
TOPIC = {topic.name: topic for topic in TOPICS}
_TOPIC_OF = {kind: topic.name for topic in TOPICS for kind in topic.kinds}


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` on the owner's wall clock, across midnight where `end` is earlier."""

    start: time
    end: time

    def holds(self, now: datetime, zone: ZoneInfo) -> bool:
        local = now.astimezone(zone).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end

    def text(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"

    @classmethod
    def parse(cls, text: str) -> QuietHours | None:
        """`22-7`, `22:00-07:30`, `22h30 until 7`. None for anything else, and for hours that never begin."""
        found = _HOURS.fullmatch(text.strip().lower())
        if found is None:
            return None
        first, first_minute, last, last_minute = (int(part or 0) for part in found.groups())
        if max(first, last) > 24 or max(first_minute, last_minute) > 59:
            return None
        hours = cls(time(first % 24, first_minute), time(last % 24, last_minute))
        return None if hours.start == hours.end else hours


@dataclass(frozen=True, slots=True)
class Preferences:
    topics: Mapping[str, Loudness] = field(default_factory=dict)
    quiet: QuietHours | None = None

    def of_topic(self, name: str) -> Loudness:
        return self.topics.get(name, Loudness.ON)

    def loudness(self, event: Event, now: datetime, zone: ZoneInfo) -> Loudness:
        """How `event` reaches the owner now (system time). An order filled in many parts is heard when it begins and
        when it is done."""
        wanted = self.of_topic(_TOPIC_OF.get(type(event), ""))
        if priority_of(event) is Priority.CRITICAL:
            return Loudness.SILENT if wanted is Loudness.SILENT else Loudness.ON
        is_hushed = self.quiet is not None and self.quiet.holds(now, zone)
        if wanted is Loudness.ON and (is_hushed or (isinstance(event, OrderFilled) and event.is_further_part)):
            return Loudness.SILENT
        return wanted


def read_preferences(work: UnitOfWork) -> Preferences:
    """What is stored; a topic or a word that this version does not know counts as not set."""
    stored = json.loads(work.value(TOPICS_KEY) or "{}")
    topics = {
        name: Loudness(word)
        for name, word in stored.items()
        if name in TOPIC and word in {choice.value for choice in TOPIC[name].choices()}
    }
    return Preferences(topics, QuietHours.parse(work.value(QUIET_KEY) or ""))


def write_topic(work: UnitOfWork, name: str, loudness: Loudness) -> Preferences:
    """What holds from the commit on. Raises ValueError for a topic that must be heard and is to be off."""
    if loudness not in TOPIC[name].choices():
        raise ValueError(f"{name} cannot be {loudness}")
    known = read_preferences(work)
    topics = {**known.topics, name: loudness}
    work.set_value(TOPICS_KEY, json.dumps({each: word.value for each, word in sorted(topics.items())}))
    return Preferences(topics, known.quiet)


def write_quiet(work: UnitOfWork, quiet: QuietHours | None) -> Preferences:
    work.set_value(QUIET_KEY, quiet.text() if quiet is not None else None)
    return Preferences(read_preferences(work).topics, quiet)
