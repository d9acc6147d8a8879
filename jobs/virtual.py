"""Virtual time: the same table of jobs, driven by a clock that jumps from one due time to the next."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from core.clock import VirtualClock
from jobs.runner import JobRunner
from jobs.schedule import Job

log = logging.getLogger(__name__)


class VirtualDriver:
    """Runs every job of the table in order of due time and rank, in the caller's thread, up to an end.

    Runs that a job calls idle are skipped: they could change nothing (proven equal in tests/golden).
    """

    def __init__(self, table: Sequence[Job], runner: JobRunner, clock: VirtualClock, *, skip_idle: bool = True) -> None:
        self._table = table
        self._runner = runner
        self._clock = clock
        self._skip_idle = skip_idle

    def run(self, end: datetime, progress: Callable[[datetime], None] = lambda _now: None) -> int:
        """Drives the clock to `end` (inclusive); returns how many runs were made."""
        made = 0
        for due, job in self._due(end):
            if self._skip_idle and job.idle(due):
                continue
            self._clock.move_to(due)
            self._runner.run(job, due)
            made += 1
            progress(due)
        self._clock.move_to(max(end, self._clock.now()))
        return made

    def _due(self, end: datetime) -> Iterator[tuple[datetime, Job]]:
        start = self._clock.now()
        heap = [(job.rule(start), job.rank, index) for index, job in enumerate(self._table)]
        heapq.heapify(heap)
        while heap and heap[0][0] <= end:
            due, rank, index = heap[0]
            yield due, self._table[index]
            heapq.heapreplace(heap, (self._table[index].rule(due), rank, index))
