"""The real process in a folder of its own: started, watched, talked to through its local phone, and stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from core.clock import SystemClock

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS = ("SPY", "BTC-USD")
_CLOCK = SystemClock()


def until(condition: Callable[[], Any], seconds: float, words: str) -> Any:
    """The first true answer of `condition`; fails with `words` after `seconds`."""
    deadline = _CLOCK.monotonic() + seconds
    while not (answer := condition()):
        assert _CLOCK.monotonic() < deadline, words
        _CLOCK.sleep(0.05)
    return answer


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Settings for a quick start in `folder`, and nothing of the machine's own but the path."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(home),
        "WORLD": "simulated",
        "OPEN_BROWSER": "never",
        "LOCAL_PHONE_PORT": "0",
        "MODEL_TREES": "10",
        "SYMBOLS": ",".join(SYMBOLS),
        "TIME_ZONE": "UTC",
        **settings,
    }


def command(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """One verb of the command line, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *words],
        cwd=folder,
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Orchestrator:
    """`autotrader run` in `folder`, without a terminal; `output` takes what it prints there."""

    def __init__(self, folder: Path, output: str = "console.txt", **settings: str) -> None:
        self._output = folder / output
        with self._output.open("wb") as console:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot"],
                cwd=folder,
                env=environment(folder, **settings),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def console(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def until_said(self, words: str, seconds: float = 90.0) -> None:
        def answer() -> bool:
            assert self.process.poll() is None or words in self.console, f"ended early:\n{self.console}"
            return words in self.console

        until(answer, seconds, f"{words!r} was not said")

    def until_ready(self) -> Orchestrator:
        self.until_said("Ready in")
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> int:
        """The exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def family(self) -> set[int]:
        """The processes that this one started and that still run, theirs included."""
        parents = {pid: parent for pid, parent in _running()}
        found = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}

    def clear_away(self) -> None:
        """Ends what a failed test left running."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def phone(self) -> Phone:
        match = re.search(r"Your phone:\s+(\S+)", self.console)
        assert match is not None
        return Phone(match[1])


class Phone:
    """The chat page's own requests, sent by hand."""

    def __init__(self, page_url: str) -> None:
        self.key = page_url.partition("key=")[2]
        origin = page_url.partition("/?")[0]
        self._http = httpx.Client(
            base_url=origin, headers={"Origin": origin}, trust_env=False, verify=False, timeout=20
        )
        self._http.get(page_url).raise_for_status()

    def send(self, text: str) -> None:
        self._http.post("/phone/send", json={"text": text}).raise_for_status()

    def told(self) -> list[str]:
        """What the bot has said, oldest first."""
        messages = self._http.get("/phone/state").raise_for_status().json()["messages"]
        return [str(one["text"]) for one in messages if one.get("from", {}).get("is_bot") and "text" in one]

    def until_told(self, words: str, after: int = 0) -> str:
        """The first text with `words` in it, the first `after` texts left aside."""

        def found() -> str | None:
            return next((text for text in self.told()[after:] if words in text), None)

        return str(until(found, 30, f"never told {words!r}"))

    def ask(self, text: str, words: str) -> str:
        """Sends `text` and returns the answer with `words` in it."""
        before = len(self.told())
        self.send(text)
        return self.until_told(words, before)

    def close(self) -> None:
        self._http.close()


def _running() -> list[tuple[int, int]]:
    """(process, its parent) of all processes but those that have ended and wait to be noticed."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            found.append((int(folder.name), int(parent)))
    return found


def is_running(pid: int) -> bool:
    return any(pid == each for each, _ in _running())
