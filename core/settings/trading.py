"""The settings of trading: what is bought, how much of it, and what holds it back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from core.domain.accounts import Mode
from core.domain.instruments import DEFAULT_SYMBOLS
from core.settings.checks import AnyCase, Symbols
from core.settings.profiles import PROFILES, ProfileName
from core.strategy.policy import NoAnswer, Policy, Strategy, Throttle


def setting(name: str, default: object, example: str, about: str, *, words: str = "", **limits: Any) -> Any:
    """One row of the table. `words` says the default where its value does not."""
    limits.setdefault("validate_default", default is not None)
    return Field(
        default, alias=name, description=about, examples=[example], json_schema_extra={"words": words}, **limits
    )


class TradingSettings(BaseModel):
    """The numbers behind each decision, checked. Immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    symbols: Symbols = setting(
        "SYMBOLS", DEFAULT_SYMBOLS, "SPY,QQQ,BTC-USD", "What is traded: Yahoo's symbols, separated by commas"
    )
    profile: Annotated[ProfileName, AnyCase] = setting(
        "PROFILE",
        ProfileName.MISSION,
        "moderate",
        "Values of risk as one choice: mission, conservative, moderate, aggressive or rule",
    )
    mode: Annotated[Mode | None, AnyCase] = setting(
        "MODE",
        None,
        "confirm",
        "How decisions become orders: auto, confirm, manual or observe",
        words="auto for play and paper money, else manual",
    )
    strategy: Annotated[Strategy, AnyCase] = setting(
        "STRATEGY",
        Strategy.FOREST,
        "rule",
        "What proposes purchases: forest (with SMA, RSI and MACD) or rule (held above its mean of 200 days)",
    )
    min_probability: float = setting(
        "MIN_PROBABILITY",
        0.60,
        "0.60",
        "Probability above which the model's forecast counts as a signal, 0 to 1",
        ge=0,
        lt=1,
        allow_inf_nan=False,
    )
    skill_throttle: Annotated[Throttle, AnyCase] = setting(
        "SKILL_THROTTLE",
        Throttle.APPLIED,
        "ignored",
        "Half or no entries where live forecasts prove worse than the base rate: applied or ignored",
    )
    max_asset_fraction: Decimal = setting(
        "MAX_ASSET_FRACTION",
        Decimal("0.25"),
        "0.25",
        "Largest part of an account's value in one asset, fraction",
        gt=0,
        le=1,
    )
    stop_loss: Decimal = setting(
        "STOP_LOSS",
        Decimal("0.05"),
        "0.05",
        "Loss at which a position is sold, fraction of entry price",
        gt=0,
        lt=1,
    )
    take_profit: Decimal = setting(
        "TAKE_PROFIT",
        Decimal("0.15"),
        "0.15",
        "Gain at which a position is sold, fraction of entry price",
        gt=0,
        le=10,
    )
    min_trade_gap_minutes: int = setting(
        "MIN_TRADE_GAP_MINUTES", 60, "60", "Least time between two trades of the same asset, minutes", ge=0, le=43_200
    )
    trailing_stop: Decimal | None = setting(
        "TRAILING_STOP",
        None,
        "0.05",
        "How far below the highest price a stop follows it, fraction of that price",
        words="off",
        gt=0,
        lt=1,
    )
    break_even_at: Decimal | None = setting(
        "BREAK_EVEN_AT",
        None,
        "0.05",
        "Gain from which a stop stands no lower than what was paid, fraction of entry price",
        words="off",
        gt=0,
        le=10,
    )
    max_exposure_fraction: Decimal = setting(
        "MAX_EXPOSURE_FRACTION",
        Decimal(1),
        "0.80",
        "Largest part of an account's value in all assets together, fraction",
        gt=0,
        le=1,
    )
    max_crypto_fraction: Decimal = setting(
        "MAX_CRYPTO_FRACTION",
        Decimal("0.50"),
        "0.50",
        "Largest part of an account's value in all coins together, fraction; 0 buys none",
        ge=0,
        le=1,
    )
    daily_risk_fraction: Decimal = setting(
        "DAILY_RISK_FRACTION",
        Decimal("0.003"),
        "0.003",
        "What one position may win or lose on an ordinary day, fraction of the account's value",
        gt=0,
        le=1,
    )
    volatility_target: Decimal = setting(
        "VOLATILITY_TARGET",
        Decimal("0.12"),
        "0.12",
        "What the plain rule lets all win or lose together in an ordinary year, fraction of the account's value",
        gt=0,
        le=1,
    )
    first_day_exposure: Decimal = setting(
        "FIRST_DAY_EXPOSURE",
        Decimal("0.10"),
        "0.10",
        "Largest part of a live account invested on the trading day of your word for real money, fraction",
        gt=0,
        le=1,
    )
    daily_loss_limit: Decimal = setting(
        "DAILY_LOSS_LIMIT",
        Decimal("0.04"),
        "0.04",
        "Loss in a trading day from which nothing is bought until the day ends, fraction",
        gt=0,
        le=1,
    )
    drawdown_limit: Decimal = setting(
        "DRAWDOWN_LIMIT",
        Decimal("0.20"),
        "0.20",
        "Loss from the highest value from which nothing is bought until you release it, fraction",
        gt=0,
        le=1,
    )
    loss_streak: int = setting(
        "LOSS_STREAK", 4, "4", "Losing trades in a row after which an account rests, count", ge=1, le=1_000
    )
    loss_streak_pause_hours: int = setting(
        "LOSS_STREAK_PAUSE_HOURS", 24, "24", "How long it rests then, hours", ge=1, le=8_760
    )
    entry_life_hours: int = setting(
        "ENTRY_LIFE_HOURS",
        24,
        "24",
        "After how long in an open market a purchase that was not filled is cancelled, hours",
        ge=1,
        le=8_760,
    )
    instruction_life_minutes: int = setting(
        "INSTRUCTION_LIFE_MINUTES",
        60,
        "60",
        "How long a card to buy waits for you, minutes; cards to sell never lapse",
        ge=1,
        le=43_200,
    )
    no_answer: Annotated[NoAnswer, AnyCase] = setting(
        "NO_ANSWER",
        NoAnswer.SKIP,
        "remind",
        "An unanswered card to buy: skip it, execute it (play money only) or remind (asked again)",
    )
    exit_reminder_minutes: int = setting(
        "EXIT_REMINDER_MINUTES",
        10,
        "10",
        "How often a card to sell that still waits is brought up again, minutes",
        ge=1,
        le=10_080,
    )
    away_days: int = setting(
        "AWAY_DAYS",
        14,
        "14",
        "Days without a sign of you after which nothing new is bought; 0 is never",
        ge=0,
        le=365,
    )

    near_stop: Decimal | None = setting(
        "NEAR_STOP",
        Decimal("0.01"),
        "0.01",
        "How near a price must come to a stop for a warning, fraction; empty: this rule is off",
        gt=0,
        le=1,
    )
    near_stop_atr: Decimal | None = setting(
        "NEAR_STOP_ATR",
        Decimal("0.25"),
        "0.25",
        "The same as a part of what the price moves on a usual day, fraction; empty: this rule is off",
        gt=0,
        le=5,
    )
    stale_bars: int = setting(
        "STALE_BARS",
        6,
        "6",
        "So many bars in a row that do not come while the market is open are warned of, count; 0 is never",
        ge=0,
        le=1_000,
    )

    fallback_minutes: int = setting(
        "FALLBACK_MINUTES",
        10,
        "10",
        "How long a broker may not answer before cards for your hand take its place, minutes; 2 for refused keys",
        ge=2,
        le=1_440,
    )

    def model_post_init(self, _context: Any) -> None:
        """What nobody set has the profile's value; it does not count as set."""
        for attribute, value in _values_of(self.profile).items():
            if attribute not in self.model_fields_set:
                self.__dict__[attribute] = value

    def policy(self) -> Policy:
        """The numbers the strategy obeys; what has no setting keeps the policy's default."""
        return Policy(
            strategy=self.strategy,
            skill_throttle=self.skill_throttle,
            min_probability=self.min_probability,
            max_asset_fraction=self.max_asset_fraction,
            stop_fraction=self.stop_loss,
            target_fraction=self.take_profit,
            min_trade_gap=timedelta(minutes=self.min_trade_gap_minutes),
            instruction_life=timedelta(minutes=self.instruction_life_minutes),
            daily_loss_fraction=self.daily_loss_limit,
            drawdown_fraction=self.drawdown_limit,
            loss_streak=self.loss_streak,
            loss_streak_pause=timedelta(hours=self.loss_streak_pause_hours),
            max_exposure_fraction=self.max_exposure_fraction,
            max_crypto_fraction=self.max_crypto_fraction,
            daily_risk_fraction=self.daily_risk_fraction,
            volatility_target=self.volatility_target,
            first_day_fraction=self.first_day_exposure,
            trailing_fraction=self.trailing_stop,
            break_even_fraction=self.break_even_at,
            entry_life=timedelta(hours=self.entry_life_hours),
            exit_reminder=timedelta(minutes=self.exit_reminder_minutes),
            no_answer=self.no_answer,
            away_after=timedelta(days=self.away_days),
            near_stop_fraction=self.near_stop,
            near_stop_atr=self.near_stop_atr,
            stale_bars=self.stale_bars,
            outage_patience=timedelta(minutes=self.fallback_minutes),
        )


@cache
def _values_of(profile: ProfileName) -> Mapping[str, object]:
    """By attribute, read and checked by the table itself; the mission's are its defaults."""
    if profile is ProfileName.MISSION:
        return {}
    values = {name: text or None for name, text in PROFILES[profile].values.items()}
    found = TradingSettings.model_validate(values)
    return {attribute: getattr(found, attribute) for attribute in found.model_fields_set}
