"""The openings between the engine and the world. Each has one contract suite in tests/contract that every adapter
passes. Nothing here does anything."""

from core.ports.broker import Broker, TradeNews
from core.ports.ledger import DuplicateOrder, LeaseKeeper, UnitOfWork, UnitOfWorkFactory
from core.ports.market import BarStore, Calendar, Clock, LivePrices, MarketData, Quotes, SymbolLookup
from core.ports.models import Choosy, Explainer, ModelStore, Predictor, Worker
from core.ports.owner import Bookkeeping, Deliberation, Drafting, Owner, Safekeeping, SecondChannel, Steering

__all__ = [
    "BarStore",
    "Bookkeeping",
    "Broker",
    "Calendar",
    "Choosy",
    "Clock",
    "Deliberation",
    "Drafting",
    "DuplicateOrder",
    "Explainer",
    "LeaseKeeper",
    "LivePrices",
    "MarketData",
    "ModelStore",
    "Owner",
    "Predictor",
    "Quotes",
    "Safekeeping",
    "SecondChannel",
    "Steering",
    "SymbolLookup",
    "TradeNews",
    "UnitOfWork",
    "UnitOfWorkFactory",
    "Worker",
]
