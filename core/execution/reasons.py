"""What moved a forecast, kept beside the decision: once for each symbol, daily bar and model, however often it is
judged."""

from __future__ import annotations

import json
from collections.abc import Iterable

from core.domain.codec import canonical, decode
from core.domain.decisions import Prediction, Reasons, Signal
from core.ports import Explainer, Predictor, UnitOfWork
from core.strategy.snapshot import MarketView


def note_reasons(
    work: UnitOfWork, signals: Iterable[Signal], markets: Iterable[MarketView], predictor: Predictor | None
) -> None:
    """Keeps what the predictor can say of each new forecast among `signals`, in the caller's transaction."""
    made_now = [signal for signal in signals if signal.prediction is not None]
    if not made_now or not isinstance(predictor, Explainer):
        return
    daily = {market.instrument.symbol: market.daily for market in markets}
    for signal in made_now:
        made = signal.prediction
        if made is None or work.value(_key(made)) is not None:
            continue
        reasons = predictor.explain(daily[signal.symbol])
        if reasons is not None:
            work.set_value(_key(made), canonical(reasons))


def reasons_of(work: UnitOfWork, prediction: Prediction | None) -> Reasons | None:
    """None where none were kept: without a forecast, or for one of an older version of the program."""
    text = work.value(_key(prediction)) if prediction is not None else None
    return decode(Reasons, json.loads(text)) if text else None


def _key(made: Prediction) -> str:
    return f"why:{made.symbol}:{made.bar_closed_at:%Y%m%dT%H%MZ}:{made.model_version}"
