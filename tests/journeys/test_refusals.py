"""The first wrong thing that a stranger types: a sentence, a named exit code, nothing rented, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.person import Person

Blob = Callable[[str, int], Path]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run"], "No input was named. Say: framehaul run"),
        (["rnu", "x.bin"], "No such command 'rnu'. Did you mean 'run'?"),
        (["run", "x.bin", "--nope"], "No such option"),
        (["run", "x.bin", "--max-instances", "0"], "--max-instances"),
        (["logs"], "Missing argument"),
        (["logs", "x", "--stream", "q"], "is none of progress, stdout"),
        (["run", "nowhere.mp4"], "Nothing lies at"),
        (["run", "b3://bucket/x"], "Did you mean b2://"),
        (["run", "x.bin", "--pipeline", "enhanse"], "did you mean enhance?"),
        (["run", "x.bin", "--provider", "locall"], "did you mean local?"),
        (["run", "x.bin", "--mode", "interp"], "is not in this version yet"),
        (["run", "x.bin", "--scale", "9"], "a number from 1 to 8"),
        (["run", "x.bin", "--param", "crf"], "is no name=value"),
        (["run", "x.bin", "--param", "crt=3"], "Known parameters: mode, scale, crf, preset"),
        (["run", "x.bin", "--pipeline", "copy", "--param", "rate_bytes_s=fast"], "rate_bytes_s"),
        (["run", "x.bin", "--config", "none.yaml"], "none.yaml cannot be read"),
        (["logs", "nothing"], "The ledger knows no job 'nothing'"),
        (["stop", "b-nothing"], "No open batch is called 'b-nothing'"),
    ],
)
def test_a_wrong_word_is_a_sentence_and_exit_code_2(
    person: Person, blob: Blob, words: list[str], sentence: str
) -> None:
    """Every slip names what is wrong and what is known; nothing is rented and no folder appears."""
    blob("x.bin", 10).rename(person.home / "x.bin")

    ended = person.runs(*words)

    assert ended.code == 2, ended.text
    assert sentence in ended.text
    assert "Traceback" not in ended.text
    assert "unforeseen" not in ended.text
    assert person.leases() == []
    assert not (person.home / "framehaul-out").exists()


def test_a_bad_setting_in_the_file_names_its_line_or_its_nearest_name(person: Person) -> None:
    """config.yaml that is no YAML says line and column; an unknown key suggests the one that was meant."""
    config = person.home / "config.yaml"
    config.write_text("provider: local\n  to: [\n")
    assert "line 2, column 5" in person.runs("plan", "x").text
    config.write_text("provder: local\n")
    ended = person.runs("plan", "x")
    assert ended.code == 2
    assert "did you mean provider?" in ended.text


def test_what_is_no_video_is_refused_and_the_rest_is_named(person: Person) -> None:
    """Empty files, text with a video's suffix: refused one by one with a reason, exit code 1, nothing rented."""
    folder = person.home / "clips"
    folder.mkdir()
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mkv").write_text("this is no video at all\n" * 50)
    (folder / "old.avi").write_bytes(b"RIFF0000AVI ")

    ended = person.runs("run", "clips")

    assert ended.code == 1, ended.text
    assert "empty.mp4 is empty (0 bytes)" in ended.text
    assert "text.mkv" in ended.text
    assert "old.avi" in ended.text
    assert "Nothing can be done." in ended.text
    assert person.leases() == []
