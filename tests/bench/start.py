"""The product's first and second start, unmodified, with its defaults in the simulated world: seconds to the ready
line, the training's share of them, and the main process's memory once it has settled.

The first start looks for a lively moment, collects all history of eight assets and trains; the second finds it all
there. Processor seconds, the worker's included, stand beside the clock's: on a busy machine only they mean anything.
Memory is the median resident size over the last half of the watched time, with the largest ever beside it. The
reference is the same interpreter after importing what the main process cannot do without.

Run: python -m tests.bench.start [SECONDS_WATCHED] [ROUNDS]"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep

READY_BUDGET, MEMORY_BUDGET, TRAINING_BUDGET = 4.0, 190.0, 15.0
"""Seconds of a second start, MiB when idle, seconds to train all eight (DESIGN 11)."""
START_LIMIT = 400.0
NEEDED = "telegram.ext, apscheduler.schedulers.asyncio, sqlmodel, pandas, exchange_calendars, yfinance"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds and MiB. `training` is what lay between the data's line and the training's; `worked` and `trained` are
    the same two in processor seconds."""

    ready: float
    worked: float
    training: float
    trained: float
    resident: float
    largest: float


def start(folder: Path, watched: float) -> Start:
    """One run of the product in `folder`, ended by SIGINT. Raises RuntimeError where it does not become ready."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "WORLD": "simulated",
        "OPEN_BROWSER": "never",
        "LOCAL_PHONE_PORT": "0",
    }
    began = monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "bot"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        steps = _steps(process, began)
        sizes = []
        until = monotonic() + watched
        while monotonic() < until:
            sizes.append(_memory(process.pid, "VmRSS"))
            sleep(0.25)
        settled = sizes[len(sizes) // 2 :]
        (ready, worked), (before, idle), (after, busy) = steps["ready"], steps["3"], steps["4"]
        largest = _memory(process.pid, "VmHWM")
        return Start(ready, worked, after - before, busy - idle, median(settled), largest)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _steps(process: subprocess.Popen[str], began: float) -> dict[str, tuple[float, float]]:
    """When each step of the start was told: seconds since the process began, and processor seconds spent by then."""
    steps: dict[str, tuple[float, float]] = {}
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        found = re.search(r"\[(\d)/7\]", line)
        if found:
            steps[found.group(1)] = monotonic() - began, _processor(process.pid)
        if "Ready in" in line:
            steps["ready"] = monotonic() - began, _processor(process.pid)
            return steps
        if monotonic() - began > START_LIMIT:
            break
    raise RuntimeError("not ready:\n" + "".join(said[-20:]))


def _processor(pid: int) -> float:
    """Processor seconds of the process and of its children that have ended (proc_pid_stat(5), fields 14 to 17)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, what: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def reference() -> float:
    """MiB of an interpreter that has imported the main process's packages and done nothing."""
    code = f"import {NEEDED}\nprint(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def lines_of(firsts: Sequence[Start], seconds: Sequence[Start], imported: float) -> Iterator[str]:
    for name, starts in (("first", firsts), ("second", seconds)):
        ready, worked = median(each.ready for each in starts), median(each.worked for each in starts)
        resident = median(each.resident for each in starts)
        yield f"{name} start: ready after {ready:.1f} s ({worked:.1f} of the processor)"
        yield (
            f"  memory {resident:.0f} MiB settled, {max(each.largest for each in starts):.0f} at most; "
            f"{resident / imported:.2f} of the packages alone ({imported:.0f})"
        )
    for name, took, worked, budget in (
        (
            "training of all eight",
            [each.training for each in firsts],
            [each.trained for each in firsts],
            TRAINING_BUDGET,
        ),
        ("second start", [each.ready for each in seconds], [each.worked for each in seconds], READY_BUDGET),
    ):
        share = 100 * median(took) / budget
        yield f"{name}: {median(took):.1f} s ({median(worked):.1f} of the processor), {share:.0f} % of {budget:.0f} s"
    for name, starts in (("first", firsts), ("second", seconds)):
        share = 100 * median(each.resident for each in starts) / MEMORY_BUDGET
        yield f"memory after a {name} start: {share:.0f} % of its budget of {MEMORY_BUDGET:.0f} MiB"


def main(watched: float, rounds: int) -> int:
    print(__doc__.partition("\n\n")[2].partition("\n\nRun")[0])
    firsts, seconds = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="start-") as folder:
            firsts.append(start(Path(folder), watched))
            seconds.append(start(Path(folder), watched))
    print("\n".join(lines_of(firsts, seconds, reference())))
    return 0


def arguments(given: Sequence[str]) -> tuple[float, int]:
    return (float(given[0]) if given else 60.0, int(given[1]) if len(given) > 1 else 3)


if __name__ == "__main__":
    sys.exit(main(*arguments(sys.argv[1:])))
