"""autotrader model: which models there are, and the way back to one of them, for an owner without a chat at hand. Also
while the engine runs, which takes it up with its next tick."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from bot.bars_report import opened_as_it_is
from bot.bootstrap import make_models, open_ledger
from bot.market_work import MARKET_TIME
from bot.worlds import Place, all_places
from core.domain.accounts import World
from core.domain.decisions import ModelState, ModelVersion
from core.domain.records import AuditRecord
from core.domain.views import AnswerKind, OwnerAnswer
from core.errors import Fatal
from core.ports import Clock, UnitOfWork
from core.settings import Settings
from core.storage.engine import database_path
from core.storage.store import Database
from jobs import going_back
from jobs.verdict import committed_verdict

BY: Final = "console"
_SHOWN: Final = 20
_HEADS = ("version", "state", "trained", "recipe", "rows", "log loss", "guessing")


def listing(settings: Settings) -> str:
    """The newest models of every ledger of this installation; changes nothing. Raises Fatal."""
    parts = []
    for place in _places(settings):
        database = opened_as_it_is(database_path(place.database))
        try:
            with database.reading() as work:
                rows = [_row(model) for model in work.models(_SHOWN)]
            parts.append("\n".join([f"{database.path.name}:", *(_table(rows) if rows else ["no models yet"])]))
        finally:
            database.close()
    return "\n\n".join([*parts, committed_verdict()])


def back(settings: Settings, clock: Clock, version: str) -> str:
    """Goes back to the one archived model whose version begins so. Raises Fatal where that cannot be done."""
    for place in _places(settings):
        with _ledger(place, clock) as database:
            with database.reading() as work:
                champion = work.champion()
                fitting = [each for each in work.models(1_000) if version and each.version.startswith(version)]
            if len(fitting) == 1 and champion is not None:
                store, now = make_models(settings), _market_now(database, clock)
                answer = going_back.go_back(
                    fitting[0].version, champion.version, uow=database.unit_of_work, store=store, now=now, by=BY
                )
                return _done(database, clock, f"model back {version}", answer)
    raise Fatal(f"there is no model in use before whose version begins with {version}, or more than one")


def let_go(settings: Settings, clock: Clock) -> str:
    """Training goes on in every ledger in which it waits."""
    answers = []
    for place in _places(settings):
        with _ledger(place, clock) as database:
            answer = going_back.let_go(database.unit_of_work, _market_now(database, clock))
            answers.append(f"{database.path.name}: {_done(database, clock, 'model on', answer)}")
    return "\n".join(answers)


def _done(database: Database, clock: Clock, deed: str, answer: OwnerAnswer) -> str:
    with database.unit_of_work() as work:
        work.audit(AuditRecord(clock.now(), BY, deed, answer.text))
        work.commit("gate.audit")
    if answer.kind is AnswerKind.REFUSED:
        raise Fatal(answer.text)
    return answer.text


def _places(settings: Settings) -> list[Place]:
    places = [place for place in all_places(settings) if database_path(place.database).exists()]
    if not places:
        raise Fatal(f"there is no ledger in {settings.data_dir}")
    return places


@contextmanager
def _ledger(place: Place, clock: Clock) -> Iterator[Database]:
    database = open_ledger(place, clock)
    try:
        yield database
    finally:
        database.close()


def _market_now(database: Database, clock: Clock) -> datetime:
    """A simulated market has a time of its own, that of its newest tick."""
    with database.reading() as work:
        stored = _stored_time(work) if database.installation().world is World.SIMULATED else None
    return stored or clock.now()


def _stored_time(work: UnitOfWork) -> datetime | None:
    stored = work.value(MARKET_TIME)
    return datetime.fromisoformat(stored) if stored else None


def _row(model: ModelVersion) -> tuple[str, ...]:
    state = "in use" if model.state is ModelState.CHAMPION else model.state.value
    return (
        model.version,
        state,
        f"{model.trained_at:%Y-%m-%d %H:%MZ}",
        model.recipe or "-",
        f"{model.rows:,}",
        f"{model.validation_log_loss:.4f}",
        f"{model.baseline_log_loss:.4f}",
    )


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    lines = (_HEADS, *rows)
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEADS))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
