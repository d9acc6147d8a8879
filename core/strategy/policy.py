"""The numbers the strategy obeys. Defaults are the mission's; settings override them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Policy:
    """Fractions of equity or price as Decimal (0.25 is 25 %), probability as a float from 0 to 1.

    `gap_fraction` is how much dearer an entry that waits for an open may become: cash is kept back for it.
    """

    min_probability: float = 0.60
    max_asset_fraction: Decimal = Decimal("0.25")
    stop_fraction: Decimal = Decimal("0.05")
    target_fraction: Decimal = Decimal("0.15")
    min_trade_gap: timedelta = timedelta(hours=1)
    rsi_low: float = 45.0
    rsi_high: float = 70.0
    band_fraction: Decimal = Decimal("0.005")
    gap_fraction: Decimal = Decimal("0.10")
    cost_fraction: Decimal = Decimal("0.0035")
    instruction_life: timedelta = timedelta(minutes=60)
    max_daily_bar_age: timedelta = timedelta(days=5)
    max_intraday_bar_age: timedelta = timedelta(minutes=20)
    label_horizon: int = 10
    confirm_bars: int = 300
