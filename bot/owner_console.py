"""autotrader owner revoke | pair: the phone is lost, or pairing is locked (A9). Also while the engine runs, which
honours it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bot import ownership
from bot.bootstrap import open_ledger
from bot.ownership import Identity
from bot.pairing import LIFETIME, CodeOffer, new_code
from bot.worlds import all_places
from core.domain.records import AuditRecord
from core.errors import Fatal
from core.ports import Clock, UnitOfWork
from core.settings import Settings
from core.storage.engine import database_path

NO_TELEGRAM = (
    "there is no Telegram bot (TELEGRAM_BOT_TOKEN is not set). The local phone is opened by its address alone; a "
    "restart gives it a new one"
)
MakeCode = Callable[[], str]


def revoke_owner(settings: Settings, clock: Clock, make_code: MakeCode = new_code) -> str:
    """From now on nobody is the owner; says how to pair the next one. Raises Fatal."""
    with _ledger(settings, clock) as work:
        known = (settings.telegram_owner_id, getattr(ownership.paired_owner(work), "user_id", None))
        users = frozenset(user for user in known if user is not None)
        ownership.revoke(work, users)
        way = _offer(work, clock, make_code())
        named = ", ".join(f"user {user}" for user in sorted(users)) or "nobody was paired"
        _note(work, clock, "owner revoke", named)
        work.commit("gate.owner")
    lines = [f"Revoked: {named}. Nobody controls the engine from Telegram until you pair again; trading goes on."]
    if settings.telegram_owner_id is not None:
        lines.append("TELEGRAM_OWNER_ID in your settings counts no more until that account is paired by a code.")
    return "\n".join([*lines, way])


def pair_owner(settings: Settings, clock: Clock, make_code: MakeCode = new_code) -> str:
    """A fresh code with tries of its own, and how to use it. Raises Fatal where there is an owner."""
    fixed = settings.telegram_owner_id
    with _ledger(settings, clock) as work:
        owner = ownership.owner_of(work, Identity(fixed, fixed) if fixed is not None else None)
        if owner is not None:
            raise Fatal(f"user {owner.user_id} is the owner; `autotrader owner revoke` lets go of him first")
        way = _offer(work, clock, make_code())
        _note(work, clock, "owner pair", "a code was shown")
        work.commit("gate.owner")
    return way


def _offer(work: UnitOfWork, clock: Clock, code: str) -> str:
    offer = CodeOffer.of(code, clock.now() + LIFETIME)
    ownership.offer(work, offer)
    return (
        f"\n  To pair your Telegram account, send the bot:  /start {code}\n"
        f"  (valid until {offer.expires_at:%H:%M} UTC, while the engine runs)\n"
    )


def _note(work: UnitOfWork, clock: Clock, action: str, outcome: str) -> None:
    work.audit(AuditRecord(clock.now(), "console", action, outcome))


@contextmanager
def _ledger(settings: Settings, clock: Clock) -> Iterator[UnitOfWork]:
    """The ledger of the installation with a token; the engine may have it open."""
    if settings.telegram_bot_token is None:
        raise Fatal(NO_TELEGRAM)
    place = all_places(settings)[0]
    if not database_path(place.database).exists():
        raise Fatal(f"there is no ledger in {settings.data_dir} yet: start the engine, it shows a code by itself")
    database = open_ledger(place, clock)
    try:
        with database.unit_of_work() as work:
            yield work
    finally:
        database.close()
