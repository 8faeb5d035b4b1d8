"""Names of outputs and markers: legal for whatever the original was called, and equal on both sides."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from framehaul.contract.naming import (
    MAX_NAME_BYTES,
    MODE_WORDS,
    check_file_name,
    done_marker,
    manifest_name,
    output_name,
    params_digest,
    timestamp,
)

NOON = 1_796_212_800.0
any_text = st.text(st.characters())  # surrogates and control characters too
digests = st.text("0123456789abcdef", min_size=64, max_size=64)


def test_output_name_as_documented() -> None:
    """`<original>_<mode>_<YYYYmmdd_HHMMSS>.<ext>`, and a number only from the second of two equal stems on."""
    assert output_name("in/clip.mov", "upscaled", NOON, ".mkv") == "clip_upscaled_20261202_120000.mkv"
    assert output_name("clip.mp4", "upscaled", NOON, ".mkv", number=2) == "clip_upscaled_20261202_120000_2.mkv"


@given(any_text, st.sampled_from([*MODE_WORDS.values(), "result"]), any_text, st.floats(0, 1e11), st.integers(1, 10**6))
@example("é" * 300 + ".mov", "upscaled", ".mkv", NOON, 1)
@example("a\\b.mov", "both", ".mkv", NOON, 1)
@example("clip." + "x" * 250, "result", "." + "x" * 250, NOON, 1)
@example("", "result", "", NOON, 1)
@example("..", "result", "", NOON, 1)
def test_any_original_gives_a_legal_name(original: str, word: str, suffix: str, created_at: float, number: int) -> None:
    """Whatever the original is called, the output's and the manifest's name are plain and fit a folder entry."""
    name = output_name(original, word, created_at, suffix, number=number)

    assert check_file_name(name) == name
    assert check_file_name(manifest_name(name)) == manifest_name(name)
    assert len(manifest_name(name).encode()) <= MAX_NAME_BYTES
    assert f"_{word}_{timestamp(created_at)}" in name


@given(st.text("clip é.-день", max_size=90))
def test_numbers_tell_equal_stems_apart(stem: str) -> None:
    """Two inputs with one stem get two names."""
    assert len({output_name(stem, "both", NOON, ".mkv", number=number) for number in range(1, 12)}) == 11


@given(any_text)
def test_a_checked_name_stays_in_its_folder(name: str) -> None:
    """Either the name is refused, or it is one entry of a folder that can be written and shown."""
    try:
        check_file_name(name)
    except ValueError:
        return
    assert name not in {"", ".", ".."}
    assert not set(name) & {"/", "\\", "\x00", "\n", "\r", "\x1b"}
    assert len(name.encode()) <= MAX_NAME_BYTES


pinned_words = st.text(min_size=1).map(lambda text: text.encode(errors="replace").decode())


@given(pinned_words, pinned_words, digests, digests)
def test_done_marker_depends_on_input_and_params(fingerprint: str, other: str, digest: str, second: str) -> None:
    """Another input or other params are other work; the marker is a short plain key for any store."""
    marker = done_marker(fingerprint, digest)

    assert (done_marker(other, digest) == marker) == (other == fingerprint)
    assert (done_marker(fingerprint, second) == marker) == (second[:32] == digest[:32])
    assert marker.isascii()
    assert len(marker) == len(".framehaul/done/") + 32 + 1 + 32


def test_an_input_that_was_never_pinned_has_no_marker() -> None:
    """An empty fingerprint would pass for every other unpinned input, and work would be skipped as done."""
    with pytest.raises(ValueError, match="never pinned"):
        done_marker("", "a" * 64)


def test_params_digest_holds_all_that_decides_the_picture() -> None:
    """Pipeline, every param and the model's bytes count; the order of the params does not."""
    digest = params_digest("enhance", {"scale": 4, "mode": "upscale"}, "a" * 64)

    assert params_digest("enhance", {"mode": "upscale", "scale": 4}, "a" * 64) == digest
    others = [
        params_digest("copy", {"scale": 4, "mode": "upscale"}, "a" * 64),
        params_digest("enhance", {"scale": 2, "mode": "upscale"}, "a" * 64),
        params_digest("enhance", {"scale": 4}, "a" * 64),
        params_digest("enhance", {"scale": 4, "mode": "upscale"}, "b" * 64),
        params_digest("enhance", {"scale": 4, "mode": "upscale"}, None),
    ]
    assert len({digest, *others}) == 6


@pytest.mark.parametrize(
    "name", ["clip.mp4", "Отпуск – день 1.mkv", "a b?.mov", "#1.mp4", "~draft.mp4", ".hidden", "é" * 127]
)
def test_everyday_names_are_legal(name: str) -> None:
    """Spaces, signs and any script are fine: people's files are called so."""
    assert check_file_name(name) == name


def test_a_name_that_is_no_utf8_is_told_apart_from_one_with_control_characters() -> None:
    """It can be renamed; nobody would find a control character in it."""
    with pytest.raises(ValueError, match="is not UTF-8"):
        check_file_name("caf\udce9.mp4")
    with pytest.raises(ValueError, match="control characters"):
        check_file_name("a\nb.mp4")
