"""The hash chain over everything booked and decided (X1): each link's hash covers the link before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select

from core.domain.codec import canonical
from core.domain.contests import Contest
from core.domain.decisions import Decision
from core.domain.portfolio import CashMovement, Entry, Fill, PositionAdjustment, Reversal
from core.storage import tables
from core.storage.session import Session

NO_HASH: Final = "0" * 64
FILL, CASH, ADJUSTMENT, REVERSAL, DECISION = "fill", "cash", "adjustment", "reversal", "decision"
CONTEST: Final = "contest"

_HEAD = select(tables.chain.c.seq, tables.chain.c.hash).order_by(tables.chain.c.seq.desc()).limit(1)
_APPEND = insert(tables.chain)


@dataclass(frozen=True, slots=True)
class Head:
    seq: int
    hash: str


def link_hash(previous: str, kind: str, payload: str) -> str:
    """SHA-256 (hex). Unambiguous: the previous hash has a fixed length and a payload begins with a brace."""
    return hashlib.sha256(f"{previous}{kind}{payload}".encode()).hexdigest()


def kind_of(entry: Entry) -> str:
    return {Fill: FILL, CashMovement: CASH, PositionAdjustment: ADJUSTMENT, Reversal: REVERSAL}[type(entry)]


def reference_of(body: Entry | Decision | Contest) -> str:
    """What a link is about, for a reader: account and id of an entry, account and time of a decision, the champion's
    recipe and time of a contest."""
    if isinstance(body, Contest):
        return f"{body.champion}/{body.at.isoformat()}"
    return f"{body.account}/{body.at.isoformat() if isinstance(body, Decision) else body.id}"


def payload_of(body: object, recorded_at: datetime) -> str:
    return canonical({"body": body, "recorded_at": recorded_at})


class Chain(Session):
    """Reads the head and appends links inside the transaction of a unit of work."""

    def head(self) -> Head:
        """The newest link."""
        return self._head()

    def _head(self) -> Head:
        return self._recalled(tables.chain, _HEAD, self._read_head)

    def _read_head(self) -> Head:
        row = self._connection.execute(_HEAD).first()
        return Head(row.seq, row.hash) if row else Head(0, NO_HASH)

    def _append(self, kind: str, body: Entry | Decision | Contest, recorded_at: datetime) -> int:
        head = self._head()
        payload = payload_of(body, recorded_at)
        link = Head(head.seq + 1, link_hash(head.hash, kind, payload))
        self._write(
            _APPEND,
            {
                "seq": link.seq,
                "kind": kind,
                "reference": reference_of(body),
                "payload": payload,
                "previous": head.hash,
                "hash": link.hash,
            },
        )
        return self._recalled(tables.chain, _HEAD, lambda: link).seq

    def chain_head(self) -> str:
        """SHA-256 (hex) over everything booked and decided so far; 64 zeros for an empty ledger."""
        return self._head().hash
