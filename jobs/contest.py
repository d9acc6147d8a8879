"""Once a month at most: whether another recipe than the champion's has shown that it foresees more.

Each eligible recipe walks forward over the same years, a task of the worker each, so that training gets its turn in
between. What was tried stays in the hash chain and has used up its part of the budget of errors, won or not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.bars import BarSize
from core.domain.contests import Attempt, Contest, level_of
from core.domain.instruments import Instrument
from core.errors import DataFault, Transient
from core.learning.contest import YEAR, YEARS, Walk, base_rates, walked
from core.learning.recipes import Recipe
from core.learning.tracks import Lead, Track, compared
from core.ports import BarStore, UnitOfWork, UnitOfWorkFactory, Worker
from core.series import COLUMNS, BarSeries
from jobs.going_back import held
from jobs.schedule import JobSkipped

PERIOD: Final = timedelta(days=30)
LEARNED_FIRST: Final = 2 * YEAR
"""What there has to be before the years that are walked through."""
WHOLE_HISTORY: Final = 100_000
SEED: Final = 20_240_101


@dataclass(frozen=True, slots=True)
class Rules:
    """`gate` is the probability above which entries are made: an event that happens more often by itself in any
    instrument is no challenge. `deadline` in seconds, for each task."""

    recipes: Mapping[str, Recipe]
    gate: float
    deadline: float = 900.0


Refit = Callable[[UnitOfWork, Contest], str]
"""Registers what was trained for the winner, in the transaction of the contest; answers in words."""
Prepare = Callable[[Recipe], "Refit | str"]
"""Trains the winner on all rows; a text says why it must not go live."""


def contest(
    now: datetime,
    *,
    uow: UnitOfWorkFactory,
    bars: BarStore,
    instruments: Sequence[Instrument],
    worker: Worker,
    rules: Rules,
    prepare: Prepare,
    checkpoint: Checkpoint = nowhere,
) -> str:
    """Holds the contest that is due at `now` (market time) and returns a line. Raises JobSkipped with the reason where
    none is, Transient when the worker fails before anything was measured; then the next day tries again."""
    with uow() as work:
        champion = _champion_of(work, now, rules)
    daily = tuple(bars.read(each.symbol, BarSize.D1, now, WHOLE_HISTORY) for each in instruments)
    daily = tuple(series for series in daily if len(series))
    _skip_if_too_short(daily)
    chosen = _eligible(daily, champion, rules, now)
    challengers = [each for each in chosen if not each.why]
    if not challengers:
        raise JobSkipped(f"no recipe may challenge {champion.name}: {_refused(chosen)}")
    tracks = dict[str, Track]()
    for recipe in (champion, *(rules.recipes[each.recipe] for each in challengers)):
        with calling(checkpoint, "train"):
            tracks[recipe.name] = worker.run(walked, Walk(daily, recipe, now), deadline=rules.deadline)
    with uow() as work:
        number = _next_number(work)
    level = level_of(number, len(challengers))
    measured = list[Attempt]()
    for each in chosen:
        with calling(checkpoint, "train"):
            measured.append(each if each.why else _measured(each, champion, tracks, rules, level, worker))
    own = tracks[champion.name]
    first = Attempt(champion.name, champion.event, own.rows, own.gain, why="the champion's")
    winner = max(_winners(measured), key=lambda each: each.low or 0.0, default=None)
    held_now = Contest(number, now, champion.name, now - YEARS * YEAR, now, _hash_of(daily), (first, *measured), "", "")
    refit = _prepared(rules.recipes[winner.recipe], prepare) if winner is not None else ""
    return _recorded(held_now, winner, refit, now, uow)


def _champion_of(work: UnitOfWork, now: datetime, rules: Rules) -> Recipe:
    """The recipe to beat. Raises JobSkipped where no contest is due."""
    model, newest, models = work.champion(), next(iter(work.contests(1)), None), work.models(1000)
    if model is None or not models:
        raise JobSkipped("no model is in use yet")
    if (waits := held(work, now)) is not None:
        raise JobSkipped(f"you went back to model {waits.version}; contests wait, too")
    if model.recipe not in rules.recipes:
        raise JobSkipped(f"the model in use is of no known recipe ({model.recipe or 'none'})")
    since = newest.at if newest is not None else models[-1].trained_at
    if timedelta(0) <= now - since < PERIOD:
        raise JobSkipped(
            f"due on {since + PERIOD:%Y-%m-%d}: one a month at most, the first a month after the first model"
        )
    return rules.recipes[model.recipe]


def _skip_if_too_short(daily: Sequence[BarSeries]) -> None:
    needed = YEARS * YEAR + LEARNED_FIRST
    spans = (series.bar(len(series) - 1).closed_at - series.bar(0).closed_at for series in daily)
    there = max(spans, default=timedelta(0))
    if there < needed:
        raise JobSkipped(f"{there / YEAR:.1f} years of daily bars, a contest needs {needed / YEAR:.0f}")


def _eligible(daily: Sequence[BarSeries], champion: Recipe, rules: Rules, now: datetime) -> list[Attempt]:
    """Every other recipe, with a reason where its event is no challenge."""
    rates = {
        key: base_rates(daily, recipe.foresees, now)
        for key, recipe in {r.event: r for r in rules.recipes.values()}.items()
    }
    found = []
    for recipe in rules.recipes.values():
        if recipe.name == champion.name:
            continue
        often = max(rates[recipe.event].items(), key=lambda each: each[1], default=("", 0.0))
        why = ""
        if often[1] >= rules.gate:
            why = f"happens {often[1]:.0%} of the time in {often[0]} by itself, the gate asks for {rules.gate:.0%}"
        found.append(Attempt(recipe.name, recipe.event, why=why))
    return found


def _refused(attempts: Sequence[Attempt]) -> str:
    """Why nobody may challenge, an event once."""
    reasons = {each.event: each.why for each in attempts}
    return "; ".join(f"{event}: {why}" for event, why in reasons.items()) or "there is no other"


def _next_number(work: UnitOfWork) -> int:
    return next((each.number for each in work.contests(1)), 0) + 1


def _measured(
    attempt: Attempt, champion: Recipe, tracks: Mapping[str, Track], rules: Rules, level: float, worker: Worker
) -> Attempt:
    recipe, track = rules.recipes[attempt.recipe], tracks[attempt.recipe]
    horizon = max(champion.foresees.horizon, recipe.foresees.horizon)
    both = tracks[champion.name], track
    lead = worker.run(compared, *both, horizon, level, SEED, deadline=rules.deadline)
    why = _in_words(lead, level)
    return replace(attempt, rows=track.rows, gain=track.gain, lead=lead.lead, low=lead.low, level=level, why=why)


def _in_words(lead: Lead, level: float) -> str:
    if lead.lead is None or lead.low is None:
        return f"too few common forecasts to tell ({lead.rows})"
    return f"{lead.lead:+.4f} nats beside the champion's, more than {lead.low:+.4f} but for {level:.2%} of chance"


def _winners(measured: Sequence[Attempt]) -> list[Attempt]:
    return [each for each in measured if each.low is not None and math.isfinite(each.low) and each.low > 0.0]


def _prepared(winner: Recipe, prepare: Prepare) -> Refit | str:
    """A failure does not undo what was measured: it has used up its part of the budget."""
    try:
        return prepare(winner)
    except (DataFault, Transient) as failure:
        return f"its training failed: {failure}"


def _recorded(
    held_now: Contest, winner: Attempt | None, refit: Refit | str, now: datetime, uow: UnitOfWorkFactory
) -> str:
    """Whatever came of it is recorded with its figures; a winner goes live in the same transaction."""
    with uow() as work:
        if winner is None:
            done = replace(held_now, outcome=f"no other recipe is shown to foresee more: {held_now.champion} stays")
        elif isinstance(refit, str):
            done = replace(held_now, outcome=f"recipe {winner.recipe} won and does not go live: {refit}")
        else:
            done = _with_winner(work, held_now, winner, now)
        words = done.outcome
        if done.winner and not isinstance(refit, str):
            words = f"{words}; {refit(work, done)}"
        work.record_contest(done, recorded_at=now)
        work.commit("contest")
    measured = "; ".join(f"{each.recipe}: {each.why}" for each in done.attempts[1:] if each.level is not None)
    return f"contest {done.number}: {words}. {measured}"


def _with_winner(work: UnitOfWork, held_now: Contest, winner: Attempt, now: datetime) -> Contest:
    """Unless the owner has chosen another model meanwhile."""
    model = work.champion()
    if held(work, now) is not None or model is None or model.recipe != held_now.champion:
        return replace(
            held_now, outcome=f"recipe {winner.recipe} won, but another model was chosen meanwhile and stays"
        )
    outcome = f"recipe {winner.recipe} takes the place of {held_now.champion}: {winner.why}"
    return replace(held_now, winner=winner.recipe, outcome=outcome)


def _hash_of(daily: Sequence[BarSeries]) -> str:
    digest = hashlib.sha256()
    for series in daily:
        digest.update(series.symbol.encode())
        for name in COLUMNS:
            digest.update(np.ascontiguousarray(getattr(series, name)).tobytes())
    return digest.hexdigest()
