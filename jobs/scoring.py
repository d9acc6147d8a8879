"""How the model's predictions turned out, counted once each as soon as a closed daily bar decides it, and what follows
for new purchases (S6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from core.domain.bars import BarSize
from core.domain.decisions import Prediction
from core.domain.instruments import instrument_for
from core.domain.skill import TrackedPrediction, Waiting
from core.feed.gaps import Sessions, expected_closes
from core.learning.events import event_named
from core.learning.outcomes import BASE_BARS, LEAD, NO_BARS, NOT_DUE, UNKNOWN_EVENT, UNSETTLED, Outcomes
from core.ports import BarStore, UnitOfWorkFactory
from core.reporting import SCORED_FOR
from core.series import seconds_of
from jobs.live_record import renew_record


def score_predictions(
    now: datetime, uow: UnitOfWorkFactory, bars: BarStore, sessions: Sessions, *, in_force: bool = True
) -> int:
    """Scores the journalled predictions, of any model, whose event the daily bars closed at `now` decide; returns how
    many. Then works out the live record anew and tells, once, whose entries are halved, held back or free again.

    A prediction without an outcome waits; one made from a bar older than SCORED_FOR is given up and never counted.
    All is one transaction: figures, standings and news are those of the scores they stand beside. `in_force` False:
    the owner has switched the throttle off, and the news say so.
    """
    with uow() as work:
        found = list(_judged(now, bars, sessions, work.unscored_predictions(now - SCORED_FOR)))
        scored = [outcome for _, outcome in found if isinstance(outcome, TrackedPrediction)]
        for each in scored:
            work.add_prediction_score(each)
        waiting = Counter(_why(made, outcome) for made, outcome in found if isinstance(outcome, str))
        renew_record(
            work, now, [Waiting(count, reason) for reason, count in sorted(waiting.items())], in_force=in_force
        )
        work.commit("scores")
    return len(scored)


def _judged(
    now: datetime, bars: BarStore, sessions: Sessions, pending: Sequence[Prediction]
) -> Iterator[tuple[Prediction, TrackedPrediction | str]]:
    """Each with its outcome, or why there is none."""
    if not pending:
        return
    oldest, known = seconds_of(min(each.bar_closed_at for each in pending)) - 1, dict[tuple[str, str], Outcomes | str]()
    for made in pending:
        key = made.symbol, made.event
        if key not in known:
            known[key] = _outcomes(now, bars, sessions, made, oldest)
        outcomes = known[key]
        if isinstance(outcomes, str):
            yield made, outcomes
            continue
        outcome = outcomes.of(made)
        is_early = isinstance(outcome, TrackedPrediction) and outcome.known_at is not None and outcome.known_at > now
        yield made, UNSETTLED if is_early else outcome


def _outcomes(now: datetime, bars: BarStore, sessions: Sessions, made: Prediction, oldest: int) -> Outcomes | str:
    event = event_named(made.event)
    if event is None:
        return UNKNOWN_EVENT
    enough = BASE_BARS + LEAD + 2 * event.horizon + SCORED_FOR.days
    daily = bars.read(made.symbol, BarSize.D1, now, enough)
    if len(daily) == 0:
        return NO_BARS
    asset_class = instrument_for(made.symbol).asset_class
    return Outcomes(event, daily, expected_closes(sessions, asset_class, BarSize.D1, oldest, seconds_of(now)))


def _why(made: Prediction, reason: str) -> str:
    return reason if reason == NOT_DUE else f"{made.symbol}: {reason}"
