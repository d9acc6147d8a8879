"""The owner goes back to a model that was in use before: it is in use again, and training waits until he lets go or a
month has passed, because the next refit would take its place within the hour."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.decisions import ModelState, ModelVersion
from core.domain.events import ModelRestored
from core.domain.views import AnswerKind, OwnerAnswer
from core.errors import DataFault
from core.ports import ModelStore, UnitOfWork, UnitOfWorkFactory
from jobs.model_changes import Change, Fate, note

KEY = "model held"
HOLDS = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Held:
    """The owner wants `version`; nothing is trained by itself before `until`, by the market clock."""

    version: str
    since: datetime
    until: datetime


def held(work: UnitOfWork, now: datetime) -> Held | None:
    """What the owner went back to, as long as it holds and is in use."""
    told = json.loads(work.value(KEY) or "null")
    if told is None:
        return None
    found = Held(told["version"], datetime.fromisoformat(told["since"]), datetime.fromisoformat(told["until"]))
    champion = work.champion()
    is_in_use = champion is not None and champion.version == found.version
    return found if is_in_use and found.since <= now < found.until else None


def go_back(
    version: str, instead_of: str, *, uow: UnitOfWorkFactory, store: ModelStore, now: datetime, by: str
) -> OwnerAnswer:
    """Puts `version` in the place of `instead_of`, both as the owner saw them, in one transaction with the news of it.
    `now` by the market clock. Safe to repeat: the second time it is in use already."""
    with uow() as work:
        wanted, champion = work.model(version), work.champion()
    if champion is not None and champion.version == version:
        return OwnerAnswer(AnswerKind.UNCHANGED, f"Model {version} is in use already.")
    refusal = _refusal(wanted, version, champion, instead_of, store)
    if refusal or wanted is None or champion is None:
        return OwnerAnswer(AnswerKind.REFUSED, f"{refusal} Nothing was changed.")
    until = now + HOLDS
    with uow() as work:
        work.promote_model(version)
        work.set_value(KEY, json.dumps({"version": version, "since": now.isoformat(), "until": until.isoformat()}))
        note(work, Change(now, version, Fate.BACK, f"instead of {instead_of}, by your wish"))
        work.publish(_told(wanted, champion, until, by), market_time=now)
        work.commit("model")
    return OwnerAnswer(
        AnswerKind.DONE,
        f"Model {version} is in use again from the next tick on. Training waits until you let it go on.",
    )


def let_go(uow: UnitOfWorkFactory, now: datetime) -> OwnerAnswer:
    """Training goes on with the next hour."""
    with uow() as work:
        if held(work, now) is None:
            return OwnerAnswer(AnswerKind.UNCHANGED, "Training goes on already.")
        work.set_value(KEY, None)
        work.commit("model")
    return OwnerAnswer(AnswerKind.DONE, "Training goes on: the next refit may take this model's place.")


def _refusal(
    wanted: ModelVersion | None, version: str, champion: ModelVersion | None, instead_of: str, store: ModelStore
) -> str:
    if wanted is None:
        return f"There is no model {version}."
    if wanted.state is ModelState.REJECTED:
        return f"Model {version} was set aside when it was trained, and was never in use."
    if champion is None or champion.version != instead_of:
        return f"Another model is in use by now than {instead_of}: look again with /model."
    try:
        store.load(wanted)
    except DataFault as fault:
        return f"Model {version} cannot be used any more: {fault.reason}."
    return ""


def _told(wanted: ModelVersion, former: ModelVersion, until: datetime, by: str) -> ModelRestored:
    return ModelRestored(
        version=wanted.version,
        former=former.version,
        trained_at=wanted.trained_at,
        last_bar_at=wanted.last_bar_at,
        event=wanted.event,
        log_loss=wanted.validation_log_loss,
        baseline_log_loss=wanted.baseline_log_loss,
        held_until=until,
        by=by,
    )
