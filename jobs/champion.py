"""The model that is live: loaded by hash, exchanged when the ledger names another, dropped when its file is bad."""

from __future__ import annotations

import logging
from collections.abc import Callable

from core.domain.decisions import ModelVersion
from core.domain.views import Health
from core.errors import DataFault
from core.learning.recipes import RECIPES
from core.ports import ModelStore, Predictor, UnitOfWorkFactory

log = logging.getLogger(__name__)


class Champion:
    """Answers the predictor of the ledger's champion, None while there is none that can be trusted."""

    def __init__(
        self, ledger: UnitOfWorkFactory, store: ModelStore, report_health: Callable[[str, Health, str], None]
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._report_health = report_health
        self._loaded: Predictor | None = None
        self._bad_version = ""

    def __call__(self) -> Predictor | None:
        with self._ledger() as work:
            model = work.champion()
        if model is None or model.version == self._bad_version:
            return None
        if self._loaded is not None and self._loaded.version == model.version:
            return self._loaded
        try:
            _check(model)
            self._loaded = self._store.load(model)
        except DataFault as fault:
            self._loaded, self._bad_version = None, model.version
            log.error("model %s is refused: %s", model.version, fault.reason)
            self._report_health("model", Health.DEGRADED, f"{fault.reason}; no entries until it is trained anew")
            return None
        self._bad_version = ""
        self._report_health("model", Health.RUNNING, f"model {model.version[:12]} is live")
        return self._loaded

    @property
    def is_refused(self) -> bool:
        """Whether the ledger names a model that cannot be used, so that training must not be skipped."""
        return bool(self._bad_version)

    def trained_anew(self) -> None:
        """Forgets a refusal: the files have been written again."""
        self._bad_version, self._loaded = "", None


def _check(model: ModelVersion) -> None:
    """Raises DataFault for a model of a recipe, or of an event, that this version of the program does not know."""
    recipe = RECIPES.get(model.recipe)
    if recipe is None:
        raise DataFault("model", f"{model.version}: this program knows no recipe {model.recipe or 'without a name'}")
    if recipe.foresees.words != model.event:
        raise DataFault("model", f"{model.version}: {model.recipe} does not foresee: {model.event}")
