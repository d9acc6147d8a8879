"""Every setting: name, unit, default, limits and example in one table, the fields of `Settings`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from core.domain.accounts import Mode
from core.domain.instruments import DEFAULT_SYMBOLS
from core.errors import Fatal
from core.settings.checks import (
    AnyCase,
    AnyCaseLevel,
    BotToken,
    BrowserChoice,
    LogFormat,
    LogLevel,
    PhoneChoice,
    SqliteUrl,
    StateFolder,
    Symbols,
    WorldChoice,
    ZoneName,
)
from core.strategy.policy import Policy


class SettingsError(Fatal):
    """One or more settings cannot be used; the text names each with its problem and an example, never a secret."""


def _setting(name: str, default: object, example: str, about: str, *, words: str = "", **limits: Any) -> Any:
    """One row of the table. `words` says the default where its value does not."""
    limits.setdefault("validate_default", default is not None)
    return Field(
        default, alias=name, description=about, examples=[example], json_schema_extra={"words": words}, **limits
    )


class Settings(BaseModel):
    """What the owner set, checked. Immutable; each field's unit stands in its description.

    `unknown_names` are the names in the .env file that are not ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    telegram_bot_token: BotToken | None = _setting(
        "TELEGRAM_BOT_TOKEN",
        None,
        "123456789:AAE-your-own-letters-and-digits-12345",
        "Token that @BotFather gave for your bot; without one the local phone opens",
    )
    telegram_owner_id: int | None = _setting(
        "TELEGRAM_OWNER_ID",
        None,
        "123456789",
        "Your numeric Telegram user id; nobody else is answered",
        words="pairing by a code that the console shows",
        gt=0,
    )
    state_dir: StateFolder = _setting(
        "STATE_DIR",
        Path(),
        "/home/me/autotrader",
        "Folder that holds data/ logs/ signals/ models/",
        words="the current folder",
    )
    database_url: SqliteUrl | None = _setting(
        "DATABASE_URL",
        None,
        "sqlite:////home/me/autotrader/ledger.db",
        "The ledger of real trading, an SQLite URL with an absolute path",
        words="a file in data/",
    )
    symbols: Symbols = _setting(
        "SYMBOLS", DEFAULT_SYMBOLS, "SPY,QQQ,BTC-USD", "What is traded: Yahoo's symbols, separated by commas"
    )
    mode: Annotated[Mode | None, AnyCase] = _setting(
        "MODE",
        None,
        "confirm",
        "How decisions become orders: auto, confirm, manual or observe",
        words="auto for simulated accounts, else manual",
    )
    min_probability: float = _setting(
        "MIN_PROBABILITY",
        0.60,
        "0.60",
        "Probability above which the model's forecast counts as a signal, 0 to 1",
        ge=0,
        lt=1,
        allow_inf_nan=False,
    )
    max_asset_fraction: Decimal = _setting(
        "MAX_ASSET_FRACTION",
        Decimal("0.25"),
        "0.25",
        "Largest part of an account's value in one asset, fraction",
        gt=0,
        le=1,
    )
    stop_loss: Decimal = _setting(
        "STOP_LOSS",
        Decimal("0.05"),
        "0.05",
        "Loss at which a position is sold, fraction of entry price",
        gt=0,
        lt=1,
    )
    take_profit: Decimal = _setting(
        "TAKE_PROFIT",
        Decimal("0.15"),
        "0.15",
        "Gain at which a position is sold, fraction of entry price",
        gt=0,
        le=10,
    )
    min_trade_gap_minutes: int = _setting(
        "MIN_TRADE_GAP_MINUTES", 60, "60", "Least time between two trades of the same asset, minutes", ge=0, le=43_200
    )
    instruction_life_minutes: int = _setting(
        "INSTRUCTION_LIFE_MINUTES",
        60,
        "60",
        "How long a card to buy waits for you, minutes; cards to sell never lapse",
        ge=1,
        le=43_200,
    )
    retrain_min_new_labels: int = _setting(
        "RETRAIN_MIN_NEW_LABELS",
        40,
        "40",
        "New labelled rows that make retraining worth while, count over all assets",
        ge=1,
        le=1_000_000,
    )
    model_trees: int = _setting("MODEL_TREES", 200, "200", "Trees in the random forest, count", ge=10, le=5_000)
    world: Annotated[WorldChoice, AnyCase] = _setting(
        "WORLD",
        WorldChoice.AUTO,
        "real",
        "Where prices come from: real, simulated or auto; auto is real if Yahoo answers at the first start",
    )
    start_cash: Decimal = _setting(
        "START_CASH", Decimal(10_000), "10000", "Money the simulated account begins with, USD", ge=1, le=10**9
    )
    speed: float = _setting(
        "SPEED", 60.0, "60", "How fast the simulated market runs, times real time", gt=0, le=10_000, allow_inf_nan=False
    )
    simulation_seed: int = _setting(
        "SIMULATION_SEED", 1, "7", "Which simulated market: each whole number makes another one", ge=0, lt=2**63
    )
    local_phone: Annotated[PhoneChoice, AnyCase] = _setting(
        "LOCAL_PHONE",
        PhoneChoice.AUTO,
        "on",
        "The chat page in your own browser: on, off or auto; auto is on without a Telegram token",
    )
    local_phone_port: int = _setting(
        "LOCAL_PHONE_PORT",
        8765,
        "8765",
        "The local phone's port on this machine; 0, or a port in use: any free one",
        ge=0,
        le=65_535,
    )
    open_browser: Annotated[BrowserChoice, AnyCase] = _setting(
        "OPEN_BROWSER",
        BrowserChoice.AUTO,
        "never",
        "Whether the browser opens on the local phone: never or auto; auto is where there is a screen",
    )
    time_zone: ZoneName = _setting(
        "TIME_ZONE", "", "Europe/Berlin", "Zone of the times you are shown, IANA name", words="this machine's"
    )
    log_format: Annotated[LogFormat, AnyCase] = _setting(
        "LOG_FORMAT", LogFormat.HUMAN, "json", "Log lines for people (human) or for programs (json)"
    )
    log_level: Annotated[LogLevel, AnyCaseLevel] = _setting(
        "LOG_LEVEL", LogLevel.INFO, "INFO", "How much is logged: DEBUG, INFO, WARNING or ERROR"
    )
    unknown_names: tuple[str, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def data_dir(self) -> Path:
        return self.state_dir / "data"

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def signals_dir(self) -> Path:
        return self.state_dir / "signals"

    @property
    def models_dir(self) -> Path:
        return self.state_dir / "models"

    @property
    def heartbeat_file(self) -> Path:
        return self.data_dir / "health.json"

    def policy(self) -> Policy:
        """The numbers the strategy obeys; what has no setting keeps the policy's default."""
        return Policy(
            min_probability=self.min_probability,
            max_asset_fraction=self.max_asset_fraction,
            stop_fraction=self.stop_loss,
            target_fraction=self.take_profit,
            min_trade_gap=timedelta(minutes=self.min_trade_gap_minutes),
            instruction_life=timedelta(minutes=self.instruction_life_minutes),
        )

    def secrets(self) -> tuple[str, ...]:
        """What must never be logged or shown."""
        return (self.telegram_bot_token.get_secret_value(),) if self.telegram_bot_token else ()

    def make_folders(self) -> None:
        """Creates the state folders. Raises SettingsError where that is not allowed."""
        try:
            for folder in (self.data_dir, self.logs_dir, self.signals_dir, self.models_dir):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"STATE_DIR={self.state_dir}: folders cannot be made there ({error.strerror});"
                " set it to a folder of your own, for example STATE_DIR=/home/me/autotrader"
            ) from error
