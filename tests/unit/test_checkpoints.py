"""Every commit and every call that leaves the process has a name at which a crash can be rehearsed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.checkpoints import CALLS, CHECKPOINTS, COMMITS

ROOT = Path(__file__).resolve().parents[2]
COMMITTING, CALLING = frozenset({"commit", "committing", "_writing"}), frozenset({"calling", "changing"})


def calls_of(names: frozenset[str]) -> Iterator[tuple[str, ast.Call]]:
    for folder in ("bot", "core", "jobs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            where = str(path.relative_to(ROOT))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and name_of(node) in names:
                    yield where, node


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def points_of(names: frozenset[str]) -> tuple[set[str], list[str]]:
    """(the names given, the places that give none)."""
    given, nameless = set[str](), list[str]()
    for where, call in calls_of(names):
        words = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        given |= set(words)
        if not words:
            nameless.append(where)
    return given, nameless


@pytest.mark.feature("S14")
def test_every_commit_of_the_product_names_its_checkpoint_and_every_name_is_used() -> None:
    given, nameless = points_of(COMMITTING)
    assert given == set(COMMITS)
    # The connection's own commit, and the desk's block that hands its name on.
    assert sorted(nameless) == ["core/execution/desk.py", "core/storage/unit_of_work.py"]


@pytest.mark.feature("S14")
def test_every_name_of_a_call_is_used_and_none_is_unknown() -> None:
    given, nameless = points_of(CALLING)
    assert given == set(CALLS)
    assert nameless == ["core/execution/desk.py"] * 2


def test_no_name_is_there_twice() -> None:
    assert len(set(CHECKPOINTS)) == len(CHECKPOINTS)
