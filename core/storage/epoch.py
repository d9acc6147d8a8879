"""What a new epoch changes in a ledger: everything that names something made later must be unlike what was lost."""

from __future__ import annotations

from sqlalchemy import Connection, ScalarSelect, Table, func, select, update

from core.domain.orders import VERSIONS_OF_AN_EPOCH
from core.storage import tables
from core.storage.statements import upsert

NUMBERS = 10_000
"""How far the numbers of cards jump, so that people do not mix them up either."""
FENCINGS = 1_000
LAST_NUMBER = {tables.instructions: "last_instruction_number", tables.questions: "last_question_number"}
"""Named values: the numbers of new cards go on above these."""

_SET = upsert(tables.named_values, ("key",))


def floor_of(table: Table) -> ScalarSelect[str]:
    """The number, as text, above which those of new cards lie; NULL where no restore has set one."""
    values = tables.named_values
    return select(values.c.value).where(values.c.key == LAST_NUMBER[table]).scalar_subquery()


def begin_epoch(connection: Connection, epoch: int, fencing: int) -> None:
    """Sets the epoch, moves every card's version into it, and lets new numbers begin far above the known ones."""
    connection.execute(update(tables.installation).values(epoch=epoch))
    for table, key in LAST_NUMBER.items():
        version = table.c.version % VERSIONS_OF_AN_EPOCH + (epoch - 1) * VERSIONS_OF_AN_EPOCH
        connection.execute(update(table).values(version=version))
        highest = connection.execute(select(func.max(table.c.number))).scalar() or 0
        floor = connection.execute(select(floor_of(table))).scalar()
        last = (max(highest, int(floor or 0)) // NUMBERS + 1) * NUMBERS
        connection.execute(_SET, {"key": key, "value": str(last)})
    known = connection.execute(select(tables.lease.c.fencing)).scalar() or 0
    connection.execute(update(tables.lease).values(fencing=max(known, fencing) + FENCINGS, held=False))
