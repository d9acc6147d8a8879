"""The gate before a live account: closed until its venue names the very account that the settings allow and the owner
has given his word for that account in the chat.

A closed account is not connected: nothing is sent to it, by nobody and for no reason, and what is held there is left as
it is. The word is one value of the ledger, bound to the account's number; a start with other settings takes it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.accounts import AccountKind
from core.domain.codec import canonical, decode
from core.domain.events import RealMoneyAsked, RealMoneyChanged, RealMoneyHeldBack
from core.domain.real_money import Permit, RealMoneyView
from core.domain.records import AuditRecord
from core.domain.values import ZERO
from core.domain.venue import VenueAccount
from core.domain.views import AnswerKind, Health, OwnerAnswer
from core.errors import Ambiguous, Transient
from core.execution.bookings import refused
from core.execution.desk import MODE_KEY, Desk
from core.ports import Broker, UnitOfWork

LIVE = AccountKind.ALPACA_LIVE.value
PERMIT = "real_money"
ASKED = "real_money_asked"
BOOKS_OF = "real_money_books"
"""The number of the account whose trades the ledger holds as those of the live account."""
TRADED_AT = "broker_account"
TROUBLED = "real_money_trouble"
SILENT = "Alpaca does not say which account this is"
ASKED_AGAIN_AFTER = timedelta(days=1)


def permit_of(work: UnitOfWork) -> Permit | None:
    stored = work.value(PERMIT)
    return decode(Permit, json.loads(stored)) if stored else None


def is_first_day(work: UnitOfWork, account: str, now: datetime) -> bool:
    """Whether less may be invested in the account, because the owner allowed real money on this very trading day."""
    permit = permit_of(work) if account == LIVE else None
    return permit is not None and now < permit.first_day_until


class Connected(Mapping[str, Broker]):
    """The brokers that may be dealt with at this moment: all but a live account whose gate is closed."""

    def __init__(self, brokers: Mapping[str, Broker], gate: RealMoney | None = None) -> None:
        self._brokers = brokers
        self._gate = gate

    def __getitem__(self, account: str) -> Broker:
        if self._is_closed(account):
            raise KeyError(account)
        return self._brokers[account]

    def __iter__(self) -> Iterator[str]:
        return (account for account in self._brokers if not self._is_closed(account))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _is_closed(self, account: str) -> bool:
        return self._gate is not None and account == self._gate.account and not self._gate.is_open


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the venue said last of the account; `trouble` where it said nothing, or what no word of the owner mends."""

    account: VenueAccount | None = None
    trouble: str = "Alpaca has not said yet which account this is"
    silent_since: datetime | None = None


class RealMoney:
    """Of one live account. `look` and the deeds run in the writer, the rest anywhere."""

    def __init__(self, broker: Broker, allowed: str) -> None:
        self.account = broker.account.id
        self._broker = broker
        self._allowed = allowed
        self._seen = _Seen()
        self._has_word = False

    @property
    def is_open(self) -> bool:
        """Whether orders may go there."""
        return self._has_word and not self._seen.trouble

    def look(self, desk: Desk) -> None:
        """Asks the venue which account it is until that is known, and the owner for his word where it is missing."""
        if not self.is_open:
            self._meet(desk)
        if self._seen.trouble:
            desk.health(self.account, Health.DEGRADED, f"nothing is sent there: {self._seen.trouble}")
        self._tell_trouble(desk)
        if not self._seen.trouble and not self._has_word:
            desk.health(self.account, Health.DEGRADED, f"nothing is sent there: {self._closed()}")
            self._ask(desk)

    def allow(self, desk: Desk, number: str, by: str) -> OwnerAnswer:
        """The owner's word for the account of that number. Its venue is asked once more which account this is."""
        self._meet(desk)
        found = self._seen.account
        if self._seen.trouble or found is None or found.number != number:
            why = self._seen.trouble or f"this is account {found.number if found else 'unknown'} now"
            return refused(f"Nothing was changed: {why}.")
        if self._has_word:
            return OwnerAnswer(AnswerKind.UNCHANGED, f"Account {number} is traded with real money already.")
        now = desk.market_clock.now()
        permit = Permit(number, _worth(found), desk.system_clock.now(), desk.calendar.day_end(now), by)
        with desk.committing("owner") as work:
            work.set_value(PERMIT, canonical(permit))
            work.set_value(BOOKS_OF, number)
            work.set_value(ASKED, None)
            limit = permit.equity * desk.policy.first_day_fraction
            mode = desk.chosen_mode(work)
            event = RealMoneyChanged(self.account, number, True, permit.equity, limit, permit.first_day_until, mode, by)
            work.publish(event, market_time=now)
            _audit(work, desk, by, f"real money: account {number}", f"allowed at {permit.equity} USD")
        self._has_word = True
        return OwnerAnswer(AnswerKind.DONE, f"Account {number} is traded with real money from now on.")

    def withdraw(self, desk: Desk, by: str, *, left: int = 0) -> OwnerAnswer:
        """Takes the word back: nothing is sent any more. What rests at the venue stays there, with `left` purchases
        that could not be cancelled."""
        with desk.committing("owner") as work:
            permit = permit_of(work)
            if permit is None:
                return OwnerAnswer(AnswerKind.UNCHANGED, "No account is traded with real money.")
            _take_back(work, desk, permit, by)
            self._has_word = False
            mode = desk.mode(work)
            event = RealMoneyChanged(self.account, permit.number, False, permit.equity, None, None, mode, by, left)
            work.publish(event, market_time=desk.market_clock.now())
        return OwnerAnswer(AnswerKind.DONE, f"Nothing more is sent to account {permit.number}.")

    def remember(self, work: UnitOfWork, desk: Desk) -> bool:
        """At a start, in the caller's transaction: a word for the account that the settings name still holds, any other
        is taken back. True where that changed the ledger."""
        permit = permit_of(work)
        self._has_word = permit is not None and permit.number == self._allowed
        if permit is None or self._has_word:
            return False
        _take_back(work, desk, permit, f"ALLOW_REAL_MONEY={self._allowed}")
        return True

    def view(self, desk: Desk) -> RealMoneyView:
        now = desk.market_clock.now()
        with desk.reading() as work:
            permit = permit_of(work)
            first_day = is_first_day(work, self.account, now)
        found, fraction = self._seen.account, desk.policy.first_day_fraction
        equity = _worth(found) if found is not None else None
        return RealMoneyView(
            account=self.account,
            allowed=self._allowed,
            closed=self._closed(),
            number=found.number if found is not None else "",
            equity=equity,
            positions=tuple(sorted(found.positions.items())) if found is not None else (),
            can_be_allowed=not self._has_word and not self._seen.trouble,
            first_day_fraction=fraction,
            first_day_limit=equity * fraction if first_day and equity is not None else None,
            first_day_until=permit.first_day_until if permit is not None and first_day else None,
        )

    def _closed(self) -> str:
        """Why nothing is sent there; empty where orders go."""
        return self._seen.trouble or ("" if self._has_word else "you have not allowed real money yet (/realmoney)")

    def _meet(self, desk: Desk) -> None:
        try:
            with desk.calling("state"):
                found = self._broker.state()
        except (Transient, Ambiguous) as error:
            since = self._seen.silent_since or desk.system_clock.now()
            self._seen = _Seen(None, f"{SILENT}: {error}", since)
            return
        with desk.reading() as work:
            books = work.value(BOOKS_OF)
        trouble = ""
        if found.number != self._allowed:
            trouble = f"the keys are those of account {found.number}, ALLOW_REAL_MONEY names {self._allowed}"
        elif books is not None and books != found.number:
            trouble = (
                f"this ledger holds the trades of account {books}; account {found.number} needs another STATE_DIR, or "
                "another DATABASE_URL"
            )
        self._seen = _Seen(found, trouble)

    def _tell_trouble(self, desk: Desk) -> None:
        """What keeps the gate closed whatever the owner says, once; a silence of the venue only once it lasts."""
        seen, now = self._seen, desk.system_clock.now()
        words = seen.trouble
        if seen.silent_since is not None:
            words = SILENT if now - seen.silent_since >= desk.policy.keys_patience else ""
        with desk.reading() as work:
            told = work.value(TROUBLED) or ""
        if words == told or (words == "" and seen.trouble):
            return
        with desk.committing("real_money") as work:
            work.set_value(TROUBLED, words or None)
            if words:
                event = RealMoneyHeldBack(self.account, words, seen.trouble)
                work.publish(event, market_time=desk.market_clock.now())

    def _ask(self, desk: Desk) -> None:
        """Once a day for as long as there is no answer."""
        found, now = self._seen.account, desk.system_clock.now()
        if found is None:
            return
        with desk.reading() as work:
            asked: dict[str, str] = json.loads(work.value(ASKED) or "{}")
        since = asked.get(found.number)
        if since is not None and now - datetime.fromisoformat(since) < ASKED_AGAIN_AFTER:
            return
        held = tuple(sorted(found.positions.items()))
        with desk.committing("real_money") as work:
            event = RealMoneyAsked(self.account, found.number, _worth(found), found.cash, held)
            work.publish(event, market_time=desk.market_clock.now())
            work.set_value(ASKED, json.dumps({found.number: now.isoformat()}))


def note_broker(desk: Desk, gate: RealMoney | None) -> None:
    """What a start remembers of where it traded. A word for real money outlives no other settings, and the mode that
    was chosen for another account does not hold for a live one."""
    account = desk.trading_account or ""
    with desk.ledger() as work:
        before, permit = work.value(TRADED_AT) or "", permit_of(work)
        changed = before != account
        if gate is not None:
            changed |= gate.remember(work, desk)
        elif permit is not None:
            _take_back(work, desk, permit, f"trading at {account or 'no broker'}")
            changed = True
        if gate is not None and before != account and work.value(MODE_KEY) is not None:
            work.set_value(MODE_KEY, None)
            _audit(work, desk, "start", f"mode {desk.default_mode}", f"{account} begins with the mode of the settings")
        if changed:
            work.set_value(TRADED_AT, account or None)
            work.commit("real_money")


def _worth(found: VenueAccount) -> Decimal:
    return found.equity if found.equity is not None else max(found.cash, ZERO)


def _take_back(work: UnitOfWork, desk: Desk, permit: Permit, by: str) -> None:
    work.set_value(PERMIT, None)
    _audit(work, desk, by, f"real money: account {permit.number}", "not allowed any more")


def _audit(work: UnitOfWork, desk: Desk, actor: str, action: str, outcome: str) -> None:
    work.audit(AuditRecord(desk.system_clock.now(), actor, action, outcome))
