"""What the strategy thinks: predictions, signals, verdicts, brakes, and the decision they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.orders import Order


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's probability (0 to 1) of `event` for `symbol`, seen from the daily bar closed at `bar_closed_at`."""

    symbol: str
    probability: float
    event: str
    model_version: str
    bar_closed_at: datetime


@dataclass(frozen=True, slots=True)
class Contribution:
    """By how much a feature moved a probability (`points`, as a fraction of one), and its `value`. `rank` is the part
    of the training values below it, 0 to 1; None where the model does not know them."""

    feature: str
    value: float
    points: float
    rank: float | None


@dataclass(frozen=True, slots=True)
class Reasons:
    """What a forest's probability is made of: the share of the event among all that it learned from, and what each
    feature added. They add up to what the forest said; `calibrated` is what such a word has been worth on days that it
    had not seen, the probability that decides. None where the forest's own word decides."""

    base: float
    contributions: tuple[Contribution, ...]
    calibrated: float | None = None

    @property
    def probability(self) -> float:
        return self.base + sum(each.points for each in self.contributions)


RULE_GATE = "rule"
"""The gate that stands in the place of probability, SMA, RSI and MACD where the plain rule is followed; also the tag of
the rule's sales."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer, with its numbers in words. `gate` is a short stable name (probability, sma, cap, cash ...)."""

    gate: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Signal:
    """One asset's evaluation at one tick: the prediction (None if there is none) and every gate asked, in order.

    `bar_closed_at` is the close of the newest confirmation bar that was judged.
    """

    symbol: str
    at: datetime
    price: Decimal | None
    prediction: Prediction | None
    verdicts: tuple[Verdict, ...]
    bar_closed_at: datetime | None = None

    @property
    def is_buy(self) -> bool:
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)

    @property
    def is_by_rule(self) -> bool:
        """Whether the plain rule decided, and no forecast was asked."""
        return any(verdict.gate == RULE_GATE for verdict in self.verdicts)

    @property
    def confidence(self) -> float | None:
        """The forecast that was asked, 0 to 1; None where there was none."""
        return None if self.prediction is None or self.is_by_rule else self.prediction.probability

    @property
    def veto(self) -> Verdict | None:
        """The first gate that said no."""
        return next((verdict for verdict in self.verdicts if not verdict.passed), None)


class BrakeKind(StrEnum):
    PAUSED = "paused"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    LOSS_STREAK = "loss_streak"
    SYMBOL_BLOCKED = "symbol_blocked"
    FLATTEN = "flatten"
    FOREIGN_ORDERS = "foreign_orders"
    AWAY = "away"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Brake:
    """A lock on new entries. `scope` is '*', an account id, a symbol, or account/symbol: that symbol is held back in
    every account because of what was found in the one. `until` None means until released.
    """

    kind: BrakeKind
    scope: str
    reason: str
    since: datetime
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def concerns(self, account: str | None, symbol: str) -> bool:
        """Whether it holds back entries of `symbol` in `account`."""
        return self.scope in ("*", account, symbol) or self.scope.endswith(f"/{symbol}")


@dataclass(frozen=True, slots=True)
class Decision:
    """All that one tick concluded. `orders` are intents in state SUBMITTING or AWAITING_OWNER, exits first."""

    at: datetime
    account: str
    signals: tuple[Signal, ...]
    orders: tuple[Order, ...]


class ModelState(StrEnum):
    CHAMPION = "champion"
    ARCHIVED = "archived"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A trained model as the ledger knows it. `path` is relative to the models folder; hashes are SHA-256 in hex.
    `recipe` is the name of what it was fitted by; empty for those of before recipes had names."""

    version: str
    trained_at: datetime
    last_bar_at: datetime
    event: str
    feature_names: tuple[str, ...]
    feature_version: int
    rows: int
    path: str
    sha256: str
    flat_path: str
    flat_sha256: str
    validation_rows: int
    validation_auc: float
    validation_log_loss: float
    baseline_log_loss: float
    base_rate: float
    state: ModelState = ModelState.CHAMPION
    recipe: str = ""
