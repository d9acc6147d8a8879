"""The recipes that the engine may train by are the ones that research declared, and the default is the one it chose."""

from __future__ import annotations

import json

import pytest

from core.learning import verdict
from core.learning.declared import read_declaration
from core.learning.events import EVENTS
from core.learning.recipes import DEFAULT_RECIPE, RECIPES

pytestmark = pytest.mark.feature("S5")


def test_each_declared_way_in_which_the_forest_itself_proposes_is_a_recipe() -> None:
    declared = [each for each in read_declaration().configurations if each.use == "gate"]
    assert [(each.name, each.event, each.pool) for each in RECIPES.values()] == [
        (each.name, each.event, each.pool) for each in declared
    ]
    assert all(each.foresees is EVENTS[each.event] and each.name == name for name, each in RECIPES.items())


def test_the_default_is_what_the_committed_search_chose() -> None:
    assert json.loads(verdict.RESULTS.read_text("utf-8"))["default"] == DEFAULT_RECIPE
    assert DEFAULT_RECIPE in RECIPES


def test_the_number_of_threads_is_not_part_of_what_a_recipe_is() -> None:
    recipe = RECIPES[DEFAULT_RECIPE]
    assert recipe.on(4).on(1) == recipe
    assert recipe.on(4).seed == recipe.seed
