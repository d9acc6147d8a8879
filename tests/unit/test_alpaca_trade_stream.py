"""Word of trades: the real alpaca-py over loopback, and how it leads to looks, to new connections and to no more."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

import pytest

from core.adapters.alpaca_socket import Patience
from core.adapters.alpaca_trade_silence import Silence, Trust
from core.adapters.alpaca_trade_stream import GOES_ON, REFUSED, SILENT, TAKEN, TradeStream
from core.adapters.alpaca_transport import AlpacaKeys
from core.clock import SystemClock
from tests.alpaca_stand import KEYS, NOW
from tests.fakes_bars import StillClock
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_stream_server import eventually
from tests.servers.trade_updates_server import TradeUpdatesServer

pytestmark = pytest.mark.feature("S10")

QUICK = Patience(0.5, first_retry=0.01, longest_retry=0.02, after_refusal=60.0, while_elsewhere=0.02)


class MovingClock(StillClock):
    """Its monotonic time runs as the real one does, and further where a test moves it."""

    ahead = 0.0

    def monotonic(self) -> float:
        return SystemClock().monotonic() + self.ahead


@dataclass
class Stand:
    server: TradeUpdatesServer
    clock: MovingClock
    stream: TradeStream
    looks: list[str]

    def listens(self, connects: int = 1) -> None:
        eventually(lambda: self.server.connects == connects and len(self.looks) >= connects)


def stream_at(address: str, clock: MovingClock, patience: Patience = QUICK, keys: AlpacaKeys = KEYS) -> TradeStream:
    return TradeStream(keys, clock, paper=True, address=address, patience=patience, look_around=0.01)


@pytest.fixture
def server() -> Iterator[TradeUpdatesServer]:
    with TradeUpdatesServer() as server:
        yield server


@pytest.fixture
def stand(server: TradeUpdatesServer) -> Iterator[Stand]:
    clock = MovingClock(NOW)
    stand = Stand(server, clock, stream_at(server.address, clock), [])
    yield stand
    stand.stream.close()


def watch(stand: Stand) -> None:
    stand.stream.watch(lambda: stand.looks.append(threading.current_thread().name))
    stand.listens()


def test_each_update_asks_for_a_look_and_the_first_connection_for_one_too(stand: Stand) -> None:
    watch(stand)
    assert len(stand.looks) == 1
    stand.server.update()
    stand.server.update("canceled")
    eventually(lambda: len(stand.looks) == 3)
    assert set(stand.looks) == {"alpaca trades"}
    assert stand.stream.trouble() == ""


def test_what_we_have_just_asked_for_is_no_news_and_an_empty_update_is(stand: Stand) -> None:
    watch(stand)
    for event in ("pending_new", "pending_cancel", "pending_replace"):
        stand.server.update(event)
    stand.server.say(b'{"stream":"trade_updates","data":null}')
    eventually(lambda: len(stand.looks) == 2)


def test_frames_that_nobody_can_read_change_nothing(stand: Stand) -> None:
    watch(stand)
    for frame in (b"\xff\x00garbage", b"[]", b'"trade_updates"', b'{"stream":"listening","data":{"streams":[]'):
        stand.server.say(frame)
    stand.server.update()
    eventually(lambda: len(stand.looks) == 2)
    assert stand.server.connects == 1


def test_a_broken_connection_is_made_anew_and_asks_for_a_look_as_nothing_is_replayed(stand: Stand) -> None:
    watch(stand)
    for broken in range(1, 4):
        stand.server.drop()
        stand.listens(broken + 1)
    assert stand.stream.trouble() == ""
    before = len(stand.looks)
    stand.server.update()
    eventually(lambda: len(stand.looks) == before + 1)


def test_a_missing_connection_is_trouble_only_after_a_while(stand: Stand) -> None:
    watch(stand)
    stand.server.status = HTTPStatus.BAD_GATEWAY
    stand.server.drop()
    eventually(lambda: stand.server.refused > 1)
    assert stand.stream.trouble() == ""
    stand.clock.ahead += 121
    eventually(lambda: stand.stream.trouble() == f"HTTP 502: {GOES_ON}")
    stand.server.status = None
    eventually(lambda: stand.stream.trouble() == "")


def test_a_stream_that_falls_silent_is_opened_anew_and_said_to_have_been_until_it_tells_of_something(
    stand: Stand,
) -> None:
    watch(stand)
    stand.clock.ahead += 1_000
    stand.stream.looked(0)
    stand.clock.ahead += 60
    stand.stream.looked(1)
    assert stand.stream.trouble() == ""
    stand.clock.ahead += 16
    stand.listens(2)
    assert stand.stream.trouble() == f"{SILENT}: {GOES_ON}"
    stand.server.update()
    eventually(lambda: stand.stream.trouble() == "")
    assert stand.server.connects == 2


def test_a_stream_that_was_opened_anew_is_believed_after_a_quiet_while(stand: Stand) -> None:
    test_a_stream_that_falls_silent_is_opened_anew_and_said_to_have_been_until_it_tells_of_something(stand)
    stand.clock.ahead += 1_000
    stand.stream.looked(0)
    stand.stream.looked(1)
    stand.clock.ahead += 16
    stand.listens(3)
    stand.clock.ahead += 901
    eventually(lambda: stand.stream.trouble() == "")


@pytest.mark.parametrize("way", ["deaf", "hidden"])
def test_who_lets_us_in_and_says_nothing_is_asked_again(server: TradeUpdatesServer, way: str) -> None:
    server.deaf = way == "deaf"
    server.gives = []
    stream = stream_at(server.address, MovingClock(NOW), replace(QUICK, to_enter=0.05))
    looks: list[int] = []
    stream.watch(lambda: looks.append(1))
    eventually(lambda: server.connects > 1)
    assert looks == []
    server.deaf, server.gives = False, ["trade_updates"]
    eventually(lambda: len(looks) == 1)
    stream.close()


def test_a_handshake_that_hangs_is_given_up_and_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clock = MovingClock(NOW)
        address = f"ws://127.0.0.1:{listener.getsockname()[1]}/stream"
        stream = stream_at(address, clock, replace(QUICK, to_enter=0.05))
        stream.watch(lambda: None)
        first, _ = listener.accept()
        second, _ = listener.accept()
        clock.ahead += 121
        eventually(lambda: stream.trouble() == f"does not answer: {GOES_ON}")
        stream.close()
        first.close()
        second.close()


def test_a_server_that_does_not_answer_pings_is_left(server: TradeUpdatesServer) -> None:
    stream = stream_at(server.address, MovingClock(NOW), replace(QUICK, between_pings=0.02, to_pong=0.05))
    looks: list[int] = []
    stream.watch(lambda: looks.append(1))
    eventually(lambda: len(looks) == 1)
    held = server.listeners[0]
    with held.protocol_mutex:  # as a machine behind a dead line: it reads nothing and answers nothing
        eventually(lambda: server.connects == 2)
    stream.close()


def test_refused_keys_are_told_at_once_and_tried_again_rarely(
    server: TradeUpdatesServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        stream = stream_at(server.address, MovingClock(NOW), keys=AlpacaKeys(KEY_ID, "not-the-secret-of-this-key"))
        stream.watch(lambda: None)
        eventually(lambda: stream.trouble() == f"{REFUSED}: {GOES_ON}")
        stream.close()
    assert server.connects == 1
    assert "not-the-secret" not in caplog.text + str(stream.__dict__)


def test_another_listener_in_the_way_is_told_after_a_while_and_waited_for(
    stand: Stand, server: TradeUpdatesServer
) -> None:
    watch(stand)
    clock = MovingClock(NOW)
    second = stream_at(server.address, clock)
    second.watch(lambda: None)
    eventually(lambda: server.connects > 3)
    assert second.trouble() == ""
    clock.ahead += 121
    eventually(lambda: second.trouble() == f"{TAKEN}: {GOES_ON}")
    stand.stream.close()
    eventually(lambda: second.trouble() == "")
    second.close()


def test_too_many_requests_means_that_another_connection_is_in_the_way(server: TradeUpdatesServer) -> None:
    server.status = HTTPStatus.TOO_MANY_REQUESTS
    clock = MovingClock(NOW)
    stream = stream_at(server.address, clock)
    stream.watch(lambda: None)
    clock.ahead += 121
    eventually(lambda: stream.trouble() == f"{TAKEN}: {GOES_ON}")
    stream.close()


def test_the_secret_reaches_no_log_at_any_level(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        watch(stand)
        stand.server.say(b"garbage")
        stand.server.drop()
        stand.listens(2)
        stand.stream.close()
    assert SECRET not in caplog.text


def test_nothing_waits_for_a_network_that_is_not_there() -> None:
    stream = stream_at("ws://127.0.0.1:1/stream", MovingClock(NOW))
    stream.watch(lambda: None)
    stream.looked(3)
    assert stream.trouble() == ""
    stream.close()


def test_closing_ends_the_thread_while_it_connects(server: TradeUpdatesServer) -> None:
    server.deaf = True
    stream = stream_at(server.address, MovingClock(NOW), replace(QUICK, to_enter=30.0))
    stream.watch(lambda: None)
    eventually(lambda: server.connects == 1)
    stream.close()
    assert all(each.name != "alpaca trades" for each in threading.enumerate())


def test_nothing_is_looked_for_after_the_close(stand: Stand) -> None:
    watch(stand)
    stand.stream.close()
    stand.server.update()
    stand.stream.looked(1)
    assert len(stand.looks) == 1
    assert all(each.name != "alpaca trades" for each in threading.enumerate())


def silent(
    heard: float | None = None, since: float | None = 0.0, found_at: float = 1_060.0, now: float = 1_080.0
) -> bool:
    """A look at 1,000 found nothing and one at `found_at` something; the stream told of something at `heard`."""
    silence = Silence(Trust(late=15.0, early=120.0))
    silence.connected(since)
    silence.looked(1_000.0, 0)
    silence.looked(found_at, 1)
    if heard is not None:
        silence.heard(heard)
    return silence.is_proven(now)


def test_what_is_found_without_word_of_it_proves_a_silence_once_the_word_is_overdue() -> None:
    assert silent()
    assert not silent(now=1_070.0)
    assert not silent(since=None)


def test_word_before_or_after_what_is_found_is_no_silence() -> None:
    assert not silent(heard=900.0)
    assert not silent(heard=1_065.0)
    assert silent(heard=870.0)


def test_what_happened_before_anybody_listened_proves_no_silence() -> None:
    assert silent(since=880.0)
    assert not silent(since=890.0)


def test_a_first_look_proves_nothing_and_a_silence_is_proven_once() -> None:
    silence = Silence(Trust())
    silence.connected(0.0)
    silence.looked(1_000.0, 5)
    assert not silence.is_proven(2_000.0)
    silence.looked(2_000.0, 1)
    silence.looked(2_010.0, 1)
    assert not silence.is_proven(2_014.0)
    assert silence.is_proven(2_016.0)
    assert not silence.is_proven(2_017.0)
