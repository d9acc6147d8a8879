"""What live forecasts have been worth: each one that came due, their record, and what follows for new purchases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.domain.decisions import Prediction

ALL = "*"
"""The record of all assets together."""


@dataclass(frozen=True, slots=True)
class TrackedPrediction:
    """A journalled prediction and, once its event is known, whether it `came_true`; None while that waits.

    The outcome was decided at the close of a bar at `ended_at` and could be told from `known_at` on: later where a
    jump of the price had to be looked at first. `base_rate` is how often the event had come true in the asset by the
    time of the prediction. These three are None in scores of before they were kept. `recipe` is that of the model,
    empty for those of before recipes had names.
    """

    prediction: Prediction
    came_true: bool | None = None
    ended_at: datetime | None = None
    known_at: datetime | None = None
    base_rate: float | None = None
    recipe: str = ""

    @property
    def is_hit(self) -> bool:
        """The model gave the event more than one half and it came true, or not more and it did not."""
        return (self.prediction.probability > 0.5) is self.came_true


class Trust(StrEnum):
    """What an asset's live forecasts have earned: whole entries, half of them, or to be watched only."""

    TRUSTED = "trusted"
    THROTTLED = "throttled"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a symbol's record, or that of ALL, stands. `reason` holds the numbers in words; `since` is when the
    forecast that decided it had come due."""

    symbol: str
    trust: Trust
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Standings:
    """Those that are not trusted, by symbol, of the models of one recipe."""

    recipe: str = ""
    doubted: Mapping[str, Standing] = field(default_factory=dict)

    def trust_in(self, symbol: str) -> Trust:
        """Of the symbol's own record, or that of ALL, alone."""
        found = self.doubted.get(symbol)
        return found.trust if found is not None else Trust.TRUSTED

    def of(self, symbol: str) -> Standing | None:
        """The stricter one of the symbol's own and that of all together; None where both are trusted."""
        both = [found for name in (ALL, symbol) if (found := self.doubted.get(name)) is not None]
        return max(both, key=lambda each: each.trust is Trust.OBSERVED, default=None)


@dataclass(frozen=True, slots=True)
class SaidGroup:
    """Forecasts from `low` up to below `high`: their mean, and the part of them that came true."""

    low: float
    high: float
    count: int
    said: float
    came_true: float


@dataclass(frozen=True, slots=True)
class SkillRecord:
    """The forecasts of one symbol, or of ALL, that came due in the period of the record.

    `hits` are those above one half that came true and those not above it that did not. `independent` is how many
    outcomes these are that do not overlap; `hit_low` to `hit_high` is the 90 % interval of the rate of hits for so
    many. Brier score and log loss (nats) stand beside those of always saying the base rate known at the time;
    `gain` is by how much the log loss is better, with its 90 % interval. The intervals are None for fewer than two
    independent outcomes. `evidence` is what speaks against the forecasts now, in nats (core.strategy.skill).
    """

    symbol: str
    count: int
    hits: int
    independent: float
    hit_low: float | None
    hit_high: float | None
    brier: float
    base_brier: float
    log_loss: float
    base_log_loss: float
    gain_low: float | None
    gain_high: float | None
    evidence: float
    trust: Trust
    groups: tuple[SaidGroup, ...]

    @property
    def gain(self) -> float:
        return self.base_log_loss - self.log_loss


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many predictions cannot be scored yet, and why."""

    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class LiveSkill:
    """As of the market time `at`, of the models of `recipe`, by predictions that came due at or after `since`.

    `whole` is None before the first outcome; `assets` in the order of their symbols, those with an outcome alone.
    """

    at: datetime
    since: datetime
    recipe: str
    whole: SkillRecord | None
    assets: tuple[SkillRecord, ...]
    waiting: tuple[Waiting, ...]
