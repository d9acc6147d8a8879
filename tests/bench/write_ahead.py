"""What it costs that every order is committed before it is sent, and every answer after: decisions a second with
write-ahead, and without.

Four engines play the same ticks in turn, in another order each tick: the product's, and one over a store that exists in
this benchmark only, which keeps a whole cycle in one transaction and commits it when everything is sent; each once with
a ledger that waits for the disk at every commit (synchronous=FULL, as the product's does) and once with one that never
does (OFF). A decision is the judgement of one instrument at one tick. The venue is kept in memory, where it stands for
somebody else's machine: its own journal would only hide the difference. All four must end with the same hash over
everything decided and booked. The ratio of two engines is taken tick by tick; its median is shown with the middle half.

Run: python -m tests.bench.write_ahead [INSTRUMENTS:TICKS ...]"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from types import TracebackType
from typing import Any

from bot.bootstrap import Engine
from bot.price_sources import make_calendar
from core.ports import UnitOfWork, UnitOfWorkFactory
from tests.bench.made_up_market import MadeUpMarket
from tests.bench.stage import Setup, Stage, grown_forest, in_process

SIZES = ((8, 300), (100, 78))
"""Instruments and ticks."""


class OneTransaction:
    """A store without write-ahead: all units of work of a cycle share one transaction, committed by `close_cycle`.

    It gives up every promise of the ledger, which is why it lives here. `commit` inside the cycle does nothing.
    """

    def __init__(self, engine: Engine) -> None:
        self._open: Callable[[], UnitOfWork] = engine.database.unit_of_work
        self._work: UnitOfWork | None = None

    def __call__(self) -> UnitOfWork:
        if self._work is None:
            self._work = self._open().__enter__()
        shared: Any = _Part(self._work)
        return shared

    def close_cycle(self) -> None:
        if self._work is None:
            return
        self._work.commit("cycle")
        self._work.__exit__(None, None, None)
        self._work = None


class _Part:
    """A unit of work that leaves beginning and end of its transaction to the cycle."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    def __enter__(self) -> _Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def commit(self, step: str = "") -> None: ...

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


class Player:
    """One engine and what each of its cycles took, in seconds."""

    def __init__(self, folder: Path, setup: Setup, market: MadeUpMarket, *, write_ahead: bool) -> None:
        folder.mkdir()
        self._store: OneTransaction | None = None
        self.seconds: list[float] = []
        self.sent: list[int] = []
        self.stage = Stage(folder, setup, market, None if write_ahead else self._without)
        self._close_cycle()

    def _without(self, engine: Engine) -> UnitOfWorkFactory:
        self._store = OneTransaction(engine)
        return self._store

    def _close_cycle(self) -> None:
        if self._store is not None:
            self._store.close_cycle()

    def play(self, tick: Any) -> None:
        self.stage.bring_bars(tick)
        began = perf_counter()
        result = self.stage.cycle(tick)
        self._close_cycle()
        self.seconds.append(perf_counter() - began)
        self.sent.append(result.submitted)


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of each cycle after the first by engine, and how many orders it sent; `heads` are the ledgers' hashes."""

    instruments: int
    seconds: Mapping[str, list[float]]
    heads: Mapping[str, str]
    sent: list[int]


SAFE, LOOSE, SAFE_OFF, LOOSE_OFF = "write-ahead, FULL", "without, FULL", "write-ahead, OFF", "without, OFF"
ENGINES = {SAFE: (True, True), LOOSE: (False, True), SAFE_OFF: (True, False), LOOSE_OFF: (False, False)}
"""Whether it writes ahead, and whether it waits for the disk."""


def compare(instruments: int, ticks: int, forest: bytes) -> Compared:
    """Plays the ticks with every engine in this process."""
    market = MadeUpMarket(instruments, ticks // 78 + 1, make_calendar())
    with tempfile.TemporaryDirectory(prefix="write-ahead-") as folder:
        players = {
            name: Player(
                Path(folder) / str(number),
                Setup(instruments, forest, durable=durable, venue_on_disk=False),
                market,
                write_ahead=write_ahead,
            )
            for number, (name, (write_ahead, durable)) in enumerate(ENGINES.items())
        }
        turns = list(players.values())
        for tick in market.ticks()[:ticks]:
            for player in turns:
                player.play(tick)
            turns = [*turns[1:], turns[0]]
        heads = {name: player.stage.head() for name, player in players.items()}
        for player in players.values():
            player.stage.close()
    seconds = {name: player.seconds[1:] for name, player in players.items()}
    return Compared(instruments, seconds, heads, players[SAFE].sent[1:])


def lines_of(compared: Compared) -> Iterator[str]:
    count = len(compared.seconds[SAFE])
    busy = [place for place, sent in enumerate(compared.sent) if sent]
    yield f"{compared.instruments} instruments, {count} cycles, {sum(compared.sent)} orders in {len(busy)} of them"
    for name, seconds in compared.seconds.items():
        rate = compared.instruments / median(seconds)
        yield f"  {name:18} {1000 * median(seconds):7.2f} ms a cycle   {rate:9,.0f} decisions a second"
    for words, slower, faster in (
        ("write-ahead costs", SAFE, LOOSE),
        ("  of it without waiting for the disk", SAFE_OFF, LOOSE_OFF),
        ("waiting for the disk costs", SAFE, SAFE_OFF),
    ):
        ratios = [a / b for a, b in zip(compared.seconds[slower], compared.seconds[faster], strict=True)]
        yield f"  {words}: {_spread(ratios)}; where orders were sent: {_spread([ratios[place] for place in busy])}"
    same = len(set(compared.heads.values())) == 1
    yield "  all four decided and booked the same" if same else f"  THEY DIFFER: {compared.heads}"


def _spread(ratios: list[float]) -> str:
    if len(ratios) < 2:
        return "too few to say"
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.2f} times as long ({low:.2f} to {high:.2f})"


def main(sizes: Sequence[tuple[int, int]]) -> int:
    print(__doc__.partition("\n\n")[2].partition("\n\nRun")[0])
    forest = in_process(grown_forest)
    differs = False
    for instruments, ticks in sizes:
        compared = in_process(compare, instruments, ticks, forest)
        differs |= len(set(compared.heads.values())) > 1
        print("\n".join(lines_of(compared)), flush=True)
    return int(differs)


def arguments(given: Sequence[str]) -> Sequence[tuple[int, int]]:
    pairs = [each.partition(":") for each in given]
    return [(int(count), int(ticks or 78)) for count, _, ticks in pairs] or SIZES


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
