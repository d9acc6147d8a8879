"""What to ask for: the bars since the newest stored one, and of whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.feed.asking import Request
from core.feed.depth import bars_in, next_bar_close
from core.feed.gaps import expected_closes
from core.feed.overlap import is_other_volume
from core.feed.settling import Series
from core.feed.standing import Rules, Standing, may_leave, may_probe
from core.ports import BarStore, Calendar
from core.quality import CONTEXT
from core.series import BarSeries, seconds_of, time_of

SHARED = 12
"""So many stored bars another source is asked for besides, to see whether its bars fit."""
PATIENCE = timedelta(hours=2)
"""So much open market without a newer bar is no answer; of daily bars, so long after the close."""


@dataclass(frozen=True, slots=True, eq=False)
class Planner:
    """Makes requests for one collector. `best` is the name of its first source."""

    calendar: Calendar
    store: BarStore
    depth: Mapping[BarSize, timedelta]
    overlap: int
    best: str
    rules: Rules | None

    def first(self, instrument: Instrument, size: BarSize) -> Request:
        """Everything, of whoever answers first."""
        empty = BarSeries.empty(instrument.symbol, size)
        return Request(instrument, size, None, bars_in(instrument, size, self.depth[size]), None, empty)

    def next(
        self,
        instrument: Instrument,
        size: BarSize,
        now: datetime,
        newest: datetime,
        series: Series,
        standing: Standing | None,
        *,
        is_due: bool = False,
        overlap: int = 0,
    ) -> Request | None:
        """None where, by the calendar, no bar can have closed since `newest`, unless it is due anyhow. At least
        `overlap` of the stored bars are asked for again."""
        is_due = is_due or next_bar_close(self.calendar, instrument, size, newest) <= now
        probes = standing is not None and may_probe(standing, self.best, now)
        if not is_due and not probes:
            return None
        whole = bars_in(instrument, size, self.depth[size])
        missing = math.ceil((now - newest) / size.span)
        count = min(missing + max(self.overlap, overlap), whole)
        if standing is None or self.rules is None:
            known = self.store.read(instrument.symbol, size, newest, CONTEXT)
            return Request(instrument, size, newest, count, series.source, known)
        others = min(missing + SHARED + self._since_seam(series, newest), whole)
        return Request(
            instrument,
            size,
            newest,
            count if standing.source == series.source else others,
            standing.source,
            self.store.read(instrument.symbol, size, newest, max(CONTEXT, others, count)),
            others,
            may_leave(standing, now, self.rules),
            self.best if probes else "",
            is_due,
            self._is_overdue(instrument, size, newest, now),
            is_other_volume(series.volume_ratio) or standing.source != series.source,
        )

    def _since_seam(self, series: Series, newest: datetime) -> int:
        """How many bars at most are stored since another source began to continue the series."""
        seam = series.seam
        if seam is None or seam.source_to != series.source or seam.source_from != self.best:
            return 0
        return math.ceil((newest - seam.at) / seam.size.span) + 1

    def _is_overdue(self, instrument: Instrument, size: BarSize, newest: datetime, now: datetime) -> bool:
        due = expected_closes(self.calendar, instrument.asset_class, size, seconds_of(newest), seconds_of(now))
        if not len(due):
            return False
        waited = len(due) * size.span if size.is_intraday else now - time_of(due[0])
        return waited >= PATIENCE
