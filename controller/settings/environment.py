"""The environment and .env: account secrets, and the names that a predecessor's users already have.

What a .env file says is given back and never put into `os.environ`: children such as the local agent must not
inherit account keys.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Self

from dotenv.parser import Binding, parse_stream
from dotenv.variables import parse_variables
from pydantic import BaseModel, ConfigDict, SecretStr

from controller.errors import ConfigError
from controller.settings.files import place_of_no_text
from controller.settings.stores import endpoint_of
from controller.settings.wording import shown
from framehaul.contract.uris import parse_uri
from framehaul.errors import BadUri

ENV_FILE = Path(".env")
SECRET_NAMES = frozenset(
    {"VAST_API_KEY", "B2_KEY", "B2_SECRET", "HF_TOKEN", "HUGGINGFACE_TOKEN", "WEBHOOK_URL"}
    | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
)
_OTHER_NAMES = frozenset(
    {"B2_ENDPOINT", "B2_BUCKET", "HF_HOME", "HF_HUB_CACHE", "AUTO_UPLOAD_B2", "UPLOAD_RESULT_JSON"}
    | {"TORCH_COMPILE_DISABLE", "FAST_COMPILE", "AUTO_TUNE_BATCH", "FFMPEG_BIN", "FFPROBE_BIN"}
)
_ENDPOINTS = ("b2_endpoint", "aws_endpoint_url", "aws_endpoint_url_s3")
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class Secrets(BaseModel):
    """Accounts, by what they open, and what belongs to one: where it answers, which bucket. Secrets print as ***."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vast_api_key: SecretStr | None = None
    b2_key: SecretStr | None = None
    b2_secret: SecretStr | None = None
    b2_endpoint: str | None = None
    b2_bucket: str | None = None
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    aws_endpoint_url: str | None = None
    aws_endpoint_url_s3: str | None = None
    aws_region: str | None = None
    aws_default_region: str | None = None
    auto_upload_b2: bool = False
    hf_token: SecretStr | None = None
    webhook_url: SecretStr | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Read and judge the names; ConfigError names the one that is wrong, and never its value."""
        found = {name: _judged(name, environment.get(name.upper(), "")) for name in cls.model_fields}
        found["hf_token"] = found["hf_token"] or _judged("huggingface_token", environment.get("HUGGINGFACE_TOKEN", ""))
        found["b2_bucket"] = (found["b2_bucket"] or "").rstrip("/") or None
        for name in _ENDPOINTS:
            found[name] = _endpoint(name, found[name])
        _judge_bucket(found["b2_bucket"])
        return cls.model_validate({**found, "auto_upload_b2": _switch("AUTO_UPLOAD_B2", found["auto_upload_b2"])})


def environment_with_env_file(
    env_file: Path | None = None, *, environment: Mapping[str, str] = os.environ
) -> Mapping[str, str]:
    """Give the environment, and below it what the named file and then ./.env say of the names that we know.

    ConfigError when a file cannot be read or a line in it cannot be understood. A named file must be there.
    """
    found = dict(environment)
    here = ENV_FILE if ENV_FILE.is_file() else None  # a folder called .env is somebody's virtual environment
    for path in (env_file, here):
        if path is not None:
            found = _read(path, found) | found
    return found


def is_known(name: str) -> bool:
    """Say whether a name of the environment means something to us."""
    return name in SECRET_NAMES or name in _OTHER_NAMES or name.startswith("AWS_")


def _read(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}{place_of_no_text(exc)}: this is no UTF-8 text.") from exc
    said: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise ConfigError(f"{path}, line {_line(binding)}: expected NAME=value.", advice="Quotes must be closed.")
        if binding.key is not None and binding.value is not None:
            said[binding.key] = _filled_in(binding.value, said | dict(environment))
    return {name: value for name, value in said.items() if is_known(name)}


def _line(binding: Binding) -> int:
    # The parser counts blank lines before a statement as part of it.
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _filled_in(value: str, names: Mapping[str, str]) -> str:
    """Replace ${NAME} and ${NAME:-default}, as python-dotenv does."""
    return "".join(atom.resolve(names) for atom in parse_variables(value))


def _judged(name: str, value: str) -> str | None:
    value, name = value.strip(), name.upper()
    if not value:
        return None
    if _UNPRINTABLE.search(value):
        raise ConfigError(f"{name} holds a line break or another control character.", advice="Copy it again.")
    if name == "B2_KEY" and re.search(r"[/\\.]", value):
        raise ConfigError(
            "B2_KEY looks like a path; here it is the id of a key (B2's keyID).",
            advice="Name the object's place with --to.",
        )
    return value


def _endpoint(name: str, value: str | None) -> str | None:
    try:
        return None if value is None else endpoint_of(value)
    except ValueError as exc:
        raise ConfigError(f"{name.upper()}: {exc}.") from exc


def _judge_bucket(name: str | None) -> None:
    """Refuse what no bucket can be called, such as an address; the value is not repeated."""
    try:
        plain = name is None or not parse_uri(f"b2://{name}").key
    except BadUri:
        plain = False
    if not plain:
        raise ConfigError("B2_BUCKET is no bucket's name.", advice="Give the name alone, such as clips.")


def _switch(name: str, value: str | None) -> bool:
    word = (value or "no").lower()
    if word not in _YES | _NO:
        raise ConfigError(f"{name}: give yes or no, not {shown(word)}.")
    return word in _YES
