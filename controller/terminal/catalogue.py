"""Pipelines as a person and as a machine sees them."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from controller.terminal.rows import show_rows
from controller.terminal.tables import say
from framehaul.contract.pipeline import PipelineCard
from framehaul.contract.wire import Json


def show_pipeline(console: Console, card: PipelineCard) -> None:
    """Print what it does, its modes, its presets, and its parameters."""
    say(console, f"{card.name}: {card.summary}")
    if card.modes:
        say(console, f"  modes: {', '.join(card.modes)}")
    for name, params in card.presets.items():
        said = ", ".join(f"{key} {value}" for key, value in params.items())
        say(console, f"  preset {name}: {said}")
    rows = [
        [f"  {entry['name']}", _cut(entry["type"]), _shown(entry["default"]), entry["description"]]
        for entry in _params(card)
    ]
    if rows:
        show_rows(console, ("  parameter", "type", "default", "what it is"), rows)
    say(console, "")


def pipeline_as_json(card: PipelineCard) -> dict[str, Any]:
    """Give it for machines."""
    return {
        "name": card.name,
        "summary": card.summary,
        "takes": card.takes.model_dump(),
        "modes": list(card.modes),
        "outputs": list(card.slots),
        "files": list(card.asset_slots),
        "presets": card.presets,
        "params": _params(card),
    }


def _params(card: PipelineCard) -> list[dict[str, Any]]:
    properties: Any = card.params_schema.get("properties", {})
    return [
        {
            "name": name,
            "type": _type_words(entry),
            "default": entry.get("default"),
            "description": entry.get("description", ""),
        }
        for name, entry in properties.items()
    ]


def _type_words(entry: dict[str, Any]) -> str:
    """Write a JSON schema's type in few words: `integer 0..51`, `a | b`."""
    if "anyOf" in entry:
        return " | ".join(dict.fromkeys(_type_words(part) for part in entry["anyOf"] if part.get("type") != "null"))
    if "enum" in entry:
        return " | ".join(map(str, entry["enum"]))
    if "const" in entry:
        return str(entry["const"])
    if "$ref" in entry:
        return "file"
    words = str(entry.get("type", "any")).replace("string", "text")
    low, high = entry.get("minimum", entry.get("exclusiveMinimum")), entry.get("maximum")
    if low is None and high is None:
        return words
    return f"{words} {'' if low is None else low}..{'' if high is None else high}"


def _shown(value: Json) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cut(text: str, most: int = 32) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
