"""How long the owner waits for an answer, and the event loop's longest stall, in the real product.

The product runs as a process of its own (WORLD=simulated, eight assets) with its local phone as the Bot API server and
the real python-telegram-bot as its client. The page's own requests drive it, one at a time, with a pause of 20 to 120
ms between: commands that read the ledger, a command that writes to it, a tap. What is measured is what the owner sees:
from the page's request to the moment when the page is told of the answer; so it holds a little more than the time
between the update's acceptance by the server and the reply. A task in the product's event loop asks to wake every 5 ms;
by how much it comes late is the stall. What of that the loop's thread stood in the kernel's queue for a processor
(schedstat) is no stall of the program's and is told apart; waiting for another thread of the program is one.

Idle: market time runs as fast as real time. Busy: 300 times as fast, that is a cycle each second and five guard runs,
while the model is trained over and over in the niced worker.

Run: python -m tests.bench.latency [REQUESTS] [--explain FOLDER]"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import aiohttp
import numpy as np

LATENCY_AIM, STALL_AIM = 0.1, 0.05
"""Seconds: the ninety-ninth percentile of an answer, the longest stall (DESIGN 11)."""
BUSY_SPEED = 300
START_LIMIT = 400.0
ANSWER_LIMIT = 20.0
SETTLING = 8.0
ROOT = Path(__file__).resolve().parents[2]
TAP = "tap on Status"
ASKED = (
    ("/status", "^(💚|🟠|🛑)"),
    ("/positions", "^📊"),
    ("/pending", "^✋|#\\d"),
    ("/help", "^📖"),
    ("/mode", "^🎛"),
    ("/report", "^📄"),
    ("/notify fills on", "What I tell you"),
    ("/psitions", "Did you mean"),
    (TAP, ""),
)


@dataclass(frozen=True, slots=True)
class Phase:
    """Seconds. `waits` by what was asked; `stalls` without, `late` with the kernel's queue."""

    name: str
    waits: dict[str, list[float]]
    late: list[float]
    stalls: list[float]
    collections: list[float]
    cycles: int
    trainings: int
    load: float


class Product:
    """The process, in `folder`."""

    def __init__(self, folder: Path, speed: float, explain: bool) -> None:
        self._folder = folder
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "WORLD": "simulated",
            "OPEN_BROWSER": "never",
            "LOCAL_PHONE_PORT": "0",
            "SIMULATION_SEED": "5",
        }
        self._console = (folder / "console.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.latency_life", str(speed), *(["--explain"] if explain else [])],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._console,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def said(self) -> str:
        return (self._folder / "console.txt").read_text()

    async def page_url(self) -> str:
        until = monotonic() + START_LIMIT
        while "Ready in" not in self.said():
            if monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"not ready:\n{self.said()[-3000:]}")
            await asyncio.sleep(0.2)
        found = re.search(r"Your phone:\s+(\S+)", self.said())
        assert found is not None
        return found[1]

    def order(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    async def counted(self, name: str) -> dict[str, list[float]]:
        self.order(f"tell {name}")
        file = self._folder / f"{name}.json"
        while not file.exists():
            await asyncio.sleep(0.05)
        counted: dict[str, list[float]] = json.loads(file.read_text())
        return counted

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._console.close()


class Page:
    """The chat page without a browser: sends and taps, and follows the stream of changes."""

    def __init__(self, http: aiohttp.ClientSession, origin: str) -> None:
        self._http = http
        self._origin = origin
        self._changes: asyncio.Queue[tuple[float, str, dict[str, object]]] = asyncio.Queue()

    async def follow(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self._http.get("/phone/events", timeout=timeout) as stream:
            kind = ""
            async for raw in stream.content:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self._changes.put_nowait((monotonic(), kind, json.loads(line.removeprefix("data: "))))

    async def wait_for(
        self, kind: str, pattern: str = "", number: str | None = None
    ) -> tuple[float, dict[str, object]]:
        """When, and what, of the first change of that kind that fits. Raises TimeoutError."""
        async with asyncio.timeout(ANSWER_LIMIT):
            while True:
                at, told, data = await self._changes.get()
                if told != kind or (number is not None and data.get("id") != number):
                    continue
                if kind != "message" or (_is_bots(data) and re.search(pattern, str(data.get("text", "")))):
                    return at, data

    async def ask(self, text: str, pattern: str) -> tuple[float, dict[str, object]]:
        """Seconds until the answer, and the answer."""
        self.forget()
        began = monotonic()
        await self._post("/phone/send", {"text": text})
        at, message = await self.wait_for("message", pattern)
        return at - began, message

    async def tap(self, message_id: object, data: str) -> float:
        self.forget()
        began = monotonic()
        number = (await self._post("/phone/tap", {"message_id": message_id, "data": data}))["id"]
        at, _ = await self.wait_for("answer", number=str(number))
        return at - began

    def forget(self) -> None:
        while not self._changes.empty():
            self._changes.get_nowait()

    async def _post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        async with self._http.post(path, json=body, headers={"Origin": self._origin}) as answer:
            answer.raise_for_status()
            found: dict[str, object] = await answer.json()
            return found


def _is_bots(message: dict[str, object]) -> bool:
    sender = message.get("from")
    return isinstance(sender, dict) and bool(sender.get("is_bot"))


async def measure(folder: Path, name: str, speed: float, requests: int, *, train: bool, explain: bool) -> Phase:
    """One life of the product in `folder`, `requests` requests of each kind."""
    product = Product(folder, speed, explain)
    try:
        url = await product.page_url()
        origin = url.partition("/?")[0]
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(origin, cookie_jar=jar, trust_env=False) as http:
            async with http.get(url) as opened:
                opened.raise_for_status()
            page = Page(http, origin)
            following = asyncio.create_task(page.follow())
            if train:
                product.order("train")
            await asyncio.sleep(SETTLING)
            product.order("mark")
            before = product.said().count("tick done")
            waits = await _asked(page, requests)
            counted = await product.counted(name)
            cycles = product.said().count("tick done") - before
            following.cancel()
    finally:
        product.end()
    stalls = [max(0.0, late - queued) for late, queued in zip(counted["late"], counted["queued"], strict=True)]
    trainings = counted["trainings"]
    assert isinstance(trainings, int)
    return Phase(name, waits, counted["late"], stalls, counted["collections"], cycles, trainings, os.getloadavg()[0])


async def _asked(page: Page, requests: int) -> dict[str, list[float]]:
    chance = np.random.default_rng(7)
    waits: dict[str, list[float]] = {what: [] for what, _ in ASKED}
    _, status = await page.ask(*ASKED[0])
    for _ in range(requests):
        for number in chance.permutation(len(ASKED)):
            what, pattern = ASKED[number]
            if what == TAP:
                waits[what].append(await page.tap(status["message_id"], "m:status!"))
            else:
                waits[what].append((await page.ask(what, pattern))[0])
            await asyncio.sleep(float(chance.uniform(0.02, 0.12)))
    return waits


def lines_of(phase: Phase) -> Iterator[str]:
    everything = [wait for waits in phase.waits.values() for wait in waits]
    yield (
        f"{phase.name}: {len(everything)} requests, {phase.cycles} cycles, {phase.trainings} trainings ended, "
        f"load average {phase.load:.1f}"
    )
    for what, waits in (("all", everything), *phase.waits.items()):
        median, high = np.percentile(waits, [50, 99]) * 1000
        yield f"  {what:<18} p50 {median:6.1f} ms   p99 {high:6.1f} ms   most {max(waits) * 1000:6.1f} ms"
    for what, times in (("loop late", phase.late), ("loop stalled", phase.stalls)):
        high = float(np.percentile(times, 99.9)) * 1000
        over = sum(1 for each in times if each > STALL_AIM)
        yield (
            f"  {what:<18} p99.9 {high:4.1f} ms   most {max(times) * 1000:6.1f} ms   "
            f"{over} of {len(times)} beats over {STALL_AIM * 1000:.0f} ms"
        )
    longest = max(phase.collections, default=0.0) * 1000
    yield f"  garbage collection {len(phase.collections)} times, the longest {longest:.1f} ms"
    share, stall = float(np.percentile(everything, 99)) / LATENCY_AIM, max(phase.stalls) / STALL_AIM
    yield (
        f"  of the aims: p99 {share:.2f} of {LATENCY_AIM * 1000:.0f} ms, "
        f"longest stall {stall:.2f} of {STALL_AIM * 1000:.0f} ms"
    )


async def compare(folder: Path, requests: int, *, explain: bool) -> list[Phase]:
    """Idle and busy, two lives of one installation; the first also makes it."""
    idle = await measure(folder, "idle", 1, requests, train=False, explain=explain)
    busy = await measure(folder, "busy", BUSY_SPEED, requests, train=True, explain=explain)
    return [idle, busy]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("requests", type=int, nargs="?", default=50)
    parser.add_argument("--explain", type=Path, metavar="FOLDER", help="keep the installation and stalls.txt there")
    given = parser.parse_args(arguments)
    print(__doc__.partition("\n\n")[2].partition("\n\nRun")[0])
    with tempfile.TemporaryDirectory(prefix="latency-") as scratch:
        folder = given.explain or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for phase in asyncio.run(compare(folder, given.requests, explain=given.explain is not None)):
            print("\n".join(lines_of(phase)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
