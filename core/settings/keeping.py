"""How long bars are kept. The limits of the settings leave what the engine fetches and looks at by itself; daily bars,
of which models learn, and imported ones, which nobody fetches again, stay for good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from core.domain.bars import BarSize
from core.settings.table import Settings


def oldest_kept(settings: Settings, now: datetime) -> Mapping[BarSize, datetime]:
    """Bars of each size that closed before then may go, by market time `now`."""
    days = {BarSize.M1: settings.keep_1m_days, BarSize.M5: settings.keep_5m_days, BarSize.H1: settings.keep_1h_days}
    return {size: now - timedelta(days=count) for size, count in days.items()}
