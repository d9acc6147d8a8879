"""Models in a ledger with files that match it, for tests that train nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from core.adapters.model_files import ModelFiles
from core.domain.decisions import Decision, ModelState, ModelVersion, Prediction, Signal
from core.domain.skill import TrackedPrediction
from core.ports import UnitOfWork
from jobs.model_changes import Change, Fate, note
from tests.builders import SteadyPredictor
from tests.fakes_owner import NOON
from tests.ledger_builders import a_model

DAY = timedelta(days=1)
FIRST, SECOND, FAILED = "f111111111111", "f222222222222", "f333333333333"


def model_store(folder: Path) -> ModelFiles:
    """The real check of hashes; what is built from the bytes does not matter here."""
    folder.mkdir(parents=True, exist_ok=True)
    return ModelFiles(folder, lambda _data, _version: SteadyPredictor())


def on_disk(folder: Path, version: str, trained_at: datetime = NOON) -> ModelVersion:
    """A model's row, and both its files."""
    flat, pickled = f"flat {version}".encode(), f"pickled {version}".encode()
    model = replace(a_model(version), trained_at=trained_at, recipe="scaled-asset")
    (folder / model.path).write_bytes(pickled)
    (folder / model.flat_path).write_bytes(flat)
    hashes = (hashlib.sha256(data).hexdigest() for data in (pickled, flat))
    return replace(model, sha256=next(hashes), flat_sha256=next(hashes))


def two_models(work: UnitOfWork, folder: Path) -> None:
    """Ten days ago FIRST went live, five days ago FAILED was set aside, yesterday SECOND went live."""
    failed = replace(on_disk(folder, FAILED, NOON - 5 * DAY), state=ModelState.REJECTED)
    for model, fate, why in (
        (on_disk(folder, FIRST, NOON - 10 * DAY), Fate.LIVE, ""),
        (failed, Fate.REJECTED, "its log loss 0.7500 is 0.0600 above the base rate's"),
        (on_disk(folder, SECOND, NOON - DAY), Fate.LIVE, ""),
    ):
        work.add_model(model)
        note(work, Change(model.trained_at, model.version, fate, why))


def foreseen(work: UnitOfWork, model: str, hits: Sequence[tuple[str, datetime, bool]]) -> None:
    """Predictions of more than one half of (symbol, close of its bar, whether it came true), journalled and scored."""
    for symbol, at, hit in hits:
        made = Prediction(symbol, 0.62, "close higher after 10 bars", model, at)
        decided = Decision(at, "simulated", (Signal(symbol, at, None, made, ()),), ())
        work.record_decision(decided, recorded_at=at)
        work.add_prediction_score(TrackedPrediction(made, hit, at, at, 0.5))
