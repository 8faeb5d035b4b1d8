"""Errors on the wire: RFC 9457 problem details, with the two answers every error owes.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

TYPE_PREFIX = "urn:framehaul:problem:"


class Problem(BaseModel):
    """A problem+json body. Unlike other messages it tolerates fields that it does not know, as the RFC asks."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = ""
    retryable: bool = False
    advice: str = ""

    @property
    def name(self) -> str:
        """The last word of the type: `job-differs`, `unknown-job`, …"""
        return self.type.removeprefix(TYPE_PREFIX)


def problem_type(name: str) -> str:
    """Compose the type of a problem of ours."""
    return TYPE_PREFIX + name
