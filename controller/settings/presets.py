"""Lay the sources over each other, each with its preset below its own keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from controller.errors import ConfigError
from controller.settings.files import Document
from controller.settings.model import Settings
from framehaul.pipelines.catalogue import load_pipeline

Tell = Callable[[str], None]

# What a preset cannot hold: other presets, where settings come from, and what belongs to an account.
NOT_IN_PRESETS = frozenset({"preset", "presets", "config_url", "allow_stale_config", "providers", "stores"})
_DEFAULT_PIPELINE: str = Settings.model_fields["pipeline"].default


@dataclass
class Pile:
    """Sources so far, lowest first. `pipeline` is the one that somebody named; parameters are that one's."""

    tell: Tell
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    pipeline: str | None = None
    source: str = ""

    def add(self, document: Document) -> None:
        """Lay a source on top: its preset, then its own keys."""
        own = document.values
        bundle, bundle_pipeline = self._expanded(document)
        pipeline = own.get("pipeline") or bundle_pipeline
        if bundle_pipeline not in {None, pipeline}:
            bundle = {key: value for key, value in bundle.items() if key != "params"}
        self._turn_to(pipeline, document.name)
        for part in (bundle, own):
            params = {**self.values.get("params", {}), **part.get("params", {})}
            self.values = {**self.values, **part, "params": params}
        self.values["presets"] = self.presets

    def _turn_to(self, pipeline: str | None, source: str) -> None:
        """Leave parameters behind that were meant for another pipeline."""
        if pipeline is None:
            return
        if self.pipeline not in {None, pipeline} and self.values.get("params"):
            self.tell(f"The parameters of {self.source} are for {self.pipeline}, not for {pipeline}: left aside.")
            self.values = {**self.values, "params": {}}
        self.pipeline, self.source = pipeline, source

    def _expanded(self, document: Document) -> tuple[Mapping[str, Any], str | None]:
        """Give the named preset's keys, and the pipeline that it is for, where it is for one."""
        name = document.values.get("preset")
        if name is None:
            return {}, None
        if name in self.presets:
            return self.presets[name], self.presets[name].get("pipeline")
        pipeline = document.values.get("pipeline") or self.pipeline or _DEFAULT_PIPELINE
        known = load_pipeline(pipeline).presets
        if name in known:
            return {"params": dict(known[name])}, pipeline
        place = document.place(["preset"])
        raise ConfigError(f"{document.name}{place}: {_unknown(name, [*self.presets, *known], pipeline)}")


def _unknown(name: str, known: Sequence[str], pipeline: str) -> str:
    near = get_close_matches(name, known, 3, 0.5)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    listed = f"Known: {', '.join(sorted(set(known)))}." if known else f"{pipeline} has none, and no file defines any."
    return f"there is no preset {name!r}{hint}. {listed}"
