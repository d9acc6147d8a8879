"""The second channel (T10): what the owner must know and the chat does not get through to him goes out by ntfy or mail.

That is every critical message that stays undelivered for long, and every reminder of a card to sell from the third on,
delivered or not. An alarm is noted as told after its channel took it, so a crash between the two repeats it; a channel
that fails is tried again each minute and says so in health. Nothing here can hold up trading: it runs in a job of its
own, outside the writer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.composing import render_safely
from bot.health_hook import HealthHook, OnChange
from bot.markup import visible
from core.domain.events import ExitReminder, Priority
from core.domain.records import OutboxMessage, OutboxState
from core.domain.views import Health
from core.errors import Transient
from core.execution.desk import Desk
from core.ports import SecondChannel

_LOG = logging.getLogger(__name__)
KEY = "second_channel"
PATIENCE = timedelta(minutes=5)
"""How long a critical message may stay undelivered until it goes the other way."""
FROM_REMINDER = 3
OLDEST = timedelta(days=1)
LOOKED_AT = 300
"""How many of the newest rows of the outbox are looked at."""
MOST_AT_ONCE = 10
_THERE = frozenset({OutboxState.SENT, OutboxState.MUTED})


class SecondLine:
    """`look` each minute, in any thread but the writer's."""

    def __init__(self, desk: Desk, channels: Sequence[SecondChannel], health: HealthHook) -> None:
        self._desk = desk
        self._channels = channels
        self._health = {channel.name: OnChange(health, f"second channel {channel.name}") for channel in channels}

    def look(self) -> str:
        """One line for the record."""
        now = self._desk.system_clock.now()
        with self._desk.reading() as work:
            alarming = alarms(work.messages(LOOKED_AT), now)
            told = json.loads(work.value(KEY) or "{}")
        done = [self._tell(channel, alarming, told.get(channel.name, [])) for channel in self._channels]
        return "; ".join(done)

    def _tell(self, channel: SecondChannel, alarming: Sequence[OutboxMessage], told: Collection[int]) -> str:
        news = [row for row in alarming if row.id not in told][:MOST_AT_ONCE]
        if not news:
            return f"{channel.name}: nothing"
        try:
            with self._desk.changing("alarm"):
                channel.send(*words(news, self._desk.zone()))
        except Transient as error:
            _LOG.warning("%d alarms could not be sent: %s", len(news), error)
            self._health[channel.name](Health.DEGRADED, f"{error}; tried again each minute")
            return f"{channel.name}: failed"
        self._note(channel.name, [row.id for row in news], [row.id for row in alarming])
        self._health[channel.name](Health.RUNNING, "takes alarms")
        return f"{channel.name}: {len(news)} told"

    def _note(self, channel: str, news: Sequence[int], still_alarming: Collection[int]) -> None:
        """What is no alarm any more need not be remembered: it does not become one again."""
        with self._desk.committing("second line") as work:
            told: Mapping[str, list[int]] = json.loads(work.value(KEY) or "{}")
            kept = [each for each in told.get(channel, []) if each in still_alarming]
            work.set_value(KEY, json.dumps({**told, channel: sorted({*kept, *news})}))


def alarms(newest: Sequence[OutboxMessage], now: datetime) -> list[OutboxMessage]:
    """Which rows must go the other way too, the oldest first. `now` by the system clock."""
    return sorted(
        (row for row in newest if now - row.created_at < OLDEST and _alarms(row, now)), key=lambda row: row.id
    )


def words(rows: Sequence[OutboxMessage], zone: ZoneInfo) -> tuple[str, str]:
    """(title, text), plain, of one alarm that tells of all `rows`."""
    told = [visible(render_safely(row, zone).text) for row in rows]
    first = told[0].partition("\n")[0]
    title = first if len(rows) == 1 else f"{first} (and {len(rows) - 1} more)"
    late = [row for row in rows if row.state not in _THERE]
    note = "This could not be delivered in the chat yet." if late else "The card to sell still waits for you there."
    since = f"The first of it is from {rows[0].created_at.astimezone(zone):%a %d %b %H:%M %Z}."
    return title[:200], "\n\n".join([*told, f"{note} {since}"])


def _alarms(row: OutboxMessage, now: datetime) -> bool:
    if isinstance(row.event, ExitReminder) and row.event.times >= FROM_REMINDER:
        return True
    is_late = row.priority is Priority.CRITICAL and row.state not in _THERE
    return is_late and now - row.created_at >= PATIENCE
