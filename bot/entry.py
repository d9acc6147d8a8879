"""What each verb of the command line does. Heavy imports wait until the verb is known."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.clock import SystemClock
from core.errors import Fatal
from core.settings import Settings, load_settings

if TYPE_CHECKING:
    from tqdm import tqdm


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader run: lives until Ctrl-C or SIGTERM."""
    clock = SystemClock()
    began = clock.monotonic()
    settings = _settings(options, environ, speed=options.speed, world=options.world, seed=options.seed)
    settings.make_folders()
    from bot.assembly import LiveAssembly, RunOptions
    from bot.live import Live
    from core.logs import start_logs

    chosen = RunOptions(settings.speed, settings.world, settings.simulation_seed, options.local_phone)

    async def live() -> int:
        return await Live(lambda life: LiveAssembly(settings, chosen, life).build()).run(began)

    with start_logs(
        settings.logs_dir,
        clock,
        secrets=settings.secrets(),
        as_json=settings.log_format == "json",
        level=settings.log_level,
    ):
        for name in settings.unknown_names:
            logging.getLogger("autotrader").warning("%s in the settings file is not a setting of ours", name)
        return asyncio.run(live())


def replay(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader replay: ends with the table of figures."""
    with tempfile.TemporaryDirectory(prefix="autotrader-replay-") as scratch:
        folder = options.keep or Path(scratch)
        if options.keep is not None and (options.keep / "data" / "replay.sqlite").exists():
            raise Fatal(f"--keep {options.keep}: a replay is kept there already; name another folder")
        return _replay_in(folder, options, environ)


def _replay_in(folder: Path, options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from tqdm import tqdm

    from bot import replay_report
    from bot.replay import Replay, ReplayOptions

    clock = SystemClock()
    began = clock.monotonic()
    settings = _settings(options, environ, seed=options.seed).model_copy(update={"state_dir": folder})
    symbols = tuple(symbol.upper() for symbol in options.symbols or settings.symbols)
    chosen = ReplayOptions(
        options.data,
        options.start,
        options.end,
        options.bar,
        symbols,
        settings.simulation_seed,
        options.every_tick,
    )
    played = Replay(settings, chosen)
    start = datetime.combine(options.start, datetime.min.time(), UTC)
    days = (options.end - options.start).days + 1
    try:
        with tqdm(total=days, unit="day", desc="replay", file=sys.stderr, mininterval=0.5) as bar:
            result = played.play(lambda now: _advance(bar, (now - start).days))
            _advance(bar, days)
    finally:
        played.close()
    prices = "SIMULATED prices." if options.data is None else f"Prices from {options.data}."
    print(replay_report.words(result, prices, clock.monotonic() - began))
    if options.json is not None:
        options.json.write_text(replay_report.figures(result), encoding="utf-8")
    return 0


def _advance(bar: tqdm[Any], days: int) -> None:
    bar.update(days - bar.n)


def verify(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader verify: recomputes the hash chain of every ledger in the state folder."""
    from core.storage.store import open_database

    data = _settings(options, environ).data_dir
    ledgers = sorted(data.glob("ledger*.sqlite"))
    if not ledgers:
        raise Fatal(f"there is no ledger in {data}")
    problems = 0
    for path in ledgers:
        database = open_database(path)
        try:
            found = database.verify()
            with database.reading() as work:
                head = work.chain_head()
        finally:
            database.close()
        problems += len(found)
        print(f"{path.name}: {'verified' if not found else f'{len(found)} problems'}, head {head}")
        for problem in found:
            print(f"  {problem}")
    return 1 if problems else 0


def healthcheck(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader healthcheck: 0 when the running engine is alive and not halted."""
    from core.health import read_pulse

    pulse = read_pulse(_settings(options, environ).heartbeat_file, SystemClock().now())
    print(pulse.text)
    return 0 if pulse.is_well else 1


def _settings(options: argparse.Namespace, environ: Mapping[str, str], **chosen: object) -> Settings:
    """What the command line names is checked like a setting, and beats one."""
    names = {"speed": "SPEED", "world": "WORLD", "seed": "SIMULATION_SEED"}
    given = {names[key]: str(value) for key, value in chosen.items() if value is not None}
    return load_settings({**environ, **given}, options.env_file or Path(".env"))
