"""When losses hold new entries back: figures in, a brake or none out. Pure. Exits are asked none of this.

Each rule answers for one account, or for all together, and states its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.decisions import Brake, BrakeKind
from core.domain.round_trips import RoundTrip
from core.domain.values import ZERO, plain
from core.strategy.policy import Policy

EVERYTHING = "*"
LOSS_KINDS = frozenset({BrakeKind.DAILY_LOSS, BrakeKind.DRAWDOWN, BrakeKind.LOSS_STREAK})


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one account stands (`scope` is its id), or all together (`*`). Fractions of a value from which money moved
    in or out is taken away (time-weighted); `equity` in USD.

    `loss` is that of the trading day which ends at `day_end`, counted from a release at `loss_since` where there was
    one. `lost` are the losing round trips that ended last, the oldest first.
    """

    scope: str
    equity: Decimal
    loss: Decimal
    loss_since: datetime | None
    day_end: datetime
    drawdown: Decimal
    lost: tuple[RoundTrip, ...] = ()


Rule = Callable[[Standing, Policy, datetime], Brake | None]


def daily_loss(standing: Standing, policy: Policy, now: datetime) -> Brake | None:
    """Holds until the trading day ends."""
    if standing.loss < policy.daily_loss_fraction or standing.day_end <= now:
        return None
    since = f"since its release at {standing.loss_since:%Y-%m-%d %H:%M} UTC" if standing.loss_since else "today"
    reason = f"{_percent(standing.loss)} lost {since} (limit {_limit(policy.daily_loss_fraction)}){_worth(standing)}"
    return Brake(BrakeKind.DAILY_LOSS, standing.scope, reason, now, standing.day_end)


def drawdown(standing: Standing, policy: Policy, now: datetime) -> Brake | None:
    """Holds until the owner releases it."""
    if standing.drawdown < policy.drawdown_fraction:
        return None
    limit = _limit(policy.drawdown_fraction)
    reason = f"{_percent(standing.drawdown)} below the highest value (limit {limit}){_worth(standing)}"
    return Brake(BrakeKind.DRAWDOWN, standing.scope, reason, now)


def loss_streak(standing: Standing, policy: Policy, now: datetime) -> Brake | None:
    """Holds for the pause of the policy."""
    lost = standing.lost
    if len(lost) < policy.loss_streak:
        return None
    total = sum((trip.profit for trip in lost), ZERO)
    reason = (
        f"{len(lost)} losing trades in a row (limit {policy.loss_streak}), together {total:,.2f} USD, "
        f"the last one {lost[-1].symbol} {lost[-1].profit:,.2f} USD"
    )
    return Brake(BrakeKind.LOSS_STREAK, standing.scope, reason, now, now + policy.loss_streak_pause)


LOSS_RULES: tuple[Rule, ...] = (daily_loss, drawdown, loss_streak)


def losing_streak(trips: Sequence[RoundTrip], since: datetime | None) -> tuple[RoundTrip, ...]:
    """Of `trips`, ordered by the time of their end, the losing ones after the last that lost nothing, as far as they
    ended after `since`. Looks at no more of them than that."""
    streak: list[RoundTrip] = []
    for trip in reversed(trips):
        if trip.profit >= 0 or (since is not None and trip.closed_at <= since):
            break
        streak.append(trip)
    return tuple(reversed(streak))


def _worth(standing: Standing) -> str:
    whose = "all accounts together are" if standing.scope == EVERYTHING else "the account is"
    return f", {whose} worth {standing.equity:,.2f} USD"


def _percent(fraction: Decimal) -> str:
    return f"{100 * fraction:.2f} %"


def _limit(fraction: Decimal) -> str:
    return f"{plain(100 * fraction)} %"
