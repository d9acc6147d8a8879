"""Every commit and every outside call of a cycle, of an owner's command, of a start and of the outbox: a real process
dies there by SIGKILL, the next one starts as the product does, plays the interrupted step again and goes on to the end.

Which places there are is told by the scenes' own trails: a new checkpoint is killed at as soon as a scene passes it,
and the first test fails as long as none does. What must hold is in `points_checks`; besides, a scene must come to the
same end as if nothing had happened. The one exception is an entry that was written and never left: it is given up, and
the next signal is another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pytest

from core.checkpoints import CHECKPOINTS
from tests.fault.crashing import Crash
from tests.fault.points_choice import (
    SEED,
    Kill,
    Trails,
    each_kind_of_place,
    each_name_of_a_recovery,
    every_place,
    one_for_each_name,
    places_of,
    recovery_of,
)
from tests.fault.points_nest import Life, PointsNest, scene_names

T = TypeVar("T")
ONLY_AFTER_A_KILL = Crash("send.after_call")
"""What begins with a message in hand goes ways of its own."""


SAME, GIVEN_UP = "the same", "without an entry that had never left and was given up"
VARIES = "one that may vary, all invariants held"


@dataclass(frozen=True)
class Outcome:
    """What a kill came to: an end that is as it should be, or what is wrong, in words; `kills` really happened."""

    kill: Kill
    kills: int
    end: str = ""
    wrong: str = ""


def told(outcomes: Sequence[Outcome]) -> str:
    """What the kills came to, in all and scene by scene."""
    scenes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        scenes.setdefault(outcome.kill.scene, []).append(outcome)
    ends = Counter(outcome.end for outcome in outcomes if not outcome.wrong)
    lines = [
        f"{counted(outcomes)}, in {len(scenes)} scenes; the end: "
        f"{', '.join(f'{count} times {end}' for end, count in ends.most_common())}",
        *(f"  {counted(those)}: {scene}" for scene, those in scenes.items()),
    ]
    return "\n".join(lines)


def counted(outcomes: Sequence[Outcome]) -> str:
    crashes = {(outcome.kill.scene, crash) for outcome in outcomes for crash in outcome.kill.crashes}
    return (
        f"{sum(outcome.kills for outcome in outcomes):4} kills at {len(crashes):4} places, "
        f"{len({crash.name for _, crash in crashes}):3} names, {len({crash for _, crash in crashes}):3} pairs of name "
        "and occurrence"
    )


def all_as_they_should_be(outcomes: Sequence[Outcome]) -> None:
    """Prints the counts; fails with everything that went wrong at once."""
    print(f"\n{told(outcomes)}")
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    listed = "\n".join(f"- {each.kill.scene}, killed at {each.kill.words}: {each.wrong}" for each in wrong)
    print(listed or "nothing went wrong")
    assert not wrong, f"{len(wrong)} of {len(outcomes)} went wrong:\n{listed}"
    assert outcomes


class TwoNests:
    """Two processes that play, so that two processors have work."""

    def __init__(self, *nests: PointsNest) -> None:
        self.nests = nests

    def do(self, jobs: Sequence[Callable[[PointsNest], T]]) -> list[T]:
        """Every job in one of them; results in the order of the jobs."""
        done: dict[int, T] = {}

        def work(first: int) -> None:
            for number in range(first, len(jobs), len(self.nests)):
                done[number] = jobs[number](self.nests[first])

        with ThreadPoolExecutor(len(self.nests)) as pool:
            list(pool.map(work, range(len(self.nests))))
        return [done[number] for number in range(len(jobs))]


@pytest.fixture(scope="module")
def nests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNests]:
    with PointsNest(tmp_path_factory.mktemp("one")) as one, PointsNest(tmp_path_factory.mktemp("two")) as two:
        yield TwoNests(one, two)


@pytest.fixture(scope="module")
def trails(nests: TwoNests) -> Trails:
    names = scene_names()
    lives = nests.do([lambda nest, scene=scene: nest.play(scene)[0] for scene in names])
    undisturbed = dict(zip(names, lives, strict=True))
    sending = next(scene for scene, life in undisturbed.items() if ONLY_AFTER_A_KILL.name in life.trail)
    return Trails(undisturbed, {sending: nests.nests[0].play(sending, ONLY_AFTER_A_KILL)[-1]}, ONLY_AFTER_A_KILL)


def check(nest: PointsNest, trails: Trails, kill: Kill) -> Outcome:
    """Kills and restarts; says what the end was like, or what is wrong with it."""
    try:
        lives = nest.play(kill.scene, *kill.crashes)
    except AssertionError as error:
        return Outcome(kill, 0, wrong=str(error))
    return judged(trails, kill, lives)


def judged(trails: Trails, kill: Kill, lives: Sequence[Life]) -> Outcome:
    kills = sum(life.was_killed for life in lives)
    ended_at = [life.trail[-1] for life in lives if life.was_killed]
    if ended_at != [crash.name for crash in kill.crashes] or lives[-1].was_killed:
        return Outcome(kill, kills, wrong=f"it died at {ended_at}")
    end, undisturbed = lives[-1], trails.undisturbed[kill.scene]
    if end.broken:
        return Outcome(kill, kills, wrong="; ".join(end.broken))
    assert end.facts is not None
    assert undisturbed.facts is not None
    if end.given_up and not undisturbed.given_up:
        return Outcome(kill, kills, GIVEN_UP)
    changed = [
        f"{name} is {end.facts[name]} instead of {undisturbed.facts[name]}"
        for name in undisturbed.facts
        if end.facts[name] != undisturbed.facts[name]
    ]
    return Outcome(kill, kills, SAME if undisturbed.facts else VARIES, "; ".join(changed))


@pytest.mark.timeout(300)
@pytest.mark.feature("S14")
def test_the_scenes_pass_every_checkpoint_and_nothing_happens_outside_of_one(trails: Trails) -> None:
    passed: dict[str, Counter[str]] = {}
    for scene, before, life in trails.places():
        assert life.broken == [], scene
        passed[f"{scene}{', after a kill' if before else ''}"] = Counter(life.trail)
    names = set().union(*passed.values())
    pairs = {(crash.name, crash.occurrence) for _, _, life in trails.places() for crash in places_of(life)}
    print(f"\n{len(names)} names, {len(pairs)} pairs of name and occurrence, in {len(passed)} scenes:")
    for scene, counted in passed.items():
        print(f"  {len(counted):3} names, {counted.total():4} places: {scene}")
    never = [name for name in CHECKPOINTS if name not in names]
    print(f"never reached: {never or 'none'}")
    assert never == []
    # The simulated venue has places of its own; nothing else may.
    assert {name.split(".")[0] for name in names - set(CHECKPOINTS)} <= {"venue"}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.feature("S14")
@pytest.mark.feature("T8")
@pytest.mark.feature("D3")
def test_killed_at_each_commit_and_each_call_the_next_start_sorts_it_out(nests: TwoNests, trails: Trails) -> None:
    kills = one_for_each_name(trails)
    all_as_they_should_be(nests.do([lambda nest, kill=kill: check(nest, trails, kill) for kill in kills]))


UNDER_WAY = (
    "intents.after_commit",
    "submit.after_call",
    "withdraw.after_commit",
    "owner.after_commit",
    "send.after_call",
)


@pytest.mark.timeout(300)
@pytest.mark.feature("S14")
def test_killed_again_while_it_recovers_and_once_more_it_still_comes_to_the_same_end(
    nests: TwoNests, trails: Trails
) -> None:
    chance, outcomes = np.random.default_rng(SEED + 1), list[Outcome]()
    for name in UNDER_WAY:
        scenes = [scene for scene, life in trails.undisturbed.items() if name in life.trail]
        scene, first = scenes[int(chance.integers(len(scenes)))], Crash(name)
        recovery = recovery_of(nests.nests[0].play(scene, first)[-1])
        second = recovery[int(chance.integers(len(recovery)))]
        outcomes += twice_in_recovery(nests.nests[0], trails, Kill(scene, (first, second)), chance)
    all_as_they_should_be(outcomes)


def twice_in_recovery(nest: PointsNest, trails: Trails, kill: Kill, chance: np.random.Generator) -> list[Outcome]:
    """Dies under way and at a place of its recovery; then once more, at a place of what the start after that does."""
    try:
        lives = nest.play(kill.scene, *kill.crashes)
    except AssertionError as error:
        return [Outcome(kill, 0, wrong=str(error))]
    # The second death changes what the next start has to do: only that one's own trail knows its places.
    recovery = recovery_of(lives[-1])
    third = recovery[int(chance.integers(len(recovery)))]
    return [judged(trails, kill, lives), check(nest, trails, Kill(kill.scene, (*kill.crashes, third)))]


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.feature("S14")
def test_killed_at_each_kind_of_place_in_every_scene_it_comes_to_the_same_end(nests: TwoNests, trails: Trails) -> None:
    kills = each_kind_of_place(trails)
    print(f"\nkilled at {len(kills)} of {sum(1 for _ in every_place(trails))} places of every scene:")
    all_as_they_should_be(nests.do([lambda nest, kill=kill: check(nest, trails, kill) for kill in kills]))


SCENES_TO_DIE_TWICE_IN = 6


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.feature("S14")
def test_killed_at_each_name_of_a_recovery_and_once_more(nests: TwoNests, trails: Trails) -> None:
    """After a death under way the next start dies too, at each name that it passes, and so does the start after that,
    at a place that is drawn."""
    firsts = [
        Kill(scene, (Crash(name),))
        for name in UNDER_WAY
        for scene in [scene for scene, life in trails.undisturbed.items() if name in life.trail][
            :SCENES_TO_DIE_TWICE_IN
        ]
    ]
    starts = nests.do([lambda nest, first=first: nest.play(first.scene, *first.crashes)[-1] for first in firsts])
    recoveries = [(first, recovery_of(start)) for first, start in zip(firsts, starts, strict=True)]
    kills = each_name_of_a_recovery(recoveries)
    print(f"\nkilled at {len(kills)} of {sum(len(places) for _, places in recoveries)} places of a recovery:")
    seeds = np.random.SeedSequence(SEED + 2).spawn(len(kills))
    done = nests.do(
        [
            lambda nest, kill=kill, seed=seed: twice_in_recovery(nest, trails, kill, np.random.default_rng(seed))
            for kill, seed in zip(kills, seeds, strict=True)
        ]
    )
    all_as_they_should_be([each for pair in done for each in pair])
