"""What each verb of the command line does. Heavy imports wait until the verb is known."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from core.clock import SystemClock
from core.errors import Fatal
from core.settings import Settings, load_settings
from core.settings.checks import is_symbol

MOST_PROBLEMS = 20
ALPACA_SECONDS = 10.0
YAHOO_SECONDS = 8.0

if TYPE_CHECKING:
    from tqdm import tqdm

    from core.domain.bars import Quote
    from core.domain.venue import VenueAccount


def run(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader run: lives until Ctrl-C or SIGTERM."""
    clock = SystemClock()
    began = clock.monotonic()
    settings = _settings(options, environ, speed=options.speed, world=options.world, seed=options.seed)
    settings.make_folders()
    from bot.kept import kept_for_good
    from bot.worlds import refuse_contradictions

    refuse_contradictions(settings)
    with kept_for_good():
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
        for remark in settings.remarks():
            logging.getLogger("autotrader").warning("%s", remark)
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
        options.contest,
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


def backtest(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader backtest: ends with the table of figures; what it writes goes to --out."""
    from tqdm import tqdm

    from bot import backtest_profiles, backtest_report
    from bot.backtest_options import options_of
    from jobs.worker import SpawnedWorker

    settings = _settings(options, environ, seed=options.seed)
    chosen = options_of(options, settings, environ)
    tested = backtest_profiles.prepared(settings, chosen, options.profile or [])
    bars: list[tqdm[Any]] = []

    def begin(what: str, steps: int) -> Callable[[int], object]:
        # None: a bar on a terminal, nothing at all elsewhere.
        bar = tqdm(total=steps, desc=what, file=sys.stderr, mininterval=0.2, disable=None)
        bars.append(bar)
        step: Callable[[int], object] = bar.update
        return step

    try:
        results = backtest_profiles.played(tested, begin)
    finally:
        for bar in bars:
            bar.close()
    print(backtest_report.words(results[0]) if len(results) == 1 else backtest_profiles.side_by_side(results))
    for result in results if options.out is not None else ():
        folder = options.out if len(results) == 1 else options.out / result.profile
        missing = backtest_report.write(result, folder, SpawnedWorker())
        print(f"\nwritten into {folder}" + (f"; {missing}" if missing else ""))
    return 0


def take_files(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader import: ends with the report; 3 where files were refused as a whole."""
    from tqdm import tqdm

    from bot import import_report
    from bot.importing import ImportOptions, import_files
    from core.feed.bar_files import Wanted

    settings = _settings(options, environ)
    wanted = Wanted(_symbol_of(options.symbol), options.size, _zone_of(options.zone))
    chosen = ImportOptions(options.place, wanted, options.dry_run, options.again)
    # None: a bar on a terminal, nothing at all elsewhere.
    with tqdm(unit="B", unit_scale=True, desc="import", file=sys.stderr, mininterval=0.2, disable=None) as bar:

        def begin(total: int) -> Callable[[int], object]:
            bar.reset(total)
            step: Callable[[int], object] = bar.update
            return step

        report = import_files(settings, chosen, SystemClock(), begin)
    print(import_report.words(report))
    return import_report.exit_code(report)


def _symbol_of(text: str | None) -> str:
    if text is None:
        return ""
    symbol = text.strip().upper()
    if not is_symbol(symbol):
        raise Fatal(f"--symbol {text}: this is no symbol; for example --symbol SPY or --symbol BTC-USD")
    return symbol


def _zone_of(text: str | None) -> str | None:
    try:
        return ZoneInfo(text).key if text is not None else None
    except (OSError, ValueError, LookupError):
        raise Fatal(f"--zone {text}: there is no time zone of this name; for example --zone America/New_York") from None


def _advance(bar: tqdm[Any], days: int) -> None:
    bar.update(days - bar.n)


def bars(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader bars: a table of what is stored, in use or not; changes nothing."""
    from bot.bars_report import report

    symbols = [_symbol_of(symbol) for symbol in options.symbols or ()]
    print(report(_settings(options, environ), symbols, gaps=options.gaps, file=options.picture))
    return 0


def verify(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader verify: recomputes the hash chain of every ledger, in use or not, and changes nothing."""
    from bot.worlds import all_places
    from core.storage.chain import NO_HASH
    from core.storage.engine import database_path
    from core.storage.soundness import faults, identity_of

    settings = _settings(options, environ)
    paths = (database_path(place.database) for place in all_places(settings))
    ledgers = [path for path in paths if path.exists()]
    if not ledgers:
        raise Fatal(f"there is no ledger in {settings.data_dir}")
    problems = 0
    for path in ledgers:
        found, who = faults(path), identity_of(path)
        problems += len(found)
        head = (who.head.hash or NO_HASH) if who else "unknown"
        print(f"{path.name}: {'verified' if not found else f'{len(found)} problems'}, head {head}")
        for number, problem in enumerate(found[:MOST_PROBLEMS]):
            print(f"  {'first: ' if number == 0 else ''}{problem}")
        if len(found) > MOST_PROBLEMS:
            print(f"  and {len(found) - MOST_PROBLEMS} more")
    return 1 if problems else 0


def doctor(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader doctor: 0 when nothing has to be done. With --restore FILE: puts that backup in the ledger's place."""
    if options.restore is None:
        from bot.doctor import report

        asked = (None, None, None) if options.offline else (_ask_yahoo, _ask_alpaca, _ask_account)
        return report(environ, options.env_file or Path(".env"), *asked)
    from bot.restoring import restore_ledger

    print(restore_ledger(_settings(options, environ), options.restore))
    return 0


def _ask_yahoo(cache_folder: Path) -> Quote:
    from bot.price_sources import make_calendar, make_yahoo

    return make_yahoo(make_calendar(), SystemClock(), cache_folder).look(YAHOO_SECONDS)


def _ask_alpaca(settings: Settings) -> None:
    from bot.price_sources import make_alpaca, make_calendar

    alpaca = make_alpaca(settings, make_calendar(), SystemClock())
    if alpaca is not None:
        alpaca.data.look(ALPACA_SECONDS)


def _ask_account(settings: Settings) -> VenueAccount:
    from bot.bootstrap import account_at
    from bot.price_sources import make_alpaca, make_calendar

    account = account_at(make_alpaca(settings, make_calendar(), SystemClock()), settings)
    assert account is not None, "the doctor asks where there are keys"
    return account[0].state()


def owner(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader owner revoke | pair: works beside a running engine, which honours it at once."""
    from bot.owner_console import pair_owner, revoke_owner

    deed = revoke_owner if options.deed == "revoke" else pair_owner
    print(deed(_settings(options, environ), SystemClock()))
    return 0


def model(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """autotrader model [back VERSION | on]: lists the models, goes back to one, or lets training go on."""
    from bot import model_console

    settings = _settings(options, environ)
    if options.deed == "back":
        print(model_console.back(settings, SystemClock(), options.version))
    elif options.deed == "on":
        print(model_console.let_go(settings, SystemClock()))
    else:
        print(model_console.listing(settings))
    return 0


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
