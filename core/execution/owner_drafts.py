"""What the owner types is shown before it is booked: drafts, kept in the ledger until he confirms or drops them (M3).

A draft is one named value with others, so that a restart changes nothing. Its decision has one business key, whichever
it is: the first one counts, however often and wherever it is tapped, and a crash between two steps changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.domain.codec import Json, decode, encode
from core.domain.drafts import CashDeed, Deed, Doubt, DoubtKind, Draft, DraftAnswer, Preview, SplitDeed, UndoDeed
from core.domain.views import AnswerKind, Correction, OwnerAnswer, OwnTrade, ReportedFill
from core.execution import drafting
from core.execution.bookings import digest
from core.execution.desk import MANUAL
from core.execution.doubts import doubts_of
from core.execution.owner_books import OwnerBooks
from core.ports import UnitOfWork

DRAFTS = "drafts"
LIFE = timedelta(minutes=15)
"""How long a draft can be confirmed, by the system clock."""
_MOST = 50
_TOKEN = 16
_KINDS: dict[str, type[Deed]] = {
    kind.__name__: kind for kind in (ReportedFill, OwnTrade, Correction, CashDeed, SplitDeed, UndoDeed)
}


class OwnerDrafts(OwnerBooks):
    """Runs in the writer."""

    def draft(self, deed: Deed, tap: str) -> DraftAnswer:
        """Writes down what was typed and says what it would do; books nothing."""
        now, token = self._desk.market_clock.now(), digest(tap)[:_TOKEN]
        with self._desk.ledger() as work:
            if work.seen_tap(_key(token), self._desk.system_clock.now()):
                return DraftAnswer(OwnerAnswer(AnswerKind.UNCHANGED, "That is decided already."))
            meant = drafting.resolve(work, self._desk, deed, now)
        if isinstance(meant, OwnerAnswer):
            return DraftAnswer(meant)
        answer, preview = self._rehearsed(meant.deed, token, now)
        if preview is None:
            return DraftAnswer(answer)
        with self._desk.ledger() as work:
            doubts = (*meant.doubts, *doubts_of(work, self._desk, meant.deed, now))
            expires_at = self._desk.system_clock.now() + LIFE
            draft = Draft(token, 1, meant.deed, meant.doubts, (), expires_at)
            self._keep(work, draft)
            self._commit(work)
        return DraftAnswer(answer, draft, preview, doubts)

    def drafted(self, token: str) -> Draft | None:
        """The draft that waits under `token`; None once it is decided or its time is over."""
        with self._desk.reading() as work:
            return self._found(work, token)

    def standing_drafts(self) -> Sequence[Draft]:
        with self._desk.reading() as work:
            return tuple(self._standing(work))

    def lapsed_drafts(self) -> Sequence[Draft]:
        with self._desk.reading() as work:
            now = self._desk.system_clock.now()
            return tuple(each for each in self._stored(work) if each.expires_at <= now)

    def lapse_draft(self, token: str) -> None:
        with self._desk.ledger() as work:
            if self._found(work, token) is None:
                self._forget(work, token)
                self._commit(work)

    def confirm(self, token: str, version: int, by: str) -> DraftAnswer:
        """Books a draft, or asks a second time where something looks wrong; AMBIGUOUS then, with the draft's next
        version. Judged anew: what was booked since counts."""
        now = self._desk.market_clock.now()
        asked = self._asked_again(token, version, now)
        if asked is not None:
            return self._with_preview(*asked, now)
        with self._desk.ledger() as work:
            draft = self._current_draft(work, token, version)
            if isinstance(draft, OwnerAnswer):
                return DraftAnswer(draft)
            if work.seen_tap(_key(token), self._desk.system_clock.now()):
                return DraftAnswer(OwnerAnswer(AnswerKind.UNCHANGED, "That is booked already."))
            answer = drafting.perform(work, self._desk, draft.deed, _key(token), now)
            if answer.kind is not AnswerKind.DONE:
                return DraftAnswer(answer)
            self._forget(work, token)
            self._audit(work, by, f"confirm {type(draft.deed).__name__}", answer.text)
            self._commit(work)
        self._after_commit()
        return DraftAnswer(answer, badges=self._desk.badges(MANUAL))

    def drop(self, token: str, by: str) -> OwnerAnswer:
        """Takes a draft away; what is booked already stays booked."""
        system_now = self._desk.system_clock.now()
        with self._desk.ledger() as work:
            if self._found(work, token) is None:
                return OwnerAnswer(AnswerKind.STALE, "That is settled already. Nothing was changed.")
            if work.seen_tap(_key(token), system_now):
                return OwnerAnswer(AnswerKind.STALE, "That is booked already. /undo takes it back.")
            self._forget(work, token)
            self._audit(work, by, "drop a draft", token)
            self._commit(work)
        return OwnerAnswer(AnswerKind.DONE, "Dropped: nothing was booked.")

    def _asked_again(self, token: str, version: int, now: datetime) -> tuple[Draft, tuple[Doubt, ...]] | None:
        """The next version of a draft about which something looks wrong that the owner was not yet asked about."""
        with self._desk.ledger() as work:
            draft = self._current_draft(work, token, version)
            if isinstance(draft, OwnerAnswer):
                return None
            doubts = (*draft.doubts, *doubts_of(work, self._desk, draft.deed, now))
            kinds = tuple(dict.fromkeys(doubt.kind for doubt in doubts))
            if set(kinds) <= set(draft.asked):
                return None
            again = replace(draft, version=version + 1, asked=kinds)
            self._keep(work, again)
            self._commit(work)
        return again, doubts

    def _with_preview(self, draft: Draft, doubts: tuple[Doubt, ...], now: datetime) -> DraftAnswer:
        answer, preview = self._rehearsed(draft.deed, draft.token, now)
        if preview is None:
            return DraftAnswer(answer)
        text = "Something looks wrong: please look again. Nothing is booked yet."
        return DraftAnswer(OwnerAnswer(AnswerKind.AMBIGUOUS, text), draft, preview, doubts)

    def _rehearsed(self, deed: Deed, token: str, now: datetime) -> tuple[OwnerAnswer, Preview | None]:
        """In a transaction that is never committed."""
        with self._desk.ledger() as work:
            return drafting.rehearse(work, self._desk, deed, _key(token), now)

    def _current_draft(self, work: UnitOfWork, token: str, version: int) -> Draft | OwnerAnswer:
        draft = self._found(work, token)
        if draft is None:
            text = "That is settled already, or its time is over. Nothing was changed: send it again if it still holds."
            return OwnerAnswer(AnswerKind.STALE, text)
        if draft.version != version:
            return OwnerAnswer(AnswerKind.STALE, "That was asked again since: use the newest buttons.")
        return draft

    def _found(self, work: UnitOfWork, token: str) -> Draft | None:
        return next((each for each in self._standing(work) if each.token == token), None)

    def _standing(self, work: UnitOfWork) -> list[Draft]:
        """Those whose time is not over, the oldest first."""
        now = self._desk.system_clock.now()
        return [each for each in self._stored(work) if each.expires_at > now]

    def _stored(self, work: UnitOfWork) -> list[Draft]:
        """Those too whose time is over and of whom the owner was not told so yet."""
        stored = [_read(row) for row in json.loads(work.value(DRAFTS) or "[]")]
        return [each for each in stored if each is not None]

    def _keep(self, work: UnitOfWork, draft: Draft) -> None:
        others = [each for each in self._stored(work) if each.token != draft.token]
        self._write(work, [*others, draft][-_MOST:])

    def _forget(self, work: UnitOfWork, token: str) -> None:
        self._write(work, [each for each in self._stored(work) if each.token != token])

    def _write(self, work: UnitOfWork, drafts: list[Draft]) -> None:
        rows = [_row(each) for each in drafts]
        work.set_value(DRAFTS, json.dumps(rows, separators=(",", ":")) if rows else None)


def _key(token: str) -> str:
    return f"draft:{token}"


def _row(draft: Draft) -> Json:
    """The deed's kind stands beside it: it could be any of them."""
    return {
        "token": draft.token,
        "version": draft.version,
        "kind": type(draft.deed).__name__,
        "deed": encode(draft.deed),
        "doubts": encode(draft.doubts),
        "asked": encode(draft.asked),
        "expires_at": encode(draft.expires_at),
    }


def _read(row: dict[str, Json]) -> Draft | None:
    """None for a draft that another version of the program wrote in another form: it counts as expired."""
    try:
        return Draft(
            token=decode(str, row["token"]),
            version=decode(int, row["version"]),
            deed=decode(_KINDS[str(row["kind"])], row["deed"]),
            doubts=decode(tuple[Doubt, ...], row["doubts"]),
            asked=decode(tuple[DoubtKind, ...], row["asked"]),
            expires_at=decode(datetime, row["expires_at"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
