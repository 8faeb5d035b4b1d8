"""The README is a promise: its commands run, its files exist, its settings load."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from controller.settings import Settings, load_settings
from framehaul.pipelines.catalogue import load_pipeline

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def _commands() -> list[str]:
    """Give the framehaul and agent commands of the README's console blocks, in their order."""
    blocks = re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line[2:].split("   #")[0].strip() for block in blocks for line in block.splitlines() if line[:2] == "$ "]
    return [line for line in lines if line.startswith(("framehaul", "python -m agent"))]


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_they_stand(tmp_path: Path) -> None:
    """Typed one after another in a folder that holds samples/, every command ends with 0."""
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    words = {"framehaul": [sys.executable, "-m", "controller"], "python": [sys.executable]}
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    commands = _commands()

    for command in commands:
        program, *rest = shlex.split(command)
        done = subprocess.run(
            words[program] + rest, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=300
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"

    assert len(commands) >= 6, "the README shows the commands"
    assert list(tmp_path.glob("framehaul-out/**/*_upscaled_*.mp4")), "the README's run made a result"


def test_the_files_that_the_readme_names_exist() -> None:
    """Links and pictures lead somewhere."""
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_settings_file_shows_the_defaults() -> None:
    """config.yaml as it is changes nothing, and with its comments opened it holds true defaults."""
    assert load_settings(ROOT / "config.yaml", {}) == Settings()
    text = (ROOT / "config.yaml").read_text()
    lines = [line[2:] for line in text.splitlines() if re.match(r"# [a-z_]+: +\S", line)]
    shown = yaml.safe_load("\n".join(lines))
    params = load_pipeline("enhance").parse({}).model_dump(mode="json")
    assert shown.pop("params").items() <= params.items()
    assert shown.pop("inputs")
    defaults = Settings().model_dump(mode="json")
    assert shown == {key: defaults[key] for key in shown}
    assert set(shown) | {"params", "inputs", "providers", "redo"} == set(Settings.model_fields)
