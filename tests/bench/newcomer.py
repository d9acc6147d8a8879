"""The newcomer's two minutes, over many seeds: from the ready line, has the chat shown a trained model, a signal with
its reasons, a trade and a manual card within 120 seconds? Real processes, the unmodified command, nothing set but the
seed. Run: python -m tests.bench.newcomer [SEEDS] [AT_ONCE]"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.clock import SystemClock

LIMIT = 120.0
START_LIMIT = 400.0
CLOCK = SystemClock()
SIGNS = {"model": re.compile("New model"), "signal": re.compile("buy signal"), "trade": re.compile("bought")}
"""What the headline of a message says; a card is known by its button."""


@dataclass
class Story:
    """Seconds after the ready line at which each sign was first seen; `ready` counts from the start of the process."""

    seed: int
    ready: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)
    trouble: str = ""

    @property
    def is_complete(self) -> bool:
        return len(self.seen) == len(SIGNS) + 1


async def live_through(seed: int) -> Story:
    story = Story(seed)
    with tempfile.TemporaryDirectory(prefix="newcomer-") as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home, "OPEN_BROWSER": "never", "LOCAL_PHONE_PORT": "0"}
        began = CLOCK.monotonic()
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "autotrader"),
            "run",
            "--world",
            "simulated",
            "--seed",
            str(seed),
            cwd=home,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            address = await asyncio.wait_for(_ready(process), START_LIMIT)
            story.ready = CLOCK.monotonic() - began
            await _watch(story, address)
        except (TimeoutError, RuntimeError, httpx.HTTPError) as error:
            story.trouble = f"{type(error).__name__}: {error}"
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
    return story


async def _ready(process: asyncio.subprocess.Process) -> str:
    address = ""
    if process.stdout is None:
        raise RuntimeError("no output to read")
    async for line in process.stdout:
        text = line.decode()
        found = re.search(r"phone:\s+(\S+)", text)
        address = found.group(1) if found else address
        if "Ready in" in text:
            return address
    raise RuntimeError("ended before it was ready")


async def _watch(story: Story, address: str) -> None:
    ready = CLOCK.monotonic()
    origin = address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=20) as owner:
        (await owner.get(address)).raise_for_status()
        while not story.is_complete and (passed := CLOCK.monotonic() - ready) < LIMIT:
            messages = (await owner.get("/phone/state")).raise_for_status().json()["messages"]
            for message in messages:
                _note(story, message, passed)
            await asyncio.sleep(0.5)


def _note(story: Story, message: dict[str, object], passed: float) -> None:
    headline = str(message.get("text", "")).split("\n", 1)[0]
    for sign, pattern in SIGNS.items():
        if sign not in story.seen and pattern.search(headline):
            story.seen[sign] = passed
    if "card" not in story.seen and "Executed" in str(message.get("reply_markup", "")):
        story.seen["card"] = passed


async def main(seeds: int, at_once: int) -> int:
    gate = asyncio.Semaphore(at_once)

    async def one(seed: int) -> Story:
        async with gate:
            story = await live_through(seed)
            print(_line(story), flush=True)
            return story

    stories = await asyncio.gather(*(one(seed) for seed in range(1, seeds + 1)))
    complete = sum(story.is_complete for story in stories)
    print(f"{complete} of {seeds} seeds showed model, signal, trade and card within {LIMIT:.0f} s of the ready line")
    return 0 if complete >= 0.9 * seeds else 1


def _line(story: Story) -> str:
    shown = "  ".join(
        f"{sign} {story.seen[sign]:5.1f} s" if sign in story.seen else f"{sign}    -  " for sign in (*SIGNS, "card")
    )
    return f"seed {story.seed:2d}  ready after {story.ready:5.1f} s  {shown}  {story.trouble}"


def arguments(given: Sequence[str]) -> tuple[int, int]:
    return (int(given[0]) if given else 20, int(given[1]) if len(given) > 1 else 2)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*arguments(sys.argv[1:]))))
