"""Find pipelines by the folders that lie here; no list is edited when one is added."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from typing import Any

import framehaul.pipelines as folder
from framehaul.errors import BadParams
from framehaul.pipelines.base import Pipeline, Runner
from framehaul.pipelines.waiting import wait_asleep


def pipeline_names() -> list[str]:
    """List the folders that hold a pipeline."""
    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__) if module.ispkg)


def load_pipeline(name: str) -> Pipeline[Any]:
    """Give a pipeline's light half: `PIPELINE` of its spec.py."""
    _check(name)
    found = importlib.import_module(f"{folder.__name__}.{name}.spec").PIPELINE
    assert isinstance(found, Pipeline)
    return found


def load_runner(name: str) -> Runner:
    """Give a pipeline's heavy half: a fresh `RUNNER()` of its run.py. Only the agent's worker calls this."""
    _check(name)
    wait_asleep()
    runner: Runner = importlib.import_module(f"{folder.__name__}.{name}.run").RUNNER()
    return runner


def _check(name: str) -> None:
    known = pipeline_names()
    if name not in known:
        near = get_close_matches(name, known, 1)
        advice = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
        raise BadParams(f"There is no pipeline {name!r}.", advice=advice)
