"""The five-minute job: collect bars outside any lock, then one decision cycle in the writer's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from core.collect import CollectReport
from core.cycle import CycleResult
from jobs.writer import Urgency, WriterLike

log = logging.getLogger(__name__)


class Tick:
    """`collect(now)` fetches and stores; `cycle(now, report)` decides. Both get the scheduled market time."""

    def __init__(
        self,
        collect: Callable[[datetime], CollectReport],
        cycle: Callable[[datetime, CollectReport], CycleResult],
        writer: WriterLike,
    ) -> None:
        self._collect = collect
        self._cycle = cycle
        self._writer = writer

    def __call__(self, due: datetime) -> str:
        report = self._collect(due)
        result = self._writer.submit(Urgency.TICK, self._cycle, due, report).result()
        return f"{report.summary()}; {result.summary()}"
