"""Every setting: name, unit, default, limits and example in one table, the fields of `Settings`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from core.errors import Fatal
from core.settings.checks import (
    DATA_SOURCES,
    AccountNumber,
    AlpacaKey,
    AnyCase,
    AnyCaseLevel,
    BotToken,
    BrowserChoice,
    CodeSecret,
    DataSources,
    FeedChoice,
    LogFormat,
    LogLevel,
    MailUrl,
    PhoneChoice,
    SqliteUrl,
    StateFolder,
    WebUrl,
    WorldChoice,
    ZoneName,
)
from core.settings.profiles import PROFILE_NAMES, ProfileName
from core.settings.trading import TradingSettings, setting


class SettingsError(Fatal):
    """One or more settings cannot be used; the text names each with its problem and an example, never a secret."""


class Settings(TradingSettings):
    """What the owner set, checked. Immutable; each field's unit stands in its description.

    `unknown_names` are the names in the .env file that are not ours.
    """

    telegram_bot_token: BotToken | None = setting(
        "TELEGRAM_BOT_TOKEN",
        None,
        "123456789:AAE-your-own-letters-and-digits-12345",
        "Token that @BotFather gave for your bot; without one the local phone opens",
    )
    telegram_owner_id: int | None = setting(
        "TELEGRAM_OWNER_ID",
        None,
        "123456789",
        "Your numeric Telegram user id; nobody else is answered",
        words="pairing by a code that the console shows",
        gt=0,
    )
    dead_man_url: WebUrl | None = setting(
        "DEAD_MAN_URL",
        None,
        "https://hc-ping.com/your-own-address",
        "Web address that is called each minute while all goes on: a watch service alerts you when that stops",
        words="none",
    )
    ntfy_url: WebUrl | None = setting(
        "NTFY_URL",
        None,
        "https://ntfy.sh/your-own-secret-topic",
        "Address of an ntfy topic for alarms that the chat does not get through to you",
        words="none",
    )
    mail_url: MailUrl | None = setting(
        "MAIL_URL",
        None,
        "smtp://user:password@mail.example.com:587/?to=me@example.com",
        "Mail server and address for the same alarms",
        words="none",
    )
    alpaca_key_id: AlpacaKey | None = setting(
        "ALPACA_KEY_ID",
        None,
        "PKYOUROWNKEYID123456",
        "Key id of your account at Alpaca; with it and the secret key orders go and prices come from there",
        words="none",
    )
    alpaca_secret_key: AlpacaKey | None = setting(
        "ALPACA_SECRET_KEY",
        None,
        "yourOwnSecretKeyWithManyLettersAndDigits",
        "Secret key that belongs to it",
        words="none",
    )
    alpaca_paper: bool = setting(
        "ALPACA_PAPER",
        True,
        "true",
        "Whether the keys are those of paper money; false is real money, which needs the next setting, too",
    )
    allow_real_money: AccountNumber | None = setting(
        "ALLOW_REAL_MONEY",
        None,
        "123456789",
        "Number of the one live account that may be traded; the bot then asks you to confirm it in the chat",
        words="none",
    )
    live_totp_secret: CodeSecret | None = setting(
        "LIVE_TOTP_SECRET",
        None,
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "Secret of an authenticator app, base 32: what raises the risk of real money asks for its code",
        words="none",
    )
    alpaca_feed: Annotated[FeedChoice, AnyCase] = setting(
        "ALPACA_FEED",
        FeedChoice.IEX,
        "iex",
        "Alpaca's prices of stocks: iex (one exchange, free) or sip (all exchanges, with a subscription)",
    )
    data_sources: DataSources = setting(
        "DATA_SOURCES",
        DATA_SOURCES,
        "alpaca,yahoo",
        "Where real prices come from, the best first; alpaca counts only with its keys",
    )
    state_dir: StateFolder = setting(
        "STATE_DIR",
        Path(),
        "/home/me/autotrader",
        "Folder that holds data/ logs/ signals/ models/",
        words="the current folder",
    )
    database_url: SqliteUrl | None = setting(
        "DATABASE_URL",
        None,
        "sqlite:////home/me/autotrader/ledger.db",
        "The ledger of real trading, an SQLite URL with an absolute path",
        words="a file in data/",
    )
    retrain_min_new_labels: int = setting(
        "RETRAIN_MIN_NEW_LABELS",
        12,
        "12",
        "New labelled rows, every third day of each asset, that make retraining worth while, count",
        ge=1,
        le=1_000_000,
    )
    model_trees: int = setting("MODEL_TREES", 60, "60", "Trees in each random forest, count", ge=10, le=5_000)
    keep_1m_days: int = setting(
        "KEEP_1M_DAYS",
        90,
        "90",
        "How long bars of a minute are kept, days; daily and imported bars stay for good",
        ge=7,
        le=36_500,
    )
    keep_5m_days: int = setting(
        "KEEP_5M_DAYS", 730, "365", "How long bars of five minutes are kept, days", ge=60, le=36_500
    )
    keep_1h_days: int = setting("KEEP_1H_DAYS", 3_650, "1825", "How long hourly bars are kept, days", ge=700, le=36_500)
    world: Annotated[WorldChoice, AnyCase] = setting(
        "WORLD",
        WorldChoice.AUTO,
        "real",
        "Where prices come from: real, simulated or auto; auto is real if Yahoo answers at the first start",
    )
    start_cash: Decimal = setting(
        "START_CASH", Decimal(10_000), "10000", "Money the simulated account begins with, USD", ge=1, le=10**9
    )
    speed: float = setting(
        "SPEED", 60.0, "60", "How fast the simulated market runs, times real time", gt=0, le=10_000, allow_inf_nan=False
    )
    simulation_seed: int = setting(
        "SIMULATION_SEED", 1, "7", "Which simulated market: each whole number makes another one", ge=0, lt=2**63
    )
    local_phone: Annotated[PhoneChoice, AnyCase] = setting(
        "LOCAL_PHONE",
        PhoneChoice.AUTO,
        "on",
        "The chat page in your own browser: on, off or auto; auto is on without a Telegram token",
    )
    local_phone_port: int = setting(
        "LOCAL_PHONE_PORT",
        8765,
        "8765",
        "The local phone's port on this machine; 0, or a port in use: any free one",
        ge=0,
        le=65_535,
    )
    open_browser: Annotated[BrowserChoice, AnyCase] = setting(
        "OPEN_BROWSER",
        BrowserChoice.AUTO,
        "never",
        "Whether the browser opens on the local phone: never or auto; auto is where there is a screen",
    )
    time_zone: ZoneName = setting(
        "TIME_ZONE", "", "Europe/Berlin", "Zone of the times you are shown, IANA name", words="this machine's"
    )
    log_format: Annotated[LogFormat, AnyCase] = setting(
        "LOG_FORMAT", LogFormat.HUMAN, "json", "Log lines for people (human) or for programs (json)"
    )
    log_level: Annotated[LogLevel, AnyCaseLevel] = setting(
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

    @property
    def alpaca_keys(self) -> tuple[str, str] | None:
        """Key id and secret key, where both are set."""
        if self.alpaca_key_id is None or self.alpaca_secret_key is None:
            return None
        return self.alpaca_key_id.get_secret_value(), self.alpaca_secret_key.get_secret_value()

    @property
    def trades_real_money(self) -> bool:
        """Whether the keys are those of a live account."""
        return self.alpaca_keys is not None and not self.alpaca_paper

    def in_profile(self, name: ProfileName) -> Settings:
        """With all values of a profile, whatever the environment says; everything else stays."""
        kept = {each: getattr(self, each) for each in self.model_fields_set}
        own = {each for each, field in type(self).model_fields.items() if field.alias in PROFILE_NAMES}
        return Settings.model_validate({**{each: kept[each] for each in kept.keys() - own}, "profile": name})

    def remarks(self) -> tuple[str, ...]:
        """What is set and does nothing as things are, in sentences; none of it is wrong."""
        if self.trades_real_money:
            return ()
        why = "ALPACA_PAPER=true is paper money" if self.alpaca_keys else "there are no keys of Alpaca's"
        given = {"ALLOW_REAL_MONEY": self.allow_real_money, "LIVE_TOTP_SECRET": self.live_totp_secret}
        return tuple(f"{name} does nothing here: {why}" for name, value in given.items() if value)

    def secrets(self) -> tuple[str, ...]:
        """What must never be logged or shown."""
        urls = (self.dead_man_url, self.ntfy_url, self.mail_url)
        given = (self.telegram_bot_token, *urls, self.alpaca_key_id, self.alpaca_secret_key, self.live_totp_secret)
        whole = [each.get_secret_value() for each in given if each]
        passwords = [urlsplit(each).password for each in whole if "://" in each]
        return tuple(dict.fromkeys([*whole, *(form for each in passwords if each for form in (each, unquote(each)))]))

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
