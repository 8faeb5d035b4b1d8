"""The base of everything that crosses the wire: frozen, strict about unknown fields, hashable as JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Slot = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
JobId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Epoch = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]


def canonical_json(value: Any) -> bytes:
    """Write JSON with sorted keys and no spaces, so that equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _can_be_written(value: JsonValue) -> JsonValue:
    # pydantic lets NaN through when it reads JSON text, and half a surrogate pair from Python.
    canonical_json(value)
    return value


def _whole_characters(text: str) -> str:
    return text.encode(errors="replace").decode()


Json = Annotated[JsonValue, AfterValidator(_can_be_written)]
# Words for a person. A file name that is not UTF-8 may be quoted in them; it must not keep the message from leaving.
Text = Annotated[str, AfterValidator(_whole_characters)]


class Wire(BaseModel):
    """A message that cannot be changed once made, and that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def canonical(self) -> bytes:
        """Give the one JSON text that this message hashes to."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Give the sha256 of the canonical JSON, in hex."""
        return hashlib.sha256(self.canonical()).hexdigest()
