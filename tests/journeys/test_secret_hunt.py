"""No account secret reaches a rented machine: searched for everywhere, in every spelling, and found where planted."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import yaml

from tests.journeys.bucket import Bucket, serving
from tests.journeys.person import Person, eventually

_PLANTED = {
    "VAST_API_KEY": "planted/vast+5f1c=",
    "AWS_SECRET_ACCESS_KEY": "planted/aws+0b0b0b0b0b0b=",
    "AWS_SESSION_TOKEN": "planted/session+77aa=",
    "HF_TOKEN": "hf_planted/9e9e+9e9e",
    "WEBHOOK_URL": "https://hooks.example/planted/1a2b+3c4d",
}
_KEY_ID = "planted-as-id"


def spellings(secret: str) -> set[bytes]:
    """Give a secret as it may be hidden: plain, hex, URL-quoted, base64 at each of three offsets, as a header."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), quote(secret, safe="").encode(), quote(secret).encode()}
    found.add(quote_plus(secret).encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # What stands before it moves the letters: only those in the middle are the secret's own.
            letters = encode(b"\0" * shift + raw).rstrip(b"=")
            found.add(letters[shift and 4 : len(letters) - 2])
    found.add(base64.b64encode(f"{_KEY_ID}:{secret}".encode()))
    return found


def hunted(secrets: dict[str, str], places: dict[str, bytes]) -> list[tuple[str, str]]:
    """Name every secret that is found, and where."""
    return [
        (name, place)
        for place, content in places.items()
        for name, secret in secrets.items()
        if any(spelling in content for spelling in spellings(secret))
    ]


def _disk(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _processes(person: Person) -> dict[str, bytes]:
    places = {}
    for process in person.agents():
        for what in ("environ", "cmdline"):
            places[f"{process.pid}/{what}"] = Path(f"/proc/{process.pid}/{what}").read_bytes()
    return places


@pytest.fixture
def bucket(person: Person, tmp_path: Path) -> object:
    """A bucket whose every request is kept in clear."""
    with serving(tmp_path / "store", keep_bytes=1 << 20) as bucket:
        person.environment.update(bucket.environment)
        yield bucket


@pytest.mark.slow
def test_no_account_secret_is_found_on_a_machine_or_on_its_lines(person: Person, bucket: Bucket) -> None:
    """Environment, command lines, disk, logs, and the plaintext at store and agent, while it works and afterwards.

    A secret that is planted among the settings of a job is found: the search can find.
    """
    person.environment.update(_PLANTED)
    heard = person.home / "heard"
    heard.mkdir()
    launcher = [sys.executable, "-m", "tests.journeys.eavesdrop", str(heard)]
    (person.home / "config.yaml").write_text(yaml.safe_dump({"providers": {"local": {"launcher": launcher}}}))
    bucket.lay("in/a.bin", b"a" * 300_000)
    bucket.lay("in/b found me.bin", b"b" * 900_000)
    words = ["--pipeline", "copy", "--param", "rate_bytes_s=300000", "--to", bucket.address("out/")]
    command = person.types("run", bucket.address("in/"), *words)
    eventually("a job runs", person.drafts)

    cloud = person.home / "state" / "local-cloud"
    places = _processes(person) | _disk(cloud)
    ended = person.ends(command)
    places |= _disk(person.home / "state" / "logs") | _disk(heard) | {"terminal": ended.text.encode()}
    places |= _disk(bucket.folder) | {"at the store": bucket.proxy.plaintext()}

    secrets = _PLANTED | {"B2_SECRET": bucket.server.secret}
    assert ended.code == 0, ended.text
    assert hunted(secrets, places) == []
    everything = b"".join(places.values())
    assert b"X-Amz-Signature" in everything, "grants were seen"
    assert hunted({"a name": "b found me.bin"}, places), "the search finds what is there"
    assert _heard_both(heard)
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            assert hunted({name: secret}, {"planted": b"..." + spelling + b"..."}), "and in each spelling"


def _heard_both(folder: Path) -> bool:
    """Say whether the record holds the laptop's orders and the agent's answers in clear."""
    text = b"".join(_disk(folder).values())
    return b"PUT /jobs/" in text and b"HTTP/1.1 20" in text and b"part_urls" in text
