"""One life of the product for tests.bench.latency: the unmodified `autotrader run` with a heart that beats in its event
loop, and with trainings on demand.

`python -m tests.bench.latency_life SPEED [--explain]`, in the life's own folder. Reads words from standard input:
`train` trains again and again; `mark` begins to count anew; `tell NAME` writes what was counted to NAME.json. With
--explain a thread looks at all stacks when a beat is late and writes them to stalls.txt."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import traceback
from pathlib import Path
from time import monotonic, sleep

from bot.kept import kept_for_good

with kept_for_good():
    from bot.assembly import LiveAssembly, RunOptions
    from bot.live import Live, LiveParts
    from bot.market_work import recipe_of
    from core.clock import SystemClock
    from core.logs import start_logs
    from core.settings import Settings, load_settings
    from jobs.retrain import retrain
    from jobs.worker import SpawnedWorker

PERIOD = 0.005
LATE = 0.02
MOST_EXPLAINED = 200


class Heart:
    """Beats every PERIOD seconds in the event loop it was started in; times in seconds.

    `late` holds by how much each beat came late. `queued` holds how much of that the loop's thread waited for a
    processor that the kernel had given to others (/proc, schedstat): no fault of the program's.
    """

    def __init__(self) -> None:
        self.late: list[float] = []
        self.queued: list[float] = []
        self.due = monotonic() + PERIOD
        self._collected: list[float] = []
        self._gc_began = 0.0

    async def beat(self) -> None:
        gc.callbacks.append(self._note_collection)
        schedule = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        waited = _waited(schedule)
        while True:
            self.due = monotonic() + PERIOD
            await asyncio.sleep(PERIOD)
            now_waited, now = _waited(schedule), monotonic()
            self.late.append(now - self.due)
            self.queued.append(now_waited - waited)
            waited = now_waited

    def mark(self) -> None:
        self.late, self.queued, self._collected = [], [], []

    def counted(self) -> dict[str, list[float]]:
        return {"late": self.late, "queued": self.queued, "collections": self._collected}

    def _note_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_began = monotonic()
        else:
            self._collected.append(monotonic() - self._gc_began)


def _waited(schedule: int) -> float:
    return int(os.pread(schedule, 100, 0).split()[1]) / 1e9


class Explainer(threading.Thread):
    """Writes down what every thread does while a beat is late."""

    def __init__(self, heart: Heart, file: Path) -> None:
        super().__init__(daemon=True, name="explainer")
        self._heart = heart
        self._file = file

    def run(self) -> None:
        told, seen = 0, 0.0
        while told < MOST_EXPLAINED:
            sleep(0.004)
            due = self._heart.due
            if monotonic() - due > LATE and due != seen:
                seen, told = due, told + 1
                self._write(monotonic() - due)

    def _write(self, late: float) -> None:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        with self._file.open("a") as file:
            file.write(f"=== {late * 1000:.0f} ms late\n")
            for ident, frame in sys._current_frames().items():
                if ident == threading.get_ident():
                    continue
                stack = traceback.extract_stack(frame)[-14:]
                if stack[-1].name in ("wait", "_recv", "get", "_worker", "accept") and names.get(ident) != "MainThread":
                    continue
                file.write(f"-- {names.get(ident)}\n" + "".join(traceback.format_list(stack)))


class Training(threading.Thread):
    """Trains the model of the running ledger over and over while it is wanted, the way the hourly job does."""

    def __init__(self, parts: LiveParts, settings: Settings) -> None:
        super().__init__(daemon=True, name="training")
        self._parts = parts
        self._settings = settings
        self.wanted = threading.Event()
        self.done = 0

    def run(self) -> None:
        desk, worker = self._parts.engine.desk, SpawnedWorker()
        while True:
            self.wanted.wait()
            retrain(
                self._parts.market_clock.now(),
                uow=desk.ledger,
                bars=desk.bars,
                instruments=desk.instruments,
                worker=worker,
                models_folder=self._settings.models_dir,
                recipe=recipe_of(self._settings),
                force=True,
            )
            self.done += 1


class Listener(threading.Thread):
    def __init__(self, heart: Heart, training: Training) -> None:
        super().__init__(daemon=True, name="listener")
        self._heart = heart
        self._training = training

    def run(self) -> None:
        for line in sys.stdin:
            word, _, name = line.strip().partition(" ")
            if word == "mark":
                self._heart.mark()
                self._training.done = 0
            elif word == "train":
                self._training.wanted.set()
            elif word == "tell":
                counted = {**self._heart.counted(), "trainings": self._training.done}
                beside = Path(f"{name}.tmp")
                beside.write_text(json.dumps(counted))
                beside.replace(f"{name}.json")


def main(speed: float, explain: bool) -> int:
    clock = SystemClock()
    began = clock.monotonic()
    settings = load_settings({**os.environ, "SPEED": str(speed)}, Path(".env"))
    settings.make_folders()
    chosen = RunOptions(settings.speed, settings.world, settings.simulation_seed, False)
    heart = Heart()

    def build(life: Live) -> LiveParts:
        parts = LiveAssembly(settings, chosen, life).build()
        training = Training(parts, settings)
        training.start()
        Listener(heart, training).start()
        return parts

    async def live() -> int:
        beating = asyncio.create_task(heart.beat())
        if explain:
            Explainer(heart, Path("stalls.txt")).start()
        try:
            return await Live(build).run(began)
        finally:
            beating.cancel()

    with start_logs(settings.logs_dir, clock, secrets=settings.secrets(), as_json=False, level=settings.log_level):
        return asyncio.run(live())


if __name__ == "__main__":
    code = main(float(sys.argv[1]), "--explain" in sys.argv)
    # A training that nobody waits for may still hold a thread.
    os._exit(code)
