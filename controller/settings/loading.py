"""Merge the sources: command line over remote config over config.yaml over defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.errors import ConfigError
from controller.settings.files import Document, read_config
from controller.settings.judging import COMMAND_LINE, judge, judge_params
from controller.settings.model import Settings
from controller.settings.presets import Pile, Tell
from controller.settings.remote import Fetch, fetch_config, judged_remote
from framehaul.errors import FramehaulError

_CLOUDS = ("provider", "providers", "stores")


def _nobody(text: str) -> None:
    """Hear it, and pass nothing on."""


def load_settings(
    config: Path | None, given: Mapping[str, Any], *, fetch: Fetch = fetch_config, tell: Tell = _nobody
) -> Settings:
    """Merge what was given on the command line over the files; ConfigError says where any of them is wrong.

    What is None in `given` was not said. `tell` hears warnings, such as of a remote config that could not be had.
    """
    local = read_config(config)
    line = Document(COMMAND_LINE, {key: value for key, value in given.items() if value is not None})
    for document in (local, line):
        judge(document)
    remote = _remote(local, line, fetch, tell)
    settings = Settings.model_validate(_piled(local, remote, line, tell=tell))
    judge_params(settings, (remote, local))
    return settings


def load_clouds(config: Path | None) -> Settings:
    """Read only which clouds and stores there are, from the local file alone; all else in it may be wrong."""
    local = read_config(config)
    clouds = Document(local.name, {key: local.values[key] for key in _CLOUDS if key in local.values}, local.tree)
    judge(clouds)
    return Settings.model_validate(clouds.values)


def _piled(*documents: Document, tell: Tell = _nobody) -> dict[str, Any]:
    """Lay sources over each other, lowest first; a preset may be used in another source than the one that has it."""
    presets: dict[str, dict[str, Any]] = {}
    for document in documents:
        presets.update(document.values.get("presets", {}))
    pile = Pile(tell, presets)
    for document in documents:
        pile.add(document)
    return pile.values


def _remote(local: Document, line: Document, fetch: Fetch, tell: Tell) -> Document:
    """Fetch and judge the remote config where one is named; an empty address on the command line means none."""
    said = {**local.values, **line.values}
    url = said.get("config_url")
    if not url:
        return Document("")
    try:
        document = judged_remote(url, fetch(url))
        judge(document)
        _piled(local, document)  # a preset that nobody knows is a mistake of this source, too
    except FramehaulError as exc:
        if not said.get("allow_stale_config"):
            advice = exc.advice or "Go on with the local settings alone: --allow-stale-config."
            raise ConfigError(f"The remote config: {exc.message}", advice=advice) from exc
        tell(f"The remote config is left out, the local settings hold alone: {exc.message}")
        return Document("")
    return document
