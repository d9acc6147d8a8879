"""What the owner hears, and when without a sound: rules over every event, hours of the day, and what is stored."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.preferences import (
    TOPIC,
    TOPICS,
    Loudness,
    Preferences,
    QuietHours,
    read_preferences,
    write_quiet,
    write_topic,
)
from core.clock import VirtualClock
from core.domain.events import EVENT_TYPES, HealthChanged, LiveStatus, Priority, priority_of
from core.domain.orders import Purpose
from tests.bot_events import EVENTS
from tests.ledger_builders import START, ledger
from tests.story_builders import a_bought, a_card_event, a_sold

BERLIN = ZoneInfo("Europe/Berlin")
QUIET = QuietHours(time(22), time(7))
NIGHT = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
DAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.feature("D10")
def test_every_kind_of_event_belongs_to_one_topic() -> None:
    kinds = Counter(kind for topic in TOPICS for kind in topic.kinds)
    assert set(kinds) == set(EVENT_TYPES.values()) - {LiveStatus}
    assert set(kinds.values()) == {1}


@pytest.mark.feature("D10")
@given(EVENTS, st.dictionaries(st.sampled_from(sorted(TOPIC)), st.sampled_from(Loudness)), st.booleans())
def test_what_is_critical_or_asks_something_can_never_be_switched_off(event, topics, quiet) -> None:
    chosen = {name: loud for name, loud in topics.items() if loud in TOPIC[name].choices()}
    known = Preferences(chosen, QUIET if quiet else None)
    judged = known.loudness(event, NIGHT, BERLIN)
    if priority_of(event) is Priority.CRITICAL:
        assert judged is not Loudness.OFF
        assert judged is Loudness.ON or Loudness.SILENT in chosen.values(), "quiet hours alone silence nothing critical"
    if judged is Loudness.OFF:
        (topic,) = [each for each in TOPICS if type(event) in each.kinds]
        assert not topic.must
        assert chosen[topic.name] is Loudness.OFF


@pytest.mark.feature("D10")
@pytest.mark.parametrize("event", [a_sold(purpose=Purpose.STOP), HealthChanged("cycles", "HALTED", "none since 14:02")])
def test_a_stop_loss_and_a_halt_come_even_where_their_topic_is_off(event) -> None:
    known = Preferences({"fills": Loudness.OFF, "health": Loudness.OFF})
    assert known.loudness(event, DAY, BERLIN) is Loudness.ON
    assert known.loudness(a_bought(), DAY, BERLIN) is Loudness.OFF


def test_a_card_to_sell_is_critical_and_one_to_buy_is_not() -> None:
    assert priority_of(a_card_event(purpose=Purpose.STOP)) is Priority.CRITICAL
    assert priority_of(a_card_event()) is Priority.TRADE


@pytest.mark.feature("D11")
@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-11-23T20:59:59+00:00", False),
        ("2026-11-23T21:00:00+00:00", True),
        ("2026-11-24T05:59:59+00:00", True),
        ("2026-11-24T06:00:00+00:00", False),
        ("2026-07-01T05:00:00+00:00", False),  # 7:00 in summer
        ("2026-07-01T04:59:00+00:00", True),
        ("2026-10-25T00:30:00+00:00", True),  # 2:30, which comes twice
        ("2026-10-25T01:30:00+00:00", True),
        ("2026-10-25T06:00:00+00:00", False),
    ],
)
def test_quiet_hours_follow_the_owners_wall_clock_over_midnight_and_over_clock_changes(moment, holds) -> None:
    assert QUIET.holds(datetime.fromisoformat(moment), BERLIN) is holds


@pytest.mark.feature("D11")
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("22:00-07:00", "22:00-07:00"),
        ("22-7", "22:00-07:00"),
        ("22:30–7:15", "22:30-07:15"),
        ("0 to 24", None),
        ("23h30 until 6", "23:30-06:00"),
        ("13-14:00", "13:00-14:00"),
        ("24-6", "00:00-06:00"),
        ("25-6", None),
        ("22:61-6", None),
        ("7-7", None),
        ("night", None),
        ("٢٢-٧", None),
    ],
)
def test_hours_are_read_as_people_write_them_or_not_at_all(said, meant) -> None:
    read = QuietHours.parse(said)
    assert (read.text() if read else None) == meant


@given(st.text(max_size=20) | st.text("0123456789:h.-– touni", max_size=14))
def test_any_text_is_hours_or_nothing_and_hours_survive_storing(text) -> None:
    read = QuietHours.parse(text)
    assert read is None or QuietHours.parse(read.text()) == read


@pytest.mark.feature("D10")
def test_choices_survive_a_restart_and_unknown_ones_count_as_not_made(tmp_path: Path) -> None:
    database = ledger(tmp_path, VirtualClock(START))
    with database.unit_of_work() as work:
        write_topic(work, "signals", Loudness.OFF)
        write_topic(work, "fills", Loudness.SILENT)
        write_quiet(work, QUIET)
        with pytest.raises(ValueError, match="cannot be off"):
            write_topic(work, "alarms", Loudness.OFF)
        work.commit("notify")
    with database.reading() as work:
        assert read_preferences(work) == Preferences({"signals": Loudness.OFF, "fills": Loudness.SILENT}, QUIET)
    with database.unit_of_work() as work:
        work.set_value("notify", '{"alarms": "off", "weather": "on", "signals": "loud", "model": "off"}')
        write_quiet(work, None)
        assert read_preferences(work) == Preferences({"model": Loudness.OFF}, None)
    database.close()
