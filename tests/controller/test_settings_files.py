"""Settings files: every mistake is named with its line, and wrong values in plain words."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from controller.errors import ConfigError
from controller.settings import load_settings
from controller.settings.files import parse
from controller.settings.moments import epoch_of, normalised
from tests.controller.desks import HOUR


def refusal(folder: Path, text: str, given: dict[str, Any] | None = None) -> str:
    """Load a file that is wrong; give the sentence without the folder."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        load_settings(path, given or {})
    return str(told.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "to: x\n\n  # why\npipline: copy\n",
            "line 4, column 1: there is no setting 'pipline' (did you mean pipeline?)",
        ),
        ("max_files: 0\n", "line 1, column 12: max_files: give at least 1, not 0"),
        ("max_files: many\n", "line 1, column 12: max_files: give a whole number, not 'many'"),
        ("max_instances: yes\n", "line 1, column 16: max_instances: give a number, not true"),
        ("lease_hours: 0\n", "line 1, column 14: lease_hours: give more than 0, not 0"),
        ("to: x\nverify: full\npreview: maybe\n", "line 3, column 10: preview: give true or false, not 'maybe'"),
        ("verify: sometimes\n", "line 1, column 9: verify: give one of head, sample, full, not 'sometimes'"),
        ("inputs: clip.mp4\n", "line 1, column 9: inputs: give a list, such as [one, two], not 'clip.mp4'"),
        ("inputs:\n  - a.mp4\n  - 5\n", "line 3, column 5: inputs.1: give text, not 5"),
        ("to:\n", "line 1, column 4: to: nothing stands there; give text"),
        ("include: ['']\n", "line 1, column 10: include: an empty pattern fits nothing; take it out"),
        ("params: {when: 2026-01-01}\n", "params.when: 2026-01-01 cannot be kept as it is; put it in quotes"),
        ("params: {rate: .nan}\n", "line 1, column 16: params.rate: give a finite number"),
        ("params: {1: x}\n", "line 1, column 13: params.1: 1 cannot be a name here; put it in quotes"),
        ("pipeline: enhanse\n", "line 1, column 11: pipeline: there is no pipeline 'enhanse' (did you mean enhance?)"),
        ("provider: loca\n", "line 1, column 11: provider: there is no provider 'loca' (did you mean local?)"),
        ("to: a\nmax_files: 2\nto: b\n", "line 3, column 1: 'to' stands here again; it was said in line 1"),
        ("params:\n  a: 1\n  a: 2\n", "line 3, column 3: 'a' stands here again; it was said in line 2"),
        ("vast_api_key: abc\n", "line 1, column 1: vast_api_key is a secret: put it into .env"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_in_plain_words(tmp_path: Path, text: str, expected: str) -> None:
    """What an editor can jump to, and what to write instead."""
    told = refusal(tmp_path, text)

    assert told.startswith("config.yaml, ")
    assert expected in told
    assert "Input should be" not in told


def test_several_mistakes_each_have_their_place(tmp_path: Path) -> None:
    """In one sentence, so that one look at the file is enough."""
    told = refusal(tmp_path, "to: x\nmax_files: 0\ncolor: red\n")

    assert "line 2, column 12: max_files" in told
    assert "line 3, column 1: there is no setting 'color'" in told


def test_what_is_wrong_on_the_command_line_is_called_as_it_was_typed(tmp_path: Path) -> None:
    """By the option's name, and without a line."""
    told = refusal(tmp_path, "to: x\n", {"max_files": 0, "newer_than": "soon", "params": {"crf": float("nan")}})

    assert told.startswith("The command line: ")
    assert all(word in told for word in ("--max-files: give at least 1, not 0", "--newer-than: 'soon'", "--param crf:"))


def test_a_file_may_be_json(tmp_path: Path) -> None:
    """Also with tabs, which YAML does not take; a BOM of an editor is no letter of a key."""
    path = tmp_path / "settings.json"
    path.write_text('\ufeff{\n\t"to": "there",\n\t"params": {"crf": 5}\n}\n', encoding="utf-8")

    settings = load_settings(path, {})

    assert (settings.to, settings.params) == ("there", {"crf": 5})


@pytest.mark.parametrize("text", ["[" * 5000, "params: &p {x: *p}\n", "? [a, b]\n: 1\n", "newer_than: 2026-02-30\n"])
def test_a_file_that_is_odd_on_purpose_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    """Depth, loops, keys that are lists, days that do not exist: no traceback, no endless work."""
    assert refusal(tmp_path, text).startswith("config.yaml")


def test_references_within_a_file_of_ones_own_work(tmp_path: Path) -> None:
    """YAML's anchors are no mistake, and what they stand for is no key said twice."""
    document = parse("config.yaml", "presets:\n  a: &a {params: {crf: 1}}\n  b: *a\n")

    assert document.values["presets"]["b"] == {"params": {"crf": 1}}


# -- moments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "age_s"),
    [("7d", 7 * 86400), ("12 h", 12 * 3600), ("30min", 1800), ("30m", 1800), ("1.5w", 1.5 * 7 * 86400), ("90s", 90)],
)
def test_an_age_counts_back_from_now(text: str, age_s: float) -> None:
    """By its unit."""
    assert epoch_of(normalised(text), HOUR) == HOUR - age_s


@pytest.mark.parametrize("text", ["2026-01-31", "20260131", "2026-01-31T00:00", "2026-01-31 00:00:00"])
def test_a_date_without_a_zone_is_this_machine_s(text: str) -> None:
    """A day begins where the person sits; what is kept names the zone."""
    assert epoch_of(normalised(text), HOUR) == datetime(2026, 1, 31).astimezone().timestamp()
    assert datetime.fromisoformat(normalised(text)).tzinfo is not None


def test_a_date_with_a_zone_keeps_it() -> None:
    """The same moment, wherever it is read."""
    moment = epoch_of(normalised("2026-01-31T12:00+02:00"), HOUR)

    assert moment == datetime.fromisoformat("2026-01-31T10:00+00:00").timestamp()


@pytest.mark.parametrize(
    "text", ["newer_than: 2026-01-31\n", "newer_than: 2026-01-31 00:00:00\n", "newer_than: 20260131\n"]
)
def test_a_date_that_yaml_takes_for_one_is_a_moment(tmp_path: Path, text: str) -> None:
    """Nobody should have to put a date in quotes."""
    path = tmp_path / "config.yaml"
    path.write_text(text)

    found = load_settings(path, {}).newer_than

    assert found is not None
    assert epoch_of(found, HOUR) == datetime(2026, 1, 31).astimezone().timestamp()


@pytest.mark.parametrize(
    "text", ["soon", "7", "7 years", "-1d", "@", "2026-13-01", "1e9d", "9999999999d", "0001-01-01"]
)
def test_what_is_no_moment_is_refused_with_the_ways_to_say_one(tmp_path: Path, text: str) -> None:
    """A moment that no calendar holds is none either."""
    told = refusal(tmp_path, f"newer_than: '{text}'\n")

    assert f"{text!r} is no moment; give a date (2026-01-31)" in told


def test_a_file_gives_its_own_date(tmp_path: Path) -> None:
    """And is missed with a sentence that names it."""
    marker = tmp_path / "last run"
    marker.touch()
    os.utime(marker, (HOUR - 86400, HOUR - 86400))

    assert epoch_of(normalised(f"@{marker}"), HOUR) == HOUR - 86400
    with pytest.raises(ConfigError, match=r"the date of .*gone' cannot be read: No such file"):
        epoch_of("@gone", HOUR)
