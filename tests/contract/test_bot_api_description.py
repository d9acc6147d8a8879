"""The description of the Bot API that we derive ourselves, and a server that holds every request to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.localphone.describe import SERVED, described, known_methods
from core.clock import VirtualClock
from tests.contract.bot_api_spec import SPEC_PATH
from tests.servers.bot_api_server import BotApiServer

pytestmark = pytest.mark.feature("U3")
Says = Callable[..., Awaitable[tuple[int, str]]]

LATER_THAN_THE_LIBRARY = {"editMessageText.rich_message", "editMessageText.text", "User.supports_join_request_queries"}
"""What Bot API 10.1 changed in the things we serve: a text may be left out where a rich message is given."""


@pytest.fixture
async def says(tmp_path: Path) -> AsyncIterator[Says]:
    """Asks the server and gives its status and description; parameters go as a form, or as JSON by `json=`."""
    phone = BotApiServer(tmp_path / "p.sqlite3", VirtualClock(datetime(2026, 3, 2, tzinfo=UTC)))
    await phone.start()
    async with httpx.AsyncClient(
        base_url=f"{phone.base_url}{phone.token}/", trust_env=False, verify=False, timeout=30
    ) as http:

        async def ask(method: str, **options: Any) -> tuple[int, str]:
            answer = (await http.post(method, **options)).json()
            return answer.get("error_code", 200), answer.get("description", "")

        yield ask
    await phone.stop()


ME = "1000001"
MESSAGE = {"chat_id": ME, "text": "x"}


def test_the_committed_description_is_what_the_installed_library_says() -> None:
    committed = json.loads((files("bot.localphone") / "bot_api.json").read_text())
    assert committed == json.loads(json.dumps(described()))


@pytest.mark.shared_data
@pytest.mark.skipif(not SPEC_PATH.exists(), reason="the description of the Bot API is not beside this checkout")
def test_our_description_says_what_the_published_one_says() -> None:
    published = json.loads(SPEC_PATH.read_text())
    ours = described()
    assert set(known_methods()) <= set(published["methods"])
    differences = set()
    for owner, fields in _all_fields(ours["methods"], ours["types"]):
        theirs = published["methods"].get(owner) or published["types"][owner]
        if "subtypes" in theirs:
            assert ours["types"][owner]["subtypes"] == sorted(theirs["subtypes"])
            continue
        expected = {one["name"]: (sorted(one["types"]), one["required"]) for one in theirs.get("fields", [])}
        found = {name: (field["types"], field["required"]) for name, field in fields.items()}
        differences |= {f"{owner}.{name}" for name in expected | found if expected.get(name) != found.get(name)}
    assert differences <= LATER_THAN_THE_LIBRARY


def _all_fields(methods: dict[str, Any], objects: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [*methods.items(), *((name, one.get("fields", {})) for name, one in objects.items())]


async def test_every_described_method_is_served_and_every_other_is_refused_by_its_name(says: Says) -> None:
    for method in SERVED:
        code, description = await says(method)
        assert code in (200, 400)
        assert "not served" not in description
    for method in sorted(set(known_methods()) - set(SERVED)):
        assert await says(method) == (400, f"Bad Request: the method {method} is not served by the local phone")
    assert await says("sendHologram") == (404, "Not Found: method not found")


async def test_a_method_is_known_in_any_letter_case(says: Says) -> None:
    assert (await says("SENDMESSAGE", data=MESSAGE))[0] == 200


async def test_a_parameter_that_the_method_does_not_have_is_refused_however_it_comes(says: Says) -> None:
    extra = MESSAGE | {"reply_to_message_id": "1"}
    for form in ({"data": extra}, {"json": extra}, {"params": extra}, {"files": {"x": (None, "1")}, "data": MESSAGE}):
        code, description = await says("sendMessage", **form)
        assert code == 400
        assert description.endswith("of the method sendMessage is unknown")


async def test_a_file_that_no_parameter_names_is_refused(says: Says) -> None:
    stray = await says("sendMessage", data=MESSAGE, files={"picture": ("a.png", b"x")})
    assert stray == (400, 'Bad Request: no parameter names the file "picture"')


async def test_what_has_no_meaning_in_a_private_chat_is_refused_and_not_ignored(says: Says) -> None:
    code, description = await says("sendMessage", data=MESSAGE | {"message_thread_id": "4"})
    assert (code, description) == (400, 'Bad Request: parameter "message_thread_id" is not served by the local phone')


@pytest.mark.parametrize(
    ("method", "fields", "reason"),
    [
        ("sendMessage", {}, "message text is empty"),
        ("sendMessage", {"chat_id": ME, "text": ""}, "message text is empty"),
        ("sendMessage", {"text": "x"}, "chat_id is empty"),
        ("editMessageText", {"chat_id": ME, "message_id": "1"}, "message text is empty"),
        ("editMessageText", {"chat_id": ME, "text": "x"}, "message identifier is not specified"),
        ("deleteMessage", {"message_id": "1"}, "chat identifier is not specified"),
        ("deleteMessage", {"chat_id": ME}, "message identifier is not specified"),
        ("sendChatAction", {"chat_id": ME}, "wrong parameter action in request"),
        ("setMyCommands", {}, "can't parse commands JSON object"),
        (
            "answerCallbackQuery",
            {},
            "query is too old and response timeout expired or query ID is invalid",
        ),
    ],
)
async def test_a_missing_parameter_is_named_as_telegram_names_it(
    says: Says, method: str, fields: dict[str, str], reason: str
) -> None:
    assert await says(method, data=fields) == (400, f"Bad Request: {reason}")
    assert await says(method, json=fields) == (400, f"Bad Request: {reason}")


@pytest.mark.parametrize(
    ("method", "fields", "reason"),
    [
        ("getUpdates", {"offset": "soon"}, 'parameter "offset" must be of type Integer'),
        ("getUpdates", {"limit": "1.5"}, 'parameter "limit" must be of type Integer'),
        ("getUpdates", {"allowed_updates": '"message"'}, 'parameter "allowed_updates" must be of type Array of String'),
        ("getUpdates", {"allowed_updates": "[1]"}, "item must be of type String"),
        (
            "sendMessage",
            MESSAGE | {"protect_content": "perhaps"},
            'parameter "protect_content" must be of type Boolean',
        ),
        ("sendMessage", MESSAGE | {"reply_markup": "{"}, "can't parse reply keyboard markup JSON object"),
        ("sendMessage", MESSAGE | {"reply_markup": "[]"}, "object expected as reply markup"),
        ("sendMessage", MESSAGE | {"reply_markup": "{}"}, 'can\'t find field "inline_keyboard"'),
        ("sendMessage", MESSAGE | {"reply_parameters": "5"}, "object expected as reply parameters"),
        ("sendMessage", MESSAGE | {"reply_parameters": "{}"}, 'can\'t find field "message_id"'),
        (
            "sendMessage",
            MESSAGE | {"reply_parameters": '{"message_id": "first"}'},
            'field "message_id" must be a Number',
        ),
        ("sendMessage", MESSAGE | {"link_preview_options": "true"}, "object expected as link preview options"),
        (
            "sendMessage",
            MESSAGE | {"link_preview_options": '{"is_disabled": 1}'},
            'field "is_disabled" must be of type Boolean',
        ),
        ("sendMessage", MESSAGE | {"entities": '[{"type": "bold", "offset": 0}]'}, "MessageEntity: Can't find field"),
        ("sendMessage", MESSAGE | {"entities": "[1]"}, "can't parse MessageEntity: expected an Object"),
        ("setMyCommands", {"commands": "{}"}, "expected an Array of BotCommand"),
        ("setMyCommands", {"commands": "[1]"}, "can't parse BotCommand: expected an Object"),
        (
            "setMyCommands",
            {"commands": '[{"command": "a"}]'},
            "can't parse BotCommand: Can't find field \"description\"",
        ),
        ("getMyCommands", {"scope": '"chat"'}, "can't parse BotCommandScope: BotCommandScope must be an Object"),
        ("getMyCommands", {"scope": '{"type": "moon"}'}, "can't parse BotCommandScope: Unsupported type specified"),
        ("getMyCommands", {"scope": '{"type": "chat"}'}, "can't parse BotCommandScope: Can't find field \"chat_id\""),
    ],
)
async def test_a_value_of_the_wrong_type_is_refused_and_the_place_is_named(
    says: Says, method: str, fields: dict[str, str], reason: str
) -> None:
    code, description = await says(method, data=fields)
    assert code == 400
    assert reason in description


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        ({"inline_keyboard": {}}, 'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays'),
        ({"inline_keyboard": [{}]}, 'field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays'),
        ({"inline_keyboard": [["a"]]}, "can't parse inline keyboard button: InlineKeyboardButton must be an Object"),
        ({"inline_keyboard": [[{}]]}, "can't parse inline keyboard button: Can't find field \"text\""),
        (
            {"inline_keyboard": [[{"text": 1}]]},
            'can\'t parse inline keyboard button: Field "text" must be of type String',
        ),
        (
            {"inline_keyboard": [[{"text": "a", "colour": "red"}]]},
            'can\'t parse inline keyboard button: Field "colour" is unknown',
        ),
        ({"inline_keyboard": [], "resize": True}, 'field "resize" is unknown'),
        ({"force_reply": False}, 'can\'t find field "inline_keyboard"'),
    ],
)
async def test_a_keyboard_is_checked_to_the_last_button(says: Says, markup: dict[str, Any], reason: str) -> None:
    wanted = (400, f"Bad Request: {reason}")
    assert await says("sendMessage", data=MESSAGE | {"reply_markup": json.dumps(markup)}) == wanted
    assert await says("sendMessage", json=MESSAGE | {"reply_markup": markup}) == wanted


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"chat_id": int(ME), "text": 5}, 'parameter "text" must be of type String'),
        ({"chat_id": 1.5, "text": "x"}, 'parameter "chat_id" must be of type Integer or String'),
        ({"chat_id": True, "text": "x"}, 'parameter "chat_id" must be of type Integer or String'),
        ({"chat_id": int(ME), "text": None}, 'parameter "text" must be of type String'),
        (
            {"chat_id": int(ME), "text": "x", "protect_content": 1},
            'parameter "protect_content" must be of type Boolean',
        ),
    ],
)
async def test_json_has_types_of_its_own_and_they_count(says: Says, fields: dict[str, Any], reason: str) -> None:
    assert await says("sendMessage", json=fields) == (400, f"Bad Request: {reason}")


async def test_a_body_that_is_no_json_object_is_refused(says: Says) -> None:
    for body in (b"{", b"[]", b"\xff"):
        code, description = await says("sendMessage", content=body, headers={"Content-Type": "application/json"})
        assert (code, description) == (400, "Bad Request: can't parse JSON-encoded request body")


async def test_a_form_that_is_no_utf8_is_refused(says: Says) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert await says("sendMessage", content=b"text=%ff\xff", headers=form) == (
        400,
        "Bad Request: strings must be encoded in UTF-8",
    )
    part = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\r\n--x--\r\n'
    parts = {"Content-Type": "multipart/form-data; boundary=x"}
    assert await says("sendMessage", content=part, headers=parts) == (
        400,
        "Bad Request: strings must be encoded in UTF-8",
    )
