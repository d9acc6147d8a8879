"""The six ways in which something can go wrong (DESIGN 6). Adapters map a vendor's exceptions to these once.

A source of prices tells more: which kind of trouble it has decides how long it is left alone, whether another source is
asked, and what the owner reads.
"""

from __future__ import annotations

from datetime import datetime, timedelta

NEXT_TRY = "next try "


def next_try(at: datetime) -> str:
    """In words that the owner's side writes in his own time zone. To the minute, never before the real moment."""
    shown = at.replace(second=0, microsecond=0)
    return f"{NEXT_TRY}{shown if shown == at else shown + timedelta(minutes=1):%Y-%m-%d %H:%M} UTC"


class AutoTraderError(Exception):
    """Base of all errors we raise on purpose."""


class Transient(AutoTraderError):
    """Did not happen and may work later. `retry_at` is the earliest sensible next try, when known."""

    def __init__(self, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class RateLimited(Transient):
    """The source wants fewer questions: nobody asks it again before `retry_at`."""


class AccessRefused(Transient):
    """The source does not let us in: a stale cookie, keys it does not know, a blocked address."""


class WrongAddress(AccessRefused):
    """Keys of the other kind of account: live ones at the address of paper accounts, or the reverse."""


class Unreachable(Transient):
    """No answer: no connection, a time-out, or the source's own servers are out of order."""


class MalformedAnswer(Transient):
    """An answer that cannot be what was asked for. Nothing of it is used."""


class Ambiguous(AutoTraderError):
    """May have happened: look it up before doing anything else."""


class DataFault(AutoTraderError):
    """An instrument's data cannot be used now. Excludes that instrument, never the cycle."""

    def __init__(self, symbol: str, reason: str) -> None:
        super().__init__(f"{symbol}: {reason}")
        self.symbol = symbol
        self.reason = reason

    def __reduce__(self) -> tuple[type[DataFault], tuple[str, str], dict[str, object]]:
        """Comes back whole from the worker process, its notes included."""
        return type(self), (self.symbol, self.reason), self.__dict__


class UnknownSymbol(DataFault):
    """The source has no such instrument, or no longer."""


class NoBars(DataFault):
    """The source knows the instrument and has no bars in the span that was asked for."""


class Rejected(AutoTraderError):
    """A final no, with its reason in words for the owner."""


class Fatal(AutoTraderError):
    """Stop, and say what to do. A restart begins with recovery."""


class LeaseLost(Fatal):
    """Another process holds the ledger now: write and send nothing more."""
