"""How a broker's account stands with us, as a small machine: each look at it moves it on. Pure, but for the functions
that keep it in the ledger, so that a restart neither repeats nor forgets a change.

    OK -> TROUBLED       the first look that fails; told once it is certain
    TROUBLED -> FALLEN_BACK   it has lasted longer than its kind is given: entries go to the owner's hand
    either -> OK         looks that end well, several in a row and for a while: each is a whole reconciliation
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from core.domain.codec import canonical, decode
from core.domain.portfolio import Guard, GuardKind
from core.execution.failures import FAILURES, Failure, Trouble
from core.ports import UnitOfWork
from core.strategy.policy import Policy

ENOUGH = 2
"""Looks in a row that make a failure certain, and that make its end certain."""
STEADY = timedelta(seconds=30)
"""The least time between the first good look and the one that ends a trouble: a tick looks several times at once."""


SEEN_ALL_THE_SAME = frozenset({Trouble.BLOCKED, Trouble.CLOCK})
"""Troubles in which orders and positions are looked at as ever."""


class Phase(StrEnum):
    OK = "ok"
    TROUBLED = "troubled"
    FALLEN_BACK = "fallen_back"


class Change(StrEnum):
    """What the owner is told."""

    TROUBLED = "troubled"
    FELL_BACK = "fell back"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a venue found: `trouble` None where it was reconciled. `words` are the venue's own."""

    trouble: Trouble | None = None
    words: str = ""

    @property
    def is_sendable(self) -> bool:
        """Whether what must be sent there can be: sales, and what protects."""
        return self.trouble is None or FAILURES[self.trouble].answers


@dataclass(frozen=True, slots=True)
class VenueState:
    """Times by the market clock. `since` is the first bad look of this trouble, `kind_since` of its present kind, with
    `words`; `seen_at` the last time before at which the venue was seen well. `bad` and `good` count looks in a row, no
    further than ENOUGH. `told` are the kinds that the owner was told of."""

    phase: Phase = Phase.OK
    trouble: Trouble | None = None
    words: str = ""
    since: datetime | None = None
    kind_since: datetime | None = None
    seen_at: datetime | None = None
    fell_at: datetime | None = None
    bad: int = 0
    good: int = 0
    good_since: datetime | None = None
    told: tuple[Trouble, ...] = ()

    @property
    def is_fallen(self) -> bool:
        return self.phase is Phase.FALLEN_BACK

    @property
    def failure(self) -> Failure | None:
        return FAILURES[self.trouble] if self.trouble is not None else None


WELL = VenueState()


def after(state: VenueState, look: Look, policy: Policy, now: datetime) -> tuple[VenueState, Change | None]:
    """The state after a look, and what has changed for the owner. Equal states mean that there is nothing to keep."""
    # What sales can be sent through ends what they could not: it is a trouble of its own from the next look on.
    if look.trouble is None or (state.is_fallen and look.is_sendable):
        return _better(state, now)
    return _worse(state, look.trouble, look.words, policy, now)


def _better(state: VenueState, now: datetime) -> tuple[VenueState, Change | None]:
    if state.phase is Phase.OK or not state.told:
        return WELL, None
    good_since = state.good_since or now
    good = min(state.good + 1, ENOUGH)
    if good >= ENOUGH and now - good_since >= STEADY:
        return WELL, Change.RETURNED
    return replace(state, bad=0, good=good, good_since=good_since), None


def _worse(
    state: VenueState, trouble: Trouble, words: str, policy: Policy, now: datetime
) -> tuple[VenueState, Change | None]:
    failure = FAILURES[trouble]
    same = state.trouble is trouble
    began = replace(state, since=now, phase=Phase.TROUBLED) if state.since is None else state
    if not same:
        began = replace(began, trouble=trouble, words=words, kind_since=now)
    worse = replace(began, bad=min(began.bad + 1, ENOUGH), good=0, good_since=None)
    if not worse.is_fallen and _is_over(worse, failure, policy, now):
        told = (*worse.told, trouble) if trouble not in worse.told else worse.told
        return replace(worse, phase=Phase.FALLEN_BACK, fell_at=now, told=told), Change.FELL_BACK
    is_certain = failure.is_definite or worse.bad >= ENOUGH
    is_certain = is_certain and (failure.is_definite or now - (worse.kind_since or now) >= STEADY)
    # Of what he can mend himself the owner hears even in the midst of another trouble; of the rest once.
    is_news = trouble not in worse.told and (failure.is_definite or not worse.told)
    if is_certain and is_news and not failure.asks:
        return replace(worse, told=(*worse.told, trouble)), Change.TROUBLED
    return worse, None


def _is_over(state: VenueState, failure: Failure, policy: Policy, now: datetime) -> bool:
    """Whether it has lasted as long as its kind is given, or any outage is."""
    if failure.patience is None or state.since is None or state.kind_since is None:
        return False
    patience = failure.patience(policy)
    if not patience:
        return True
    long = now - state.kind_since >= patience or now - state.since >= policy.outage_patience
    return long and state.bad >= ENOUGH


def state_of(work: UnitOfWork, account: str) -> VenueState:
    stored = work.value(_key(account))
    return decode(VenueState, json.loads(stored)) if stored else WELL


def last_seen(work: UnitOfWork, guard: Guard) -> datetime | None:
    """When an order that guards was last seen at its venue, where that does not answer now; None where it does, or
    where none rests there."""
    state = state_of(work, guard.account)
    if guard.kind is not GuardKind.VENUE or state.since is None or state.trouble in SEEN_ALL_THE_SAME:
        return None
    return max(state.seen_at or guard.last_seen_at, guard.last_seen_at)


def keep_state(work: UnitOfWork, account: str, state: VenueState) -> None:
    work.set_value(_key(account), None if state == WELL else canonical(state))


def _key(account: str) -> str:
    return f"venue_state:{account}"
