"""The record of every attempt: lines of JSON, each sealed with the hash of the one before it.

The deflated Sharpe ratio needs to know how often somebody looked. A line that is changed, dropped or put in breaks the
chain, and a broken chain is refused; the file is committed beside the code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DataFault

TRIALS = Path(__file__).parent / "trials.jsonl"
_FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt. `config` says what was tried, `data` is the hash of the bars, `figures` what came out, `at` the day
    of the run (ISO). Two attempts of one `config` on one `data` are the same trial, looked at twice."""

    config: Mapping[str, Any]
    data: str
    figures: Mapping[str, float]
    at: str

    @property
    def key(self) -> str:
        return _hash(_canonical({"config": dict(self.config), "data": self.data}))


def read_trials(path: Path = TRIALS) -> tuple[Trial, ...]:
    """All attempts in their order; none where there is no file. Raises DataFault where the chain is broken."""
    if not path.exists():
        return ()
    before, trials = _FIRST, []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        row = _row(path, number, line)
        sealed = row.pop("hash", None)
        if row.get("before") != before or sealed != _hash(_canonical(row)):
            raise DataFault("trials", f"line {number} of {path.name} does not follow from the one before it")
        before = sealed
        trials.append(Trial(row["config"], row["data"], row["figures"], row["at"]))
    return tuple(trials)


def append_trials(trials: Sequence[Trial], path: Path = TRIALS) -> int:
    """Appends each attempt and returns how many different ones the record holds. Raises DataFault for a broken chain,
    and then appends nothing."""
    known = read_trials(path)
    lines = path.read_text("utf-8").splitlines() if known else []
    before = json.loads(lines[-1])["hash"] if lines else _FIRST
    written = []
    for trial in trials:
        row = {
            "at": trial.at,
            "before": before,
            "config": dict(trial.config),
            "data": trial.data,
            "figures": dict(trial.figures),
        }
        before = _hash(_canonical(row))
        written.append(_canonical({**row, "hash": before}))
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in written))
        file.flush()
        os.fsync(file.fileno())
    return count_trials((*known, *trials))


def count_trials(trials: Sequence[Trial]) -> int:
    """How many different attempts: a repeated run is not a new one."""
    return len({trial.key for trial in trials})


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataFault("trials", f"line {number} of {path.name} is no JSON: {error}") from error
    if not isinstance(row, dict) or not {"config", "data", "figures", "at"} <= row.keys():
        raise DataFault("trials", f"line {number} of {path.name} is no trial")
    return row


def _canonical(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
