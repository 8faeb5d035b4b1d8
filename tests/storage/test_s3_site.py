"""Accounts become sites: endpoint, region and path style are filled in, and what nobody could know is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from framehaul.clock import ManualClock
from framehaul.contract.uris import Uri
from framehaul.errors import BadAccount
from framehaul.storage.accounts import Account
from framehaul.storage.base import Stores
from framehaul.storage.s3_site import Site, site_of

KEY: dict[str, Any] = {"key_id": SecretStr("id"), "secret": SecretStr("hush")}
B2 = "https://s3.us-west-004.backblazeb2.com"


def _site(scheme: str = "b2", **words: Any) -> Site:
    return site_of(scheme, Account(**{**KEY, **words}))


@pytest.mark.parametrize("endpoint", [B2, f"{B2}/", "s3.us-west-004.backblazeb2.com", f" {B2}\n"])
def test_b2_s_endpoint_says_the_region(endpoint: str) -> None:
    """With or without scheme and slash; the bucket goes into the path."""
    site = _site(endpoint=endpoint)

    assert (site.endpoint, site.region, site.path_style) == (B2, "us-west-004", True)


@pytest.mark.parametrize(
    ("endpoint", "region", "path_style"),
    [
        (None, None, False),
        ("https://s3.eu-central-1.wasabisys.com", "eu-central-1", False),
        ("https://minio.example.org", "us-east-1", False),
        ("http://127.0.0.1:9000", "us-east-1", True),
        ("http://localhost:9000", "us-east-1", True),
        ("https://[2001:db8::1]:9000", "us-east-1", True),
        ("https://192.0.2.7", "us-east-1", True),
    ],
)
def test_an_s3_endpoint_is_read_for_what_it_says(endpoint: str | None, region: str | None, path_style: bool) -> None:
    """A region in the host's name counts; a host without a name cannot have the bucket's name before it."""
    site = _site("s3", endpoint=endpoint)

    assert (site.endpoint, site.region, site.path_style) == (endpoint, region, path_style)


def test_what_the_account_says_counts_more() -> None:
    """Region and path style are taken as they are given."""
    site = _site("s3", endpoint="http://127.0.0.1:9000", region="mars-1", path_style=False)

    assert (site.region, site.path_style) == ("mars-1", False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"endpoint": None}, "B2_ENDPOINT"),
        ({"key_id": None, "endpoint": B2}, "B2_SECRET is set, B2_KEY is not"),
        ({"secret": SecretStr(" "), "endpoint": B2}, "B2_KEY is set, B2_SECRET is not"),
        ({"endpoint": "https://f004.backblazeb2.com"}, "not where B2 speaks S3"),
        ({"endpoint": "https://clips.s3.us-west-004.backblazeb2.com"}, "not where B2 speaks S3"),
        ({"endpoint": f"{B2}/clips"}, "not the address of a server"),
        ({"endpoint": "ftp://example.org"}, "not the address of a server"),
        ({"endpoint": "https://[half"}, "not the address of a server"),
        ({"endpoint": B2, "region": "eu-central-003"}, "us-west-004"),
        ({"endpoint": "http://s3.us-west-004.backblazeb2.com"}, "without encryption"),
        ({"endpoint": "http://192.168.1.5:9000"}, "without encryption"),
    ],
)
def test_an_account_that_cannot_work_is_refused_with_a_sentence(words: dict[str, Any], sentence: str) -> None:
    """Before anything is asked, and without a word of the key."""
    with pytest.raises(BadAccount, match=sentence) as caught:
        _site(**words)

    assert caught.value.advice
    assert "hush" not in str(caught.value)


def test_half_a_key_for_s3_is_no_key() -> None:
    """One of the two words alone is a mistake and not a wish for boto3's own search."""
    with pytest.raises(BadAccount, match="AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"):
        _site("s3", secret=None)


def test_b2_without_any_account_is_a_sentence() -> None:
    """It says what to set, at once."""
    with Stores(clock=ManualClock()) as stores, pytest.raises(BadAccount, match="B2_KEY, B2_SECRET, B2_ENDPOINT"):
        stores.open(Uri("b2", "clips", ""))


def test_nothing_secret_is_shown() -> None:
    """A site prints its key as stars."""
    assert "hush" not in repr(_site(endpoint=B2))


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two profiles of a person's; whoever asks for their keys leaves a file behind, whose place is given."""
    asked = tmp_path / "asked for keys"
    told = "".join(
        f"[profile {name}]\nendpoint_url = https://{name}.example\ncredential_process = touch '{asked}'\n"
        for name in ("one", "two")
    )
    (tmp_path / "config").write_text(told)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return asked


@pytest.mark.parametrize("account", [None, Account(region="eu-west-1"), Account(SecretStr("id"), SecretStr("hush"))])
def test_where_a_profile_answers_is_told(
    profiles: Path, monkeypatch: pytest.MonkeyPatch, account: Account | None
) -> None:
    """Or what is done in one's bucket would be taken for done in the other's. No key is looked for."""
    found = []
    for name in ("one", "two"):
        monkeypatch.setenv("AWS_PROFILE", name)
        with Stores({} if account is None else {"s3": account}, ManualClock()) as stores:
            found.append(stores.endpoint(Uri("s3", "clips", "out/")))

    assert found == ["https://one.example", "https://two.example"]
    assert not profiles.exists()


@pytest.mark.usefixtures("profiles")
def test_an_endpoint_is_told_as_far_as_anybody_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amazon's where nothing is said; "" where the profile is none, or the account not whole: its user will be told."""
    clips = Uri("s3", "clips", "out/")
    with Stores(clock=ManualClock()) as stores:
        assert stores.endpoint(clips).endswith("amazonaws.com")
        assert stores.endpoint(Uri("b2", "clips", "out/")) == ""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with Stores(clock=ManualClock()) as stores:
        assert stores.endpoint(clips) == ""
