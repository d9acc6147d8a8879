"""Brakes in the owner's hand (C7): shown, released, and the order to sell everything (C2).

Each deed is one short transaction that waits for no running cycle.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.decisions import Brake, BrakeKind
from core.domain.events import BrakeReleased, BrakeSet, ModeChanged
from core.domain.records import AuditRecord
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution import away, loss_brakes, tidings
from core.execution.desk import Desk
from core.ports import UnitOfWork

EVERYTHING = "*"
WHAT_THEN = {
    BrakeKind.SYMBOL_BLOCKED: " If both sides still differ at the next look, it is set again.",
    BrakeKind.BROKER: " If the broker refuses again, it is set again.",
    BrakeKind.FOREIGN_ORDERS: " If the other installation's orders are still there, it is set again.",
    BrakeKind.DAILY_LOSS: " Losses of this trading day count anew from now on.",
    BrakeKind.DRAWDOWN: " The highest value counts anew from now on.",
    BrakeKind.LOSS_STREAK: " Only trades that end from now on count.",
}


def locks(desk: Desk) -> Sequence[Brake]:
    """Every brake in force now, the pause included; the oldest first."""
    now = desk.market_clock.now()
    with desk.reading() as work:
        return tuple(brake for brake in work.brakes() if brake.holds(now))


def unlock(desk: Desk, kind: BrakeKind, scope: str, by: str) -> OwnerAnswer:
    """Releases one brake. A loss brake starts to count anew from here, so that it does not snap shut at once; that of
    an absence ends as any sign of the owner ends it, with what happened meanwhile."""
    now = desk.market_clock.now()
    name = kind.value.replace("_", " ")
    if kind is BrakeKind.AWAY and away.present(desk):
        return OwnerAnswer(AnswerKind.DONE, f"Released: {name} on {_where(scope)}.")
    with desk.committing("owner") as work:
        if not work.release_brake(kind, scope):
            return OwnerAnswer(AnswerKind.UNCHANGED, f"Released already: {name} on {_where(scope)}.")
        if kind is BrakeKind.PAUSED:
            work.publish(ModeChanged(desk.mode(work), False, None, by), market_time=now)
        else:
            loss_brakes.count_anew(work, kind, scope, now)
            work.publish(BrakeReleased(kind, scope, by, tidings.scope_badges(desk, scope)), market_time=now)
        _audit(work, desk, by, f"unlock {kind.value} {scope}", "released")
    text = f"Released: {name} on {_where(scope)}.{WHAT_THEN.get(kind, '')}"
    return OwnerAnswer(AnswerKind.DONE, text)


def flatten(desk: Desk, by: str) -> OwnerAnswer:
    """From this moment on nothing is bought, and every position is sold as soon as it can be, until released."""
    now = desk.market_clock.now()
    with desk.committing("owner") as work:
        if any((brake.kind, brake.scope) == (BrakeKind.FLATTEN, EVERYTHING) for brake in work.brakes()):
            return OwnerAnswer(AnswerKind.UNCHANGED, "Everything is being sold already; entries are blocked.")
        brake = Brake(BrakeKind.FLATTEN, EVERYTHING, f"everything is to be sold, by {by}", now)
        work.set_brake(brake)
        work.publish(
            BrakeSet(brake.kind, brake.scope, brake.reason, None, tidings.scope_badges(desk, EVERYTHING)),
            market_time=now,
        )
        _audit(work, desk, by, "flatten", "entries blocked, everything is to be sold")
    text = "No entries from now on, and every position is being sold. /unlock flatten ends it."
    return OwnerAnswer(AnswerKind.DONE, text)


def _where(scope: str) -> str:
    return "everything" if scope == EVERYTHING else scope.replace("/", " ")


def _audit(work: UnitOfWork, desk: Desk, actor: str, action: str, outcome: str) -> None:
    work.audit(AuditRecord(desk.system_clock.now(), actor, action, outcome))
