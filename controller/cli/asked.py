"""What was asked, as settings: the options of a command line laid over config.yaml."""

from __future__ import annotations

import json
from typing import Any

from controller.accounts import NO_ACCOUNTS, accounts_of, auto_target, input_below_bucket
from controller.cli.options import Chosen, Configured, Machines, Results, Work
from controller.errors import ConfigError
from controller.settings import Secrets, Settings, environment_with_env_file, load_clouds, load_settings
from controller.terminal.console import complain
from controller.terminal.words import plain
from framehaul.errors import FramehaulError
from framehaul.storage.accounts import Accounts

_PARAMS = ("mode", "model", "scale", "precision", "start", "end", "sample", "allow_truncated")


def settings_of(
    configured: Configured,
    *,
    chosen: Chosen | None = None,
    work: Work | None = None,
    results: Results | None = None,
    machines: Machines | None = None,
    **more: Any,
) -> Settings:
    """Compose the settings; what was not said is left to the files and the defaults."""
    chosen, work = chosen or Chosen(), work or Work()
    results, machines = results or Results(), machines or Machines()
    secrets = secrets_of(configured)
    given: dict[str, Any] = {
        "inputs": _inputs_of(chosen, secrets) or None,
        "include": chosen.include or None,
        "exclude": chosen.exclude or None,
        "newer_than": chosen.newer_than,
        "max_files": chosen.max_files,
        "pipeline": work.pipeline,
        "preset": work.preset,
        "params": params_of(work) or None,
        "to": results.to,
        "redo": results.redo or None,
        "refresh_remote_index": results.refresh_remote_index or None,
        "verify": results.verify,
        "preview": results.preview,
        "provider": machines.provider,
        "max_instances": machines.max_instances,
        "config_url": configured.config_url,
        "allow_stale_config": configured.allow_stale_config,
    }
    settings = load_settings(configured.config, {**given, **more}, tell=warn)
    target = auto_target(secrets) if "to" not in settings.model_fields_set else None
    return settings if target is None else settings.with_default(to=target)


def accounts_for(configured: Configured, settings: Settings) -> Accounts:
    """Gather the accounts of stores: of the environment and .env, with what the settings say of where they answer."""
    return accounts_of(secrets_of(configured), settings)


def accounts_or_none(configured: Configured, settings: Settings) -> Accounts:
    """Gather the accounts for work that began before; where one is out of order, do without all of them, and warn."""
    try:
        return accounts_for(configured, settings)
    except FramehaulError as exc:
        warn(f"{exc} Going on without accounts: buckets cannot be reached.")
        return NO_ACCOUNTS


def settings_or_fewer(configured: Configured, doing: str, *, strict: bool = False) -> Settings:
    """Read the settings of work that began before; do without what is out of order, and warn of it.

    A remote config that is down, or a slip in a file, must not keep a machine running or a log unread. Where machines
    are rented (`strict`), the providers of the local file must be understood: ConfigError where they are not.
    """
    try:
        return settings_of(configured)
    except FramehaulError as exc:
        trouble = exc
    try:
        clouds = load_clouds(configured.config)
    except FramehaulError:
        if strict:
            raise
        warn(f"{trouble.message} {doing} with the defaults.")
        return Settings()
    warn(f"{trouble.message} {doing} with the local file's providers alone.")
    return clouds


def secrets_of(configured: Configured) -> Secrets:
    """Read the accounts of the environment and of .env; ConfigError names what is wrong in them, never a value."""
    return Secrets.of(environment_with_env_file(configured.env_file))


def warn(text: str) -> None:
    """Say what deserves attention, to a person: stdout may belong to a machine."""
    complain(f"framehaul: {plain(text)}")


def params_of(work: Work) -> dict[str, Any]:
    """Gather the pipeline's parameters; an option of its own wins over --param."""
    params: dict[str, Any] = {}
    for text in work.param or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--param {text!r} is no name=value.")
        params[name] = _value(value)
    said = {name: getattr(work, name) for name in _PARAMS}
    return params | {name: value for name, value in said.items() if value is not None}


def _inputs_of(chosen: Chosen, secrets: Secrets) -> list[str]:
    below = [] if chosen.input_dir is None else [input_below_bucket(chosen.input_dir, secrets)]
    return [*chosen.all_inputs, *below]


def _value(text: str) -> Any:
    """Read a number, true, false or null as JSON does; anything else is text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
