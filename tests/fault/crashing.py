"""Crashes for real: a scenario runs in a process of its own and kills itself with SIGKILL at a chosen checkpoint.

A scenario is a script that builds a system, hands `checkpoint` to whatever takes one, and reports what holds:

    from tests.fault.crashing import checkpoint, report

    def main() -> None:
        system = build(folder=Path(sys.argv[1]), checkpoint=checkpoint)
        system.work()
        report({"orders": len(system.orders())})

The test runs it until it dies or ends, starts it again on the same folder, and looks at what it reported:

    assert run_scenario(SCRIPT, folder, crash=Crash("intents.after_commit", occurrence=2)).was_killed
    after = run_scenario(SCRIPT, folder)
    assert after.facts == {"orders": 1}

A run without a crash lists the checkpoints that it passed, so that a test can crash at each of them in turn
(`crash_points`). The choice travels in the environment: the scenario itself does not know that it will die.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fault.crash_nest import CrashNest

CRASH_NAME = "CRASH_AT"
CRASH_OCCURRENCE = "CRASH_OCCURRENCE"
FACTS_FILE = "CRASH_FACTS"
TRAIL_FILE = "CRASH_TRAIL"
ROOT = Path(__file__).resolve().parents[2]

_passed: Counter[str] = Counter()


@dataclass(frozen=True, slots=True)
class Crash:
    """Where to die: at the n-th time (from 1) that the checkpoint `name` is reached; "*" stands for any checkpoint."""

    name: str
    occurrence: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """How a scenario ended. `facts` is what it last reported, `trail` every checkpoint in order, the fatal one last."""

    returncode: int
    facts: Mapping[str, Any] | None
    trail: Sequence[str]
    stderr: str = field(repr=False, default="")

    @property
    def was_killed(self) -> bool:
        return self.returncode == -signal.SIGKILL


# In the scenario's process


def checkpoint(name: str) -> None:
    """Hand this to the system under test. Dies here without a trace of cleaning up when it is the chosen moment."""
    trail = os.environ.get(TRAIL_FILE)
    if trail:
        with Path(trail).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
    chosen = os.environ.get(CRASH_NAME)
    _passed[name] += 1
    reached = _passed.total() if chosen == "*" else _passed[name]
    if chosen in ("*", name) and reached == int(os.environ.get(CRASH_OCCURRENCE, "1")):
        os.kill(os.getpid(), signal.SIGKILL)


def report(facts: Mapping[str, Any]) -> None:
    """Tells the test what holds (JSON values); a later report replaces an earlier one, whole or not at all."""
    path = Path(os.environ[FACTS_FILE])
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(facts), encoding="utf-8")
    beside.replace(path)


# In the test's process


def run_scenario(
    script: Path,
    folder: Path,
    *arguments: str,
    crash: Crash | None = None,
    environment: Mapping[str, str] | None = None,
    deadline: float = 60.0,
    nest: CrashNest | None = None,
) -> Run:
    """Runs `script` on `folder` (its first argument) to its end or its crash, in a new process or a fork of `nest`.

    Raises AssertionError with the scenario's own traceback when it fails in any other way, TimeoutExpired (after
    killing it) when it is not done within `deadline` seconds.
    """
    facts, trail = folder / "facts.json", folder / "trail.txt"
    for leftover in (facts, trail):
        leftover.unlink(missing_ok=True)
    chosen = {CRASH_NAME: crash.name, CRASH_OCCURRENCE: str(crash.occurrence)} if crash else {}
    own = {**(environment or {}), FACTS_FILE: str(facts), TRAIL_FILE: str(trail), **chosen}
    if nest is None:
        done = subprocess.run(
            [sys.executable, str(script), str(folder), *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **own},
            capture_output=True,
            text=True,
            timeout=deadline,
            check=False,
        )
        code, stderr = done.returncode, done.stderr
    else:
        code, stderr = nest.run(folder, arguments, own)
    run = Run(
        code,
        json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else None,
        trail.read_text(encoding="utf-8").splitlines() if trail.exists() else [],
        stderr,
    )
    assert code == 0 or (crash is not None and run.was_killed), (
        f"{script.name} ended with {code} after {list(run.trail)[-3:]}:\n{stderr}"
    )
    return run


def crash_points(run: Run) -> list[Crash]:
    """Every moment at which the scenario of an undisturbed `run` could have died, in order."""
    seen: Counter[str] = Counter()
    points = []
    for name in run.trail:
        seen[name] += 1
        points.append(Crash(name, seen[name]))
    return points
