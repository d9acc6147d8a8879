"""Who the owner is, as the ledger keeps it: paired, revoked, or offered a code on the server's console (A2, A9).

The console's commands run in a process of their own while the engine runs: what they commit here is what counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from bot.pairing import CodeOffer
from core.ports import UnitOfWork

OWNER_KEY = "owner"
REVOKED_KEY = "owner_revoked"
OFFER_KEY = "pairing_offer"


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner: numeric user id and the id of the private chat with him."""

    user_id: int
    chat_id: int


def owner_of(work: UnitOfWork, fixed: Identity | None) -> Identity | None:
    """A `fixed` owner (settings, local phone) before a paired one; neither once he is revoked."""
    revoked = revoked_users(work)
    known = [each for each in (fixed, paired_owner(work)) if each is not None and each.user_id not in revoked]
    return known[0] if known else None


def paired_owner(work: UnitOfWork) -> Identity | None:
    stored = work.value(OWNER_KEY)
    if not stored:
        return None
    fields = json.loads(stored)
    return Identity(int(fields["user_id"]), int(fields["chat_id"]))


def revoked_users(work: UnitOfWork) -> frozenset[int]:
    return frozenset(json.loads(work.value(REVOKED_KEY) or "[]"))


def store_owner(work: UnitOfWork, owner: Identity, at: datetime) -> None:
    """`owner` has sent the code. He is not revoked any more, and the code of the console is spent."""
    fields = {"user_id": owner.user_id, "chat_id": owner.chat_id, "paired_at": at.isoformat()}
    work.set_value(OWNER_KEY, json.dumps(fields))
    _set_revoked(work, revoked_users(work) - {owner.user_id})
    work.set_value(OFFER_KEY, None)


def revoke(work: UnitOfWork, users: frozenset[int]) -> None:
    """None of `users` is heard any more, and nobody is paired."""
    _set_revoked(work, revoked_users(work) | users)
    work.set_value(OWNER_KEY, None)
    work.set_value(OFFER_KEY, None)


def offered(work: UnitOfWork) -> CodeOffer | None:
    stored = work.value(OFFER_KEY)
    return CodeOffer.parse(stored) if stored else None


def offer(work: UnitOfWork, code: CodeOffer) -> None:
    work.set_value(OFFER_KEY, code.text())


def _set_revoked(work: UnitOfWork, users: frozenset[int]) -> None:
    work.set_value(REVOKED_KEY, json.dumps(sorted(users)) if users else None)
