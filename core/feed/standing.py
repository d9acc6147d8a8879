"""Which source a series comes from, with hysteresis: it is left only after it failed for a while, and gone back to only
after it has answered for a while. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Rules:
    """A source is given up after `failures` asks in a row without an answer, or `patience` after the first of them.

    A better one is gone back to after `answers` in a row over at least `steady`; it is tried every `probe`, ever more
    rarely up to `longest_probe` while it fails. A held series goes on after `answers_held`. No two changes lie closer
    together than `window`.
    """

    failures: int = 3
    patience: timedelta = timedelta(minutes=15)
    answers: int = 4
    steady: timedelta = timedelta(minutes=30)
    answers_held: int = 2
    window: timedelta = timedelta(minutes=15)
    probe: timedelta = timedelta(minutes=5)
    longest_probe: timedelta = timedelta(minutes=30)


class Turn(StrEnum):
    """MOVED: another source continues. HELD: none does, the last good bars stay. RETURNED: back to the best source.
    RESUMED: the source of before continues."""

    MOVED = "moved"
    HELD = "held"
    RETURNED = "returned"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Standing:
    """`source` is in charge of the series since `changed_at`; with `held` it gives nothing and no entry is made.

    `failures` asks in a row failed since `failing_since`; while held, `answers` in a row came again. While another
    source than the best is in charge, the best has answered `good_probes` in a row since `good_since`.
    """

    source: str
    held: bool = False
    changed_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    answers: int = 0
    good_probes: int = 0
    good_since: datetime | None = None
    probe_at: datetime | None = None
    probe_wait: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of asks came to. `own`: the source in charge answered (None: it was not asked). `other`: one that
    answered instead, with bars that fit. `best`: the probed best source answered, with bars that fit."""

    own: bool | None = None
    other: str | None = None
    best: bool | None = None


def may_leave(standing: Standing, now: datetime, rules: Rules) -> bool:
    """Whether another source would take over if the one in charge failed now."""
    since = standing.failing_since
    is_over = standing.failures + 1 >= rules.failures or (since is not None and now - since >= rules.patience)
    return is_over and _may_change(standing, now, rules)


def may_probe(standing: Standing, best: str, now: datetime) -> bool:
    """Whether the best source is to be tried although another is in charge."""
    return standing.source != best and (standing.probe_at is None or now >= standing.probe_at)


def after(standing: Standing, heard: Round, best: str, now: datetime, rules: Rules) -> tuple[Standing, Turn | None]:
    """The standing after a round, and what changed by it."""
    if heard.best is not None and standing.source != best:
        standing = _probed(standing, heard.best, now, rules)
        if _is_steady(standing, now, rules) and _may_change(standing, now, rules):
            return Standing(best, changed_at=now), Turn.RETURNED
    if heard.own is None:
        return standing, None
    return _answered(standing, now, rules) if heard.own else _failed(standing, heard.other, best, now, rules)


def _answered(standing: Standing, now: datetime, rules: Rules) -> tuple[Standing, Turn | None]:
    standing = replace(standing, failures=0, failing_since=None)
    if not standing.held:
        return standing, None
    standing = replace(standing, answers=standing.answers + 1)
    if standing.answers < rules.answers_held or not _may_change(standing, now, rules):
        return standing, None
    return replace(standing, held=False, changed_at=now, answers=0), Turn.RESUMED


def _failed(
    standing: Standing, other: str | None, best: str, now: datetime, rules: Rules
) -> tuple[Standing, Turn | None]:
    is_over = may_leave(standing, now, rules)
    standing = replace(standing, failures=standing.failures + 1, failing_since=standing.failing_since or now)
    standing = replace(standing, answers=0)
    if not is_over:
        return standing, None
    if other is not None:
        return Standing(other, changed_at=now), Turn.RETURNED if other == best else Turn.MOVED
    if standing.held:
        return standing, None
    return replace(standing, held=True, changed_at=now), Turn.HELD


def _probed(standing: Standing, answered: bool, now: datetime, rules: Rules) -> Standing:
    if answered:
        return replace(
            standing,
            good_probes=standing.good_probes + 1,
            good_since=standing.good_since or now,
            probe_at=now + rules.probe,
            probe_wait=rules.probe,
        )
    wait = min(max(2 * standing.probe_wait, rules.probe), rules.longest_probe)
    return replace(standing, good_probes=0, good_since=None, probe_at=now + wait, probe_wait=wait)


def _is_steady(standing: Standing, now: datetime, rules: Rules) -> bool:
    since = standing.good_since
    return standing.good_probes >= rules.answers and since is not None and now - since >= rules.steady


def _may_change(standing: Standing, now: datetime, rules: Rules) -> bool:
    return standing.changed_at is None or now - standing.changed_at >= rules.window
