"""Delivery under SIGKILL: killed at every named step, again and again, under a server that loses answers by chance.

In the end every event was accepted by the server or is shown as pending; critical ones were repeated once at most, and
said so; nothing else came twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fault.crashing import ROOT
from tests.servers.bot_api_server import BotApiServer
from tests.servers.faults import BAD_GATEWAY, DROP, LOSE_ANSWER, Fault, LoseAnswer, flood, internal_error

SEED = 20_261_123
STEPS = tuple(
    f"{step}.{side}"
    for step, sides in {
        "outbox.claim": ("before_commit", "after_commit"),
        "outbox.done": ("before_commit", "after_commit"),
        "outbox.recover": ("before_commit", "after_commit"),
        "live.begin": ("before_commit", "after_commit"),
        "live.refresh": ("before_commit", "after_commit"),
        "send": ("before_call", "after_call"),
        "edit": ("before_call", "after_call"),
        "pin": ("before_call", "after_call"),
    }.items()
    for side in sides
)
CHANGES = ("sendMessage", "editMessageText")
REPEAT = "possible repeat"


class Recorder(BotApiServer):
    """Remembers what it accepted, whatever became of its answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "phone.sqlite3")
        self.accepted: list[tuple[str, str]] = []
        self.faults.choose = self._by_chance
        self._chance = np.random.default_rng(SEED)
        self.met: Counter[str] = Counter()

    def _by_chance(self, method: str) -> Fault | None:
        luck = self._chance.random()
        faults = {0.10: LOSE_ANSWER, 0.13: LoseAnswer(quietly=True), 0.17: DROP, 0.20: flood(2), 0.22: internal_error()}
        fault = next((each for limit, each in {**faults, 0.24: BAD_GATEWAY}.items() if luck < limit), None)
        if fault is not None:
            self.met[type(fault).__name__] += 1
        return fault

    def _check(self, method: str, values: dict[str, Any], uploads: set[str], answer: dict[str, Any] | None) -> None:
        super()._check(method, values, uploads, answer)
        if answer is not None and answer["ok"] and method in CHANGES:
            self.accepted.append((method, values["text"].lower()))


@dataclass
class Lives:
    """The test's side of the process that forks lives."""

    server: Recorder
    process: asyncio.subprocess.Process
    count: int = 0
    died_at: Counter[str] = field(default_factory=Counter)

    async def live(self, name: str = "", occurrence: int = 1, *, last: bool = False) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.count += 1
        request = {
            "life": self.count,
            "name": name,
            "occurrence": occurrence,
            "last": last,
            "token": self.server.token,
            "base_url": self.server.base_url,
            "chat": self.server.owner_id,
        }
        self.process.stdin.write(f"{json.dumps(request)}\n".encode())
        answer = json.loads(await self.process.stdout.readline())
        assert answer["code"] == 0 or answer["killed"], f"{request} ended badly:\n{answer['error']}"
        if answer["killed"]:
            self.died_at[answer["last"][0]] += 1
        return dict(answer)


@asynccontextmanager
async def some_lives(folder: Path) -> AsyncIterator[Lives]:
    server = Recorder(folder)
    await server.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fault.delivery_life",
        str(folder),
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    try:
        yield Lives(server, process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await server.stop()


async def killed_everywhere(lives: Lives, times: int) -> None:
    """Every step is died at `times` times; what is mended after a death in the middle of a call needs one before."""
    chance = np.random.default_rng(SEED)
    left = deque(chance.permutation(np.array(STEPS * times, dtype=object)).tolist())
    missed = 0
    while left:
        name = left.popleft()
        if name.startswith("outbox.recover"):
            await lives.live("send.after_call")
        occurrence = 1 if name.startswith(("outbox.recover", "live.begin")) else int(chance.integers(1, 3))
        if not (await lives.live(name, occurrence))["killed"]:
            left.append(name)
            missed += 1
        assert missed <= 4 + times, f"not reached: {name}"


def judged(rows: list[dict[str, Any]], accepted: list[tuple[str, str]]) -> tuple[list[str], Counter[str]]:
    """What is wrong, and the counts."""
    wrong, counts = list[str](), Counter[str]()
    for row in (each for each in rows if each["tag"]):
        words = row["tag"].lower()
        sent = [text for method, text in accepted if method == "sendMessage" and words in text]
        edited = [text for method, text in accepted if method == "editMessageText" and words in text]
        repeats = [text for text in sent if REPEAT in text]
        counts[row["state"]] += 1
        counts["critical"] += row["critical"]
        counts["folded"] += row["carrier"] is not None
        counts["repeated"] += len(sent) > 1
        counts["edited"] += bool(edited)
        counts["accepted, shown as pending"] += row["state"] == "uncertain" and bool(sent or edited)
        if row["state"] == "sent" and not (sent or edited):
            wrong.append(f"{row} is told of nowhere")
        if row["state"] not in ("sent", "uncertain"):
            wrong.append(f"{row} is neither sent nor shown as pending for its doubt")
        if len(sent) > (2 if row["critical"] else 1):
            wrong.append(f"{row} was told {len(sent)} times")
        if len(sent) > 1 and not repeats:
            wrong.append(f"{row} was repeated and did not say so")
    return wrong, counts


async def check(folder: Path, times: int) -> Lives:
    async with some_lives(folder) as lives:
        await killed_everywhere(lives, times)
        lives.server.faults.clear()
        last = await lives.live(last=True)
        wrong, counts = judged(last["facts"]["rows"], lives.server.accepted)
        kills = f"{lives.died_at.total()} kills at {len(lives.died_at)} steps in {lives.count} lives"
        print(f"\n{kills}; faults met {dict(lives.server.met)}; {dict(counts)}")
        assert not wrong, "\n".join(wrong[:20])
        assert last["facts"]["waiting"] == 0
        assert counts["repeated"], "no critical message was ever repeated: nothing was shown"
        assert counts["folded"]
        assert min(lives.died_at[step] for step in STEPS) >= times
        return lives


@pytest.mark.feature("D1")
@pytest.mark.feature("D3")
async def test_killed_once_at_every_step_of_delivery_nothing_is_lost_and_nothing_unmarked_comes_twice(
    tmp_path: Path,
) -> None:
    await check(tmp_path, 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.feature("D1")
@pytest.mark.feature("D3")
async def test_killed_twenty_times_at_every_step_of_delivery(tmp_path: Path) -> None:
    await check(tmp_path, 20)
