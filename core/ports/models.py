"""What a model answers, where it is kept, and the process that does the heavy work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from core.domain.decisions import ModelVersion, Prediction, Reasons
from core.series import BarSeries

T = TypeVar("T")


class Predictor(Protocol):
    """A loaded model. None where it cannot say (warm-up, non-finite features)."""

    version: str

    def predict(self, daily: BarSeries) -> Prediction | None:
        """The probability for the symbol of `daily`, seen from its last closed bar."""
        ...


@runtime_checkable
class Explainer(Predictor, Protocol):
    """A predictor that can say what moved its answer."""

    def explain(self, daily: BarSeries) -> Reasons | None:
        """None where it has no answer for the last bar of `daily`."""
        ...


@runtime_checkable
class Choosy(Predictor, Protocol):
    """A predictor that has not learned from every symbol, and can say why."""

    def lacks(self, symbol: str) -> str:
        """Why it has no answer for `symbol` on any day; empty where it has."""
        ...

    def has_seen(self, symbol: str) -> bool:
        """Whether `symbol` was looked at when it was trained, be it that there was too little to learn from."""
        ...


class ModelStore(Protocol):
    def load(self, version: ModelVersion) -> Predictor:
        """Raises DataFault when a file is missing or its SHA-256 is not the ledger's."""
        ...


class Worker(Protocol):
    """The spawned, niced process for training, backtests and pictures."""

    def run(self, task: Callable[..., T], *arguments: Any, deadline: float) -> T:
        """Blocks until the task is done. Raises Transient when it dies or exceeds `deadline` seconds."""
        ...
