"""Domain values for tests of the ledger, with ordinary defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.clock import VirtualClock
from core.domain.accounts import Account, AccountKind, World
from core.domain.decisions import Decision, ModelVersion, Prediction, Signal, Verdict
from core.domain.orders import Order, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement, Fill
from core.domain.records import Instruction
from core.storage.migrate import migrate
from core.storage.store import Database, open_database

START = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)
SIMULATED = Account("simulated", AccountKind.SIMULATED, World.REAL)
MANUAL = Account("manual", AccountKind.MANUAL, World.REAL)


def lay_out(path: Path) -> None:
    """An empty ledger of the newest schema where there is no file yet, as `open_database` would make it: running the
    migrations for every test would take most of the time."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty_ledger())


@cache
def _empty_ledger() -> bytes:
    with TemporaryDirectory() as folder:
        migrate(Path(folder) / "ledger.db", START)
        return (Path(folder) / "ledger.db").read_bytes()


def ledger(folder: Path, clock: VirtualClock | None = None) -> Database:
    """A ledger in a file under `folder`, with a simulated and a manual account."""
    (folder / "ledger.db").write_bytes(_new_ledger())
    return open_database(folder / "ledger.db", durable=False, clock=clock or VirtualClock(START))


@cache
def _new_ledger() -> bytes:
    with TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "ledger.db", durable=False, clock=VirtualClock(START))
        write(database, lambda uow: [uow.add_account(account) for account in (SIMULATED, MANUAL)])
        database.close()
        return database.path.read_bytes()


def write(database: Database, change: Callable[[Any], Any]) -> Any:
    """What `change` answers, after its changes were committed."""
    with database.unit_of_work() as uow:
        answer = change(uow)
        uow.commit()
    return answer


def an_order(identity: str = "at-1", **changes: Any) -> Order:
    order = Order(
        client_order_id=identity,
        account="simulated",
        symbol="SPY",
        side=Side.BUY,
        quantity=Decimal(4),
        purpose=Purpose.ENTRY,
        origin="2024-03-01T15:00:00Z",
        attempt=1,
        created_at=START,
    )
    return replace(order, **changes)


def a_fill(identity: str = "f-1", **changes: Any) -> Fill:
    fill = Fill(
        id=identity,
        account="simulated",
        client_order_id="at-1",
        symbol="SPY",
        side=Side.BUY,
        quantity=Decimal(4),
        price=Decimal("500.25"),
        fee=Decimal("1.10"),
        fee_currency="USD",
        at=START,
        purpose=Purpose.ENTRY,
    )
    return replace(fill, **changes)


def a_deposit(amount: str = "10000", identity: str = "c-1", account: str = "simulated") -> CashMovement:
    return CashMovement(identity, account, CashKind.DEPOSIT, Decimal(amount), START)


def a_signal(symbol: str = "SPY", *, passed: bool = True, at: datetime = START) -> Signal:
    return Signal(
        symbol,
        at,
        Decimal("500.25"),
        Prediction(symbol, 0.6251, "close higher after 10 bars", "m1", at - timedelta(hours=18)),
        (Verdict("probability", True, "0.625 is above 0.60"), Verdict("sma", passed, "close against SMA 20")),
    )


def a_decision(at: datetime = START, **changes: Any) -> Decision:
    return replace(
        Decision(at, "simulated", (a_signal(at=at), a_signal("BTC-USD", passed=False, at=at)), ()), **changes
    )


def an_instruction(number: int = 1, **changes: Any) -> Instruction:
    instruction = Instruction(
        number=number,
        version=1,
        client_order_id=f"at-{number}",
        account="manual",
        symbol="SPY",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        quantity=Decimal(4),
        price=Decimal("500.25"),
        band_low=Decimal("497.75"),
        band_high=Decimal("502.75"),
        stop=Decimal("475.24"),
        target=Decimal("575.29"),
        probability=0.6251,
        why="SMA, RSI and MACD confirm",
        needs_approval=False,
        created_at=START,
        expires_at=START + timedelta(hours=1),
    )
    return replace(instruction, **changes)


def a_model(version: str = "m1", **changes: Any) -> ModelVersion:
    model = ModelVersion(
        version=version,
        trained_at=START,
        last_bar_at=START - timedelta(hours=18),
        event="close higher after 10 bars",
        feature_names=("sma20", "rsi14"),
        feature_version=1,
        rows=17_000,
        path=f"{version}.joblib",
        sha256="a" * 64,
        flat_path=f"{version}.npz",
        flat_sha256="b" * 64,
        validation_rows=3_400,
        validation_auc=0.5312,
        validation_log_loss=0.6897,
        baseline_log_loss=0.6911,
        base_rate=0.5601,
    )
    return replace(model, **changes)
