"""Which booked fill the owner means when he corrects one: by its id, its instruction's number or its symbol."""

from __future__ import annotations

from core.domain.portfolio import Fill, standing
from core.domain.views import AnswerKind, Correction, OwnerAnswer
from core.execution import tidings
from core.execution.bookings import refused
from core.execution.desk import MANUAL
from core.execution.matching import same_symbol
from core.ports import UnitOfWork

_SHORT = 6
_MOST_LISTED = 8


def fill_meant(work: UnitOfWork, correction: Correction) -> Fill | OwnerAnswer:
    """The standing fill that is to be corrected, or what is asked where it is none or one of several."""
    fills = [entry for entry in standing(work.entries(MANUAL)) if isinstance(entry, Fill)]
    found = [fill for fill in fills if _is_meant(work, fill, correction)]
    if not found:
        named = _named(correction)
        return refused(f"There is no fill {named}in the manual account that could be corrected.")
    if len(found) == 1 or not _named(correction):
        return found[-1]
    listed = "; ".join(
        f"{tidings.booking_words(fill)}, {fill.at:%Y-%m-%d %H:%M} UTC: fill {short_id(fill)}"
        for fill in found[-_MOST_LISTED:]
    )
    return OwnerAnswer(AnswerKind.AMBIGUOUS, f"More than one fill {_named(correction)}stands. Name it: {listed}.")


def short_id(fill: Fill) -> str:
    """What the owner types to name a fill."""
    return _digits(fill.id)[:_SHORT]


def _digits(fill_id: str) -> str:
    return fill_id.partition("~")[0].rpartition("-")[2]


def _is_meant(work: UnitOfWork, fill: Fill, correction: Correction) -> bool:
    if correction.fill_id is not None and not _digits(fill.id).startswith(_digits(correction.fill_id)):
        return False
    if correction.symbol is not None and not same_symbol(correction.symbol, fill.symbol):
        return False
    if correction.number is None:
        return True
    instruction = work.instruction(correction.number)
    return instruction is not None and instruction.client_order_id == fill.client_order_id


def _named(correction: Correction) -> str:
    named = {"with the id": correction.fill_id, "of instruction": correction.number, "of": correction.symbol}
    return "".join(f"{how} {what} " for how, what in named.items() if what is not None)
