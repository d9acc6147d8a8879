"""What the live forecasts have been worth, as the daily scoring left it in the ledger: read by reports, commands and
the gate."""

from __future__ import annotations

import json
from functools import lru_cache

from core.domain.codec import canonical, decode
from core.domain.skill import ALL, LiveSkill, Standings, Trust
from core.domain.views import Health
from core.execution.desk import Desk
from core.ports import UnitOfWork
from core.strategy.policy import Throttle

SKILL = "live skill"
"""The component of health."""
LIVE_SKILL = "live_skill"
STANDINGS = "standings"
TRUSTED = Standings()
_OTHER_FIGURES = (KeyError, TypeError, ValueError)
"""What another version of the program kept may not fit: the next scoring writes it anew, from the ledger."""


def live_skill(work: UnitOfWork) -> LiveSkill | None:
    """The record of the recipe in force, of all assets together and of each (hit rate, Brier score and log loss against
    the base rate known at the time, calibration groups, independent outcomes, intervals), and what waits, why.

    Worked out by jobs.scoring once a trading day and kept as a value; None before the first scoring, or where a version
    of the program kept it that had other figures.
    """
    text = work.value(LIVE_SKILL)
    return _skill_of(text) if text else None


def standings(work: UnitOfWork) -> Standings:
    """Whose entries are halved or held back by the live record of the champion's recipe. Those of another recipe's
    record say nothing about this one: then all are trusted until the next scoring."""
    kept = kept_standings(work)
    champion = work.champion()
    return kept if champion is None or champion.recipe == kept.recipe else TRUSTED


def kept_standings(work: UnitOfWork) -> Standings:
    """As the last scoring left them, whatever recipe is in force now."""
    text = work.value(STANDINGS)
    return _standings_of(text) if text else TRUSTED


def look_at_skill(desk: Desk) -> None:
    """Says to health whether the model has lost its entries. The change itself is told by the scoring, once."""
    with desk.reading() as work:
        whole = standings(work).doubted.get(ALL)
    if whole is None or desk.policy.skill_throttle is Throttle.IGNORED:
        desk.health(SKILL, Health.RUNNING, "forecasts hold against the base rate")
    elif whole.trust is Trust.OBSERVED:
        desk.health(SKILL, Health.DEGRADED, f"the model makes no entries, exits go on: {whole.reason}")
    else:
        desk.health(SKILL, Health.RUNNING, f"entries have half their size: {whole.reason}")


def keep_live_skill(work: UnitOfWork, skill: LiveSkill) -> None:
    work.set_value(LIVE_SKILL, canonical(skill))


def keep_standings(work: UnitOfWork, found: Standings) -> None:
    """Writes only what differs from what is kept."""
    text = canonical(found) if found.doubted else None
    if work.value(STANDINGS) != text:
        work.set_value(STANDINGS, text)


@lru_cache(maxsize=4)
def _skill_of(text: str) -> LiveSkill | None:
    try:
        return decode(LiveSkill, json.loads(text))
    except _OTHER_FIGURES:
        return None


@lru_cache(maxsize=4)
def _standings_of(text: str) -> Standings:
    try:
        return decode(Standings, json.loads(text))
    except _OTHER_FIGURES:
        return TRUSTED
