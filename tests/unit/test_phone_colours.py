"""The chat page is read by weak eyes, in the light and in the dark: contrast as WCAG 2.1 asks of text (4.5 to 1)."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

LEAST = 4.5
PAIRS = (
    ("ink", "theirs"),
    ("ink", "mine"),
    ("ink", "code"),
    ("ink", "mine-code"),
    ("soft", "theirs"),
    ("soft", "surface"),
    ("soft", "code"),
    ("mine-soft", "mine"),
    ("accent", "theirs"),
    ("accent", "code"),
    ("accent", "surface"),
    ("on-accent", "accent"),
    ("on-key", "key"),
    ("on-key", "key-over"),
    ("warning", "surface"),
    ("white", "pill"),
    ("white", "success"),
    ("white", "danger"),
)
Colour = tuple[float, float, float]
STYLE = (files("bot.localphone") / "style.css").read_text(encoding="utf-8")


def scheme(name: str) -> dict[str, str]:
    """The dark one changes some of the light one's colours."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    assert len(blocks) == 2
    told = [dict(re.findall(r"--([\w-]+): ([^;]+);", block)) for block in blocks]
    return told[0] | (told[1] if name == "dark" else {})


def opaque(text: str, ground: Colour) -> Colour:
    """`#rrggbb` or `rgb(r g b / a%)` laid over `ground`."""
    if text.startswith("#"):
        return (int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))
    red, green, blue, alpha = map(int, re.findall(r"\d+", text))
    share = alpha / 100
    mixed = [share * over + (1 - share) * under for over, under in zip((red, green, blue), ground, strict=True)]
    return (mixed[0], mixed[1], mixed[2])


def luminance(colour: Colour) -> float:
    """WCAG 2.1, relative luminance."""
    parts = [each / 255 for each in colour]
    red, green, blue = (each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.feature("U3")
@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_text_of_the_chat_page_stands_out_from_what_is_behind_it(name: str) -> None:
    colours = scheme(name) | {"white": "#ffffff"}
    ground = opaque(colours["ground"], (0, 0, 0))
    faint = {
        f"{text} on {behind}": round(found, 2)
        for text, behind in PAIRS
        if (found := contrast(opaque(colours[text], ground), opaque(colours[behind], ground))) < LEAST
    }
    assert faint == {}


def test_contrast_is_measured_as_the_standard_says() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
