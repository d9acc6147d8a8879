"""Keeps health, tells the owner of each change once, and leaves the heartbeat that a health check reads."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.events import HealthChanged
from core.domain.views import ComponentHealth, Health
from core.health import HealthBoard, heart_of, write_heartbeat
from core.ports import Clock, UnitOfWorkFactory

LEAST_FREE_BYTES = 500_000_000


class HealthDesk:
    """`report` may be called from any thread and inside a transaction; the events are committed by `tell`. Changes of
    the components in `told_apart` have events of their own, or are no alarm."""

    def __init__(
        self,
        ledger: UnitOfWorkFactory,
        system_clock: Clock,
        market_clock: Clock,
        heartbeat: Path,
        pid: int,
        checkpoint: Checkpoint = nowhere,
        told_apart: frozenset[str] = frozenset(),
    ) -> None:
        self._told_apart = told_apart
        self._ledger = ledger
        self._system = system_clock
        self._market = market_clock
        self._heartbeat = heartbeat
        self._pid = pid
        self._checkpoint = checkpoint
        self._board = HealthBoard()
        self._untold: list[HealthChanged] = []
        self._lock = threading.Lock()

    def report(self, component: str, state: Health, reason: str) -> None:
        """Notes the state of a component; a first word of good health is not news."""
        changed = self._board.report(component, state, reason, self._system.now())
        if changed and component not in self._told_apart:
            with self._lock:
                self._untold.append(HealthChanged(component, state, reason))

    def components(self) -> tuple[ComponentHealth, ...]:
        return self._board.components()

    def tell(self) -> int:
        """Commits an event for each change since the last call; returns how many."""
        with self._lock:
            news, self._untold = self._untold, []
        if news:
            with self._ledger() as work:
                for event in news:
                    work.publish(event, market_time=self._market.now())
                work.commit("health")
        return len(news)

    def end(self) -> None:
        """The engine stops: a health check must not find it alive. Another process's heartbeat is left alone."""
        if heart_of(self._heartbeat) == self._pid:
            self._heartbeat.unlink(missing_ok=True)

    def check(self) -> str:
        """The health job: looks at the disk, tells what changed, writes the heartbeat."""
        free = shutil.disk_usage(self._heartbeat.parent).free
        state = Health.RUNNING if free >= LEAST_FREE_BYTES else Health.DEGRADED
        self.report("disk", state, f"{free / 1e9:.1f} GB free")
        self.tell()
        with calling(self._checkpoint, "heartbeat"):
            write_heartbeat(self._heartbeat, self.components(), self._system.now(), self._pid)
        return self._board.summary()
