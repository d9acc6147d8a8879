"""Contests of recipes, in the hash chain: what they have used of the budget of errors cannot be taken back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, select

from core.domain.codec import decode
from core.domain.contests import Contest
from core.storage import tables
from core.storage.chain import CONTEST, Chain
from core.storage.journal import Journal

_C = tables.chain
_NEWEST = "newest contest"
_LINK = select(_C.c.payload).where(_C.c.seq == bindparam("of_seq"), _C.c.kind == CONTEST)
_SCAN = select(_C.c.seq).where(_C.c.kind == CONTEST).order_by(_C.c.seq.desc()).limit(1)


class Contests(Chain, Journal):
    def record_contest(self, contest: Contest, *, recorded_at: datetime) -> None:
        """Appends it behind the newest one."""
        linked = replace(contest, before=self._newest_contest())
        seq = self._append(CONTEST, linked, recorded_at)
        self.set_value(_NEWEST, str(seq))

    def contests(self, limit: int = 5) -> Sequence[Contest]:
        """The newest first."""
        found: list[Contest] = []
        seq = self._newest_contest()
        while seq and len(found) < limit:
            row = self._row(_LINK, {"of_seq": seq})
            if row is None:
                raise LookupError(f"link {seq} of the chain is no contest")
            found.append(decode(Contest, json.loads(row["payload"])["body"]))
            seq = found[-1].before
        return found

    def _newest_contest(self) -> int:
        """Its place in the chain, 0 without one. The note is a short cut: without it the chain itself is looked
        through, so that nobody begins with a fresh budget by dropping a value."""
        noted = self.value(_NEWEST)
        if noted is not None:
            return int(noted)
        row = self._row(_SCAN)
        return int(row["seq"]) if row else 0
