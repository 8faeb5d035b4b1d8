"""Judge what one source says, key by key, in plain words and with its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from controller.errors import ConfigError
from controller.providers.base import provider_names
from controller.settings.environment import SECRET_NAMES
from controller.settings.files import Document
from controller.settings.model import Settings
from controller.settings.presets import NOT_IN_PRESETS
from controller.settings.wording import wrong_value
from framehaul.pipelines.catalogue import pipeline_names

COMMAND_LINE = "The command line"
_OPTIONS = {"inputs": "an input", "params": "--param", "redo": "--no-skip-existing"}
_PRESET_KEYS = [key for key in Settings.model_fields if key not in NOT_IN_PRESETS]

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, and where; `at_key` when it is the key itself."""

    path: Steps
    what: str
    at_key: bool = False


def judge(document: Document) -> None:
    """Raise ConfigError with every mistake of one source at once."""
    found = list(dict.fromkeys(_mistakes(document)))
    if found:
        told = [f"{document.place(one.path, of_key=one.at_key)}: {_what(one, document)}" for one in found]
        told[1:] = [one.removeprefix(", ").removeprefix(": ") for one in told[1:]]
        raise ConfigError(f"{document.name}{'; '.join(told)}.")


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest what may have been meant, or list what there is."""
    known = list(known)
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def _mistakes(document: Document) -> Iterator[Mistake]:
    yield from _of_bundle(document.values, (), Settings.model_fields)
    presets = document.values.get("presets")
    for name, bundle in presets.items() if isinstance(presets, Mapping) else ():
        if isinstance(bundle, Mapping):
            yield from _of_bundle(bundle, ("presets", name), _PRESET_KEYS)


def _of_bundle(values: Mapping[Any, Any], above: Steps, keys: Iterable[str]) -> Iterator[Mistake]:
    """Judge a mapping of settings: a whole source, or one preset."""
    known = list(keys)
    unknown = [str(key) for key in values if key not in known]
    yield from (Mistake((*above, key), _no_such(key, known, above), at_key=True) for key in unknown)
    try:
        Settings.model_validate({key: value for key, value in values.items() if key in known})
    except ValidationError as exc:
        for error in exc.errors():
            # pydantic adds words of its own below the key, such as the kind that it tried.
            yield Mistake((*above, *error["loc"]), wrong_value(error))
    for key, names in (("pipeline", pipeline_names()), ("provider", provider_names())):
        name = values.get(key)
        if isinstance(name, str) and name not in names:
            yield Mistake((*above, key), f"there is no {key} {name!r} ({nearest(name, names)})")


def _no_such(key: str, known: Iterable[str], above: Steps) -> str:
    if key.upper() in SECRET_NAMES:
        return f"{key} is a secret: put it into .env or the environment, never into settings"
    if above and key in NOT_IN_PRESETS:
        return f"a preset cannot hold {key}"
    return f"there is no setting {key!r} ({nearest(key, known)})"


def _what(mistake: Mistake, document: Document) -> str:
    if mistake.at_key:
        return mistake.what
    first, *rest = [str(step) for step in mistake.path if step != "[key]"]
    if document.name != COMMAND_LINE:
        return f"{'.'.join([first, *rest])}: {mistake.what}"
    option = _OPTIONS.get(first, "--" + first.replace("_", "-"))
    return f"{' '.join([option, *rest]) if first == 'params' else option}: {mistake.what}"
