"""Runs one scenario again and again, each time in a fork of a process that has loaded it and has no threads: a run then
costs its own work, and not a new interpreter. One line of JSON asks, one answers with how the run ended.

Test side: `with CrashNest(SCRIPT) as nest: run_scenario(SCRIPT, folder, crash=crash, nest=nest)`.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
LONGEST_RUN = 60
STDERR = "stderr.txt"


class CrashNest:
    """The test's side."""

    def __init__(self, script: Path) -> None:
        self._script = script

    def __enter__(self) -> CrashNest:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.crash_nest", str(self._script)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=LONGEST_RUN)

    def run(self, folder: Path, arguments: tuple[str, ...], environment: Mapping[str, str]) -> tuple[int, str]:
        """The code that the run ended with, negative for a signal, and what it wrote to stderr."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = [str(self._script), str(folder), *arguments]
        self._process.stdin.write(json.dumps({"words": words, "environment": dict(environment)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()), (folder / STDERR).read_text(encoding="utf-8")


# In the nest's process


def main(script: Path) -> None:
    scenario: Callable[[], None] = runpy.run_path(str(script), run_name="scenario")["main"]
    # A collection in a fork would copy every page of what is loaded.
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_in_the_child(scenario, request["words"], request["environment"]))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _in_the_child(scenario: Callable[[], None], words: list[str], environment: Mapping[str, str]) -> int:
    signal.alarm(LONGEST_RUN)
    os.environ.update(environment)
    sys.argv = words
    # The pipe to the test carries answers only.
    os.dup2(2, 1)
    with (Path(words[1]) / STDERR).open("w", encoding="utf-8", buffering=1) as stderr:
        sys.stderr = stderr
        try:
            scenario()
        except BaseException:  # noqa: BLE001 - told to the test, which fails with it
            traceback.print_exc()
            return 1
    return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
