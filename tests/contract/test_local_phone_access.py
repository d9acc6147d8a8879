"""Nobody but the bot and the owner's own browser gets an answer from the local phone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bot.localphone.server import LocalPhone, new_access_key, new_token
from core.clock import VirtualClock
from tests.contract.phone_owner import Owner

pytestmark = pytest.mark.feature("U3")
EVIL = "http://evil.example"


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[LocalPhone]:
    served = LocalPhone(store_path=tmp_path / "p.sqlite3", clock=VirtualClock(datetime(2026, 3, 2, tzinfo=UTC)))
    await served.start()
    yield served
    await served.stop()


@pytest.fixture
async def owner(phone: LocalPhone) -> AsyncIterator[Owner]:
    async with Owner(phone) as person:
        yield person


def addresses(phone: LocalPhone) -> list[str]:
    origin = f"http://127.0.0.1:{phone.port}"
    bots = [f"{phone.base_url}{phone.token}/getMe", f"{phone.base_file_url}{phone.token}/photos/x.png"]
    pages = ["/phone/state", "/phone/history?before=9", "/phone/events", "/phone/file/x", "/assets/app.js"]
    return [phone.page_url, *bots, *(origin + page for page in pages)]


async def test_a_rebound_name_in_the_host_header_is_refused_everywhere(phone: LocalPhone, owner: Owner) -> None:
    for host in (
        f"evil.example:{phone.port}",
        "127.0.0.1",
        f"127.0.0.1:{phone.port + 1}",
        f"127.0.0.1.nip.io:{phone.port}",
    ):
        for address in addresses(phone):
            answer = await owner.http.get(address, headers={"Host": host})
            assert (answer.status_code, answer.json()["description"]) == (403, "Forbidden: wrong Host")


async def test_another_origin_is_refused_everywhere_whatever_it_knows(phone: LocalPhone, owner: Owner) -> None:
    for origin in (EVIL, "null", f"https://127.0.0.1:{phone.port}", f"http://127.0.0.1:{phone.port + 1}"):
        for address in addresses(phone):
            answer = await owner.http.get(address, headers={"Origin": origin})
            assert (answer.status_code, answer.json()["description"]) == (403, "Forbidden: wrong Origin")
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_request_that_another_site_caused_is_refused(phone: LocalPhone, owner: Owner) -> None:
    for site in ("cross-site", "same-site"):
        for address in addresses(phone):
            answer = await owner.http.get(address, headers={"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
            assert answer.status_code == 403
    opened = await owner.http.get(
        phone.page_url, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    )
    assert opened.status_code == 200


async def test_preflights_get_no_permission(phone: LocalPhone, owner: Owner) -> None:
    asked = {"Origin": EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = await owner.http.options("/phone/send", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_without_the_key_there_is_no_page(phone: LocalPhone) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{phone.port}", trust_env=False, verify=False) as stranger:
        for path in ("/", "/?key=", f"/?key={new_access_key()}"):
            answer = await stranger.get(path)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
            assert "AutoTrader printed" in answer.text
        origin = {"Origin": f"http://127.0.0.1:{phone.port}"}
        stranger.cookies.set(f"phone_{phone.port}", "0" * 64)
        for address in addresses(phone)[3:]:
            assert (await stranger.get(address)).status_code == 403
        assert (await stranger.post("/phone/send", json={"text": "x"}, headers=origin)).status_code == 403
        assert (
            await stranger.post("/phone/tap", json={"message_id": 1, "data": "x"}, headers=origin)
        ).status_code == 403


async def test_the_key_is_exchanged_for_a_strict_cookie_that_does_not_hold_it(phone: LocalPhone) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=False) as browser:
        answer = await browser.get(phone.page_url)
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        key = phone.page_url.partition("key=")[2]
        assert key not in cookie
        assert key not in answer.text
        assert (await browser.get(f"http://127.0.0.1:{phone.port}/")).status_code == 200


async def test_a_message_needs_origin_and_json_so_that_no_form_of_another_site_can_send_one(owner: Owner) -> None:
    origin = {"Origin": owner.origin}
    assert (await owner.http.post("/phone/send", json={"text": "x"})).status_code == 403
    assert (await owner.http.post("/phone/send", data={"text": "x"}, headers=origin)).status_code == 403
    plain = origin | {"Content-Type": "text/plain"}
    assert (await owner.http.post("/phone/send", content=b'{"text":"x"}', headers=plain)).status_code == 403
    assert await owner.sees() == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"text": " "}', b'{"text": ""}', b"{}", b"\xff"])
async def test_a_broken_message_is_answered_with_a_reason(owner: Owner, body: bytes) -> None:
    headers = {"Origin": owner.origin, "Content-Type": "application/json"}
    answer = await owner.http.post("/phone/send", content=body, headers=headers)
    assert (answer.status_code, answer.json()["ok"]) == (400, False)


async def test_broken_taps_and_history_requests_are_answered_with_a_reason(owner: Owner) -> None:
    headers = {"Origin": owner.origin}
    for body in ({}, {"message_id": "1", "data": "x"}, {"message_id": 1}, {"message_id": 99, "data": "x"}):
        answer = await owner.http.post("/phone/tap", json=body, headers=headers)
        assert answer.status_code == 400
    assert (await owner.http.get("/phone/history?before=x")).status_code == 400
    assert (await owner.http.get("/assets/..%2Fserver.py")).status_code == 404
    assert (await owner.http.get("/nowhere")).json()["error_code"] == 404


async def test_the_page_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(owner: Owner) -> None:
    for path in ("/", "/assets/app.js", "/assets/style.css", "/phone/state"):
        answer = await owner.http.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_an_address_that_others_can_reach_is_refused(tmp_path: Path) -> None:
    clock = VirtualClock(datetime(2026, 3, 2, tzinfo=UTC))
    for host in ("0.0.0.0", "192.168.1.10", "::"):
        with pytest.raises(ValueError, match="loopback only"):
            LocalPhone(store_path=tmp_path / "p.sqlite3", clock=clock, host=host)
    with pytest.raises(ValueError, match="a bot token is"):
        LocalPhone(store_path=tmp_path / "p.sqlite3", clock=clock, token="secret")


async def test_given_keys_win_over_remembered_ones_and_the_file_is_the_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "p.sqlite3"
    token, key = new_token(), new_access_key()
    phone = LocalPhone(
        store_path=path, clock=VirtualClock(datetime(2026, 3, 2, tzinfo=UTC)), token=token, access_key=key
    )
    await phone.start()
    assert phone.token == token
    assert phone.page_url == f"http://127.0.0.1:{phone.port}/?key={key}"
    assert phone.base_url == f"http://127.0.0.1:{phone.port}/bot"
    assert path.stat().st_mode & 0o077 == 0
    await phone.stop()


async def test_a_taken_port_is_reported_and_leaves_nothing_open(phone: LocalPhone, tmp_path: Path) -> None:
    clock = VirtualClock(datetime(2026, 3, 2, tzinfo=UTC))
    second = LocalPhone(store_path=tmp_path / "second.sqlite3", clock=clock, port=phone.port)
    with pytest.raises(OSError):
        await second.start()
    await second.stop()


async def test_a_page_that_missed_changes_is_told_to_start_over(phone: LocalPhone, owner: Owner) -> None:
    async with asyncio.timeout(5), owner.http.stream("GET", "/phone/events?after=12345") as stream:
        assert await anext(stream.aiter_lines()) == "event: reset"
