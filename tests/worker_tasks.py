"""What the worker is asked to do in tests: functions that a spawned process can import."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from core.errors import DataFault


def add(left: int, right: int) -> int:
    return left + right


def refuse(reason: str) -> None:
    raise DataFault("SPY", reason)


class Stubborn(Exception):
    """Pickles, and cannot be restored."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def refuse_stubbornly() -> None:
    raise Stubborn("cannot", "travel")


def give_a_lambda() -> object:
    return lambda: None


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(pid_file: Path) -> None:
    part = pid_file.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.replace(pid_file)
    time.sleep(600)


def own_pid() -> int:
    return os.getpid()


def niceness() -> int:
    return os.nice(0)


def threads_allowed() -> str:
    return os.environ["OMP_NUM_THREADS"]


def import_sklearn() -> bool:
    import sklearn  # noqa: F401

    return "sklearn" in sys.modules


def size_of(data: bytes) -> int:
    return len(data)


def wait_for(begun: Path, go: Path) -> None:
    """Says that it has begun, and ends once `go` is there."""
    begun.touch()
    while not go.exists():
        time.sleep(0.005)
