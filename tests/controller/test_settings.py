"""Settings: what was said on the command line goes before the file, the file before the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.errors import ConfigError
from controller.settings import Settings, load_settings
from controller.verify import VerifyMode


def config(folder: Path, text: str | bytes) -> Path:
    """Write a settings file."""
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_the_command_line_goes_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    """Key by key."""
    path = config(tmp_path, "to: from-file\npipeline: copy\nmax_instances: 4\n")

    settings = load_settings(path, {"to": "from-line", "pipeline": None, "verify": "full"})

    assert (settings.to, settings.pipeline, settings.max_instances) == ("from-line", "copy", 4)
    assert (settings.verify, settings.provider) == (VerifyMode.FULL, "local")


def test_what_was_not_said_on_the_command_line_does_not_hide_the_file(tmp_path: Path) -> None:
    """An option that was left out is None, which is no value; `false` is one."""
    path = config(tmp_path, "preview: true\nredo: true\n")

    settings = load_settings(path, {"preview": None, "redo": False})

    assert (settings.preview, settings.redo) == (True, False)


def test_params_are_merged_name_by_name(tmp_path: Path) -> None:
    """One parameter on the command line leaves the file's others as they are."""
    path = config(tmp_path, "params:\n  crf: 18\n  preset: slow\n")

    assert load_settings(path, {"params": {"crf": 12}}).params == {"crf": 12, "preset": "slow"}
    assert load_settings(path, {"params": None}).params == {"crf": 18, "preset": "slow"}


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ./config.yaml is missing, nothing is."""
    monkeypatch.chdir(tmp_path)

    assert load_settings(None, {}) == Settings()


def test_the_file_of_the_present_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being named; a file that is named goes before it."""
    config(tmp_path, "to: here\n")
    (tmp_path / "other.yaml").write_text("to: there\n")
    monkeypatch.chdir(tmp_path)

    assert load_settings(None, {}).to == "here"
    assert load_settings(Path("other.yaml"), {}).to == "there"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, text: str) -> None:
    """And is no mistake."""
    assert load_settings(config(tmp_path, text), {}) == Settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("piepline: copy\n", "there is no setting 'piepline' (did you mean pipeline?)"),
        ("max_instance: 2\n", "there is no setting 'max_instance' (did you mean max_instances?)"),
        ("provder: vast\n", "there is no setting 'provder' (did you mean provider?)"),
        ("colour: red\n", "there is no setting 'colour' (known: inputs, include, exclude, "),
        ("1: red\n", "there is no setting '1' (known: "),
    ],
)
def test_an_unknown_key_suggests_the_nearest(tmp_path: Path, text: str, expected: str) -> None:
    """A typing error must not pass as a setting that does nothing."""
    with pytest.raises(ConfigError) as told:
        load_settings(config(tmp_path, text), {})

    assert expected in told.value.message


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("to: out\npipeline: [copy\n", "line 3, column 1"),
        ("to: a: b\n", "line 1, column 6"),
        ("to: out\n\tpipeline: copy\n", "line 2, column 1"),
        ("to: &x\nprovider: *y\n", "line 2, column 11"),
    ],
)
def test_a_mistake_in_the_yaml_is_shown_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    """Line and column, as an editor counts them."""
    path = config(tmp_path, text)

    with pytest.raises(ConfigError) as told:
        load_settings(path, {})

    assert told.value.message.startswith(f"{path}, {where}: ")


@pytest.mark.parametrize("text", [b"to: \xff\xfe\n", b"to: a\x00b\n"], ids=["not-utf8", "nul"])
def test_a_file_that_is_no_text_is_a_mistake_of_the_file(tmp_path: Path, text: bytes) -> None:
    """Named, and no traceback."""
    path = config(tmp_path, text)

    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load_settings(path, {})


@pytest.mark.parametrize(("text", "what"), [("- a\n- b\n", "a list"), ("just words\n", "a str"), ("3\n", "a int")])
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str, what: str) -> None:
    """It says what was found instead."""
    with pytest.raises(ConfigError, match=f"expected `key: value` lines, found {what}"):
        load_settings(config(tmp_path, text), {})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("max_instances: many\n", "max_instances"),
        ("max_instances: 0\n", "max_instances"),
        ("max_instances: 101\n", "max_instances"),
        ("lease_hours: 0\n", "lease_hours"),
        ("lease_hours: .nan\n", "lease_hours"),
        ("verify: sometimes\n", "verify"),
        ("inputs: clip.mp4\n", "inputs"),
        ("inputs: [1]\n", "inputs.0"),
        ("to:\n", "to"),
        ("params: 5\n", "params"),
        ("params:\n", "params"),
        ("params: {when: 2026-01-01}\n", "params.when"),
        ("params: {rate: .nan}\n", "params.rate"),
        ("providers: {local: nice}\n", "providers.local"),
    ],
)
@pytest.mark.parametrize("given", [{}, {"params": {"scale": 2}}], ids=["file", "file-and-line"])
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(
    tmp_path: Path, text: str, key: str, given: dict[str, Any]
) -> None:
    """With or without parameters on the command line, it is a sentence and no traceback."""
    with pytest.raises(ConfigError) as told:
        load_settings(config(tmp_path, text), given)

    assert f"{key}" in told.value.message
    assert told.value.message.endswith(".")


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """Nobody wants to run it three times to learn of three."""
    path = config(tmp_path, "max_instances: 0\nverify: no\ncolour: red\n")

    with pytest.raises(ConfigError) as told:
        load_settings(path, {})

    assert all(word in told.value.message for word in ("max_instances", "verify", "colour"))


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    """One that is named must be there; a folder is none."""
    with pytest.raises(ConfigError, match=r"missing\.yaml cannot be read: No such file"):
        load_settings(tmp_path / "missing.yaml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, {})


def test_settings_cannot_be_changed_afterwards() -> None:
    """Whoever holds them can rely on them."""
    with pytest.raises(ValidationError):
        Settings().to = "elsewhere"  # type: ignore[misc]


def test_a_batch_remembers_what_its_engine_needs() -> None:
    """As plain values, since they go into the ledger."""
    options = Settings(
        verify=VerifyMode.FULL, max_instances=3, lease_hours=2.5, preview=True, redo=True
    ).batch_options()

    assert options == {"verify": "full", "max_instances": 3, "lease_hours": 2.5, "preview": True, "redo": True}
    assert type(options["verify"]) is str
