"""The contest of recipes as the engine holds it: by the gate that trades, over the bars that are stored."""

from __future__ import annotations

from datetime import datetime

from bot.bootstrap import Engine
from bot.market_work import recipes_of
from core.ports import Worker
from core.settings import Settings
from jobs.contest import Rules, contest
from jobs.winner import Winners


class Contesting:
    """Looks once a day; holds one in a month at most."""

    def __init__(self, engine: Engine, worker: Worker, settings: Settings) -> None:
        self._engine = engine
        self._worker = worker
        self._settings = settings

    def __call__(self, due: datetime) -> str:
        desk = self._engine.desk
        # On one thread: nobody waits for it.
        recipes = {name: recipe.on(1) for name, recipe in recipes_of(self._settings).items()}
        winners = Winners(
            due,
            desk.ledger,
            desk.bars,
            desk.instruments,
            self._worker,
            self._settings.models_dir,
            checkpoint=desk.checkpoint,
        )
        return contest(
            due,
            uow=desk.ledger,
            bars=desk.bars,
            instruments=desk.instruments,
            worker=self._worker,
            rules=Rules(recipes, desk.policy.min_probability),
            prepare=winners.prepare,
            checkpoint=desk.checkpoint,
        )
