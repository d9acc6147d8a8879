"""What to do about a ledger that cannot be used, down to the command."""

from __future__ import annotations

import shlex
from pathlib import Path

from core.storage.backup import newest_good, taken_at
from core.storage.soundness import faults, identity_of
from core.storage.witness import witness_file

COMMAND = "autotrader doctor --restore"


def in_words(path: Path, wrong: str) -> str:
    """One message: what is wrong, that nothing was changed, and the exact command with the newest whole copy."""
    head = f"{path}: {wrong}. Nothing was changed, and nothing is traded on it."
    copy, itself = newest_good(path), _head_of_whole(path)
    best = identity_of(copy) if copy else None
    if itself is not None and (best is None or itself >= best.head.seq):
        return (
            f"{head} What is there is whole and as new as any backup. To go on with it, run\n"
            f"  {COMMAND} {shlex.quote(str(path))}\n{_AFTER}"
        )
    if copy is None:
        return (
            f"{head} There is no backup that could be used in {path.parent / 'backups'}. If you have a copy elsewhere, "
            f"run\n  {COMMAND} FILE\nTo begin anew, move {path.name} and {witness_file(path).name} to another folder "
            "and keep them."
        )
    at = taken_at(copy)
    when = f" ({at:%Y-%m-%d %H:%M} UTC)" if at else ""
    return f"{head} The newest whole backup{when} is put back by\n  {COMMAND} {shlex.quote(str(copy))}\n{_AFTER}"


_AFTER = (
    "Then start again: orders and fills since that time are taken over from the broker. What you booked by hand since "
    "then has to be reported again."
)


def _head_of_whole(path: Path) -> int | None:
    """How many links a file has that is whole in itself."""
    who = identity_of(path) if path.exists() else None
    return who.head.seq if who is not None and not faults(path) else None
