"""How the Bot API says no."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """Answered as `{"ok": false, "error_code": code, "description": ...}` with the HTTP status `code`.

    The descriptions are those of the public server's source, because clients compare them as text. `parameters` say
    what a program can do about it, such as {"retry_after": 3}.
    """

    def __init__(self, code: int, description: str, parameters: dict[str, Any] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad_request(reason: str) -> ApiError:
    """400. The reason starts with a small letter, as there, unless it is a code like BUTTON_DATA_INVALID."""
    keeps_case = len(reason) > 1 and (reason[1] == "_" or reason[1].isupper())
    return ApiError(400, "Bad Request: " + (reason if keeps_case else reason[:1].lower() + reason[1:]))
