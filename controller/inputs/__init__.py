"""Inputs: found, chosen, pinned and probed, wherever they lie."""

from controller.inputs.probing import probe_source
from controller.inputs.results import RESULTS_NAME
from controller.inputs.selection import Selection, SetAside
from controller.inputs.sources import Refusal, Source, find_sources, look_at_sources

__all__ = [
    "RESULTS_NAME",
    "Refusal",
    "Selection",
    "SetAside",
    "Source",
    "find_sources",
    "look_at_sources",
    "probe_source",
]
