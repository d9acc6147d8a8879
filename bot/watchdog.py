"""Notices what nobody else would: cycles that stopped coming, and time in which this machine slept (D9).

Runs each minute beside everything else. Each watched minute is noted in the ledger, so that the next start can say
from when to when nobody watched; a machine that wakes says so itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from bot.deadman import DeadManPing
from bot.health_hook import HealthHook, OnChange
from bot.opening import note_watched, tell_absence
from core.domain.records import JobOutcome
from core.domain.views import Health
from core.execution.desk import Desk
from jobs.schedule import TICK_PERIOD

COMPONENT = "cycles"
MISSED_CYCLES = 2
_GRACE = timedelta(minutes=4)
"""How long a cycle may take (its deadline)."""
_SLEPT = timedelta(minutes=3)
"""A pause between two looks that is no mere delay: the machine slept, or the program stood still."""


def longest_silence(speed: float) -> timedelta:
    """How long, in real time, no cycle may end before that is alarming: two are missed, and the next takes its time."""
    return MISSED_CYCLES * TICK_PERIOD / max(speed, 1.0) + _GRACE


class Watchdog:
    """`look` each minute, in any thread. `ping` gives a sign of life while cycles come."""

    def __init__(
        self, desk: Desk, health: HealthHook, speed: Callable[[], float], ping: DeadManPing | None = None
    ) -> None:
        self._desk = desk
        self._health = OnChange(health, COMPONENT)
        self._speed = speed
        self._ping = ping
        self._began = desk.system_clock.now()
        self._looked: datetime | None = None
        self._silent_since: datetime | None = None

    def look(self) -> str:
        """One line for the record."""
        now = self._desk.system_clock.now()
        if self._looked is not None and now - self._looked > _SLEPT:
            tell_absence(self._desk, self._looked)
            # Only from now on can a cycle be missed: the first one after a sleep has to come.
            self._began = now
        self._looked = now
        note_watched(self._desk)
        return self._judge(now)

    def _judge(self, now: datetime) -> str:
        last = self._last_cycle()
        if now - max(last or self._began, self._began) > longest_silence(self._speed()):
            self._silent_since = last or self._began
            self._health(Health.HALTED, f"no cycle has ended since {self._silent_since:%Y-%m-%d %H:%M} UTC")
            return "no cycles"
        if self._silent_since is not None:
            words = f"cycles end again; there was none from {self._silent_since:%Y-%m-%d %H:%M} UTC on"
            self._silent_since = None
            self._health(Health.RUNNING, words)
        if self._ping is None:
            return "watched"
        with self._desk.changing("ping"):
            was_given = self._ping.ping()
        return "watched, sign of life given" if was_given else "watched, no sign of life could be given"

    def _last_cycle(self) -> datetime | None:
        with self._desk.reading() as work:
            run = work.last_run(self._desk.tick_job, JobOutcome.DONE)
        return run.finished_at if run is not None else None
