"""At which places of the scenes' trails an installation is killed: every place, or so many of them that each kind of
place is among them, drawn from a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from tests.fault.crashing import Crash
from tests.fault.points_nest import Life

T = TypeVar("T")
SEED = 20_260_303
SHORTEST = 12
"""Of so many places that cost least one is drawn for each name."""
SCENES_A_KIND = 3
"""In so many scenes a name is died at for the second time, in the middle and for the last time."""
AND_ANYWHERE = 400
"""So many of the places that are left are drawn."""
SECOND_DEATHS = 80
"""So many places of recoveries are drawn besides one for each name."""
START_ENDS = "greeting.after_commit"


@dataclass(frozen=True)
class Kill:
    """A scene and where each of its processes dies, one after the other."""

    scene: str
    crashes: tuple[Crash, ...]

    @property
    def words(self) -> str:
        return ", then at ".join(f"{crash.name} the {crash.occurrence}. time" for crash in self.crashes)


@dataclass(frozen=True)
class Trails:
    """`undisturbed`: every scene as it goes when nobody dies; `after_a_kill`: as the next process goes on after the
    kill `again`, which opens ways of their own."""

    undisturbed: dict[str, Life]
    after_a_kill: dict[str, Life]
    again: Crash

    def places(self) -> Iterator[tuple[str, tuple[Crash, ...], Life]]:
        """(scene, the kills before, the life in which there are places to die at)."""
        yield from ((scene, (), life) for scene, life in self.undisturbed.items())
        yield from ((scene, (self.again,), life) for scene, life in self.after_a_kill.items())


def places_of(life: Life) -> list[Crash]:
    """Every moment at which the scene can be killed, in order."""
    seen: Counter[str] = Counter()
    places = []
    for name in life.trail:
        seen[name] += 1
        places.append(Crash(name, seen[name]))
    return places


def recovery_of(life: Life) -> list[Crash]:
    """Where the life can be killed until the owner is greeted."""
    return places_of(life)[: life.trail.index(START_ENDS) + 1]


def one_for_each_name(trails: Trails) -> list[Kill]:
    """Each name once, at a place drawn from a seed, in one of the shortest scenes that pass it."""
    chance = np.random.default_rng(SEED)
    where: dict[str, list[Kill]] = {}
    for scene, before, life in sorted(trails.places(), key=lambda place: len(place[2].trail)):
        for crash in places_of(life):
            where.setdefault(crash.name, []).append(Kill(scene, (*before, crash)))
    return [kills[int(chance.integers(min(len(kills), SHORTEST)))] for _, kills in sorted(where.items())]


def every_place(trails: Trails) -> Iterator[Kill]:
    """Every occurrence in every scene; what every start has in common once a kind of start."""
    known: set[tuple[str, ...]] = set()
    for scene, before, life in trails.places():
        places = places_of(life)
        start = life.trail.index(START_ENDS) + 1
        kind = tuple(life.trail[:start])
        for crash in places[start:] if kind in known else places:
            yield Kill(scene, (*before, crash))
        known.add(kind)


def each_kind_of_place(trails: Trails) -> list[Kill]:
    """The first time of each name in each scene; its second, its middle and its last time in `SCENES_A_KIND` scenes
    each; `AND_ANYWHERE` of the other places."""
    chance = np.random.default_rng(SEED + 3)
    everywhere = list(every_place(trails))
    times: dict[tuple[str, int, str], list[Kill]] = {}
    for kill in everywhere:
        times.setdefault((kill.scene, len(kill.crashes), kill.crashes[-1].name), []).append(kill)
    chosen = {kills[0] for kills in times.values()}
    kinds: dict[tuple[str, str], list[Kill]] = {}
    for (_, _, name), kills in times.items():
        if len(kills) > 1:
            for kind, kill in (("second", kills[1]), ("middle", kills[len(kills) // 2]), ("last", kills[-1])):
                kinds.setdefault((name, kind), []).append(kill)
    for _, kills in sorted(kinds.items()):
        chosen.update(drawn(kills, SCENES_A_KIND, chance))
    chosen.update(drawn([kill for kill in everywhere if kill not in chosen], AND_ANYWHERE, chance))
    return [kill for kill in everywhere if kill in chosen]


def each_name_of_a_recovery(recoveries: Sequence[tuple[Kill, Sequence[Crash]]]) -> list[Kill]:
    """Of starts after a kill, as (the kill, the places of the start): each name once for each name at which the first
    process died, in a scene that is drawn, and `SECOND_DEATHS` of the other places."""
    chance = np.random.default_rng(SEED + 4)
    where: dict[tuple[str, str], list[Kill]] = {}
    for first, places in recoveries:
        for second in places:
            kill = Kill(first.scene, (*first.crashes, second))
            where.setdefault((first.crashes[-1].name, second.name), []).append(kill)
    chosen = [kill for _, kills in sorted(where.items()) for kill in drawn(kills, 1, chance)]
    left = [kill for kills in where.values() for kill in kills if kill not in set(chosen)]
    return [*chosen, *drawn(left, SECOND_DEATHS, chance)]


def drawn(things: Sequence[T], count: int, chance: np.random.Generator) -> list[T]:
    """`count` of them, none twice; all where there are no more."""
    return [things[int(number)] for number in chance.permutation(len(things))[:count]]
