"""What an agent may touch, and until when: grants, never keys.

A grant set belongs to one attempt of one job. It is replaced as a whole by a later generation.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SecretStr, field_serializer, model_validator

from framehaul.contract.wire import Epoch, JobId, Slot, Wire

# No S3 store takes a bigger part: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_PART_BYTES = 5 << 30


class _Url(Wire):
    """A base for grants that hold presigned addresses: they print as ***, and travel in clear."""

    # pydantic's errors quote the input, and the input is secret.
    model_config = ConfigDict(hide_input_in_errors=True)

    @field_serializer("*", when_used="json", check_fields=False)
    def _reveal(self, value: object) -> object:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        if isinstance(value, tuple):
            return [item.get_secret_value() if isinstance(item, SecretStr) else item for item in value]
        return value


class HttpGet(_Url):
    """Leave to read one object by ranged GET."""

    kind: Literal["http-get"] = "http-get"
    url: SecretStr
    expires_at: Epoch | None = None


class RelayIn(Wire):
    """The bytes come through the agent's own input route, from whoever holds the lease."""

    kind: Literal["relay-in"] = "relay-in"


class FileIn(Wire):
    """Leave to read one file on the agent's own disk. A remote provider refuses it."""

    kind: Literal["file-in"] = "file-in"
    path: str


class MultipartPut(_Url):
    """Leave to write one object in parts, complete it, abort it, and read it back.

    Part n holds `first_part_bytes` × `growth`ⁿ bytes (rounded down, 5 GiB at most), the last one what is left.
    The ranged GET of the own object tells a lost reply from a lost upload. Completing or aborting revokes the grant.
    """

    kind: Literal["multipart-put"] = "multipart-put"
    uri: str
    upload_id: str
    part_urls: Annotated[tuple[SecretStr, ...], Field(min_length=1, max_length=10_000)]
    first_part_bytes: Annotated[int, Field(ge=1)]
    growth: Annotated[float, Field(ge=1.0, le=2.0)] = 1.05
    complete_url: SecretStr
    abort_url: SecretStr
    read_back_url: SecretStr
    expires_at: Epoch


class RelayOut(Wire):
    """The bytes wait at the agent's own output route until their holder says that they arrived."""

    kind: Literal["relay-out"] = "relay-out"


class FileOut(Wire):
    """Leave to write one file on the agent's own disk. A remote provider refuses it."""

    kind: Literal["file-out"] = "file-out"
    path: str


InputGrant = Annotated[HttpGet | RelayIn | FileIn, Field(discriminator="kind")]
OutputGrant = Annotated[MultipartPut | RelayOut | FileOut, Field(discriminator="kind")]


class GrantSet(Wire):
    """All grants of one attempt. Generation n+1 replaces generation n; a lower one is refused."""

    model_config = ConfigDict(hide_input_in_errors=True)

    version: Literal[1] = 1
    job_id: JobId
    attempt: Annotated[int, Field(ge=1)]
    generation: Annotated[int, Field(ge=1)]
    inputs: dict[Slot, InputGrant]
    outputs: dict[Slot, OutputGrant]

    @model_validator(mode="after")
    def _not_empty(self) -> GrantSet:
        if not self.inputs and not self.outputs:
            raise ValueError("a grant set without any grant grants nothing")
        return self

    def uses_files(self) -> bool:
        """Say whether any grant names a path on the agent's disk."""
        every = (*self.inputs.values(), *self.outputs.values())
        return any(isinstance(grant, FileIn | FileOut) for grant in every)


def part_sizes(total: int, first: int, growth: float) -> list[int]:
    """Cut `total` bytes into parts that grow: [first, first·g, first·g², …], up to 5 GiB; the last one what is left."""
    sizes: list[int] = []
    left, size = total, min(float(first), MAX_PART_BYTES)
    while left > 0:
        sizes.append(min(left, int(size)))
        left -= sizes[-1]
        size = min(size * growth, MAX_PART_BYTES)
    return sizes or [0]
