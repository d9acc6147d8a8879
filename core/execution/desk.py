"""Everything that execution needs, as ports and values; the composition root fills it in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from core.checkpoints import Checkpoint, calling, nowhere
from core.domain.accounts import Account, AccountKind, Badge, Mode, World
from core.domain.bars import BarSize
from core.domain.instruments import Instrument, Universe, instrument_for
from core.domain.orders import OrderNamespace
from core.domain.values import floor_to
from core.domain.venue import Resting
from core.domain.views import ComponentHealth, Health
from core.execution.venue_state import state_of
from core.ports import BarStore, Broker, Calendar, Clock, Predictor, Quotes, UnitOfWork, UnitOfWorkFactory
from core.strategy.policy import Policy

if TYPE_CHECKING:
    from core.execution.real_money import RealMoney

MANUAL = AccountKind.MANUAL.value
MODE_KEY = "mode"


def _unwatched(component: str, state: Health, reason: str) -> None:
    """The health hook where nobody keeps health."""


def _nobody_listens(_account: str, _found: int) -> None:
    """The hook for looks where no news of trades comes by another way."""


def _nobody_waits(_account: str) -> None:
    """The hook for orders that were sent where only the next minute looks what became of them."""


def _everything() -> None:
    """What is judged where somebody reads the reasons."""


def _no_components() -> tuple[ComponentHealth, ...]:
    return ()


def _real_time() -> float:
    return 1.0


def _unfenced() -> None:
    """The fence where nobody else can hold the ledger: replays and tests."""


def _utc() -> ZoneInfo:
    return ZoneInfo("UTC")


def _unscheduled() -> datetime | None:
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """The market clock rules decisions, fills and reports; the system clock rules expiry, taps and records.

    `brokers` maps account ids to the venues that may be dealt with now, the manual account's included.
    `trading_account` is the account that orders go to by themselves, None when there is only the manual account;
    `real_money` the gate before it where it is a live one. `speed` is how fast the market clock runs; `next_cycle_at`
    when the tick is due next. `looked` is told how many new fills each look at an account has found, `sent` at which
    account an order was placed that may be filled before its next look. `fence` raises
    LeaseLost when another process may hold the ledger by now: asked last before every call that changes something
    outside. `rules` gives the numbers in force, `universe` what is traded, `zone` his own: the owner may change them
    between two decisions. `reader` gives units of work that only read and wait for nobody; without it reads go
    through `ledger`. Without `signals_folder` nobody
    reads the file of open cards. `judged` names the symbols that are worth judging,
    where nobody reads why something was not bought; None: all are judged, and every reason is kept.
    """

    ledger: UnitOfWorkFactory
    brokers: Mapping[str, Broker]
    bars: BarStore
    calendar: Calendar
    market_clock: Clock
    system_clock: Clock
    namespace: OrderNamespace
    rules: Callable[[], Policy]
    universe: Universe
    world: World
    signals_folder: Path | None
    trading_account: str | None
    confirm_size: BarSize = BarSize.M5
    quotes: Quotes | None = None
    reader: UnitOfWorkFactory | None = None
    predictor: Callable[[], Predictor | None] = lambda: None
    health: Callable[[str, Health, str], None] = _unwatched
    components: Callable[[], tuple[ComponentHealth, ...]] = _no_components
    looked: Callable[[str, int], None] = _nobody_listens
    sent: Callable[[str], None] = _nobody_waits
    checkpoint: Checkpoint = nowhere
    fence: Callable[[], None] = _unfenced
    speed: Callable[[], float] = _real_time
    next_cycle_at: Callable[[], datetime | None] = _unscheduled
    default_mode: Mode = Mode.AUTO
    zone: Callable[[], ZoneInfo] = _utc
    tick_job: str = "tick"
    real_money: RealMoney | None = None
    judged: Callable[[], Collection[str] | None] = _everything

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What is traded now."""
        return self.universe.all()

    @property
    def broker_account(self) -> str | None:
        """The account that orders go to by themselves now; None when none may."""
        return self.trading_account if self.trading_account in self.brokers else None

    @property
    def policy(self) -> Policy:
        """The numbers in force now."""
        return self.rules()

    @property
    def simulated(self) -> bool:
        """Whether prices are simulated."""
        return self.world is World.SIMULATED

    def reading(self) -> UnitOfWork:
        return (self.reader or self.ledger)()

    def instrument(self, symbol: str) -> Instrument | None:
        """None where it is not traded (any more)."""
        return self.universe.find(symbol)

    def any_instrument(self, symbol: str) -> Instrument:
        """Of a symbol that is not traded, too: somebody may hold it."""
        return self.universe.find(symbol) or instrument_for(symbol)

    def account(self, account_id: str) -> Account:
        """The account of that id, whether or not a venue is connected for it."""
        broker = self.brokers.get(account_id)
        return broker.account if broker is not None else Account(account_id, AccountKind(account_id), self.world)

    def badges(self, account_id: str) -> tuple[Badge, ...]:
        return self.account(account_id).badges()

    def venues(self) -> Mapping[str, Broker]:
        """The brokers that can be asked: all but the manual account, whose truth is what the owner reports."""
        return {name: broker for name, broker in self.brokers.items() if not broker.account.is_manual}

    def resting(self, account_id: str, symbol: str, units: Decimal) -> Resting:
        """What may rest at the account's venue for the whole steps of so many units."""
        broker = self.brokers.get(account_id)
        whole = floor_to(units, self.any_instrument(symbol).quantity_step)
        return broker.resting(symbol, whole) if broker is not None and whole > 0 else Resting.NOTHING

    def sale_steps(self, account_id: str, symbols: Iterable[str]) -> Mapping[str, Decimal]:
        """In which steps the account's venue sells these; empty where none is connected."""
        broker = self.brokers.get(account_id)
        return {symbol: broker.sale_step(symbol) for symbol in symbols} if broker is not None else {}

    def chosen_mode(self, work: UnitOfWork) -> Mode:
        """The owner's choice, or the default, whether or not it can be obeyed now."""
        stored = work.value(MODE_KEY)
        return Mode(stored) if stored else self.default_mode

    def mode(self, work: UnitOfWork) -> Mode:
        """The one that holds: without a broker, or while it has failed us, automatic execution is out of reach."""
        chosen = self.chosen_mode(work)
        if chosen not in (Mode.AUTO, Mode.CONFIRM):
            return chosen
        is_out = self.broker_account is None or state_of(work, self.broker_account).is_fallen
        return Mode.MANUAL if is_out else chosen

    def is_by_hand(self, work: UnitOfWork, account: str) -> bool:
        """Whether a broker's account takes no orders from us: it is not connected, or its broker has failed us."""
        return account != MANUAL and (account not in self.brokers or state_of(work, account).is_fallen)

    @contextmanager
    def committing(self, step: str) -> Iterator[UnitOfWork]:
        """A transaction that is committed at the end of the block, under the name of its checkpoints."""
        with self.ledger() as work:
            yield work
            work.commit(step)

    def calling(self, call: str) -> AbstractContextManager[None]:
        """Wraps one call that leaves the process in its two checkpoints."""
        return calling(self.checkpoint, call)

    @contextmanager
    def changing(self, call: str) -> Iterator[None]:
        """`calling` for what changes something outside. The fence comes last: a process may sleep anywhere before."""
        with self.calling(call):
            self.fence()
            yield
