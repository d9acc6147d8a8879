"""Which world this installation lives in: real or simulated prices, and the ledger file that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.domain.accounts import World
from core.errors import Fatal
from core.settings import Settings

LEDGER, TRYOUT, SIMULATED = "ledger.sqlite", "ledger-tryout.sqlite", "ledger-simulated.sqlite"


@dataclass(frozen=True, slots=True)
class Place:
    """`play_money`: nobody can execute anything for real here, so the manual account starts with play money too.
    `left_behind` is the ledger of an earlier try-out, which stays where it is and is not used any more."""

    world: World
    database: str
    play_money: bool
    venue_file: Path | None
    reason: str
    left_behind: Path | None = None


def choose_place(
    wanted: str,
    has_token: bool,
    database_url: str | None,
    data: Path,
    yahoo_trouble: Callable[[], str],
    *,
    has_keys: bool = False,
) -> Place:
    """The world and its files (DESIGN 8, worlds). `wanted` is auto, real or simulated; `has_keys` are those of Alpaca.

    Simulated prices and play money never share a ledger with what the owner holds, at Alpaca or elsewhere. A simulated
    world is chosen only on a first start without token and keys where Yahoo does not answer, and remembered by its
    file. Raises Fatal.
    """
    _refuse_a_token_in(wanted, has_token)
    if wanted == World.SIMULATED:
        return _simulated(data, "asked for")
    if has_token or has_keys:
        return _real(data, database_url)
    tryout = _tryout(data)
    if wanted == World.REAL or (data / TRYOUT).exists():
        return tryout
    if (data / SIMULATED).exists():
        return _simulated(data, "this installation began in the simulated market")
    trouble = yahoo_trouble()
    return _simulated(data, f"Yahoo {trouble}") if trouble else tryout


def place_of(settings: Settings, wanted: str, yahoo_trouble: Callable[[], str]) -> Place:
    """What `choose_place` says of the installation with these settings. Raises Fatal."""
    return choose_place(
        wanted,
        settings.telegram_bot_token is not None,
        _database_url(settings),
        settings.data_dir,
        yahoo_trouble,
        has_keys=settings.alpaca_keys is not None,
    )


def refuse_contradictions(settings: Settings) -> None:
    """What a run finds no place or no phone for. Raises Fatal, before anything that takes a while is loaded."""
    _refuse_a_token_in(settings.world, settings.telegram_bot_token is not None)
    is_local(settings, asked_for=False)


def _refuse_a_token_in(wanted: str, has_token: bool) -> None:
    if wanted == World.SIMULATED and has_token:
        raise Fatal("WORLD=simulated goes with the local phone only; remove TELEGRAM_BOT_TOKEN or set WORLD=auto")


def is_local(settings: Settings, *, asked_for: bool) -> bool:
    """Whether the local phone is opened: a token disables it unless it is asked for. Raises Fatal."""
    wanted, has_token = settings.local_phone, settings.telegram_bot_token is not None
    if wanted == "off" and not has_token:
        raise Fatal("LOCAL_PHONE=off without TELEGRAM_BOT_TOKEN leaves no way to reach you: set one of them")
    return wanted == "on" or asked_for or not has_token


def all_places(settings: Settings) -> tuple[Place, ...]:
    """Every place in which this installation may have a ledger, that of one with a token or keys first."""
    data = settings.data_dir
    return _real(data, _database_url(settings)), _tryout(data), _simulated(data, "")


def _database_url(settings: Settings) -> str | None:
    return settings.database_url.get_secret_value() if settings.database_url else None


def _real(data: Path, database_url: str | None) -> Place:
    left = data / TRYOUT if (data / TRYOUT).exists() else None
    venue = data / "simulated_venue.sqlite"
    return Place(World.REAL, database_url or _sqlite(data / LEDGER), False, venue, "", left)


def _tryout(data: Path) -> Place:
    return Place(World.REAL, _sqlite(data / TRYOUT), True, data / "simulated_venue-tryout.sqlite", "")


def _simulated(data: Path, reason: str) -> Place:
    return Place(World.SIMULATED, _sqlite(data / SIMULATED), True, data / "simulated_venue-simulated.sqlite", reason)


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path}"
