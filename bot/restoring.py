"""autotrader doctor --restore FILE: finds the ledger that FILE is a copy of, and puts it back."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from bot.bootstrap import newest_venue_time
from bot.market_work import MARKET_TIME
from bot.opening import LAST_SEEN
from bot.worlds import Place, all_places
from core.clock import SystemClock
from core.domain.accounts import World
from core.errors import Fatal
from core.execution import restored
from core.health import heart_of, read_pulse
from core.settings import Settings
from core.storage.backup import stem_of
from core.storage.engine import database_path
from core.storage.restore import Restored, restore
from core.storage.soundness import identity_of
from core.storage.store import Database
from core.storage.witness import read_witness


def restore_ledger(settings: Settings, file: Path) -> str:
    """What was done, in words. Raises Fatal, and changes nothing, where it cannot be done."""
    clock = SystemClock()
    pulse = read_pulse(settings.heartbeat_file, clock.now())
    if pulse.is_well:
        raise Fatal(
            f"the engine is running (process {heart_of(settings.heartbeat_file)}): stop it first. Nothing was changed."
        )
    place = _place_of(settings, file)
    path = database_path(place.database)
    voided: list[int] = []

    def settle(database: Database, taken_at: datetime, epoch: int) -> None:
        voided.append(_settle(database, place, taken_at, epoch, clock.now()))

    done = restore(path, file, clock, settle)
    return _words(path, file, done, voided[0])


def _settle(database: Database, place: Place, taken_at: datetime, epoch: int, now: datetime) -> int:
    with database.unit_of_work() as work:
        voided = restored.settle(work, place.world, taken_at, epoch, now)
        work.set_value(LAST_SEEN, None)
        stored, seen = work.value(MARKET_TIME), newest_venue_time(place)
        if place.world is World.SIMULATED and stored is not None and seen is not None:
            # Simulated time does not go back: the venue has lived through it.
            work.set_value(MARKET_TIME, max(datetime.fromisoformat(stored), seen).isoformat())
        work.commit("restored")
    return voided


def _place_of(settings: Settings, file: Path) -> Place:
    """By whose ledger the file is; where that cannot be told from what is here, by its name."""
    places = all_places(settings)
    copy = identity_of(file) if file.is_file() else None
    if copy is None:
        raise Fatal(f"{file} is not a ledger of this program, or too damaged to be read. Nothing was changed.")
    owners = {place: _owner(database_path(place.database)) for place in places}
    own = [place for place in places if owners[place] == copy.installation_id]
    if own:
        return own[0]
    named = [
        place
        for place in places
        if owners[place] is None and database_path(place.database).stem == (stem_of(file) or file.stem)
    ]
    if named:
        return named[0]
    raise Fatal(
        f"{file} is the ledger of another installation ({copy.installation_id[:8]}) than any in {settings.data_dir}. "
        "Nothing was changed."
    )


def _owner(ledger: Path) -> str | None:
    who = identity_of(ledger) if ledger.exists() else None
    witness = read_witness(ledger)
    return who.installation_id if who else witness.installation_id if witness else None


def _words(path: Path, file: Path, done: Restored, voided: int) -> str:
    kept = f"What stood there before is kept as {done.aside}.\n" if done.aside else ""
    return (
        f"{path} is now the backup of {done.taken_at:%Y-%m-%d %H:%M} UTC ({file}).\n{kept}"
        f"It counts epoch {done.epoch}; {voided} open cards are void, and no older button does anything.\n"
        "Start as usual: orders and fills since then are taken over from the broker, every position is guarded.\n"
        "Your own account stands as it was at that time: report again what you traded and booked by hand since."
    )
