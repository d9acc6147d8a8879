"""The numbers the strategy obeys. Defaults are the mission's; settings override them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum


class NoAnswer(StrEnum):
    """What becomes of a card to buy that nobody answered in its time: dropped, sent by itself (play money only), or
    asked again."""

    SKIP = "skip"
    EXECUTE = "execute"
    REMIND = "remind"


class Strategy(StrEnum):
    """What proposes purchases: the forest, confirmed by SMA, RSI and MACD; or the plain rule, which also sells what it
    no longer wants."""

    FOREST = "forest"
    RULE = "rule"


class Throttle(StrEnum):
    """Whether assets whose live forecasts do worse than the base rate are bought at half the size, or not at all."""

    APPLIED = "applied"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Policy:
    """Fractions of equity or price as Decimal (0.25 is 25 %), probability as a float from 0 to 1.

    `gap_fraction` is how much dearer an entry that waits for an open may become: cash is kept back for it.
    `daily_risk_fraction` is the part of equity that one position may gain or lose on an ordinary day (one standard
    deviation over `volatility_bars` daily returns); the plain rule shares out `volatility_target` in its stead, the
    part of equity that everything together may gain or lose in an ordinary year.
    `trailing_fraction` and `break_even_fraction` None mean: off.
    `daily_loss_fraction`, `drawdown_fraction` and `loss_streak` are the losses from which nothing is bought: until the
    trading day ends, until the owner releases it, and for `loss_streak_pause`. `max_exposure_fraction` is the most that
    may be invested in all assets together, `max_crypto_fraction` in all coins, `first_day_fraction` in a live account
    on the trading day on which the owner allowed real money.
    `stop_step_fraction` is the least rise for which a resting stop is moved. `stop_limit_fraction` is how far below a
    stop it may sell where venues take no stop without a limit: in 931 five-minute bars in which BTC fell through a
    level 5 % below where it had been (2022 to 2024), it fell more than 1 % further in 2.9 % and more than 2 % in 0.6 %
    of them, and smaller coins fall faster. An entry that is not filled within
    `entry_life` is cancelled; an exit that waits for the owner is told again every `exit_reminder` of the system clock.
    `away_after` without a sign of the owner, by the system clock, nothing new is bought; zero: never.
    A price is near a stop within `near_stop_fraction` of it or `near_stop_atr` of a usual day's range, None: off;
    so many confirming bars as `stale_bars` that do not come in an open session are warned of, zero: never.
    `outage_patience` without an answer, or `keys_patience` with the keys refused, entries of a broker go to the owner's
    hand.
    A reported price that is off the market by more than `far_price_fraction` is asked about a second time.
    """

    strategy: Strategy = Strategy.FOREST
    min_probability: float = 0.60
    skill_throttle: Throttle = Throttle.APPLIED
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
    confirm_bars: int = 300
    daily_loss_fraction: Decimal = Decimal("0.04")
    drawdown_fraction: Decimal = Decimal("0.20")
    loss_streak: int = 4
    loss_streak_pause: timedelta = timedelta(hours=24)
    max_exposure_fraction: Decimal = Decimal(1)
    max_crypto_fraction: Decimal = Decimal("0.50")
    daily_risk_fraction: Decimal = Decimal("0.003")
    volatility_bars: int = 20
    volatility_target: Decimal = Decimal("0.12")
    first_day_fraction: Decimal = Decimal("0.10")
    trailing_fraction: Decimal | None = None
    break_even_fraction: Decimal | None = None
    stop_step_fraction: Decimal = Decimal("0.005")
    stop_limit_fraction: Decimal = Decimal("0.02")
    entry_life: timedelta = timedelta(days=1)
    exit_reminder: timedelta = timedelta(minutes=10)
    no_answer: NoAnswer = NoAnswer.SKIP
    away_after: timedelta = timedelta(days=14)
    far_price_fraction: Decimal = Decimal("0.05")
    near_stop_fraction: Decimal | None = Decimal("0.01")
    near_stop_atr: Decimal | None = Decimal("0.25")
    stale_bars: int = 6
    keys_patience: timedelta = timedelta(minutes=2)
    outage_patience: timedelta = timedelta(minutes=10)
