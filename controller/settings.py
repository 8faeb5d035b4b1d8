"""One frozen `Settings` from the command line, config.yaml and the defaults, in that order of precedence."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.errors import ConfigError
from controller.verify import VerifyMode
from framehaul.contract.wire import Json

CONFIG_FILE = Path("config.yaml")


class Settings(BaseModel):
    """Everything that a run needs to know. The keys are those of config.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[str, ...] = Field((), description="Files, folders or addresses.")
    to: str = Field("framehaul-out", description="The folder that results go to.")
    provider: str = Field("local", description="The cloud that is rented from.")
    providers: dict[str, dict[str, Json]] = Field(default_factory=dict, description="Each cloud's own options.")
    pipeline: str = Field("enhance", description="What is done.")
    params: dict[str, Json] = Field(default_factory=dict, description="The pipeline's parameters.")
    verify: VerifyMode = Field(VerifyMode.SAMPLE, description="How much of each result is read back.")
    max_instances: int = Field(1, ge=1, le=100, description="How many machines work at once.")
    lease_hours: float = Field(24.0, gt=0, le=720, description="A machine is destroyed after this long, come what may.")
    preview: bool = Field(False, description="Put a before/after picture beside each result.")
    redo: bool = Field(False, description="Do again what is already done.")

    def batch_options(self) -> dict[str, Any]:
        """Give what the engine needs to remember of these settings."""
        return {
            "verify": str(self.verify),
            "max_instances": self.max_instances,
            "lease_hours": self.lease_hours,
            "preview": self.preview,
        }


def load_settings(config: Path | None, given: dict[str, Any]) -> Settings:
    """Merge what was given on the command line over the file; ConfigError says where either is wrong."""
    said = _read_config(config)
    merged = {**said, **{key: value for key, value in given.items() if value is not None}}
    held = said.get("params", {})
    if given.get("params") is not None:
        merged["params"] = {**held, **given["params"]} if isinstance(held, dict) else held  # judged below
    try:
        return Settings.model_validate(merged)
    except ValidationError as exc:
        raise ConfigError(_sentence(exc)) from exc


def _read_config(path: Path | None) -> dict[str, Any]:
    """Read the named file, else ./config.yaml where there is one."""
    chosen = path or (CONFIG_FILE if CONFIG_FILE.is_file() else None)
    if chosen is None:
        return {}
    try:
        content = yaml.safe_load(chosen.read_text())
    except OSError as exc:
        raise ConfigError(f"{chosen} cannot be read: {exc.strerror}.") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ConfigError(_yaml_sentence(chosen, exc)) from exc
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{chosen}: expected `key: value` lines, found a {type(content).__name__}.")
    return {str(key): value for key, value in content.items()}


def _yaml_sentence(path: Path, exc: Exception) -> str:
    mark = getattr(exc, "problem_mark", None)
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{path}{where}: {getattr(exc, 'problem', None) or exc}."


def _sentence(exc: ValidationError) -> str:
    parts = []
    for error in exc.errors():
        key = ".".join(str(step) for step in error["loc"])
        if error["type"] == "extra_forbidden":
            near = get_close_matches(key, Settings.model_fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(Settings.model_fields)}"
            parts.append(f"there is no setting {key!r} ({hint})")
        else:
            parts.append(f"{key}: {error['msg']}")
    return "Settings: " + "; ".join(parts) + "."
