"""What the command line asks of a backtest, checked before anything begins."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from bot.backtest import BacktestOptions
from bot.worlds import all_places
from core.domain.accounts import World
from core.errors import Fatal
from core.settings import Settings
from core.storage.engine import database_path

DASK = "AUTOTRADER_DASK"
DELAYS = {"0": timedelta(0), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
LEAST_CAPITAL, MOST_CAPITAL = Decimal(100), Decimal(1_000_000_000)


def options_of(given: argparse.Namespace, settings: Settings, environ: Mapping[str, str]) -> BacktestOptions:
    """Raises Fatal where something cannot be meant."""
    if given.data is not None and given.simulated:
        raise Fatal("--data and --simulated exclude one another")
    if given.jobs is not None and given.jobs < 1:
        raise Fatal(f"--jobs {given.jobs}: at least one process is needed")
    return BacktestOptions(
        data=given.data,
        first=given.start,
        last=given.end,
        bar=given.bar,
        symbols=tuple(symbol.strip().upper() for symbol in given.symbols or settings.symbols),
        seed=settings.simulation_seed,
        capital=_capital(given.capital) if given.capital is not None else Decimal(settings.start_cash),
        folder=given.work or settings.data_dir / "backtest",
        retrain=None if given.retrain == "live" else _days("--retrain", given.retrain, " or the word live"),
        unlock=None if given.unlock == "never" else _days("--unlock", given.unlock, " or the word never"),
        jobs=given.jobs or os.cpu_count() or 1,
        dask=environ.get(DASK, ""),
        every_tick=given.every_tick,
        delay=DELAYS[given.delay],
        stored=None if given.data is not None or given.simulated else _stored(settings),
    )


def _stored(settings: Settings) -> Path:
    """The ledger of real prices that this installation has, whose bars are taken."""
    paths = (database_path(place.database) for place in all_places(settings) if place.world is World.REAL)
    found = next((path for path in paths if path.exists()), None)
    if found is None:
        raise Fatal(
            "no bars are stored here yet: name a folder of bars with --data FOLDER, or ask for the simulated market "
            "with --simulated"
        )
    return found


def _capital(text: str) -> Decimal:
    try:
        capital = Decimal(text.replace(",", ""))
    except InvalidOperation:
        capital = Decimal("NaN")
    if not capital.is_finite() or not LEAST_CAPITAL <= capital <= MOST_CAPITAL:
        raise Fatal(f"--capital {text}: an amount in USD of 100 or more is needed; for example --capital 8000")
    return capital


def _days(option: str, text: str, other: str) -> timedelta:
    days = re.fullmatch(r"(\d{1,4})d?", text)
    if days is None or int(days[1]) < 1:
        raise Fatal(f"{option} {text}: a number of days is needed, such as 28d,{other}")
    return timedelta(days=int(days[1]))
