"""Decisions with their signals, and models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import bindparam, insert, select, update

from core.domain.codec import decode
from core.domain.decisions import Decision, ModelState, ModelVersion, Signal
from core.domain.orders import Order
from core.storage import tables
from core.storage.chain import DECISION
from core.storage.predictions import Predictions
from core.storage.statements import field_names, row_of, upsert

_L = tables.last_signals
_M = tables.models
_DECIDE = insert(tables.decisions)
_POINT = upsert(_L, ("account", "symbol"))
_LAST = select(_L.c.symbol, _L.c.seq, _L.c.place).order_by(_L.c.seq)
_LAST_OF_ACCOUNT = _LAST.where(_L.c.account == bindparam("of_account"))
_PAYLOADS = select(tables.chain.c.seq, tables.chain.c.payload).where(
    tables.chain.c.seq.in_(bindparam("seqs", expanding=True))
)
_JUDGED = select(_L.c.symbol, _L.c.bar_closed_at).where(
    _L.c.account == bindparam("of_account"), _L.c.bar_closed_at.is_not(None)
)
_DECIDED_AT = (
    select(tables.chain.c.payload)
    .join(tables.decisions, tables.decisions.c.seq == tables.chain.c.seq)
    .where(tables.decisions.c.at == bindparam("of_time"), tables.decisions.c.orders > 0)
    .order_by(tables.chain.c.seq)
)
_ADD_MODEL = insert(_M)
_ARCHIVE = update(_M).where(_M.c.state == bindparam("former")).values(state=bindparam("now", type_=_M.c.state.type))
_RAISE = update(_M).where(_M.c.version == bindparam("of_version")).values(state=bindparam("now", type_=_M.c.state.type))
_MODEL = select(_M).where(_M.c.version == bindparam("of_version"))
_CHAMPION = select(_M).where(_M.c.state == ModelState.CHAMPION).order_by(_M.c.number.desc()).limit(1)
_MODELS = select(_M).order_by(_M.c.number.desc()).limit(bindparam("most"))


class Decisions(Predictions):
    def record_decision(self, decision: Decision, *, recorded_at: datetime) -> None:
        seq = self._append(DECISION, decision, recorded_at)
        self._write(
            _DECIDE,
            {
                "seq": seq,
                "recorded_at": recorded_at,
                "at": decision.at,
                "account": decision.account,
                "signals": len(decision.signals),
                "orders": len(decision.orders),
            },
        )
        if decision.signals:
            self._write(
                _POINT,
                [
                    {
                        "account": decision.account,
                        "symbol": signal.symbol,
                        "seq": seq,
                        "place": place,
                        "bar_closed_at": signal.bar_closed_at,
                    }
                    for place, signal in enumerate(decision.signals)
                ],
            )
            self._note_predictions(decision)

    def last_signals(self, account: str | None = None) -> Mapping[str, Signal]:
        """The newest evaluation of each symbol, of one account or of any."""
        pointers = self._rows(_LAST) if account is None else self._rows(_LAST_OF_ACCOUNT, {"of_account": account})
        newest = {row["symbol"]: (row["seq"], row["place"]) for row in pointers}
        seqs = sorted({seq for seq, _ in newest.values()})
        signals = {
            row["seq"]: json.loads(row["payload"])["body"]["signals"] for row in self._rows(_PAYLOADS, {"seqs": seqs})
        }
        return {symbol: decode(Signal, signals[seq][place]) for symbol, (seq, place) in newest.items()}

    def signal_behind(self, order: Order) -> Signal | None:
        """The judgement of the order's symbol in the decision that made it; None where no signal led to it."""
        for row in self._rows(_DECIDED_AT, {"of_time": order.created_at}):
            body = json.loads(row["payload"])["body"]
            if any(each["client_order_id"] == order.client_order_id for each in body["orders"]):
                told = next((each for each in body["signals"] if each["symbol"] == order.symbol), None)
                return decode(Signal, told) if told is not None else None
        return None

    def judged_until(self, account: str) -> Mapping[str, datetime]:
        """The close of the newest confirmation bar that was judged for the account, by symbol."""
        return self._recalled(_L, account, lambda: self._read_judged(account))

    def _read_judged(self, account: str) -> Mapping[str, datetime]:
        rows = self._rows(_JUDGED, {"of_account": account})
        return MappingProxyType({row["symbol"]: row["bar_closed_at"] for row in rows})

    def add_model(self, model: ModelVersion) -> None:
        """A new CHAMPION archives the former one."""
        if model.state is ModelState.CHAMPION:
            self._archive_champion()
        self._write(_ADD_MODEL, row_of(model))

    def promote_model(self, version: str) -> None:
        """An earlier model is the champion again, and the former one archived. Raises KeyError for an unknown one."""
        self._archive_champion()
        if self._write(_RAISE, {"of_version": version, "now": ModelState.CHAMPION}).rowcount != 1:
            raise KeyError(version)

    def _archive_champion(self) -> None:
        self._write(_ARCHIVE, {"former": ModelState.CHAMPION, "now": ModelState.ARCHIVED})

    def model(self, version: str) -> ModelVersion | None:
        row = self._row(_MODEL, {"of_version": version})
        return _model_of(row) if row else None

    def champion(self) -> ModelVersion | None:
        return self._recalled(_M, _CHAMPION, self._read_champion)

    def _read_champion(self) -> ModelVersion | None:
        row = self._row(_CHAMPION)
        return _model_of(row) if row else None

    def models(self, limit: int = 20) -> Sequence[ModelVersion]:
        """The newest first."""
        return [_model_of(row) for row in self._rows(_MODELS, {"most": limit})]


def _model_of(row: Mapping[str, object]) -> ModelVersion:
    plain = {name: row[name] for name in field_names(ModelVersion)}
    names = plain["feature_names"]
    if not isinstance(names, list):
        raise TypeError(f"feature names are a list, not {names!r}")
    return ModelVersion(**plain | {"feature_names": tuple(names)})  # type: ignore[arg-type]  # checked by the columns
