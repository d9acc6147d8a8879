"""The journal of what models foresaw, and how it turned out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select

from core.domain.decisions import Decision, Prediction
from core.domain.skill import TrackedPrediction
from core.storage import tables
from core.storage.chain import Chain
from core.storage.statements import insert_new

_M = tables.models
_P = tables.predictions
_S = tables.prediction_scores
_NOTE = insert_new(_P)
_NEWEST = (
    select(_P.c.bar_closed_at).where(_P.c.symbol == bindparam("of_symbol")).order_by(_P.c.bar_closed_at.desc()).limit(1)
)
_UNSCORED = (
    select(_P)
    .outerjoin(
        _S, (_S.c.symbol == _P.c.symbol) & (_S.c.bar_closed_at == _P.c.bar_closed_at) & (_S.c.model == _P.c.model)
    )
    .where(_P.c.bar_closed_at >= bindparam("since"), _S.c.symbol.is_(None))
    .order_by(_P.c.bar_closed_at, _P.c.symbol)
)
_ADD_SCORE = insert_new(_S)
_SCORES = select(
    func.count().filter(_S.c.hit).label("hits"),
    func.count().label("scored"),
).where(_S.c.bar_closed_at >= bindparam("since"))
_TRACK = (
    select(_P, func.coalesce(_M.c.recipe, "").label("recipe"), _S.c.hit, _S.c.ended_at, _S.c.known_at, _S.c.base_rate)
    .outerjoin(_M, _M.c.version == _P.c.model)
    .outerjoin(
        _S, (_S.c.symbol == _P.c.symbol) & (_S.c.bar_closed_at == _P.c.bar_closed_at) & (_S.c.model == _P.c.model)
    )
    .order_by(_P.c.bar_closed_at, _P.c.symbol)
)
_TRACK_OF_RECIPE = _TRACK.where(func.coalesce(_M.c.recipe, "") == bindparam("of_recipe"))
_TRACK_OF_ONE = _TRACK.where(
    _P.c.symbol == bindparam("of_symbol"),
    _P.c.bar_closed_at == bindparam("of_bar"),
    _P.c.event == bindparam("of_event"),
)


class Predictions(Chain):
    def _note_predictions(self, decision: Decision) -> None:
        """Journals what is foreseen from a bar for the first time; the same bar is judged by many ticks."""
        for signal in decision.signals:
            made = signal.prediction
            if made is None or self._newest_prediction(made.symbol) == made.bar_closed_at:
                continue
            self._write(
                _NOTE,
                {
                    "symbol": made.symbol,
                    "bar_closed_at": made.bar_closed_at,
                    "model": made.model_version,
                    "event": made.event,
                    "probability": made.probability,
                },
                question=made.symbol,
            )

    def _newest_prediction(self, symbol: str) -> datetime | None:
        def ask() -> datetime | None:
            row = self._row(_NEWEST, {"of_symbol": symbol})
            return row["bar_closed_at"] if row else None

        return self._recalled(_P, symbol, ask)

    def unscored_predictions(self, since: datetime) -> Sequence[Prediction]:
        """Those made from daily bars closed at or after `since`, the oldest first."""
        return [_prediction_of(row) for row in self._rows(_UNSCORED, {"since": since})]

    def add_prediction_score(self, scored: TrackedPrediction) -> None:
        """Scoring the same prediction again changes nothing."""
        made = scored.prediction
        if scored.came_true is None:
            raise ValueError(f"the prediction for {made.symbol} from {made.bar_closed_at} has no outcome yet")
        self._write(
            _ADD_SCORE,
            {
                "symbol": made.symbol,
                "bar_closed_at": made.bar_closed_at,
                "model": made.model_version,
                "hit": scored.is_hit,
                "ended_at": scored.ended_at,
                "known_at": scored.known_at,
                "base_rate": scored.base_rate,
            },
        )

    def prediction_scores(self, since: datetime) -> tuple[int, int]:
        """(hits, scored) of predictions made from bars closed at or after `since`."""
        row = self._rows(_SCORES, {"since": since})[0]
        return row["hits"], row["scored"]

    def tracked_predictions(self, recipe: str) -> Sequence[TrackedPrediction]:
        """What models of the recipe foresaw, scored or not, by the close of the bar, then the symbol."""
        return [_tracked_of(row) for row in self._rows(_TRACK_OF_RECIPE, {"of_recipe": recipe})]

    def tracked(self, made: Prediction) -> TrackedPrediction | None:
        """The journal's own of that symbol, bar and event; None where another event stands there, or none."""
        keys = {"of_symbol": made.symbol, "of_bar": made.bar_closed_at, "of_event": made.event}
        row = self._row(_TRACK_OF_ONE, keys)
        return _tracked_of(row) if row else None


def _prediction_of(row: Mapping[str, object]) -> Prediction:
    names = ("symbol", "probability", "event", "model", "bar_closed_at")
    return Prediction(*(row[name] for name in names))  # type: ignore[arg-type]  # checked by the columns


def _tracked_of(row: Mapping[str, object]) -> TrackedPrediction:
    """The outcome follows from the hit: a probability of one half is a no."""
    made, hit = _prediction_of(row), row["hit"]
    return TrackedPrediction(
        made,
        None if hit is None else (made.probability > 0.5) is hit,
        *(row[name] for name in ("ended_at", "known_at", "base_rate", "recipe")),  # type: ignore[arg-type]  # as above
    )
