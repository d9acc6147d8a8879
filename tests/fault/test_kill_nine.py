"""`kill -9` while a job runs, again and again on one installation: every restart finds DESIGN section 3 kept.

Each life of the installation is a process that trades in the simulated market through a simulated broker, talks to its
owner, and dies by SIGKILL at a checkpoint chosen by a seed. The next one starts on the same files as a live run does,
holds the ledger against the venue's journal, the owner's memory and the chat, and goes on until it is killed itself.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from core.checkpoints import CHECKPOINTS
from tests.fault.crashing import Crash
from tests.fault.kill_life import ORDERS_WRITTEN
from tests.fault.kill_memory import APPROVE, CASH, EXECUTE, MODE, PAUSE, RESUME, SENDINGS, SKIP
from tests.fault.kill_nest import Nest, Outcome

SEED = 20_260_303
LONGEST = 60
"""Ticks within which a checkpoint has to be reached."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Dies at one of `places`, at most at the `latest`-th time; the owner asks for `mode` first. `under_way`: an order
    is written and its answer is not."""

    places: tuple[str, ...]
    mode: str = "auto"
    latest: int = 2
    under_way: bool = False


TEN = (
    Kill((ORDERS_WRITTEN,), under_way=True),
    Kill(("submit.before_call", "venue.submit.before_commit"), under_way=True),
    Kill(("submit.after_call", "venue.submit.after_commit"), under_way=True),
    Kill(("result.before_commit",), under_way=True),
    Kill(("approve/submit.before_call", "approve/submit.after_call"), "confirm", latest=1, under_way=True),
    Kill(
        ("venue.match.before_commit", "venue.match.after_commit", "reconcile.before_commit", "reconcile.after_commit")
    ),
    Kill(("send.before_call", "send.after_call"), latest=4),
    Kill(("pause/owner.before_commit", "pause/owner.after_commit"), latest=1),
    Kill(("execute/owner.before_commit", "execute/owner.after_commit", "execute/file.before_call"), "manual", latest=1),
    Kill(("cash/owner.before_commit", "cash/owner.after_commit"), latest=1),
)


def chosen(kill: Kill, seed: int) -> Crash:
    chance = np.random.default_rng(seed)
    return Crash(kill.places[chance.integers(len(kill.places))], int(chance.integers(1, kill.latest + 1)))


def check_recovery(after: Outcome, kill: Kill, where: str) -> None:
    assert after.facts is not None, where
    assert after.facts["broken"] == [], (where, after.facts["broken"])
    assert after.facts["open_runs"], f"{where}: no JobRun row was open"
    if kill.under_way:
        assert after.facts["orders_under_way"], f"{where}: no order was between intent and result"
    if any(place.startswith("send.") for place in kill.places):
        assert after.facts["sending"] == 1, f"{where}: no message was being sent"


@pytest.mark.timeout(300)
@pytest.mark.feature("S14")
@pytest.mark.feature("T8")
@pytest.mark.feature("D3")
def test_ten_kills_in_the_middle_of_a_job_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    order = np.random.default_rng(SEED).permutation(len(TEN))
    done: list[str] = []
    with Nest(tmp_path) as nest:
        former: tuple[Kill, str] | None = None
        for number, index in enumerate(order):
            kill, seed = TEN[index], SEED + number
            crash = chosen(kill, seed)
            where = f"kill {number + 1}, seed {seed}, {crash.name} the {crash.occurrence}. time"
            outcome = nest.live(seed, ticks=LONGEST, mode=kill.mode, crash=crash)
            if former is not None:
                check_recovery(outcome, *former)
            assert outcome.was_killed, f"{where}: not reached in {LONGEST} ticks"
            assert crash.name in (outcome.trail[-1], outcome.trail[-2]), where
            former = kill, where
            done.append(f"{seed} {crash.name}")
        last = nest.live(SEED + len(TEN), ticks=1)
        assert former is not None
        check_recovery(last, *former)
        assert last.facts is not None
        assert last.facts["waiting"] == 0, "messages still wait though the chat is open"
    print(f"\n{len(done)} kills (seed, checkpoint): {'; '.join(done)}; at the end {without_runs(last)}")
    assert sum(kill.under_way for kill in TEN) >= 3
    assert last.facts["orders"] >= 6
    assert last.facts["cards"] >= 1


def without_runs(outcome: Outcome) -> dict[str, int]:
    facts = outcome.facts or {}
    return {name: facts[name] for name in ("orders", "entries", "positions", "cards", "messages")}


VENUE = tuple(f"venue.{step}.{side}_commit" for step in ("submit", "match") for side in ("before", "after"))
DEEDS = tuple(
    f"{deed}/owner.{side}_commit"
    for deed in (EXECUTE, APPROVE, SKIP, CASH, PAUSE, RESUME, MODE)
    for side in ("before", "after")
)
FILES = tuple(f"{deed}/file.{side}_call" for deed in (EXECUTE, SKIP, APPROVE) for side in ("before", "after"))
APPROVALS = tuple(f"approve/submit.{side}_call" for side in ("before", "after"))
FOUNDING = tuple(f"{step}.{side}_commit" for step in ("accounts", "venue.open") for side in ("before", "after"))
HERE = (
    "cycle",
    "reconcile",
    "intents",
    "result",
    "owner",
    "expiry",
    "withdraw",
    "seen",
    "bars",
    "health",
    "job.start",
    "job.end",
    "outbox.claim",
    "outbox.done",
    "fills",
    "orders",
    "state",
    "lookup",
    "submit",
    "quotes",
    "file",
    "fetch",
)
"""What a life passes again and again; every other checkpoint is died at in tests/fault/test_kill_points.py."""
EVERYWHERE = tuple(
    name
    for name in (*CHECKPOINTS, *VENUE, *SENDINGS, *DEEDS, *FILES, *APPROVALS, ORDERS_WRITTEN)
    if name not in CHECKPOINTS or name.rpartition(".")[0] in HERE
)


def mode_for(name: str) -> str:
    """The mode in which a checkpoint comes soonest."""
    if name.startswith((f"{APPROVE}/", "edit.")):
        return "confirm"
    return "manual" if name.startswith((f"{EXECUTE}/", f"{SKIP}/", "expiry.")) else "auto"


@dataclass
class Hundred:
    """Which checkpoints are still to be died at. A name comes back until it was missed twice in vain; `died_at` counts
    where the kills really fell."""

    chance: np.random.Generator
    died_at: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        anywhere = ["*"] * 10
        self.names = deque(self.chance.permutation(np.array([*EVERYWHERE, *anywhere], dtype=object)).tolist())

    def one_life(self, nest: Nest, seed: int) -> Outcome:
        """Every fourth kill counts from the process's first breath, so that recovery itself is killed too."""
        name = self.names.popleft()
        crash = Crash(name, int(self.chance.integers(1, 400)) if name == "*" else 1)
        from_birth = bool(self.chance.random() < 0.25)
        outcome = nest.live(seed, ticks=40, mode=mode_for(name), crash=crash, from_birth=from_birth)
        if outcome.was_killed:
            self.died_at[outcome.trail[-1]] += 1
        else:
            self.missed[name] += 1
        if self.missed[name] < 2:
            self.names.append(name)
        return outcome


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.feature("S14")
def test_a_hundred_kills_at_every_checkpoint_there_is_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Four installations, each killed first while it is founded."""
    hundred, seed = Hundred(np.random.default_rng(SEED)), SEED + 1000
    for founding in FOUNDING:
        folder = tmp_path / founding
        folder.mkdir()
        kills = 0
        with Nest(folder) as nest:
            outcome = nest.live(seed, ticks=1, crash=Crash(founding), from_birth=True)
            while kills < 25:
                kills += outcome.was_killed
                died, seed = f"after seed {seed}, which ended at {outcome.trail[-2:]}", seed + 1
                outcome = hundred.one_life(nest, seed) if kills < 25 else nest.live(seed, ticks=1)
                assert outcome.facts is None or outcome.facts["broken"] == [], died
            assert outcome.facts is not None
            assert outcome.facts["waiting"] == 0, "messages still wait though the chat is open"
    never = [name for name in EVERYWHERE if not hundred.died_at[name]]
    print(f"\n100 kills, seeds {SEED + 1000} to {seed}, at {len(hundred.died_at)} checkpoints; not at {never}")
    assert len(hundred.died_at) >= 45
