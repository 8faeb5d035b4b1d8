"""Addresses of bytes: `b2://bucket/key`, `s3://…`, `hf://datasets/owner/name/path`, `https://…`, `file:…`, a path."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote

from framehaul.errors import BadUri

SCHEMES = ("file", "http", "https", "b2", "s3", "hf")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/*")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")


@dataclass(frozen=True)
class Uri:
    """An address, taken apart. `key` has no leading slash except for `file`, where it is an absolute path."""

    scheme: str
    authority: str
    key: str
    query: str = ""

    def __str__(self) -> str:
        if self.scheme == "file":
            # pathlib forgets the slash that tells a folder.
            return Path(self.key).as_uri() + ("/" if self.key.endswith("/") and self.key != "/" else "")
        tail = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.authority}/{self.key}{tail}"

    def public(self) -> str:
        """Write the address without what may be secret in it: user and password, and a signed query."""
        if self.scheme not in {"http", "https"}:
            return str(self)
        return str(Uri(self.scheme, self.authority.rpartition("@")[2], self.key))

    @property
    def is_folder(self) -> bool:
        """Say whether the address ends as a folder or prefix does."""
        return self.key.endswith("/") or self.key == ""

    @property
    def name(self) -> str:
        """The last word of the path, as a file name."""
        last = posixpath.basename(self.key.rstrip("/"))
        return unquote(last) if self.scheme in {"http", "https"} else last

    def join(self, name: str) -> Uri:
        """Name something below this address."""
        base = self.key if self.key.endswith("/") or not self.key else self.key + "/"
        return Uri(self.scheme, self.authority, base + name.lstrip("/"))


def parse_uri(text: str, *, cwd: Path | None = None) -> Uri:
    """Read an address. Whatever names no known scheme is a path on this disk, relative to `cwd`."""
    if not text or "\x00" in text:
        raise BadUri(f"Not an address: {_shown(text)}.", advice="Give a file, a folder, or b2://bucket/prefix.")
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    if scheme == "file":
        return _file_uri(text, cwd)
    if scheme in SCHEMES:
        return _remote_uri(scheme, text)
    if "://" in text and "/" not in text.partition("://")[0]:
        near = get_close_matches(scheme, [known for known in SCHEMES if known[0] == scheme[:1]], 1, cutoff=0.5)
        hint = f"Did you mean {near[0]}://?" if near else f"Known: {', '.join(SCHEMES)}."
        raise BadUri(f"No store speaks {scheme!r}: {_shown(text)}.", advice=hint)
    return _path_uri(text, cwd)


def _path_uri(text: str, cwd: Path | None) -> Uri:
    # Not pathlib's expanduser: it opens ./~ too, and refuses a file that is called ~draft.mp4.
    full = posixpath.join(cwd or _working_folder(), posixpath.expanduser(text))
    clean = "/" + posixpath.normpath(full).lstrip("/")
    return Uri("file", "", clean + "/" if text.endswith("/") and clean != "/" else clean)


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError as exc:
        raise BadUri(f"The working folder is gone ({exc.strerror}).", advice="Go to one that there is: cd ~") from exc


def _file_uri(text: str, cwd: Path | None) -> Uri:
    rest = text[len("file:") :]
    if rest.startswith("//"):
        # Not urlsplit: it cuts at ? and #, and drops line breaks, which are part of a file's name.
        host, slash, path = rest[2:].partition("/")
        if host not in {"", "localhost"}:
            raise BadUri(
                f"A file on another host cannot be read: {_shown(text)}.", advice="Write file:/path or ./path."
            )
        rest = slash + unquote(path, errors="surrogateescape")
    if not rest or "\x00" in rest:
        raise BadUri(f"This address names no file: {_shown(text)}.")
    return _path_uri(rest, cwd)


def _remote_uri(scheme: str, text: str) -> Uri:
    rest, query = text.partition("://")[2], ""
    # Only on the web: a key in a bucket may hold ? and #, which are part of its name.
    if scheme in {"http", "https"}:
        rest, _, query = rest.partition("#")[0].partition("?")
    authority, _, key = rest.partition("/")
    if not authority:
        raise BadUri(f"This address names no {'host' if scheme.startswith('http') else 'bucket'}: {_shown(text)}.")
    if scheme in {"b2", "s3"} and not _BUCKET.fullmatch(authority):
        raise BadUri(f"Not a bucket's name: {authority.rpartition('@')[2]!r} in {_shown(text)}.")
    return Uri(scheme, authority, key, query)


def _shown(text: str) -> str:
    """Quote an address that was not understood, without what may be secret in it: user, password, query."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        return repr(text)
    rest = text[scheme.end() :]
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    mark, hidden = rest[len(place) : len(place) + 1], rest[len(place) + 1 :]
    # An @ behind the ? may belong to a password that holds one: then nobody knows where the secret ends.
    place = "..." if "@" in hidden else place.rpartition("@")[2]
    return repr(scheme[0] + place + (f"{mark}..." if mark else ""))
