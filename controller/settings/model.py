"""The keys of config.yaml, as one frozen value."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from controller.settings.moments import normalised
from controller.verify import VerifyMode
from framehaul.contract.wire import Json


def _no_switch(value: Any) -> Any:
    # YAML reads yes and on as true, and pydantic reads true as 1.
    if isinstance(value, bool):
        raise ValueError(f"give a number, not {str(value).lower()}")
    return value


Count = Annotated[int, BeforeValidator(_no_switch)]
Hours = Annotated[float, BeforeValidator(_no_switch)]


class Settings(BaseModel):
    """Everything that a run needs to know. The keys are those of config.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[str, ...] = Field((), description="Files, folders, patterns or addresses.")
    include: tuple[str, ...] = Field((), description="Take only what fits one of these patterns.")
    exclude: tuple[str, ...] = Field((), description="Leave out what fits one of these patterns.")
    newer_than: str | None = Field(None, description="A date, an age such as 7d, or @FILE for a file's own date.")
    max_files: Count | None = Field(None, ge=1, description="At most so many inputs are worked on.")
    probe_files: Count = Field(1000, ge=0, description="So many inputs at most are looked into before anything runs.")
    to: str = Field("framehaul-out", description="The folder or bucket address that results go to.")
    provider: str = Field("local", description="The cloud that is rented from.")
    providers: dict[str, dict[str, Json]] = Field(default_factory=dict, description="Each cloud's own options.")
    stores: dict[str, dict[str, Json]] = Field(default_factory=dict, description="Where buckets' stores answer.")
    pipeline: str = Field("enhance", description="What is done.")
    params: dict[str, Json] = Field(default_factory=dict, description="The pipeline's parameters.")
    preset: str | None = Field(None, description="A bundle of settings by its name.")
    presets: dict[str, dict[str, Json]] = Field(default_factory=dict, description="Bundles of settings of one's own.")
    verify: VerifyMode = Field(VerifyMode.SAMPLE, description="How much of each result is read back.")
    max_instances: Count = Field(1, ge=1, le=100, description="How many machines work at once.")
    lease_hours: Hours = Field(24.0, gt=0, le=720, description="A machine is destroyed after this long, come what may.")
    preview: bool = Field(False, description="Put a before/after picture beside each result.")
    redo: bool = Field(False, description="Do again what is already done.")
    refresh_remote_index: bool = Field(False, description="List what is done anew, however fresh the last listing is.")
    config_url: str | None = Field(None, description="The address of settings that go before this file.")
    allow_stale_config: bool = Field(False, description="Go on without config_url when it cannot be had.")

    @field_validator("newer_than", mode="before")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        if isinstance(value, date):  # YAML reads a bare date as one; a datetime is a date too
            value = value.isoformat()
        elif type(value) is int:  # and 20260131 as a number
            value = str(value)
        return normalised(value) if isinstance(value, str) else value

    @field_validator("to")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("nothing stands there; give a folder, such as ./out")
        return value

    @field_validator("include", "exclude")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(pattern.strip("/") for pattern in value):
            raise ValueError("an empty pattern fits nothing; take it out")
        return value

    def with_default(self, **values: Any) -> Settings:
        """Give the settings with another default where nobody said anything; `model_fields_set` stays as it is."""
        return Settings.model_construct(_fields_set=self.model_fields_set, **{**dict(self), **values})

    def batch_options(self) -> dict[str, Any]:
        """Give what the engine needs to remember of these settings."""
        return {
            "verify": str(self.verify),
            "max_instances": self.max_instances,
            "lease_hours": self.lease_hours,
            "preview": self.preview,
            "redo": self.redo,
        }
