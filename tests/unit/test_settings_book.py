"""Settings changed from the chat: checked by the one table, above .env, undone in order, forgotten by no restart."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import render_settings
from bot.commands.settings import read_value
from bot.markup import split
from bot.render import render
from core.clock import VirtualClock
from core.domain.accounts import Mode
from core.settings import SettingsError, load_settings
from core.settings.book import SettingsBook
from core.settings.editable import EDITABLE, Group, Unit
from core.settings.rows import ROWS
from core.storage.store import Database
from tests.builders import Bench
from tests.ledger_builders import START, ledger
from tests.telegram_html import check_message


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = ledger(tmp_path, VirtualClock(START))
    yield database
    database.close()


def a_book(database: Database, **environ: str) -> SettingsBook:
    return SettingsBook(load_settings(environ, None), database.unit_of_work, VirtualClock(START))


@pytest.mark.feature("C5")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Alpaca: <b>PAPER</b> money"),
        ({"ALPACA_PAPER": "false", "ALLOW_REAL_MONEY": "123456789"}, "Alpaca: <b>LIVE</b>, account <code>123456789"),
        ({"WORLD": "simulated"}, ""),
    ],
)
def test_paper_or_live_is_shown_in_the_chat_and_not_changed_there(
    database: Database, changes: dict[str, str], words: str
) -> None:
    keys = {"ALPACA_KEY_ID": "PKTESTKEYID123456789", "ALPACA_SECRET_KEY": "sEcReT0hAlfOfTheKeyThatNobodySees1234567"}
    shown = render_settings.groups(a_book(database, **keys, **changes)).text
    assert words in shown if words else "Alpaca" not in shown
    assert not {"ALPACA_PAPER", "ALLOW_REAL_MONEY", "FIRST_DAY_EXPOSURE"} & EDITABLE.keys()


@pytest.mark.feature("C5")
def test_what_is_chosen_in_the_chat_beats_env_and_counts_at_once_and_after_a_restart(database: Database) -> None:
    book = a_book(database, STOP_LOSS="0.06")
    (change,) = book.change({"STOP_LOSS": "0.04"}, "owner")
    assert (change.before, change.after, change.by) == ("0.06", "0.04", "owner")
    assert book.policy().stop_fraction == Decimal("0.04")
    assert (book.value("STOP_LOSS"), book.env_value("STOP_LOSS"), book.env_value("TAKE_PROFIT")) == (
        "0.04",
        "0.06",
        None,
    )
    again = a_book(database, STOP_LOSS="0.06")
    assert again.policy().stop_fraction == Decimal("0.04")
    override = again.override("STOP_LOSS")
    assert override is not None
    assert (override.by, override.at, override.env) == ("owner", START.isoformat(), "0.06")
    with database.reading() as work:
        assert [(each.action, each.outcome) for each in work.audit_trail()] == [("setting STOP_LOSS", "0.06 -> 0.04")]


@pytest.mark.feature("C5")
def test_bad_values_are_refused_all_at_once_and_nothing_is_changed(database: Database) -> None:
    book = a_book(database)
    with pytest.raises(SettingsError) as refusal:
        book.change({"STOP_LOSS": "1.5", "TAKE_PROFIT": "0.2", "TIME_ZONE": "Mars/Base", "LOSS_STREAK": "x"}, "owner")
    for name in ("STOP_LOSS=1.5", "TIME_ZONE=Mars/Base", "LOSS_STREAK=x"):
        assert name in str(refusal.value)
    assert book.policy() == a_book(database).policy() == load_settings({}, None).policy()
    assert book.last_change() is None


@pytest.mark.feature("C5")
@pytest.mark.parametrize(
    "name",
    sorted({"TELEGRAM_BOT_TOKEN", "TELEGRAM_OWNER_ID", "DEAD_MAN_URL", "DATABASE_URL", "STATE_DIR", "WORLD", "MODE"}),
)
def test_secrets_addresses_owner_and_world_cannot_be_set_from_the_chat(database: Database, name: str) -> None:
    assert name not in EDITABLE
    with pytest.raises(SettingsError, match="environment alone"):
        a_book(database).change({name: ROWS[name].example}, "owner")
    assert not [each for each in EDITABLE if ROWS[each].is_secret]


@pytest.mark.feature("C5")
def test_changes_are_undone_in_order_and_an_old_undo_button_changes_nothing(database: Database) -> None:
    book = a_book(database, STOP_LOSS="0.06")
    (first,) = book.change({"STOP_LOSS": "0.04"}, "owner")
    (second,) = book.change({"STOP_LOSS": "0.03"}, "owner")
    assert book.undo(first.number, "owner") == []
    (undone,) = book.undo(second.number, "owner")
    assert (undone.before, undone.after) == ("0.03", "0.04")
    assert book.undo(second.number, "owner") == []
    (back,) = book.undo(first.number, "owner")
    assert (back.after, book.override("STOP_LOSS")) == ("0.06", None)
    assert book.last_change() is None
    (third,) = book.change({"STOP_LOSS": "0.02"}, "owner")
    assert third.number not in (first.number, second.number)


@pytest.mark.feature("C5")
def test_back_to_env_forgets_the_choice_and_can_be_undone_itself(database: Database) -> None:
    book = a_book(database, TRAILING_STOP="0.05")
    book.change({"TRAILING_STOP": ""}, "owner")
    assert book.policy().trailing_fraction is None
    (change,) = book.back_to_env("TRAILING_STOP", "owner")
    assert (book.policy().trailing_fraction, book.override("TRAILING_STOP")) == (Decimal("0.05"), None)
    assert book.back_to_env("TRAILING_STOP", "owner") == []
    book.undo(change.number, "owner")
    assert book.policy().trailing_fraction is None


@pytest.mark.feature("C5")
def test_an_env_that_changed_after_the_choice_is_told_once_and_the_choice_stays(database: Database) -> None:
    a_book(database, STOP_LOSS="0.06").change({"STOP_LOSS": "0.04"}, "owner")
    book = a_book(database, STOP_LOSS="0.08")
    with database.unit_of_work() as work:
        event = book.tell_differences(work)
        assert event is not None
        assert event.changes == (("STOP_LOSS", "0.04", "0.06", "0.08"),)
        assert "stays 4%, as you chose here (.env: 6% → 8%)" in render(event, ZoneInfo("UTC")).text
        work.commit("greeting")
    again = a_book(database, STOP_LOSS="0.08")
    with database.unit_of_work() as work:
        assert again.tell_differences(work) is None
    assert again.value("STOP_LOSS") == "0.04"


@pytest.mark.feature("C5")
def test_a_choice_that_is_no_longer_allowed_does_not_keep_the_engine_from_starting(database: Database) -> None:
    book = a_book(database)
    book.change({"LOSS_STREAK": "7", "STOP_LOSS": "0.04"}, "owner")
    with database.unit_of_work() as work:
        work.set_value("setting:LOSS_STREAK", (work.value("setting:LOSS_STREAK") or "").replace('"7"', '"0"'))
        work.commit("settings")
    again = a_book(database)
    assert (again.value("LOSS_STREAK"), again.value("STOP_LOSS")) == ("4", "0.04")


@pytest.mark.feature("C5")
def test_the_next_decision_obeys_a_change_without_a_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path, mode=Mode.AUTO).start()
    book = SettingsBook(load_settings({}, None), bench.database.unit_of_work, bench.system)
    object.__setattr__(bench.desk, "rules", book.policy)
    before = bench.desk.policy
    book.change({"MIN_PROBABILITY": "0.9"}, "owner")
    assert (before.min_probability, bench.desk.policy.min_probability) == (0.6, 0.9)
    bench.tick()
    assert [each.veto.gate for each in bench.read(lambda work: work.last_signals()).values()] == ["probability"]


@pytest.mark.feature("C5")
@pytest.mark.parametrize(
    ("name", "said", "meant"),
    [
        ("STOP_LOSS", "4%", "0.04"),
        ("STOP_LOSS", "4,5 %", "0.045"),
        ("STOP_LOSS", "0.04", "0.04"),
        ("STOP_LOSS", "4", None),
        ("MAX_EXPOSURE_FRACTION", "100%", "1"),
        ("TAKE_PROFIT", "15", None),
        ("TRAILING_STOP", "Off", ""),
        ("LOSS_STREAK", "5", "5"),
        ("LOSS_STREAK", "5%", None),
        ("LOSS_STREAK", "off", None),
        ("MIN_TRADE_GAP_MINUTES", "1,440", None),
        ("TIME_ZONE", " America/Port-au-Prince ", "America/Port-au-Prince"),
    ],
)
def test_values_are_read_as_people_write_them_or_asked_about(name: str, said: str, meant: str | None) -> None:
    if meant is None:
        with pytest.raises(SettingsError):
            read_value(EDITABLE[name], said)
    else:
        assert read_value(EDITABLE[name], said) == meant


@pytest.mark.feature("C5")
@given(st.sampled_from(sorted(EDITABLE)), st.text(max_size=30) | st.text("0123456789.,%- off", max_size=10))
def test_any_text_is_a_value_or_a_refusal(name: str, said: str) -> None:
    try:
        text = read_value(EDITABLE[name], said)
    except SettingsError as refusal:
        assert str(refusal)
    else:
        assert isinstance(text, str)


@pytest.mark.feature("C5")
@pytest.mark.parametrize("name", EDITABLE)
def test_each_setting_shows_value_default_env_unit_and_limits_and_only_allowed_steps(
    database: Database, name: str
) -> None:
    known, book = EDITABLE[name], a_book(database)
    message = render_settings.setting(book, name)
    (part,) = split(message.text)
    check_message(part)
    for row in ("Now", "Default", ".env", "Unit", "Limits"):
        assert row in part
    tokens = [button.token for row in message.keyboard for button in row]
    assert all(len(token.encode()) <= 64 for token in tokens)
    for token in tokens:
        if token.startswith("m:settings-set-"):
            value = token.removeprefix(f"m:settings-set-{name}-").removesuffix("!")
            book.change({name: "" if value == "off" else value}, "owner")
    assert bool(known.choices or known.unit is Unit.NAME) or any("-set-" in token for token in tokens)


def test_every_group_fits_a_phone(database: Database) -> None:
    book = a_book(database)
    for message in (render_settings.groups(book), *(render_settings.group(book, each) for each in Group)):
        (part,) = split(message.text)
        check_message(part)
