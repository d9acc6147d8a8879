"""Which file holds what a model said of days held out: its hash is kept in the ledger, for the newest models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from core.learning.held_out import Kept, name_of
from core.learning.recipes import Recipe
from core.ports import UnitOfWork

_KEY: Final = "held out"
_MOST: Final = 20


def keep_beside(work: UnitOfWork, version: str, sha256: str) -> None:
    """In the transaction that registers the model."""
    if sha256:
        known = {**json.loads(work.value(_KEY) or "{}"), version: sha256}
        work.set_value(_KEY, json.dumps(dict(list(known.items())[-_MOST:])))


def kept_beside(work: UnitOfWork, folder: Path, recipe: Recipe) -> Kept | None:
    """What the model in use said, where it is of that recipe."""
    champion = work.champion()
    if champion is None or champion.recipe != recipe.name:
        return None
    sha256 = json.loads(work.value(_KEY) or "{}").get(champion.version)
    return Kept(folder / name_of(champion.version), sha256) if sha256 else None
