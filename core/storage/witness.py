"""How far a ledger had come, kept in a small file beside it.

A ledger whose write-ahead log was lost, or in whose place somebody put an older copy, is whole in itself: only from
outside can it be seen that something is missing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Witness:
    """`seq` and `hash` of the newest link of the chain at `at` (system clock)."""

    installation_id: str
    epoch: int
    seq: int
    hash: str
    at: datetime


def witness_file(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.head")


def write_witness(ledger: Path, witness: Witness) -> None:
    """In one step. Not forced to disk: one that is lost is missed by nobody. Raises OSError."""
    file = witness_file(ledger)
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(json.dumps(asdict(witness) | {"at": witness.at.isoformat()}) + "\n", encoding="utf-8")
    beside.replace(file)


def read_witness(ledger: Path) -> Witness | None:
    """None where there is none that can be read."""
    try:
        body = json.loads(witness_file(ledger).read_text(encoding="utf-8"))
        return Witness(**body | {"at": datetime.fromisoformat(body["at"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
