"""Whatever a bot sends, the Bot API server takes it rightly or refuses it with a reason; it never breaks."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bot.localphone.content import MAX_CAPTION, MAX_TEXT, captioned, check_length, text_content
from bot.localphone.described import Described
from bot.localphone.errors import ApiError
from bot.localphone.formatted import FormattedText, formatted, utf16_length
from bot.localphone.limits import CHAT_BURST, PER_CHAT, RateLimits
from bot.localphone.parameters import Parameters, Upload
from bot.localphone.pictures import picture
from core.clock import VirtualClock
from tests.contract.bot_api_spec import published
from tests.telegram_html import NotTelegramHtml, parse

START = datetime(2026, 3, 2, tzinfo=UTC)
DESCRIBED = Described()
SPEC = published()
DESCRIPTION = json.loads((files("bot.localphone") / "bot_api.json").read_text())
STYLES = {"b": "bold", "i": "italic", "u": "underline", "s": "strikethrough", "tg-spoiler": "spoiler"}
VISIBLE = st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"), exclude_characters="<>&@/")
PLAIN = st.text(VISIBLE, max_size=8)
OUR_MARKUP = st.sampled_from(["<b>", "</b>", "<pre>", "</pre>", "&lt;", "a", "é", "📈", " b", "&amp;"])
FRAGMENTS = st.sampled_from(
    [
        *["<b>", "</b>", "<i>", "</i>", "<pre>", "</pre>", "<code>", "</code>", "<a>", "</a>", "</>", "<p>", "<", ">"],
        *["<a href='tg://user?id=1'>", '<a href="example.org">', "<span class='tg-spoiler'>", "<span>", "</span>"],
        *["<code class='language-py'>", "<blockquote expandable>", "</blockquote>", "<tg-emoji emoji-id='5'>", "<b x"],
        *["<b =", "<b x=y z>", "</tg-emoji>", "&", "&lt;", "&#60;", "&#x1F600;", "&#xD800;", "&#", "&amp", "\n", "\r"],
        *["/help", "https://example.org/a", "\0", "\u2028", "\u00a0", " ", "📈", "é", "\u200d", "'", '"', "="],
    ]
)
HTMLISH = st.lists(FRAGMENTS | PLAIN | st.text(max_size=3), max_size=12).map("".join)
many = settings(max_examples=100, deadline=None)
few = settings(max_examples=40, deadline=None)


def taken(source: str, mode: str = "HTML") -> FormattedText | str:
    """What the server makes of it, or why it does not."""
    try:
        return formatted(source, mode)
    except ApiError as error:
        assert error.code == 400
        assert error.description.startswith("Bad Request: ")
        return error.description


def check_entities(found: FormattedText) -> None:
    """Inside the text, on whole characters, outer before inner, none across another's border."""
    boundaries = {utf16_length(found.text[:index]) for index in range(len(found.text) + 1)}
    spans = [(one["offset"], one["offset"] + one["length"]) for one in found.entities]
    assert spans == sorted(spans, key=lambda span: (span[0], -span[1]))
    for begin, end in spans:
        assert begin < end
        assert {begin, end} <= boundaries
    for one, other in ((a, b) for index, a in enumerate(spans) for b in spans[index + 1 :]):
        assert other[0] >= one[1] or other[1] <= one[1]


@many
@given(HTMLISH)
@example("<b>a\rb</b>")
@example("<b>\u2028</b>x")
@example("<b x")
@example("</b")
@example("<i>a</i>\n ")
def test_any_text_is_taken_with_right_entities_or_refused_with_a_reason(source: str) -> None:
    found = taken(source)
    if isinstance(found, str):
        offset = re.search(r"byte offset (\d+)", found)
        assert offset is None or int(offset.group(1)) <= len(source.encode())
        return
    assert found.text == found.text.rstrip()
    assert found.text
    assert not re.search(r"[\r\x00\u2028]", found.text)
    check_entities(found)
    again = formatted(found.text, "", [one for one in found.entities if one["type"] not in ("url", "bot_command")])
    assert again.text in (found.text, found.text.lstrip())
    if again.text == found.text:
        assert sorted(map(str, again.entities)) == sorted(map(str, found.entities))


@many
@given(st.text(max_size=60))
def test_text_without_markup_is_taken_as_it_stands(source: str) -> None:
    found = taken(source, "")
    if isinstance(found, str):
        assert not source.strip() or not formatted(source + "x", "").text.removesuffix("x").strip()
    else:
        kept = re.sub("[\r\u2028-\u202e\u0333\u033f\u030a]", "", source)
        assert found.text.split() == re.sub(r"[\x00-\x09\x0b-\x1f]", " ", kept).split()


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> tuple[str, str, list[tuple[str, int, int]]]:
    """Markup with what it must become: source, visible text, and spans in UTF-16 units of that text."""
    source, seen, spans = "", "", []
    for _ in range(draw(st.integers(1, 3))):
        if depth and draw(st.booleans()):
            tag = draw(st.sampled_from(sorted(STYLES)))
            inner_source, inner_seen, inner_spans = draw(trees(depth=depth - 1))
            offset = utf16_length(seen)
            source += f"<{tag}>{inner_source}</{tag}>"
            spans.append((STYLES[tag], offset, utf16_length(inner_seen)))
            spans += [(kind, offset + start, length) for kind, start, length in inner_spans]
            seen += inner_seen
        else:
            words = "w" + draw(PLAIN) + "w"
            escaped = draw(st.sampled_from(["", "&lt;", "&#38;", "&quot;"]))
            source += words + escaped
            seen += words + {"": "", "&lt;": "<", "&#38;": "&", "&quot;": '"'}[escaped]
    return source, seen, spans


def painted(spans: list[tuple[str, int, int]]) -> dict[str, set[int]]:
    """Which units carry which style."""
    units: dict[str, set[int]] = {}
    for kind, start, length in spans:
        units.setdefault(kind, set()).update(range(start, start + length))
    return units


@few
@given(trees())
def test_well_formed_markup_becomes_exactly_what_it_says(tree: tuple[str, str, list[tuple[str, int, int]]]) -> None:
    source, seen, spans = tree
    seen = re.sub("[\u2028-\u202e\u0333\u033f\u030a]", "", seen)
    found = taken(source)
    assert isinstance(found, FormattedText)
    assume(len(seen) == len(tree[1]))
    assert found.text == seen
    styled = [(one["type"], one["offset"], one["length"]) for one in found.entities if one["type"] in STYLES.values()]
    assert painted(styled) == painted(spans)


@few
@given(st.lists(OUR_MARKUP, max_size=12))
def test_what_our_own_reader_of_markup_takes_the_server_takes_too(pieces: list[str]) -> None:
    source = "".join(pieces) + "x"
    try:
        seen = parse(source)
    except NotTelegramHtml:
        return
    found = taken(source)
    assert isinstance(found, FormattedText)
    assert found.text in (seen, seen.lstrip())


@few
@given(
    st.lists(st.sampled_from(["x", "é", "📈", "€", "<b>y</b>", "&lt;"]), min_size=1, max_size=5),
    st.sampled_from([("text", MAX_TEXT), ("caption", MAX_CAPTION)]),
    st.integers(-2, 2),
    st.booleans(),
)
def test_the_limit_is_met_to_the_unit_whatever_the_text_is_made_of(
    pieces: list[str], place: tuple[str, int], over: int, edit: bool
) -> None:
    field, limit = place
    seen = [formatted(piece, "HTML").text for piece in pieces]
    units = [utf16_length(one) for one in seen]
    source, length, index = "", 0, 0
    while length + units[index % len(units)] <= limit + over:
        source += pieces[index % len(pieces)]
        length += units[index % len(units)]
        index += 1
    source, length = source + "z" * (limit + over - length), limit + over
    assume(len(source.encode()) <= 1 << 15)  # beyond that the source itself is too long
    given_values = {field: source, "parse_mode": "HTML"}
    content = text_content(Parameters(given_values)) if field == "text" else captioned(given_values)
    assert utf16_length(content[field]) == length
    if over <= 0:
        check_length(content, edit=edit)
    else:
        with pytest.raises(ApiError, match=r"(?i)too[ _]long"):
            check_length(content, edit=edit)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
METHODS = st.sampled_from(sorted(DESCRIPTION["methods"]))


@many
@given(st.data(), METHODS)
def test_any_request_is_read_or_refused_with_a_reason(data: st.DataObject, method: str) -> None:
    names = st.sampled_from([*DESCRIPTION["methods"][method], "nonsense"])
    values = data.draw(st.dictionaries(names, JSON | JSON.map(json.dumps) | st.text(max_size=6), max_size=4))
    uploads = {name: Upload("a", "text/plain", b"x") for name in data.draw(st.lists(names, max_size=1))}
    try:
        DESCRIBED.read(method, values, uploads)
    except ApiError as error:
        assert error.code == 400
        assert len(error.description) > len("Bad Request: ")


def values_of(types: list[str], depth: int = 3) -> st.SearchStrategy[Any]:
    """Values that the description allows, as JSON has them."""
    return st.sampled_from(types).flatmap(lambda one: _value_of(one, depth))


def _value_of(name: str, depth: int) -> st.SearchStrategy[Any]:
    plain = {
        "Integer": st.integers(-(2**31), 2**31),
        "Float": st.floats(-90, 90).map(float),
        "String": st.text(st.characters(codec="utf-8"), min_size=1, max_size=6),
        "Boolean": st.booleans(),
    }
    if name in plain:
        return plain[name]
    if name.startswith("Array of "):
        return st.lists(_value_of(name.removeprefix("Array of "), depth), max_size=2)
    described = DESCRIPTION["types"][name]
    if "subtypes" in described:
        return st.sampled_from(described["subtypes"]).flatmap(lambda one: _value_of(one, depth))
    return _objects(described["fields"], depth - 1)


def _objects(fields: dict[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    def value(field: dict[str, Any]) -> st.SearchStrategy[Any]:
        return st.just(field["is"]) if "is" in field else values_of(field["types"], depth)

    needed = {name: value(field) for name, field in fields.items() if field["required"]}
    others = {name: value(field) for name, field in fields.items() if not field["required"] and depth > 0}
    return st.fixed_dictionaries(needed, optional=others)


@settings(max_examples=50, deadline=None)
@given(st.data(), METHODS, st.booleans())
def test_whatever_the_description_allows_is_read(data: st.DataObject, method: str, as_form: bool) -> None:
    fields = {
        name: field | {"types": [one for one in field["types"] if one != "InputFile"]}
        for name, field in DESCRIPTION["methods"][method].items()
    }
    values = data.draw(_objects(fields, 3))
    sent = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    try:
        read = DESCRIBED.read(method, sent if as_form else values, {})
    except ApiError as error:
        assert "not served" in error.description
        return
    for name, value in values.items():
        assert read.value(name) == (sent[name] if as_form and "String" in fields[name]["types"] else value)
    if SPEC is not None:
        SPEC.check_request(method, values, set())


@few
@given(st.lists(st.integers(0, 4_000), min_size=1, max_size=40), st.booleans())
def test_who_waits_as_told_is_never_refused_twice_and_nobody_outruns_the_rate(
    pauses: list[int], obedient: bool
) -> None:
    clock = VirtualClock(START)
    limits, sent = RateLimits(clock), []
    for pause in pauses:
        clock.advance(timedelta(milliseconds=pause))
        try:
            limits.check("sendMessage", "1")
        except ApiError as error:
            assert error.code == 429
            assert error.parameters is not None and error.parameters["retry_after"] >= 1
            if not obedient:
                continue
            clock.advance(timedelta(seconds=error.parameters["retry_after"]))
            limits.check("sendMessage", "1")
        sent.append((clock.now() - START).total_seconds())
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= CHAT_BURST + PER_CHAT * (sent[last] - begin) + 1e-6


@many
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X"]),
    st.binary(max_size=60),
)
def test_any_bytes_are_a_picture_or_none(head: bytes, tail: bytes) -> None:
    found = picture(head + tail)
    assert found is None or (found.width > 0 and found.height > 0)
