"""Addresses: what people type is understood or refused with a sentence, and what is printed can be typed again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from framehaul.contract.uris import Uri, parse_uri
from framehaul.errors import BadUri

HERE = Path("/home/ann/clips")


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("b2://clips/in/a.mp4", Uri("b2", "clips", "in/a.mp4")),
        ("B2://clips/in/a.mp4", Uri("b2", "clips", "in/a.mp4")),
        ("s3://my.bucket-1/a", Uri("s3", "my.bucket-1", "a")),
        ("b2://clips", Uri("b2", "clips", "")),
        ("b2://clips/in/", Uri("b2", "clips", "in/")),
        ("b2://clips/really? #1 'quoted' \"twice\".mp4", Uri("b2", "clips", "really? #1 'quoted' \"twice\".mp4")),
        ("b2://clips/Отпуск/день 1.mp4", Uri("b2", "clips", "Отпуск/день 1.mp4")),
        ("b2://clips/100%25.mp4", Uri("b2", "clips", "100%25.mp4")),
        ("b2://clips/a/../b", Uri("b2", "clips", "a/../b")),
        ("b2://clips//a", Uri("b2", "clips", "/a")),
        ("hf://datasets/ann/clips/a.mp4", Uri("hf", "datasets", "ann/clips/a.mp4")),
        (
            "https://host.example:8443/a%20b.mp4?token=1&x=/y#t=10",
            Uri("https", "host.example:8443", "a%20b.mp4", "token=1&x=/y"),
        ),
        ("https://host.example?x=1", Uri("https", "host.example", "", "x=1")),
        ("http://host.example", Uri("http", "host.example", "")),
    ],
)
def test_remote_addresses(text: str, uri: Uri) -> None:
    """A bucket's keys are taken as they are, ? # and .. included; on the web a query is a query."""
    assert parse_uri(text) == uri
    assert parse_uri(str(uri)) == uri


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a.mp4", "/home/ann/clips/a.mp4"),
        ("./in/c1", "/home/ann/clips/in/c1"),
        ("in/", "/home/ann/clips/in/"),
        (".", "/home/ann/clips"),
        ("../other/./a.mp4", "/home/ann/other/a.mp4"),
        ("/srv/clips/../a.mp4", "/srv/a.mp4"),
        ("//srv//clips", "/srv/clips"),
        ("/", "/"),
        ("/..", "/"),
        ("день 1 'a' \"b\" #2 50%?.mp4", "/home/ann/clips/день 1 'a' \"b\" #2 50%?.mp4"),
        ("clip:final.mp4", "/home/ann/clips/clip:final.mp4"),
        ("12:30.mp4", "/home/ann/clips/12:30.mp4"),
        ("./b2://x", "/home/ann/clips/b2:/x"),
        ("C:\\x", "/home/ann/clips/C:\\x"),
        ("file", "/home/ann/clips/file"),
        ("file:a b.mp4", "/home/ann/clips/a b.mp4"),
        ("file:/srv/a%20b.mp4", "/srv/a%20b.mp4"),
        ("file:///srv/a%20b.mp4", "/srv/a b.mp4"),
        ("file://localhost/srv/a", "/srv/a"),
        ("FILE:///srv/in/", "/srv/in/"),
        ("file:///srv/really?#1.mp4", "/srv/really?#1.mp4"),
        ("file:///srv/a\nb", "/srv/a\nb"),
        ("~draft.mp4", "/home/ann/clips/~draft.mp4"),
        ("./~/a", "/home/ann/clips/~/a"),
    ],
)
def test_paths(text: str, path: str) -> None:
    """Whatever names no store is a path, taken literally; only file:// is percent-decoded."""
    uri = parse_uri(text, cwd=HERE)

    assert uri == Uri("file", "", path)
    assert parse_uri(str(uri)) == uri


def test_tilde_is_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` at the start is the home folder, as in a shell."""
    monkeypatch.setenv("HOME", "/home/ann")

    assert parse_uri("~").key == "/home/ann"
    assert parse_uri("~/in/").key == parse_uri("file:~/in/").key == "/home/ann/in/"


def test_relative_path_starts_where_the_person_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without `cwd` the process's own folder counts."""
    monkeypatch.chdir(tmp_path)

    assert parse_uri("a.mp4").key == str(tmp_path / "a.mp4")


def test_name_that_is_not_utf8_survives() -> None:
    """A file whose name is not UTF-8, as old disks have them, can be printed and found again."""
    uri = parse_uri("/srv/caf\udce9.mp4")

    assert str(uri) == "file:///srv/caf%E9.mp4"
    assert parse_uri(str(uri)) == uri


@pytest.mark.parametrize(
    ("text", "folder", "name"),
    [
        ("b2://clips", True, ""),
        ("b2://clips/in/", True, "in"),
        ("b2://clips/in", False, "in"),
        ("/srv/in/", True, "in"),
        ("/srv/in", False, "in"),
        ("/", True, ""),
        ("https://host.example/", True, ""),
        ("https://host.example/a%20b.mp4?x=1", False, "a b.mp4"),
        ("b2://clips/a%20b.mp4", False, "a%20b.mp4"),
    ],
)
def test_trailing_slash_means_folder(text: str, folder: bool, name: str) -> None:
    """A slash at the end says folder; the name is the last word, percent-decoded on the web only."""
    uri = parse_uri(text)

    assert (uri.is_folder, uri.name) == (folder, name)
    assert parse_uri(str(uri)).is_folder == folder


def test_join_names_something_below() -> None:
    """Joining works from a folder with or without its slash, and from a bucket."""
    for base in ("b2://clips/out", "b2://clips/out/"):
        assert str(parse_uri(base).join("a.mp4")) == "b2://clips/out/a.mp4"
    assert str(parse_uri("b2://clips").join("a.mp4")) == "b2://clips/a.mp4"
    assert str(parse_uri("/srv/out").join("день 1.mp4")) == parse_uri("/srv/out/день 1.mp4").__str__()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("b3://x/y", "Did you mean b2://?"),
        ("bb2://x/y", "Did you mean b2://?"),
        ("s4://x/y", "Did you mean s3://?"),
        ("htps://x/y", "Did you mean http"),
        ("fil://x/y", "Did you mean file://?"),
        ("hff://x/y", "Did you mean hf://?"),
        ("gs://x/y", "Known: file,"),
        ("ftp://x/y", "Known: file,"),
        ("2b://x/y", "Known: file,"),
        ("C://x/y", "Known: file,"),
        ("://x", "Known: file,"),
        ("", "Give a file"),
        ("a\x00b", "Give a file"),
        ("file:///a%00b", "names no file"),
        ("file:", "names no file"),
        ("file://", "names no file"),
        ("file://other/srv/a", "on another host"),
        ("b2://", "names no bucket"),
        ("b2:/clips/a", "names no bucket"),
        ("s3:///a", "names no bucket"),
        ("https:///a", "names no host"),
        ("https://?x", "names no host"),
        ("b2://-clips/a", "Not a bucket's name"),
        ("b2://cl ips/a", "Not a bucket's name"),
        ("b2://clips\n/a", "Not a bucket's name"),
        ("b2://c/a", "Not a bucket's name"),
    ],
)
def test_mistakes_are_refused_with_a_hint(text: str, hint: str) -> None:
    """A typo in a scheme never becomes a path on this disk; the sentence helps."""
    with pytest.raises(BadUri) as refusal:
        parse_uri(text)
    assert hint in str(refusal.value)


schemes = st.sampled_from(
    ["", "file:", "file://", "file:///", "b2://", "s3://", "hf://", "http://", "https://", "~", "./"]
)
typed = st.builds(
    "{}{}".format, schemes, st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("/.:?#%~\\"))
)


@given(typed)
@example("file:////a")
@example("file:///..//")
def test_what_is_printed_can_be_typed_again(text: str) -> None:
    """For any text there is an address that survives being printed, or a BadUri, and no other error."""
    try:
        uri = parse_uri(text, cwd=HERE)
    except BadUri:
        return

    assert parse_uri(str(uri)) == uri
    if uri.scheme == "file":
        assert uri.key.startswith("/")
        assert ".." not in uri.key.split("/")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("htps://u:HUSH@h/x?sig=HUSH", "'htps://h/x?...'"),
        ("https:///x?sig=HUSH", "'https:///x?...'"),
        ("https:/u:HUSH@h/x", "'https:/h/x'"),
        ("htps://u:HUSH?HUSH@h/x", "'htps://...?...'"),
        ("s3://key:HUSH@bucket/x", "'s3://bucket/x'"),
        ("https://u:HUSH@h/\x00", "'https://h/\\x00'"),
    ],
)
def test_what_is_refused_is_quoted_without_its_secrets(text: str, shown: str) -> None:
    """User, password and query of an address never reach a terminal or a log."""
    with pytest.raises(BadUri) as told:
        parse_uri(text)

    assert shown in str(told.value)
    assert "HUSH" not in str(told.value)
