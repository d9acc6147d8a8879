"""What a model said of days that it had not learned from, kept beside it: the next refit is compared with it on those
bars. A model in use has seen nearly all that its refit can be judged on: what it says of that today it knows by
heart."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.learning.tracks import Lead, Track, compared

LEVEL: Final = 0.05
"""A refit is worse beyond luck where that is so but for so much of chance."""
BLOCKS: Final = 4
SEED: Final = 20_240_101


@dataclass(frozen=True, slots=True)
class Kept:
    """Where what a model said is, and its SHA-256 in hex."""

    path: Path
    sha256: str


def name_of(version: str) -> str:
    return f"{version}.held.npz"


def to_bytes(track: Track) -> bytes:
    """The same track gives the same bytes."""
    columns = dict[str, Any](recipe=np.array(track.recipe))
    for symbol in sorted(track.closed_at):
        columns |= {f"closed_at {symbol}": track.closed_at[symbol], f"gained {symbol}": track.gained[symbol]}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **columns)
    return buffer.getvalue()


def read(kept: Kept) -> Track | None:
    """None where the file is not there any more, or is not the one that was kept."""
    try:
        data = kept.path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != kept.sha256:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        symbols = [name.partition(" ")[2] for name in file.files if name.startswith("closed_at ")]
        return Track(
            str(file["recipe"]),
            {symbol: file[f"closed_at {symbol}"] for symbol in symbols},
            {symbol: file[f"gained {symbol}"] for symbol in symbols},
        )


def behind(refit: Track, champion: Track, horizon: int) -> Lead:
    """By how much the champion was better on the bars that both had held out. Its `low` lies above zero where that is
    more than luck; it is None where they have too few in common."""
    return compared(refit, champion, horizon, LEVEL, SEED, BLOCKS)
