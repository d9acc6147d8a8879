"""Columns by kind, for migrations. Frozen like them: a kind's meaning never changes, new kinds are added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from core.storage.columns import UtcDateTime

_KINDS: dict[str, Any] = {
    "word": sa.String,
    "text": sa.Text,
    "number": sa.Integer,
    "large": sa.BigInteger,
    "real": sa.Float,
    "flag": sa.Boolean,
    "time": UtcDateTime,
}


def columns(**names_of: str) -> Iterator[sa.Column[Any]]:
    """One column for each name, for example `word="account symbol", time="created_at expires_at?"`.

    A name with a question mark may be NULL.
    """
    for kind, names in names_of.items():
        for name in names.split():
            yield sa.Column(name.removesuffix("?"), _KINDS[kind](), nullable=name.endswith("?"))
