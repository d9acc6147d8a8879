"""The daily housekeeping of a live installation: what it backs up, and what it lets go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from bot.bootstrap import Engine, back_up_venue
from bot.worlds import Place
from core.domain.records import JobOutcome
from core.domain.views import Health
from core.feed.importing import SOURCE as IMPORTED
from core.settings import Settings
from core.settings.keeping import oldest_kept
from jobs.maintenance import maintain, skip_if_done
from jobs.old_models import forget_models
from jobs.table import MAINTENANCE

KEEP_RUNS = timedelta(days=14)


def keep_house(
    engine: Engine, place: Place, settings: Settings, health: Callable[[str, Health, str], None], now: datetime
) -> str:
    """One line for the record; `now` by the system clock. Raises JobSkipped where it was done within the day."""
    with engine.database.reading() as work:
        skip_if_done(work.last_run(MAINTENANCE, JobOutcome.DONE), now)

    def old_models() -> int:
        with engine.database.reading() as work:
            return forget_models(work, settings.models_dir, now)

    return maintain(
        engine.database,
        now - KEEP_RUNS,
        health,
        lambda: back_up_venue(place, now),
        lambda: engine.database.bars.forget(oldest_kept(settings, engine.desk.market_clock.now()), IMPORTED),
        old_models,
    )
