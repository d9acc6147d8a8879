"""Plays scenes in forked processes that are killed at chosen checkpoints; one line of JSON asks, one answers.

Libraries, calendar and the installations to begin with are made once. Every life is a fork: it opens the files itself
and ends by SIGKILL at its checkpoint, or on its own at the scene's end.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fault.crashing import ROOT, Crash
from tests.fault.nests import before_forks

LONGEST_LIFE = 60
TYPICAL = ("an exit meets: no answer, arrived", "the owner keeps his books")


@dataclass(frozen=True)
class Life:
    """How one process ended: at its checkpoint or on its own; `broken` is what did not hold, in words."""

    was_killed: bool
    trail: list[str]
    facts: dict[str, Any] | None
    given_up: bool
    broken: list[str]


def scene_names() -> list[str]:
    from tests.fault.points_scenes import SCENES

    return [scene.name for scene in SCENES]


class PointsNest:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> PointsNest:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.points_nest", str(self._folder)],
            cwd=ROOT,
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
        self._process.wait(LONGEST_LIFE)
        self._process.stdout.close()

    def play(self, scene: str, *crashes: Crash) -> list[Life]:
        """One life for each crash, then one to the end. Fails with a life's own traceback where it broke down."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"scene": scene, "crashes": [asdict(crash) for crash in crashes]}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        lives = json.loads(self._process.stdout.readline())
        errors = [life.pop("error") for life in lives]
        assert not any(errors), f"{scene} {crashes}:\n{''.join(errors)}"
        return [Life(**life) for life in lives]


# In the nest's process


class Inside:
    """Makes the ground on which scenes are played, and plays them."""

    def __init__(self, folder: Path) -> None:
        # Not above: the test's side needs none of it.
        from bot.price_sources import make_calendar
        from tests.fault.points_house import START, SYMBOLS
        from tests.fault.points_scenes import SCENES
        from tests.fault.points_world import Prices

        # What a scene breaks on purpose need not be read.
        logging.disable(logging.CRITICAL)
        self.folder = folder
        self.scenes = {scene.name: scene for scene in SCENES}
        self.calendar = make_calendar()
        self.prices = Prices(SYMBOLS, START)
        self.grounds: dict[tuple[str, tuple[str, ...]], Path] = {}
        self._once_here()
        before_forks()

    def _once_here(self) -> None:
        """What the first life of a process has to load and to compile, no fork has to do again."""
        from tests.fault.points_checks import facts, violations
        from tests.fault.points_house import House
        from tests.fault.points_witness import Witness

        witness = Witness()
        for number, name in enumerate(TYPICAL):
            place = self.folder / f"rehearsal{number}"
            place.mkdir()
            house = House(place, self.scenes[name], self.prices, self.calendar, witness, witness.passes)
            house.database.bars.write_all([(series, self.prices.name) for series in self.prices.history()])
            house.start()
            house.live()
            violations(house, at_the_end=True)
            facts(house)
            house.close()

    def play(self, name: str, crashes: Sequence[Crash | None]) -> list[dict[str, Any]]:
        scene = self.scenes[name]
        place = self.folder / "scene"
        shutil.rmtree(place, ignore_errors=True)
        if scene.is_founded:
            shutil.copytree(self._ground(scene), place)
        place.mkdir(exist_ok=True)
        lives = []
        for crash in (*crashes, None):
            lives.append(self._live(place, scene, crash))
            if lives[-1]["error"] or not lives[-1]["was_killed"]:
                break
            # From a kill on the end is compared with the undisturbed one: an entry that never left may be given up.
            scene = replace(scene, expect=lambda _house: None)
        return lives

    def _ground(self, scene: Any) -> Path:
        """An installation that was started once, with its history, and stopped."""
        from tests.fault.points_house import Step

        key = (scene.venue, scene.symbols)
        if key not in self.grounds:
            ground = self.folder / f"ground{len(self.grounds)}"
            ground.mkdir()
            empty = replace(scene, steps=(Step(lambda _house: None),), expect=lambda _house: None)
            life = self._live(ground, empty, None)
            assert not life["error"], life["error"]
            (ground / "outside" / "steps.jsonl").unlink(missing_ok=True)
            self.grounds[key] = ground
        return self.grounds[key]

    def _live(self, place: Path, scene: Any, crash: Crash | None) -> dict[str, Any]:
        answer, trail, error = place / "answer.json", place / "trail.txt", place / "error.txt"
        for leftover in (answer, trail, error):
            leftover.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            os._exit(self._in_the_child(place, scene, crash))
        _, status = os.waitpid(child, 0)
        was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        failed = not was_killed and status != 0
        said = json.loads(answer.read_text()) if answer.exists() else {"facts": None, "given_up": False, "broken": []}
        return {
            "was_killed": was_killed,
            "trail": trail.read_text().splitlines() if trail.exists() else [],
            "error": (error.read_text() if error.exists() else f"status {status}") if failed else "",
            **said,
        }

    def _in_the_child(self, place: Path, scene: Any, crash: Crash | None) -> int:
        signal.alarm(LONGEST_LIFE)
        try:
            self._lives(place, scene, crash)
        except BaseException:  # noqa: BLE001 - told to the test, which fails with it
            (place / "error.txt").write_text(traceback.format_exc())
            return 1
        return 0

    def _lives(self, place: Path, scene: Any, crash: Crash | None) -> None:
        from tests.fault.points_checks import facts, given_up, violations
        from tests.fault.points_house import House
        from tests.fault.points_witness import Witness

        witness, passed = Witness(), Counter[str]()
        trail = (place / "trail.txt").open("a", encoding="utf-8", buffering=1)

        def checkpoint(name: str) -> None:
            witness.passes(name)
            trail.write(f"{name}\n")
            passed[name] += 1
            if crash is not None and (crash.name, crash.occurrence) == (name, passed[name]):
                os.kill(os.getpid(), signal.SIGKILL)

        witness.watch_commits()
        witness.watch_files(place / "home")
        house = House(place, scene, self.prices, self.calendar, witness, checkpoint)
        if not house.read(lambda work: work.accounts()):
            house.database.bars.write_all([(series, self.prices.name) for series in self.prices.history()])
        house.start()
        broken = violations(house, at_the_end=False)
        house.live()
        broken += violations(house, at_the_end=True)
        if crash is None and house.done == 0:
            scene.expect(house)
        answer = {"facts": facts(house), "given_up": given_up(house), "broken": broken}
        (place / "answer.json").write_text(json.dumps(answer))
        house.close()


def main(folder: Path) -> None:
    inside = Inside(folder)
    for line in sys.stdin:
        request = json.loads(line)
        lives = inside.play(request["scene"], [Crash(**crash) for crash in request["crashes"]])
        print(json.dumps(lives), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
