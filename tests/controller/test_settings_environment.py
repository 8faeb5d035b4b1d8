"""The environment and .env: known names only, never exported, judged, and printed as ***."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.errors import ConfigError
from controller.settings import Secrets, environment_with_env_file


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which a command is typed."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_fills_in_what_the_environment_does_not_say(here: Path) -> None:
    """The environment goes before the file, and a named file before ./.env."""
    (here / ".env").write_text("B2_KEY=0011\nHF_TOKEN=of-env\nB2_BUCKET=of-env\n")
    (here / "mine.env").write_text("export B2_BUCKET='of-mine'  # why\n")

    found = environment_with_env_file(Path("mine.env"), environment={"HF_TOKEN": "real", "PATH": "/bin"})

    assert found == {"HF_TOKEN": "real", "PATH": "/bin", "B2_KEY": "0011", "B2_BUCKET": "of-mine"}


def test_nothing_of_a_file_reaches_the_environment_of_this_process(here: Path) -> None:
    """Else every child would inherit account keys."""
    (here / ".env").write_text("VAST_API_KEY=of-env\n")
    before = dict(os.environ)

    assert environment_with_env_file()["VAST_API_KEY"] == "of-env"

    assert dict(os.environ) == before


def test_only_names_that_mean_something_here_are_taken(here: Path) -> None:
    """A .env belongs to other programs too; AWS has many names, and all are its own."""
    (here / ".env").write_text("PATH=/evil\nDATABASE_URL=x\nAWS_PROFILE=work\nHF_HOME=/h\nWEBHOOK_URL=w\nB2_KEY\n")

    found = environment_with_env_file(environment={})

    assert found == {"AWS_PROFILE": "work", "HF_HOME": "/h", "WEBHOOK_URL": "w"}


def test_names_are_filled_in_as_python_dotenv_does(here: Path) -> None:
    """From the lines above and from the environment; single quotes keep a value as it is."""
    (here / ".env").write_text("REGION=eu\nB2_ENDPOINT=https://s3.${REGION}.example\nHF_HOME=${HOME}/hf\n")

    found = environment_with_env_file(environment={"HOME": "/home/me"})

    assert (found["B2_ENDPOINT"], found["HF_HOME"]) == ("https://s3.eu.example", "/home/me/hf")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"B2_KEY=1\n\n\nthis is no line\n", ".env, line 4: expected NAME=value."),
        (b"B2_KEY='never closed\nB2_SECRET=2\n", ".env, line 1: expected NAME=value. Quotes must be closed."),
        (b"B2_KEY=1\nB2_SECRET=\xff\xfe\n", ".env, line 2, column 11: this is no UTF-8 text."),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(here: Path, content: bytes, expected: str) -> None:
    """By its number, and without what stands in it: it may be a secret."""
    (here / ".env").write_bytes(content)

    with pytest.raises(ConfigError) as told:
        environment_with_env_file(environment={})

    assert expected in str(told.value)
    assert "never" not in str(told.value)


def test_a_named_file_must_be_there_and_a_folder_is_none(here: Path) -> None:
    """A folder called ./.env is somebody's virtual environment and left alone."""
    (here / ".env").mkdir()

    assert environment_with_env_file(environment={"A": "b"}) == {"A": "b"}
    with pytest.raises(ConfigError, match=r"gone\.env cannot be read: No such file"):
        environment_with_env_file(Path("gone.env"), environment={})
    with pytest.raises(ConfigError, match=r"\.env cannot be read: Is a directory"):
        environment_with_env_file(Path(".env"), environment={})


def test_secrets_print_as_stars() -> None:
    """In whatever way they are shown."""
    names = ("VAST_API_KEY", "B2_KEY", "B2_SECRET", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "WEBHOOK_URL")
    secrets = Secrets.of(dict.fromkeys(names, "hush"))

    assert "hush" not in f"{secrets!r} {secrets} {secrets.model_dump()} {secrets.model_dump_json()}"
    assert secrets.b2_key is not None
    assert secrets.b2_key.get_secret_value() == "hush"
    assert "***" in repr(secrets)


def test_the_hub_s_token_has_two_names() -> None:
    """The first one wins; blank ones count as not given, and blanks around a value are no part of it."""
    assert (
        Secrets.of({"HUGGINGFACE_TOKEN": "old", "HF_TOKEN": " "}).hf_token == Secrets.of({"HF_TOKEN": "old\n"}).hf_token
    )
    assert (
        Secrets.of({"HUGGINGFACE_TOKEN": "old", "HF_TOKEN": "new"}).hf_token == Secrets.of({"HF_TOKEN": "new"}).hf_token
    )
    assert Secrets.of({}) == Secrets()


@pytest.mark.parametrize("value", ["out/result.mp4", "result.mp4", "C:\\videos", "/data"])
def test_a_key_id_that_looks_like_a_path_is_refused(value: str) -> None:
    """The predecessor's container used the name for an object; the value itself is not repeated."""
    with pytest.raises(ConfigError, match="B2_KEY looks like a path; here it is the id of a key") as told:
        Secrets.of({"B2_KEY": value})

    assert value not in str(told.value)


def test_a_secret_with_a_line_break_is_refused() -> None:
    """It would end up in the head of a request."""
    with pytest.raises(ConfigError, match="VAST_API_KEY holds a line break"):
        Secrets.of({"VAST_API_KEY": "a\nb"})
