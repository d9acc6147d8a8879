"""Profiles: values by a rule written down beforehand, under what the owner sets himself, with measured figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import render_profiles, render_settings
from bot.opening import greet
from core.clock import VirtualClock
from core.domain.events import ProfileContradicted
from core.settings import SettingsError, load_settings
from core.settings.book import SettingsBook, Source
from core.settings.editable import EDITABLE, Group
from core.settings.profile_figures import Book, read_book
from core.settings.profiles import DECLARED, DIGEST, PROFILE_NAMES, PROFILES, ProfileName, read_profiles
from core.settings.rows import ROWS
from core.storage.store import Database
from core.strategy.policy import Policy, Strategy
from tests.builders import Bench
from tests.ledger_builders import START, ledger
from tests.telegram_html import check_message

pytestmark = pytest.mark.feature("S21")

CAPS = ("MAX_ASSET_FRACTION", "MAX_EXPOSURE_FRACTION", "MAX_CRYPTO_FRACTION")
SCALED = (*CAPS, "DAILY_RISK_FRACTION", "DAILY_LOSS_LIMIT", "DRAWDOWN_LIMIT", "VOLATILITY_TARGET")
FINE = Decimal("0.00025")
OWN = {
    "STOP_LOSS": "0.07",
    "TAKE_PROFIT": "0.35",
    "MAX_ASSET_FRACTION": "0.11",
    "DRAWDOWN_LIMIT": "0.33",
    "STRATEGY": "rule",
    "TRAILING_STOP": "0.08",
}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = ledger(tmp_path, VirtualClock(START))
    yield database
    database.close()


def a_book(database: Database, **environ: str) -> SettingsBook:
    return SettingsBook(load_settings(environ, None), database.unit_of_work, VirtualClock(START))


def figures(fell: float = 0.2) -> Book:
    line = {
        "annualised": 0.031,
        "volatility": 0.08,
        "sharpe": 0.41,
        "halves": [0.5, 0.3],
        "drawdown": fell,
        "trades": 150,
        "win_rate": 0.347,
        "costs": 21_703.0,
        "turnover": 12.0,
        "exposure": 0.16,
        "released": 1,
    }
    lines = [{"name": name, **line} for name in ("all", "no coins", "no ADA, SOL")]
    how = {"on": "2026-11-26", "first": "2016-01-01", "last": "2024-12-31", "bar": "1d", "capital": 100_000}
    conditions = {**how, "unlock_days": 30, "retrain_days": 91, "data": "abc"}
    one = {"recipe": "", "lines": lines, "neighbours": []}
    held = [*lines, {"name": "SPY", **line}]
    book = read_book({"declared": DIGEST, "conditions": conditions, "held": held, "profiles": {"moderate": one}})
    assert book is not None
    return book


def test_nobody_who_chose_no_profile_sees_any_change() -> None:
    chosen = load_settings({}, None)
    assert chosen.profile is ProfileName.MISSION
    assert chosen.policy() == load_settings({"PROFILE": "mission"}, None).policy() == Policy()
    assert {name: Decimal(text) if text else None for name, text in values(ProfileName.MISSION)} == {
        name: Decimal(ROWS[name].default) if ROWS[name].default else None for name, _ in values(ProfileName.MISSION)
    }


def values(name: ProfileName) -> list[tuple[str, str]]:
    return [each for each in PROFILES[name].values.items() if each[0] != "STRATEGY"]


def test_the_values_follow_from_the_budget_of_volatility_by_the_declared_rule() -> None:
    mission = PROFILES[ProfileName.MISSION]
    for name in (ProfileName.CONSERVATIVE, ProfileName.MODERATE, ProfileName.AGGRESSIVE):
        profile = PROFILES[name]
        scale = profile.volatility_budget / mission.volatility_budget
        for setting in SCALED:
            step, whole = (
                FINE if setting == "DAILY_RISK_FRACTION" else Decimal("0.01"),
                Decimal(mission.values[setting]),
            )
            wanted = (whole * scale / step).to_integral_value(ROUND_DOWN) * step
            most = whole if setting in CAPS else Decimal(1)
            assert Decimal(profile.values[setting]) == min(wanted, most), (name, setting)
        assert profile.drawdown_budget == mission.drawdown_budget * scale
        same = set(PROFILE_NAMES) - set(SCALED)
        assert {each: profile.values[each] for each in same} == {each: mission.values[each] for each in same}
    budgets = [PROFILES[name].drawdown_budget for name in ProfileName]
    assert budgets == [Decimal(text) for text in ("0.15", "0.075", "0.225", "0.30", "0.15")]


def test_a_profile_sets_only_what_is_of_risk_and_may_be_changed_from_the_chat() -> None:
    assert all(EDITABLE[name].group is Group.RISK for name in PROFILE_NAMES)
    broken = json.loads(DECLARED.read_bytes())
    del broken["profiles"]["rule"]["values"]["STOP_LOSS"]
    with pytest.raises(ValueError, match="the same settings in each"):
        read_profiles(json.dumps(broken).encode())


def test_one_setting_chooses_the_plain_rule_with_its_wide_levels() -> None:
    policy = load_settings({"PROFILE": "Rule"}, None).policy()
    assert (policy.strategy, policy.stop_fraction, policy.target_fraction) == (Strategy.RULE, Decimal("0.3"), 1)
    with pytest.raises(SettingsError, match="PROFILE=bold: must be 'mission', 'conservative'"):
        load_settings({"PROFILE": "bold"}, None)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    env=st.sets(st.sampled_from(sorted(OWN))),
    chat=st.sets(st.sampled_from(sorted(OWN))),
    of_env=st.sampled_from(ProfileName),
    of_chat=st.none() | st.sampled_from(ProfileName),
)
def test_the_chat_beats_env_which_beats_the_profile_which_beats_the_default(
    tmp_path_factory: pytest.TempPathFactory,
    env: set[str],
    chat: set[str],
    of_env: ProfileName,
    of_chat: ProfileName | None,
) -> None:
    base = ledger(tmp_path_factory.mktemp("ledger"), VirtualClock(START))
    try:
        book = a_book(base, PROFILE=of_env.value, **{name: OWN[name] for name in env})
        others = {"STOP_LOSS": "0.02", "TAKE_PROFIT": "0.5", "MAX_ASSET_FRACTION": "0.17", "DRAWDOWN_LIMIT": "0.44"}
        own = {**OWN, **others}
        if of_chat is not None:
            book.change({"PROFILE": of_chat.value}, "owner")
        for name in sorted(chat):
            book.change({name: own[name]}, "owner")
        profile = of_chat or of_env
        for name, of_environment in OWN.items():
            told = own[name] if name in chat and book.override(name) else None
            expected = told or (of_environment if name in env else PROFILES[profile].values[name])
            assert book.value(name).rstrip("0") == expected.rstrip("0")
        assert book.source("BREAK_EVEN_AT") is (Source.DEFAULT if profile is ProfileName.MISSION else Source.PROFILE)
        assert book.policy() == SettingsBook(book.environment, base.unit_of_work, VirtualClock(START)).policy()
    finally:
        base.close()


def test_a_choice_is_undone_as_any_other_and_outlives_a_restart(database: Database) -> None:
    book = a_book(database)
    (change,) = book.change({"PROFILE": "conservative"}, "owner")
    assert (change.before, change.after) == ("mission", "conservative")
    assert book.policy().max_exposure_fraction == Decimal("0.50")
    assert a_book(database).policy() == book.policy()
    book.undo(change.number, "owner")
    assert book.policy() == Policy()


def test_what_env_says_against_the_profile_counts_and_is_told_once(database: Database) -> None:
    environ = {"PROFILE": "rule", "STOP_LOSS": "0.05", "TAKE_PROFIT": "1.00"}
    told = ProfileContradicted("rule", (("STOP_LOSS", "0.05", "0.30"),))
    assert announced(database, **environ) == told
    assert announced(database, **environ) is None
    assert announced(database, **environ, MIN_PROBABILITY="0.7") != told
    assert announced(database, PROFILE="rule") is None
    assert announced(database, **environ) == told
    assert announced(database, STOP_LOSS="0.04") is None, "who named no profile is not contradicted"
    check_message(render_profiles.contradicted(told).text)


def announced(database: Database, **environ: str) -> ProfileContradicted | None:
    book = a_book(database, **environ)
    with database.unit_of_work() as work:
        found = book.tell_contradictions(work)
        work.commit("told")
    return found


def test_a_start_says_what_env_holds_against_the_profile(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    chosen = load_settings({"PROFILE": "rule", "STOP_LOSS": "0.05"}, None)
    book = SettingsBook(chosen, bench.database.unit_of_work, bench.system)
    greet(bench.desk, 1.0, book)
    greet(bench.desk, 1.0, book)
    assert [each.profile for each in bench.events(ProfileContradicted)] == ["rule"]
    bench.close()


def test_each_value_is_shown_with_where_it_comes_from(database: Database) -> None:
    book = a_book(database, PROFILE="aggressive", TAKE_PROFIT="0.2")
    book.change({"STOP_LOSS": "0.04"}, "owner")
    shown = render_settings.group(book, Group.RISK).text
    for row in ("• Stop loss", "◦ Take profit", "▸ Drawdown limit", "◦ Profile"):
        assert row in shown
    assert "\nLoss streak " in shown
    told = render_settings.setting(book, "DRAWDOWN_LIMIT").text
    assert "Profile  40%" in told and "Counts   the profile" in told
    assert "Profile: <b>aggressive</b>, .env" in render_settings.groups(book).text


def test_a_profile_without_figures_says_so_and_one_with_them_shows_every_line(database: Database) -> None:
    book = a_book(database, STOP_LOSS="0.06")
    narrow = render_profiles.profiles(a_book(database, PROFILE="conservative"), figures()).text
    assert widest(narrow) <= 34
    without = render_profiles.profiles(book, None)
    assert without.text.count("not measured yet") == len(ProfileName)
    shown = render_profiles.profiles(book, figures())
    for row in (
        "moderate      3.1%   0.41  20% 150",
        "  funds       3.1%",
        "  no ADA,SOL  3.1%",
        "  SPY         3.1%",
    ):
        assert row in shown.text
    assert widest(shown.text) <= 34
    card = render_profiles.card(book, ProfileName.MODERATE, figures(0.25))
    assert "it fell 25.0%, more than that" in card.text
    assert "Daily loss limit: 4% → <b>6%</b>" in card.text
    assert "Stop loss stays 6%, as .env says (profile: 5%)" in card.text
    assert "stayed within it" in render_profiles.card(book, ProfileName.MODERATE, figures(0.12)).text
    of_rule = render_profiles.card(book, ProfileName.RULE, figures()).text
    assert "Not measured yet" in of_rule and "below its mean of 200 days goes at the next look" in of_rule
    for message in (without, shown, card):
        check_message(message.text)


def widest(text: str) -> int:
    return max(len(row) for row in text.split("<pre>")[1].split("</pre>", maxsplit=1)[0].splitlines())


def test_figures_of_another_declaration_are_not_shown() -> None:
    assert read_book({"declared": "of yesterday"}) is None
