"""The kinds of value that settings have beyond numbers: how each is read from text, and when it is refused."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import tzlocal
from pydantic import AfterValidator, BeforeValidator, SecretStr

_SQLITE = "sqlite:///"
_TOKEN_SHAPE = re.compile(r"\d{3,}:[A-Za-z0-9_-]{30,}")
_KEY_SHAPE = re.compile(r"[A-Za-z0-9+/=_-]{16,128}")
_ACCOUNT_SHAPE = re.compile(r"(?=.*[0-9])[A-Z0-9]{6,20}")
_PAPER_ACCOUNT = "PA"
_CODE_SHAPE = re.compile(r"[A-Z2-7]{16,128}")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_SYMBOL_SHAPE = re.compile(r"[A-Z0-9][A-Z0-9.-]{0,19}")


DATA_SOURCES = ("yahoo", "alpaca")


class FeedChoice(StrEnum):
    IEX = "iex"
    SIP = "sip"


class WorldChoice(StrEnum):
    AUTO = "auto"
    REAL = "real"
    SIMULATED = "simulated"


class PhoneChoice(StrEnum):
    AUTO = "auto"
    ON = "on"
    OFF = "off"


class BrowserChoice(StrEnum):
    AUTO = "auto"
    NEVER = "never"


class LogFormat(StrEnum):
    HUMAN = "human"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def _token(value: SecretStr) -> SecretStr:
    if not _TOKEN_SHAPE.fullmatch(value.get_secret_value()):
        raise ValueError("this is not a bot token: digits, a colon, then at least 30 letters, digits, - or _")
    return value


def _alpaca_key(value: SecretStr) -> SecretStr:
    if not _KEY_SHAPE.fullmatch(value.get_secret_value()):
        raise ValueError("this is not a key of Alpaca's: at least 16 letters, digits, +, /, =, _ or -")
    return value


def _account_number(value: str) -> str:
    if value.startswith(_PAPER_ACCOUNT):
        raise ValueError("this is the number of a paper account, which needs no permission: name the live account")
    if not _ACCOUNT_SHAPE.fullmatch(value):
        raise ValueError("this is not the number of an account at Alpaca: 6 to 20 letters and digits")
    return value


def _code_secret(value: SecretStr) -> SecretStr:
    tidy = re.sub(r"[\s=-]", "", value.get_secret_value()).upper()
    if not _CODE_SHAPE.fullmatch(tidy):
        raise ValueError("this is not a secret of one-time codes: at least 16 letters A to Z and digits 2 to 7")
    return SecretStr(tidy)


def _sources(value: tuple[str, ...]) -> tuple[str, ...]:
    bad = [name for name in value if name not in DATA_SOURCES]
    if bad or not value:
        raise ValueError(f"must name {' or '.join(DATA_SOURCES)}, the best first")
    return value


def _folder(value: Path) -> Path:
    folder = value.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError("this is a file, not a folder")
    return folder


def _sqlite_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    file = url.removeprefix(_SQLITE)
    if file == url or not Path(file).is_absolute() or "?" in file:
        raise ValueError(f"only SQLite files are supported: {_SQLITE} and then an absolute path")
    return value


def _web_url(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or any(not character.isprintable() or character.isspace() for character in value.get_secret_value()):
        raise ValueError("this is not a web address: http:// or https://, a host, and a path")
    return value


def _mail_url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
        asked = parse_qs(parts.query, strict_parsing=True)
        is_one = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
        is_one = is_one and all(_ADDRESS.fullmatch(each) for name in ("to", "from") for each in asked.get(name, []))
    except ValueError:
        is_one, asked = False, {}
    if not is_one or len(asked.get("to", [])) != 1 or any(character.isspace() for character in text):
        raise ValueError("this is not a mail server: smtp:// or smtps://, user:password@host:port, and /?to=address")
    return value


def _named(value: object) -> object:
    return tuple(dict.fromkeys(re.findall(r"[^\s,]+", value.lower()))) if isinstance(value, str) else value


def _listed(value: object) -> object:
    return tuple(dict.fromkeys(re.findall(r"[^\s,]+", value.upper()))) if isinstance(value, str) else value


def is_symbol(text: str) -> bool:
    """Whether it has the shape of a symbol of Yahoo's, in capitals."""
    return _SYMBOL_SHAPE.fullmatch(text) is not None


def _symbols(value: tuple[str, ...]) -> tuple[str, ...]:
    bad = [symbol for symbol in value if not is_symbol(symbol)]
    if bad or not value:
        raise ValueError(f"not a symbol: {', '.join(bad)}" if bad else "there is no symbol in it")
    return value


def _zone(value: str) -> str:
    if not value:
        return _zone_of_this_machine()
    try:
        return ZoneInfo(value).key
    except (OSError, ValueError, LookupError):
        raise ValueError("there is no time zone of this name") from None


def _zone_of_this_machine() -> str:
    try:
        return ZoneInfo(tzlocal.get_localzone_name() or "UTC").key
    except (OSError, ValueError, LookupError):
        return "UTC"


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


BotToken = Annotated[SecretStr, AfterValidator(_token)]
AlpacaKey = Annotated[SecretStr, AfterValidator(_alpaca_key)]
AccountNumber = Annotated[str, BeforeValidator(_upper), AfterValidator(_account_number)]
CodeSecret = Annotated[SecretStr, AfterValidator(_code_secret)]
DataSources = Annotated[tuple[str, ...], BeforeValidator(_named), AfterValidator(_sources)]
StateFolder = Annotated[Path, AfterValidator(_folder)]
MailUrl = Annotated[SecretStr, AfterValidator(_mail_url)]
WebUrl = Annotated[SecretStr, AfterValidator(_web_url)]
SqliteUrl = Annotated[SecretStr, AfterValidator(_sqlite_url)]
Symbols = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_symbols)]
ZoneName = Annotated[str, AfterValidator(_zone)]
AnyCase = BeforeValidator(_lower)
AnyCaseLevel = BeforeValidator(_upper)
