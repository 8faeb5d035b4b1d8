"""Presets: bundles below the keys of the source that names them; parameters belong to a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.errors import ConfigError
from controller.settings import Settings, load_settings
from controller.verify import VerifyMode
from framehaul.pipelines.catalogue import load_pipeline

MINE = """
presets:
  mine: {params: {crf: 10, preset: slow}, verify: full, to: from-preset}
  plain: {pipeline: copy, params: {rate_bytes_s: 5}}
"""


def load(folder: Path, text: str, given: dict[str, Any] | None = None, told: list[str] | None = None) -> Settings:
    """Load a file and a command line."""
    path = folder / "config.yaml"
    path.write_text(text)
    return load_settings(path, given or {}, tell=(told if told is not None else []).append)


def test_a_preset_lies_below_the_keys_of_its_own_source(tmp_path: Path) -> None:
    """What the file says itself wins over the preset that it names."""
    settings = load(tmp_path, MINE + "preset: mine\nto: from-file\nparams: {crf: 20}\n")

    assert (settings.to, settings.verify) == ("from-file", VerifyMode.FULL)
    assert settings.params == {"crf": 20, "preset": "slow"}


def test_a_preset_on_the_command_line_goes_over_the_file(tmp_path: Path) -> None:
    """And the command line's own options go over both; parameters are merged name by name."""
    text = MINE + "to: from-file\nparams: {crf: 20, batch: 2}\n"

    settings = load(tmp_path, text, {"preset": "mine", "params": {"crf": 30}})

    assert (settings.to, settings.verify, settings.preset) == ("from-preset", VerifyMode.FULL, "mine")
    assert settings.params == {"crf": 30, "preset": "slow", "batch": 2}


def test_a_pipeline_s_own_presets_are_known_by_name(tmp_path: Path) -> None:
    """They hold parameters; a preset of one's own with the same name goes before them."""
    name, params = next(iter(load_pipeline("enhance").presets.items()))

    assert load(tmp_path, f"preset: {name}\n").params == dict(params)
    assert load(tmp_path, f"preset: {name}\nparams: {{crf: 7}}\n").params == {**params, "crf": 7}
    assert load(tmp_path, f"presets: {{{name}: {{to: mine}}}}\npreset: {name}\n").to == "mine"


def test_a_preset_may_choose_the_pipeline(tmp_path: Path) -> None:
    """The parameters of the file, which names another one, are left aside with a word."""
    told: list[str] = []

    settings = load(tmp_path, MINE + "pipeline: enhance\nparams: {crf: 20}\n", {"preset": "plain"}, told)

    assert (settings.pipeline, settings.params) == ("copy", {"rate_bytes_s": 5})
    assert len(told) == 1
    assert "are for enhance, not for copy: left aside." in told[0]


def test_parameters_for_another_pipeline_are_left_aside(tmp_path: Path) -> None:
    """Whoever types --pipeline copy beside a file for enhance means no upscaling."""
    text = "pipeline: enhance\nparams: {crf: 20}\n"

    assert load(tmp_path, text, {"pipeline": "copy"}).params == {}
    assert load(tmp_path, text, {"pipeline": "enhance"}).params == {"crf": 20}
    assert load(tmp_path, "params: {rate_bytes_s: 5}\n", {"pipeline": "copy"}).params == {"rate_bytes_s": 5}


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        (MINE + "preset: mien\n", {}, "line 5, column 9: there is no preset 'mien' (did you mean mine?). Known: "),
        (MINE, {"preset": "minee"}, "The command line: there is no preset 'minee' (did you mean mine?). Known: "),
        ("pipeline: copy\n", {"preset": "x"}, "there is no preset 'x'. copy has none, and no file defines any."),
    ],
)
def test_an_unknown_preset_suggests_the_nearest_and_lists_all(
    tmp_path: Path, text: str, given: dict[str, Any], expected: str
) -> None:
    """Those of the file and those of the pipeline."""
    with pytest.raises(ConfigError) as told:
        load(tmp_path, text, given)

    assert expected in told.value.message
    if "Known" in expected:
        assert all(name in told.value.message for name in ("mine", "plain", *load_pipeline("enhance").presets))


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [
        ("{presets: {}}", "a preset cannot hold presets"),
        ("{preset: other}", "a preset cannot hold preset"),
        ("{providers: {local: {launcher: [sh]}}}", "a preset cannot hold providers"),
        ("{config_url: 'https://example.com'}", "a preset cannot hold config_url"),
        ("{verfy: full}", "there is no setting 'verfy' (did you mean verify?)"),
        ("{verify: ful}", "presets.mine.verify: give one of head, sample, full"),
        ("5", "presets.mine: give `name: value` lines, not 5"),
    ],
)
def test_a_preset_is_judged_where_it_stands(tmp_path: Path, bundle: str, expected: str) -> None:
    """Also when nobody uses it now."""
    with pytest.raises(ConfigError) as told:
        load(tmp_path, f"presets:\n  mine: {bundle}\n")

    assert expected in told.value.message
    assert "line 2, column" in told.value.message
