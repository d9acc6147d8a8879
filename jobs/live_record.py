"""The live record of the recipe in force, worked out anew from the ledger whenever something came due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from core.domain.events import SkillChanged
from core.domain.skill import ALL, LiveSkill, SkillRecord, Standings, Trust, Waiting
from core.execution.live_skill import keep_live_skill, keep_standings, kept_standings
from core.learning.outcomes import weighed
from core.ports import UnitOfWork
from core.strategy.skill import Tally, Weighed, course, record_of, standings_of

LIVE_FOR = timedelta(days=365)
"""The figures are of what came due in so long a time; the trust counts the whole record of the recipe."""
NEW_RECORD = "Its models are of another recipe now, and begin with a record of their own."


def renew_record(work: UnitOfWork, now: datetime, waiting: Sequence[Waiting], *, in_force: bool) -> None:
    """Keeps figures and standings and publishes what has changed, in the caller's transaction.

    Refits of the same recipe go on with its record; another recipe has its own, also one that comes back.
    """
    champion = work.champion()
    recipe = champion.recipe if champion is not None else ""
    outcomes = weighed(work.tracked_predictions(recipe), now)
    tallies: Mapping[str, Tally] = {}
    for moment in course(outcomes):
        tallies = moment.tallies
    before, after = kept_standings(work), standings_of(tallies, recipe)
    keep_standings(work, after)
    since = now - LIVE_FOR
    records = list(_records(outcomes, tallies, since))
    whole = next((each for each in records if each.symbol == ALL), None)
    assets = tuple(each for each in records if each.symbol != ALL)
    keep_live_skill(work, LiveSkill(now, since, recipe, whole, assets, tuple(waiting)))
    for change in _changes(before, after, tallies, recipe, in_force):
        work.publish(change, market_time=now)


def _records(outcomes: Sequence[Weighed], tallies: Mapping[str, Tally], since: datetime) -> Iterator[SkillRecord]:
    recent = [each for each in outcomes if each.tracked.known_at is not None and each.tracked.known_at >= since]
    for symbol in sorted(tallies):
        mine = [each for each in recent if symbol in (ALL, each.tracked.prediction.symbol)]
        if mine:
            yield record_of(symbol, mine, tallies[symbol])


def _changes(
    before: Standings, after: Standings, tallies: Mapping[str, Tally], recipe: str, in_force: bool
) -> Iterator[SkillChanged]:
    for symbol in sorted({*before.doubted, *after.doubted}):
        was, now = before.trust_in(symbol), after.trust_in(symbol)
        if was is not now:
            is_new = now is Trust.TRUSTED and before.recipe != recipe
            words = NEW_RECORD if is_new else tallies[symbol].words()
            yield SkillChanged(symbol, now, was, words, in_force)
