"""Say in plain words why a value is wrong; pydantic's own words speak to programmers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import ErrorDetails

_SHOWN_CHARS = 60
_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list, such as [one, two]",
    "tuple": "a list, such as [one, two]",
    "dict": "`name: value` lines",
    "date": "a date",
}
_BOUNDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda ctx: f"more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"less than {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']:g}",
    "finite_number": lambda ctx: "a finite number",
    "enum": lambda ctx: f"one of {ctx['expected'].replace(chr(39), '').replace(' or ', ', ')}",
}


def wrong_value(error: ErrorDetails) -> str:
    """Turn one of pydantic's errors into what to write instead."""
    kind, value = error["type"], error["input"]
    if kind == "value_error":
        return _own_words(error)
    if kind == "invalid-json-value":
        return f"{shown(value)} cannot be kept as it is; put it in quotes"
    if error["loc"][-1] == "[key]":
        return f"{shown(value)} cannot be a name here; put it in quotes"
    bound = _BOUNDS.get(kind)
    wanted = bound(error.get("ctx", {})) if bound else _WANTED.get(kind.partition("_")[0], "")
    if not wanted:
        return error["msg"][:1].lower() + error["msg"][1:]
    return f"nothing stands there; give {wanted}" if value is None else f"give {wanted}, not {shown(value)}"


def _own_words(error: ErrorDetails) -> str:
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, UnicodeError):
        return f"{shown(error['input'])} holds half a character"
    text = str(cause or error["msg"])
    return "give a finite number" if text.startswith("Out of range float") else text


def shown(value: Any) -> str:
    """Write a value as it may be shown: short, and without what a terminal would obey."""
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
