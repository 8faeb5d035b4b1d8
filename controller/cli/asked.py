"""What was asked, as settings: the options of a command line laid over config.yaml."""

from __future__ import annotations

import json
from typing import Any

from controller.cli.options import Chosen, Configured, Machines, Results, Work
from controller.errors import ConfigError
from controller.settings import Secrets, Settings, environment_with_env_file, load_clouds, load_settings
from controller.terminal.console import complain
from controller.terminal.words import plain
from framehaul.errors import FramehaulError

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
    given: dict[str, Any] = {
        "inputs": chosen.all_inputs or None,
        "include": chosen.include or None,
        "exclude": chosen.exclude or None,
        "newer_than": chosen.newer_than,
        "max_files": chosen.max_files,
        "pipeline": work.pipeline,
        "preset": work.preset,
        "params": params_of(work) or None,
        "to": results.to,
        "redo": results.redo or None,
        "verify": results.verify,
        "preview": results.preview,
        "provider": machines.provider,
        "max_instances": machines.max_instances,
        "config_url": configured.config_url,
        "allow_stale_config": configured.allow_stale_config,
    }
    secrets_of(configured)
    return load_settings(configured.config, {**given, **more}, tell=warn)


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


def _value(text: str) -> Any:
    """Read a number, true, false or null as JSON does; anything else is text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
