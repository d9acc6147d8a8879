"""Recipes in words, for the owner's side, which reaches core.learning through jobs alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.learning.fitting import Pool
from core.learning.recipes import RECIPES

_POOLS: Final[Mapping[Pool, str]] = {
    Pool.ASSET: "a forest for each asset",
    Pool.CLASS: "one forest for stocks and funds, one for coins",
    Pool.POOLED: "one forest for all assets",
}


def recipe_in_words(name: str) -> str:
    """Who learns from whom; empty for a recipe that this version of the program does not know."""
    recipe = RECIPES.get(name)
    return _POOLS[recipe.pool] if recipe is not None else ""
