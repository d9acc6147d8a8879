"""The only clock. The system clock rules leases, deadlines and pacing; the market clock, which may run faster than
real time or stand still until a driver moves it, rules bars, decisions and reports."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Real time, aware UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Blocks this thread for `seconds` of real time."""
        time.sleep(seconds)

    def speed(self) -> float:
        return 1.0

    def system_time(self, market_time: datetime) -> datetime:
        """When, by the system clock, this clock will show `market_time`."""
        return market_time


class ScaledClock:
    """Simulated market time that runs `factor` times as fast as the system clock from a given start."""

    def __init__(self, system: SystemClock, start: datetime, factor: float) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._factor = factor
        self._market_anchor = start
        self._system_anchor = system.now()

    def now(self) -> datetime:
        with self._lock:
            return self._now()

    def _now(self) -> datetime:
        passed = max(self._system.now() - self._system_anchor, timedelta(0))
        return self._market_anchor + passed * self._factor

    def speed(self) -> float:
        return self._factor

    def set_speed(self, factor: float) -> None:
        """Runs `factor` times as fast from now on; the time shown does not jump."""
        with self._lock:
            self._market_anchor = self._now()
            self._system_anchor = self._system.now()
            self._factor = factor

    def system_time(self, market_time: datetime) -> datetime:
        """When, by the system clock, this clock will show `market_time`."""
        with self._lock:
            return self._system_anchor + (market_time - self._market_anchor) / self._factor


class VirtualClock:
    """Stands still until somebody moves it: replay and tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def speed(self) -> float:
        return 1.0

    def system_time(self, market_time: datetime) -> datetime:
        return market_time

    def move_to(self, moment: datetime) -> None:
        """Raises ValueError when asked to go back."""
        if moment < self._now:
            raise ValueError(f"time does not go back from {self._now} to {moment}")
        self._now = moment

    def advance(self, by: timedelta) -> None:
        self.move_to(self._now + by)
