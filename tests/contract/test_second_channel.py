"""The second channel's adapters against servers on loopback, and what goes out by it (T10)."""

from __future__ import annotations

import email
import email.policy
import logging
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from bot.bootstrap import make_second_channels
from bot.second_line import FROM_REMINDER, KEY, PATIENCE, SecondLine
from core.adapters.mail import Mail
from core.adapters.ntfy import LONGEST, Ntfy
from core.clock import VirtualClock
from core.domain.accounts import Badge
from core.domain.events import HealthChanged, PositionUnguarded
from core.domain.orders import OrderState
from core.domain.records import OutboxState
from core.errors import Transient
from core.execution.escalation import remind
from core.logs import Redactor
from core.settings import load_settings
from tests.bot_line import ZONE
from tests.builders import COIN, MONDAY, Bench, an_exit
from tests.servers.alarm_servers import mail_server, ntfy_server

SECRET = "s3cr%40t-word"
TITLE, TEXT = "🚨 BTC-USD UNGUARDED: 3 without a stop", "Ä line\nand another – with signs"


def ntfy(place: str, deadline: float = 5.0, user: str = "") -> Ntfy:
    return Ntfy(f"http://{user}{place}", deadline)


def mail(place: str, deadline: float = 5.0) -> Mail:
    return Mail(
        f"smtp://me:{SECRET}@{place}/?to=owner@example.com&from=bot@example.com", VirtualClock(MONDAY), deadline
    )


@pytest.mark.feature("T10")
def test_ntfy_gets_title_text_and_urgency() -> None:
    with ntfy_server() as (place, got):
        ntfy(place, user=f":{SECRET}@").send(TITLE, TEXT)
        ntfy(place, user=f"me:{SECRET}@").send(TITLE, "é" * 5000)
    first, second = got.headers
    assert str(make_header(decode_header(first["Title"]))) == TITLE
    assert (first["Priority"], got.bodies[0]) == ("urgent", TEXT)
    assert first["Authorization"] == "Bearer s3cr@t-word"
    assert second["Authorization"].startswith("Basic ")
    assert 0 < len(got.bodies[1].encode()) <= LONGEST


@pytest.mark.feature("T10")
def test_a_mail_is_whole_and_says_who_when_and_what() -> None:
    with mail_server() as (place, got):
        mail(place).send(f"{TITLE}\nsecond line", TEXT)
    message = email.message_from_string(got.bodies[0], policy=email.policy.default)
    assert message["Subject"] == f"{TITLE} second line"
    assert (message["From"], message["To"]) == ("bot@example.com", "owner@example.com")
    assert message["Date"].startswith("Mon, 04 Mar 2024")
    assert message["Message-ID"]
    assert message.get_content().splitlines() == TEXT.splitlines()
    assert got.logins == ["\0me\0s3cr@t-word"]
    assert got.recipients == ["<owner@example.com>"]


@pytest.mark.feature("T10")
@pytest.mark.parametrize("status", [302, 403, 429, 500])
def test_whatever_ntfy_answers_is_told_without_its_address(status: int) -> None:
    with ntfy_server() as (place, got):
        got.status = status
        with pytest.raises(Transient, match=f"status {status}") as refusal:
            ntfy(place, user=f"me:{SECRET}@").send(TITLE, TEXT)
    assert _holds_no_secret(refusal.value)


@pytest.mark.feature("T10")
def test_a_refused_recipient_is_told_without_the_address() -> None:
    with mail_server() as (place, got):
        got.status = 550
        with pytest.raises(Transient) as refusal:
            mail(place).send(TITLE, TEXT)
    assert _holds_no_secret(refusal.value)


@pytest.mark.feature("T10")
@pytest.mark.parametrize("kind", ["ntfy", "mail"])
def test_a_server_that_hangs_or_is_gone_ends_with_the_deadline(kind: str) -> None:
    serving, made = (ntfy_server, ntfy) if kind == "ntfy" else (mail_server, mail)
    with serving() as (place, got):
        got.hangs = 30.0
        with pytest.raises(Transient) as silence:
            made(place, 0.2).send(TITLE, TEXT)
    assert _holds_no_secret(silence.value)
    with pytest.raises(Transient):
        made(place, 0.2).send(TITLE, TEXT)


def test_a_password_is_not_sent_unencrypted_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as (place, got):
        port = place.partition(":")[2]
        real = __import__("socket").create_connection
        monkeypatch.setattr(
            "socket.create_connection", lambda address, *rest, **more: real(("127.0.0.1", address[1]), *rest, **more)
        )
        far = Mail(f"smtp://me:{SECRET}@mail.example.com:{port}/?to=o@example.com", VirtualClock(MONDAY), 2.0)
        with pytest.raises(Transient):
            far.send(TITLE, TEXT)
    assert (got.logins, got.bodies) == ([], [])


def _holds_no_secret(error: BaseException) -> bool:
    seen = f"{error!r} {error.__cause__!r} {error.__suppress_context__}"
    return not any(word in seen for word in ("s3cr", "my-topic", "owner@example.com")) and error.__cause__ is None


class Channel:
    """Takes alarms, or fails."""

    def __init__(self, name: str = "ntfy") -> None:
        self.name = name
        self.fails = False
        self.got: list[tuple[str, str]] = []

    def send(self, title: str, text: str) -> None:
        if self.fails:
            raise Transient("it cannot be reached")
        self.got.append((title, text))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, zone=ZONE).start()
    bench.declare_cash()
    yield bench
    bench.close()


def a_line(bench: Bench, *channels: Channel) -> SecondLine:
    return SecondLine(bench.desk, channels, bench.health)


def publish(bench: Bench, *events: Any) -> None:
    with bench.desk.committing("owner") as work:
        for event in events:
            work.publish(event, market_time=bench.clock.now())


UNGUARDED = PositionUnguarded("manual", "SPY", Decimal(3), "no stop rests at your broker", (Badge.MANUAL,))


@pytest.mark.feature("T10")
def test_a_critical_message_that_stays_undelivered_goes_the_other_way_once(bench: Bench) -> None:
    channel = Channel()
    line = a_line(bench, channel)
    publish(bench, UNGUARDED, HealthChanged("yahoo", "DEGRADED", "no answer"))
    bench.system.advance(PATIENCE - timedelta(seconds=1))
    assert line.look() == "ntfy: nothing"
    bench.system.advance(timedelta(seconds=1))
    assert line.look() == "ntfy: 1 told"
    ((title, text),) = channel.got
    assert title == "🚨 SPY UNGUARDED: 3 without a stop · MANUAL"
    assert "No stop rests at your broker" in text and "could not be delivered" in text and "yahoo" not in text
    bench.restart()
    assert a_line(bench, channel).look() == "ntfy: nothing"


@pytest.mark.feature("T10")
def test_what_was_delivered_and_what_is_of_yesterday_stays_in_the_chat(bench: Bench) -> None:
    channel = Channel()
    publish(bench, UNGUARDED)
    (row,) = [each for each in bench.read(lambda work: work.messages()) if each.event == UNGUARDED]
    with bench.desk.committing("outbox.done") as work:
        work.save_message(row.id, OutboxState.SENT, at=bench.system.now(), telegram_message_id=5)
    bench.system.advance(PATIENCE)
    assert a_line(bench, channel).look() == "ntfy: nothing"
    publish(bench, UNGUARDED)
    bench.system.advance(timedelta(days=1))
    assert a_line(bench, channel).look() == "ntfy: nothing"


@pytest.mark.feature("T10")
def test_a_card_to_sell_that_nobody_answers_goes_the_other_way_from_the_third_reminder_on(bench: Bench) -> None:
    bought = bench.instruct()
    bench.owner.execute(bought.number, bought.version, "tap-1")
    bench.clock.advance(timedelta(minutes=5))
    bench.place(an_exit(bench, account="manual", state=OrderState.AWAITING_OWNER, reason="the stop was reached"))
    channel = Channel()
    line = a_line(bench, channel)
    remind(bench.desk)
    for times in range(1, FROM_REMINDER + 3):
        bench.system.advance(bench.desk.policy.exit_reminder)
        assert remind(bench.desk) == 1
        for row in bench.read(lambda work: work.messages()):
            with bench.desk.committing("outbox.done") as work:
                work.save_message(row.id, OutboxState.SENT, at=bench.system.now(), telegram_message_id=row.id)
        line.look()
        assert len(channel.got) == max(0, times - FROM_REMINDER + 1)
    assert "SELL 10 still waits" in channel.got[0][0]
    sale = bench.owner.pending()[0]
    bench.owner.execute(sale.number, sale.version, "tap-2")
    bench.system.advance(timedelta(hours=1))
    remind(bench.desk)
    told = len(channel.got)
    line.look()
    assert len(channel.got) == told
    assert bench.read(lambda work: work.portfolio("manual")).quantity(COIN) == 0


@pytest.mark.feature("T10")
def test_a_channel_that_fails_is_tried_again_alone_and_says_so_in_health(bench: Bench) -> None:
    first, second = Channel(), Channel("mail")
    second.fails = True
    line = a_line(bench, first, second)
    publish(bench, UNGUARDED)
    bench.system.advance(PATIENCE)
    assert line.look() == "ntfy: 1 told; mail: failed"
    assert bench.health.states["second channel mail"][0] == "DEGRADED"
    second.fails = False
    assert line.look() == "ntfy: nothing; mail: 1 told"
    assert bench.health.states["second channel mail"][0] == "RUNNING"
    assert (len(first.got), len(second.got)) == (1, 1)


def test_a_flood_is_one_alarm_with_a_count_and_its_memory_stays_small(bench: Bench) -> None:
    channel = Channel()
    line = a_line(bench, channel)
    publish(bench, *[UNGUARDED] * 25)
    bench.system.advance(PATIENCE)
    assert [line.look() for _ in range(4)] == ["ntfy: 10 told", "ntfy: 10 told", "ntfy: 5 told", "ntfy: nothing"]
    assert channel.got[0][0].endswith("(and 9 more)")
    bench.system.advance(timedelta(days=2))
    publish(bench, UNGUARDED)
    bench.system.advance(PATIENCE)
    line.look()
    assert len(bench.read(lambda work: work.value(KEY)).split(",")) == 1


@pytest.mark.feature("A8")
def test_the_second_channels_secrets_are_in_no_log_no_error_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    chosen = {
        "NTFY_URL": f"https://me:{SECRET}@ntfy.example.com/my-topic",
        "MAIL_URL": f"smtp://me:{SECRET}@mail.example.com/?to=owner@example.com",
    }
    settings = load_settings(chosen, None)
    assert "s3cr" not in repr(settings) + str(settings.model_dump())
    redact = Redactor(settings.secrets())
    for form in ("s3cr@t-word", SECRET, chosen["NTFY_URL"], chosen["MAIL_URL"]):
        assert "s3cr" not in redact(f"failed at {form} today"), form
    with caplog.at_level(logging.DEBUG):
        channels = make_second_channels(settings, VirtualClock(MONDAY))
        assert [channel.name for channel in channels] == ["ntfy", "mail"]
    assert "s3cr" not in f"{channels!r} {caplog.text}"


def test_without_a_second_channel_there_is_none() -> None:
    assert list(make_second_channels(load_settings({}, None), VirtualClock(MONDAY))) == []
