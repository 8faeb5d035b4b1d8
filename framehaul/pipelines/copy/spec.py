"""Plan a copy: one input of any kind, one output with the same bytes."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from framehaul.contract.naming import output_name, stem_and_suffix
from framehaul.contract.pipeline import Takes
from framehaul.contract.spec import OutputSlot
from framehaul.pipelines.base import Params, Pipeline


class CopyParams(Params):
    """How to copy."""

    rate_bytes_s: int | None = Field(None, ge=1, description="Copy no faster than this, to rehearse a slow machine.")


class Copy(Pipeline[CopyParams]):
    """Rehearse the path without any work."""

    name = "copy"
    summary = "Give back the bytes that came: a rehearsal of the whole path."
    takes = Takes(kind="any")
    slots = ("result",)
    params_model = CopyParams

    def output_slots(
        self, params: CopyParams, inputs: Sequence[str], created_at: float, number: int
    ) -> tuple[OutputSlot, ...]:
        """Keep the suffix, since the content stays what it was."""
        _, suffix = stem_and_suffix(inputs[0])
        return (OutputSlot(slot="result", name=output_name(inputs[0], "result", created_at, suffix, number=number)),)


PIPELINE = Copy()
