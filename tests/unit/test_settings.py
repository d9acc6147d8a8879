"""Settings from the environment and .env: precedence, limits, and words for every bad value at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.domain.accounts import Mode
from core.domain.bars import BarSize
from core.domain.instruments import DEFAULT_SYMBOLS
from core.feed.depth import DEPTH
from core.settings import Settings, SettingsError, load_settings
from core.settings.keeping import oldest_kept
from core.settings.rows import ROWS, env_example
from core.strategy.policy import NoAnswer, Policy

TOKEN = "123456789:AAE_this-is-not-a-real-token-0123456"
REPOSITORY = Path(__file__).resolve().parents[2]


def dotenv(folder: Path, text: str) -> Path:
    file = folder / ".env"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(environ: dict[str, str], file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, file)
    return str(caught.value)


def test_without_anything_the_defaults_are_the_missions() -> None:
    settings = load_settings({}, None)
    assert settings.symbols == DEFAULT_SYMBOLS
    assert settings.start_cash == 10_000
    assert settings.speed == 60
    assert settings.mode is None
    assert settings.policy() == Policy()


def test_the_real_environment_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    file = dotenv(tmp_path, "SPEED=5\nSTOP_LOSS=0.1\n")
    settings = load_settings({"SPEED": "7"}, file)
    assert (settings.speed, settings.stop_loss, settings.take_profit) == (7, Decimal("0.1"), Decimal("0.15"))


def test_an_empty_value_means_the_default_and_hides_the_files(tmp_path: Path) -> None:
    file = dotenv(tmp_path, f"TELEGRAM_BOT_TOKEN={TOKEN}\nSPEED=\nMODE=\n")
    settings = load_settings({"TELEGRAM_BOT_TOKEN": ""}, file)
    assert settings.telegram_bot_token is None
    assert settings.speed == 60


def test_values_are_read_tolerantly(tmp_path: Path) -> None:
    file = dotenv(
        tmp_path, "export MODE = 'Confirm'  # asks me\nSYMBOLS=spy, btc-usd SPY\nWORLD=Real\nLOG_LEVEL=debug\n"
    )
    settings = load_settings({}, file)
    assert settings.mode is Mode.CONFIRM
    assert settings.symbols == ("SPY", "BTC-USD")
    assert settings.world == "real"
    assert settings.log_level == "DEBUG"


def test_a_dollar_sign_in_the_file_is_a_dollar_sign(tmp_path: Path) -> None:
    folder = tmp_path / "$HOME"
    assert load_settings({}, dotenv(tmp_path, f"STATE_DIR={folder}\n")).state_dir == folder


def test_all_bad_values_are_refused_at_once_with_name_problem_and_example() -> None:
    text = refusal({"SPEED": "fast", "STOP_LOSS": "5", "MODE": "robot", "SYMBOLS": "SPY;$$", "TIME_ZONE": "Moon/Base"})
    lines = text.splitlines()
    assert lines[0] == "5 settings cannot be used:"
    for name in ("SPEED", "STOP_LOSS", "MODE", "SYMBOLS", "TIME_ZONE"):
        (line,) = (line for line in lines if line.strip().startswith(f"{name}="))
        assert f"for example {name}={ROWS[name].example}" in line
    assert "SPEED=fast: this is not a number" in text
    assert "STOP_LOSS=5: must be less than 1" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MIN_PROBABILITY", "nan"),
        ("MIN_PROBABILITY", "60"),
        ("MAX_ASSET_FRACTION", "0"),
        ("MAX_ASSET_FRACTION", "25"),
        ("STOP_LOSS", "-0.05"),
        ("TAKE_PROFIT", "NaN"),
        ("START_CASH", "10,000"),
        ("SPEED", "inf"),
        ("SPEED", "0"),
        ("MIN_TRADE_GAP_MINUTES", "1.5"),
        ("MODEL_TREES", "0"),
        ("LOCAL_PHONE_PORT", "70000"),
        ("TELEGRAM_OWNER_ID", "@me"),
        ("DEAD_MAN_URL", "hc-ping.com/abc"),
        ("DEAD_MAN_URL", "file:///etc/passwd"),
        ("DEAD_MAN_URL", "https://"),
        ("DEAD_MAN_URL", "https://[x/abc"),
        ("DEAD_MAN_URL", "https://host/a b"),
        ("SYMBOLS", " , "),
        ("LOG_FORMAT", "xml"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///data/mine.db"),
        ("TIME_ZONE", "../../etc/passwd"),
        ("DAILY_LOSS_LIMIT", "4"),
        ("DRAWDOWN_LIMIT", "0"),
        ("LOSS_STREAK", "0"),
        ("LOSS_STREAK_PAUSE_HOURS", "0"),
        ("MAX_EXPOSURE_FRACTION", "1.5"),
        ("MAX_CRYPTO_FRACTION", "-0.1"),
        ("DAILY_RISK_FRACTION", "0"),
        ("FIRST_DAY_EXPOSURE", "0"),
        ("FIRST_DAY_EXPOSURE", "10"),
        ("ALPACA_PAPER", "perhaps"),
        ("ALLOW_REAL_MONEY", "yes"),
        ("ALLOW_REAL_MONEY", "PA3ABCDEFGHI"),
        ("TRAILING_STOP", "1"),
        ("BREAK_EVEN_AT", "0"),
        ("ENTRY_LIFE_HOURS", "0"),
        ("EXIT_REMINDER_MINUTES", "0"),
        ("NO_ANSWER", "buy"),
        ("NTFY_URL", "ntfy.sh/topic"),
        ("MAIL_URL", "mail.example.com"),
        ("MAIL_URL", "smtp://mail.example.com/"),
        ("MAIL_URL", "smtp://mail.example.com/?to=nobody"),
        ("MAIL_URL", "http://mail.example.com/?to=a@b.c"),
        ("MAIL_URL", "smtp://mail.example.com:99999/?to=a@b.c"),
    ],
)
def test_a_value_out_of_its_limits_is_refused(name: str, value: str) -> None:
    assert name in refusal({name: value})


@pytest.mark.feature("S8")
def test_every_number_of_risk_reaches_the_policy() -> None:
    chosen = {
        "DAILY_LOSS_LIMIT": "0.03",
        "DRAWDOWN_LIMIT": "0.1",
        "LOSS_STREAK": "3",
        "LOSS_STREAK_PAUSE_HOURS": "6",
        "MAX_EXPOSURE_FRACTION": "0.8",
        "MAX_CRYPTO_FRACTION": "0",
        "DAILY_RISK_FRACTION": "0.005",
        "FIRST_DAY_EXPOSURE": "0.05",
        "TRAILING_STOP": "0.04",
        "BREAK_EVEN_AT": "0.06",
        "ENTRY_LIFE_HOURS": "2",
        "EXIT_REMINDER_MINUTES": "5",
        "NO_ANSWER": "Remind",
    }
    assert load_settings(chosen, None).policy() == replace(
        Policy(),
        daily_loss_fraction=Decimal("0.03"),
        drawdown_fraction=Decimal("0.1"),
        loss_streak=3,
        loss_streak_pause=timedelta(hours=6),
        max_exposure_fraction=Decimal("0.8"),
        max_crypto_fraction=Decimal(0),
        daily_risk_fraction=Decimal("0.005"),
        first_day_fraction=Decimal("0.05"),
        trailing_fraction=Decimal("0.04"),
        break_even_fraction=Decimal("0.06"),
        entry_life=timedelta(hours=2),
        exit_reminder=timedelta(minutes=5),
        no_answer=NoAnswer.REMIND,
    )


@pytest.mark.feature("S13")
def test_a_stop_follows_the_price_only_where_the_owner_wants_it() -> None:
    assert load_settings({}, None).policy().trailing_fraction is None
    assert load_settings({"BREAK_EVEN_AT": ""}, None).policy().break_even_fraction is None


def test_the_example_file_begins_with_what_everybody_sets() -> None:
    groups = [line for line in env_example().splitlines() if line.startswith("# ---")]
    assert groups[:3] == ["# --- Telegram ---", "# --- Alpaca and prices ---", "# --- Where things are kept ---"]
    assert list(ROWS).index("TELEGRAM_BOT_TOKEN") < list(ROWS).index("SYMBOLS") < list(ROWS).index("MODEL_TREES")


def test_secrets_are_never_echoed(tmp_path: Path) -> None:
    text = refusal(
        {
            "TELEGRAM_BOT_TOKEN": "hunter2",
            "DATABASE_URL": "postgresql://me:hunter3@host/x",
            "SPEED": TOKEN,
            "DEAD_MAN_URL": "ftp://host/hunter4",
        }
    )
    assert not any(secret in text for secret in ("hunter2", "hunter3", "hunter4", TOKEN))
    settings = load_settings({"TELEGRAM_BOT_TOKEN": TOKEN}, None)
    assert TOKEN not in repr(settings)
    assert settings.secrets() == (TOKEN,)
    url = "https://hc-ping.com/hunter4"
    watched = load_settings({"TELEGRAM_BOT_TOKEN": TOKEN, "DEAD_MAN_URL": url}, None)
    assert watched.secrets() == (TOKEN, url)
    assert "hunter4" not in repr(watched)


def test_keys_of_alpaca_belong_together_and_are_secrets(tmp_path: Path) -> None:
    key_id, secret = "PKTESTKEYID123456789", "sEcReT0hAlfOfTheKeyThatNobodySees1234567"
    settings = load_settings({"ALPACA_KEY_ID": key_id, "ALPACA_SECRET_KEY": secret}, None)
    assert settings.alpaca_keys == (key_id, secret)
    assert set(settings.secrets()) == {key_id, secret}
    assert key_id not in repr(settings) and secret not in repr(settings)
    for given, missing in (
        (("ALPACA_KEY_ID", key_id), "ALPACA_SECRET_KEY"),
        (("ALPACA_SECRET_KEY", secret), "ALPACA_KEY_ID"),
    ):
        words = refusal(dict([given]))
        assert f"{missing}: missing beside {given[0]}" in words and given[1] not in words
    assert secret not in refusal({"ALPACA_KEY_ID": "short", "ALPACA_SECRET_KEY": secret + "!"})
    assert load_settings({}, None).alpaca_keys is None


LIVE = {"ALPACA_KEY_ID": "AKTESTKEYID123456789", "ALPACA_SECRET_KEY": "sEcReT0hAlfOfTheKeyThatNobodySees1234567"}


@pytest.mark.feature("S10")
def test_keys_are_those_of_paper_money_unless_the_owner_says_otherwise_twice() -> None:
    assert load_settings(LIVE, None).alpaca_paper
    assert not load_settings(LIVE, None).trades_real_money
    real = load_settings({**LIVE, "ALPACA_PAPER": "False", "ALLOW_REAL_MONEY": " 123456789 "}, None)
    assert real.trades_real_money
    assert real.allow_real_money == "123456789"
    assert real.remarks() == ()


@pytest.mark.feature("S10")
def test_half_a_wish_for_real_money_is_refused_with_what_is_missing() -> None:
    words = refusal({**LIVE, "ALPACA_PAPER": "false"})
    assert "ALPACA_PAPER=false: real money needs ALLOW_REAL_MONEY, too" in words
    assert "for example ALLOW_REAL_MONEY=123456789, or ALPACA_PAPER=true for paper money" in words
    words = refusal({"ALPACA_PAPER": "false", "ALLOW_REAL_MONEY": "123456789"})
    assert "real money needs ALPACA_KEY_ID and ALPACA_SECRET_KEY of the live account" in words
    words = refusal({**LIVE, "ALPACA_PAPER": "false", "ALLOW_REAL_MONEY": "123456789", "WORLD": "simulated"})
    assert "real money and WORLD=simulated exclude each other" in words
    assert "ALLOW_REAL_MONEY=true: this is not the number of an account" in refusal({"ALLOW_REAL_MONEY": "true"})


@pytest.mark.feature("S10")
def test_a_permission_that_does_nothing_is_explained_and_not_refused() -> None:
    paper = load_settings({**LIVE, "ALLOW_REAL_MONEY": "123456789"}, None)
    assert paper.remarks() == ("ALLOW_REAL_MONEY does nothing here: ALPACA_PAPER=true is paper money",)
    (bare,) = load_settings({"ALLOW_REAL_MONEY": "123456789"}, None).remarks()
    assert "there are no keys" in bare


@pytest.mark.feature("A6")
def test_a_secret_for_codes_is_read_as_apps_show_it_and_never_echoed() -> None:
    secret = "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"
    settings = load_settings({**LIVE, "LIVE_TOTP_SECRET": secret}, None)
    assert settings.live_totp_secret is not None
    assert settings.live_totp_secret.get_secret_value() == "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" in settings.secrets()
    assert "GEZD" not in repr(settings)
    assert "hunter1" not in refusal({"LIVE_TOTP_SECRET": "hunter1"})


def test_sources_of_prices_are_named_the_best_first(tmp_path: Path) -> None:
    assert load_settings({}, None).data_sources == ("yahoo", "alpaca")
    assert load_settings({"DATA_SOURCES": "Alpaca, yahoo"}, None).data_sources == ("alpaca", "yahoo")
    assert "must name yahoo or alpaca" in refusal({"DATA_SOURCES": "google"})
    assert "needs ALPACA_KEY_ID and ALPACA_SECRET_KEY" in refusal({"DATA_SOURCES": "alpaca"})
    assert "ALPACA_FEED=otc: must be" in refusal({"ALPACA_FEED": "otc"})


def test_a_misspelt_name_in_the_file_is_refused_and_a_foreign_one_is_only_noted(tmp_path: Path) -> None:
    text = refusal({}, dotenv(tmp_path, "# mine\n\nMIN_PROBABILTY=0.7\nSPEED=2\n"))
    assert "MIN_PROBABILTY: unknown name in .env line 3; did you mean MIN_PROBABILITY?" in text
    settings = load_settings({"MIN_PROBABILTY": "1"}, dotenv(tmp_path, "COMPOSE_PROJECT_NAME=house\n"))
    assert settings.unknown_names == ("COMPOSE_PROJECT_NAME",)


def test_a_file_with_broken_lines_is_refused_with_their_numbers(tmp_path: Path) -> None:
    file = dotenv(tmp_path, "SPEED=1\nMODEL TREES=5\nSPEED=2\nMODEL_TREES\n")
    text = refusal({}, file)
    assert ".env line 2: cannot be read" in text
    assert "SPEED: set twice in .env, the second time in line 3" in text
    assert "MODEL_TREES: no value in .env line 4" in text


def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"SPEED=\xff\xfe")
    assert "not UTF-8" in refusal({}, file)


def test_only_the_default_file_may_be_absent(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path / ".env").speed == 60
    assert "mine.env" in refusal({}, tmp_path / "mine.env")


def test_the_state_folders_are_made_and_a_forbidden_place_is_refused_in_words(tmp_path: Path) -> None:
    settings = load_settings({"STATE_DIR": str(tmp_path / "state")}, None)
    settings.make_folders()
    assert sorted(folder.name for folder in (tmp_path / "state").iterdir()) == ["data", "logs", "models", "signals"]
    (tmp_path / "file").write_text("")
    nowhere = Settings.model_validate({"STATE_DIR": tmp_path / "file" / "below"})
    with pytest.raises(SettingsError, match="STATE_DIR="):
        nowhere.make_folders()


def test_the_example_file_is_in_step_with_the_table() -> None:
    text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    assert text == env_example(), "run: python -m core.settings > .env.example"


def test_every_example_and_every_default_is_accepted(tmp_path: Path) -> None:
    keys = {name: ROWS[name].example for name in ("ALPACA_KEY_ID", "ALPACA_SECRET_KEY")}
    for name, row in ROWS.items():
        assert load_settings({name: row.example} | (keys if name in keys else {}), None)
    uncommented = env_example().replace("\n#", "\n").replace("\n ", "\n# ")
    assert load_settings({}, dotenv(tmp_path, uncommented)) == load_settings({}, None)


def test_every_setting_has_one_line_that_fits() -> None:
    assert all(len(line) <= 120 for line in env_example().splitlines())
    assert all(row.about and row.example for row in ROWS.values())


def test_bars_are_kept_for_as_long_as_is_set_and_daily_ones_for_good(tmp_path: Path) -> None:
    now = datetime(2024, 6, 1, tzinfo=UTC)
    settings = Settings.model_validate({"STATE_DIR": tmp_path, "KEEP_5M_DAYS": "60"})
    assert oldest_kept(settings, now) == {
        BarSize.M1: now - timedelta(days=90),
        BarSize.M5: now - timedelta(days=60),
        BarSize.H1: now - timedelta(days=3_650),
    }
    with pytest.raises(ValidationError):
        Settings.model_validate({"STATE_DIR": tmp_path, "KEEP_5M_DAYS": "59"})
    assert all(settings_floor >= DEPTH[size] for size, settings_floor in floors().items())


def floors() -> dict[BarSize, timedelta]:
    """The fewest days that may be set: no less than the engine fetches again by itself."""
    names = {BarSize.M1: "keep_1m_days", BarSize.M5: "keep_5m_days", BarSize.H1: "keep_1h_days"}
    found = {}
    for size, name in names.items():
        (least,) = (limit.ge for limit in Settings.model_fields[name].metadata if hasattr(limit, "ge"))
        found[size] = timedelta(days=least)
    return found
