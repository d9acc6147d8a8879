"""What the nests share: a process that loads the libraries once and lives each life in a fork of itself, which may be
killed. It reads one JSON request a line and answers each with one line: how the life ended and what it left behind."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.fault.crashing import CRASH_NAME, CRASH_OCCURRENCE, FACTS_FILE, ROOT, TRAIL_FILE, Crash


class LifeNest:
    """The test's side: runs `module` with `arguments` while it is entered. `longest`: what a life may take, seconds."""

    def __init__(self, module: str, *arguments: str, longest: int) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._longest = longest

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            # A process that forks has no threads of its own.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(self._longest)
        self._process.stdout.close()

    def ask(self, request: dict[str, Any], crash: Crash | None) -> dict[str, Any]:
        """One life and how it ended: code, signal, facts, trail, error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        chosen = {"name": crash.name if crash else "", "occurrence": crash.occurrence if crash else 1}
        self._process.stdin.write(json.dumps({**request, **chosen}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


# In the nest's process


def before_forks() -> None:
    """What the nest has loaded stays out of the collector's sight: it would copy every page of it into each fork."""
    gc.collect()
    gc.freeze()


def live_each(folder: Path, live: Callable[[dict[str, Any]], None], longest: int) -> None:
    """A fork of this process for each request, one after another, until the test's side leaves."""
    before_forks()
    for line in sys.stdin:
        request = json.loads(line)
        for leftover in ("facts.json", "trail.txt", "error.txt"):
            (folder / leftover).unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            os._exit(_in_the_child(folder, request, live, longest))
        _, status = os.waitpid(child, 0)
        print(json.dumps(_answer(folder, status)), flush=True)


def _answer(folder: Path, status: int) -> dict[str, Any]:
    facts, trail, error = (folder / name for name in ("facts.json", "trail.txt", "error.txt"))
    return {
        "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "facts": json.loads(facts.read_text()) if facts.exists() else None,
        "trail": trail.read_text().splitlines() if trail.exists() else [],
        "error": error.read_text() if error.exists() else "no traceback",
    }


def _in_the_child(folder: Path, request: dict[str, Any], live: Callable[[dict[str, Any]], None], longest: int) -> int:
    signal.alarm(longest)
    os.environ[FACTS_FILE], os.environ[TRAIL_FILE] = str(folder / "facts.json"), str(folder / "trail.txt")
    os.environ[CRASH_NAME], os.environ[CRASH_OCCURRENCE] = request["name"], str(request["occurrence"])
    try:
        live(request)
    except BaseException:  # noqa: BLE001 - told to the test, which fails with it
        (folder / "error.txt").write_text(traceback.format_exc())
        return 1
    return 0
