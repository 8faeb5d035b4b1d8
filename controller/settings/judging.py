"""Judge what one source says, key by key, in plain words and with its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from controller.errors import ConfigError
from controller.providers.base import options_model, provider_names
from controller.settings.environment import SECRET_NAMES
from controller.settings.files import Document
from controller.settings.model import Settings
from controller.settings.presets import NOT_IN_PRESETS
from controller.settings.stores import BUCKET_SCHEMES, StoreOptions, is_secret_option
from controller.settings.wording import wrong_value
from framehaul.errors import BadParams
from framehaul.pipelines.catalogue import load_pipeline, pipeline_names

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


def judge_params(settings: Settings, documents: Iterable[Document]) -> None:
    """Raise ConfigError where the pipeline refuses a parameter that one of these says; what nobody of them says passes.

    What was typed, and what is wrong with several parameters together, is judged where the plan is made.
    """
    pipeline = load_pipeline(settings.pipeline)
    try:
        pipeline.parse(settings.params)
    except BadParams as exc:
        cause = exc.__cause__
        errors = cause.errors() if isinstance(cause, ValidationError) else []
        names = [error["loc"][0] for error in errors if error["loc"] and error["loc"][0] in settings.params]
        for document in documents:
            for path in _paths_of_params(document, names, settings.params):
                raise ConfigError(f"{document.name}{document.place(path)}: {exc.message}", advice=exc.advice) from exc


def _paths_of_params(document: Document, names: Iterable[Any], held: Mapping[str, Any]) -> Iterator[Steps]:
    """Find where a source says what holds now of these parameters: itself, or in a preset of its own."""
    values = document.values
    bundles = {(): values} | {("presets", name): bundle for name, bundle in values.get("presets", {}).items()}
    for above, bundle in bundles.items():
        params = bundle.get("params", {})
        yield from ((*above, "params", name) for name in names if name in params and params[name] is held[name])


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest what may have been meant, or list what there is."""
    known = list(known)
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def _mistakes(document: Document) -> Iterator[Mistake]:
    yield from _of_bundle(document.values, (), Settings.model_fields)
    yield from _of_providers(document.values.get("providers"))
    yield from _of_stores(document.values.get("stores"))
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


def _of_providers(providers: Any) -> Iterator[Mistake]:
    """Judge clouds by their names, and the options of those that say which they take."""
    names = provider_names()
    for name, options in providers.items() if isinstance(providers, Mapping) else ():
        if not isinstance(name, str) or not isinstance(options, Mapping):
            continue  # told already
        if name not in names:
            yield Mistake(("providers", name), f"there is no provider {name!r} ({nearest(name, names)})", at_key=True)
        elif model := options_model(name):
            yield from _of_options(model, ("providers", name), options)


def _of_stores(stores: Any) -> Iterator[Mistake]:
    """Judge where buckets' stores answer; what opens them never stands in settings."""
    for name, options in stores.items() if isinstance(stores, Mapping) else ():
        if not isinstance(name, str) or not isinstance(options, Mapping):
            continue  # told already
        if name not in BUCKET_SCHEMES:
            known = nearest(name, BUCKET_SCHEMES)
            yield Mistake(("stores", name), f"there is no store {name!r} to set up ({known})", at_key=True)
            continue
        secret = [str(key) for key in options if is_secret_option(str(key))]
        yield from (Mistake(("stores", name, key), _is_secret(key), at_key=True) for key in secret)
        rest = {key: value for key, value in options.items() if str(key) not in secret}
        yield from _of_options(StoreOptions, ("stores", name), rest)


def _of_options(model: type[BaseModel], above: Steps, options: Mapping[Any, Any]) -> Iterator[Mistake]:
    name = above[-1]
    try:
        model.model_validate(dict(options))
    except ValidationError as exc:
        for error in exc.errors():
            path: Steps = (*above, *error["loc"])
            if error["type"] == "extra_forbidden":
                known = nearest(str(error["loc"][-1]), model.model_fields)
                yield Mistake(path, f"{name} has no option {str(error['loc'][-1])!r} ({known})", at_key=True)
            else:
                yield Mistake(path, wrong_value(error))


def _no_such(key: str, known: Iterable[str], above: Steps) -> str:
    if key.upper() in SECRET_NAMES:
        return _is_secret(key)
    if above and key in NOT_IN_PRESETS:
        return f"a preset cannot hold {key}"
    return f"there is no setting {key!r} ({nearest(key, known)})"


def _is_secret(key: str) -> str:
    return f"{key} is a secret: put it into .env or the environment, never into settings"


def _what(mistake: Mistake, document: Document) -> str:
    if mistake.at_key:
        return mistake.what
    first, *rest = [str(step) for step in mistake.path if step != "[key]"]
    if document.name != COMMAND_LINE:
        return f"{'.'.join([first, *rest])}: {mistake.what}"
    option = _OPTIONS.get(first, "--" + first.replace("_", "-"))
    return f"{' '.join([option, *rest]) if first == 'params' else option}: {mistake.what}"
