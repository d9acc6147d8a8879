"""What a model can be fitted by: which event it foresees, who learns from whom, how its forests are grown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from core.learning.declared import read_declaration
from core.learning.events import EVENTS, Event
from core.learning.fitting import Grower, Pool

DEFAULT_RECIPE = "scaled-asset"
"""What the rule declared beforehand chose (RESEARCH.md)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """`event` is a key of core.learning.events. The grower holds the seed, and the number of threads, which changes no
    result."""

    name: str
    event: str
    pool: Pool
    grower: Grower = field(default_factory=Grower)

    @property
    def foresees(self) -> Event:
        return EVENTS[self.event]

    @property
    def seed(self) -> int:
        return self.grower.seed

    def on(self, threads: int) -> Recipe:
        """The same recipe, fitted on so many threads."""
        return replace(self, grower=replace(self.grower, jobs=threads))


def _declared() -> Mapping[str, Recipe]:
    gates = (each for each in read_declaration().configurations if each.use == "gate")
    return MappingProxyType({each.name: Recipe(each.name, each.event, each.pool) for each in gates})


RECIPES: Mapping[str, Recipe] = _declared()
"""By name: the declared configurations in which the forest itself proposes (declared.json)."""
