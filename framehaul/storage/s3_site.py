"""Where an S3 service answers and how it wants to be asked: worked out from an account, or refused in a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from framehaul.errors import BadAccount
from framehaul.storage.accounts import Account

_B2_HOST = re.compile(r"s3\.([a-z0-9-]+)\.backblazeb2\.com")
_B2_EXAMPLE = "https://s3.us-west-004.backblazeb2.com"
# Wasabi, Scaleway, OVH and others write the region where Amazon does.
_REGION_HOST = re.compile(r"s3[.-]([a-z]{2}-[a-z0-9-]+)\..+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")  # of a host that is no name: version 4, or 6
_WORDS = {"b2": ("B2_KEY", "B2_SECRET"), "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


@dataclass(frozen=True)
class Site:
    """One service as seen by one account. `endpoint` None means Amazon; `key` None means boto3's own search."""

    scheme: str
    endpoint: str | None
    region: str | None
    path_style: bool
    key: tuple[SecretStr, SecretStr] | None = None
    session_token: SecretStr | None = None

    @property
    def place(self) -> str:
        """Name it for a person."""
        return self.endpoint or "Amazon S3"

    @property
    def is_loopback(self) -> bool:
        """Say whether the service runs on this very machine."""
        return _host(self.endpoint or "") in _LOOPBACK


def site_of(scheme: str, account: Account | None) -> Site:
    """Fill in what an account leaves open; BadAccount where nobody but its owner could know."""
    account = account or Account()
    key = _key(scheme, account)
    endpoint = _endpoint(scheme, account.endpoint or "")
    host = _host(endpoint or "")
    if scheme == "b2":
        _check_b2(host, account)
    return Site(
        scheme=scheme,
        endpoint=endpoint,
        region=account.region or _region(host) or ("us-east-1" if endpoint else None),
        path_style=_wants_path_style(scheme, host) if account.path_style is None else account.path_style,
        key=key,
        session_token=account.session_token,
    )


def _key(scheme: str, account: Account) -> tuple[SecretStr, SecretStr] | None:
    words = _WORDS[scheme]
    halves = [half.get_secret_value().strip() if half else "" for half in (account.key_id, account.secret)]
    missing = [word for word, half in zip(words, halves, strict=True) if not half]
    if scheme == "s3" and len(missing) == len(words):
        if account.session_token:
            raise BadAccount(f"AWS_SESSION_TOKEN is set, {words[0]} is not.", advice="Set both, or neither.")
        return None
    if missing:
        given = [word for word in words if word not in missing]
        why = f"{given[0]} is set, {missing[0]} is not" if given else f"{' and '.join(missing)} are not set"
        raise BadAccount(
            f"There is no key for {scheme}:// addresses: {why}.",
            advice=f"Set {', '.join([*words, 'B2_ENDPOINT'] if scheme == 'b2' else words)} in the environment or .env.",
        )
    return SecretStr(halves[0]), SecretStr(halves[1])


def _endpoint(scheme: str, text: str) -> str | None:
    text = text.strip().rstrip("/")
    if not text:
        if scheme == "b2":
            raise BadAccount(
                "Nobody said where B2 answers: B2_ENDPOINT is not set.",
                advice=f"Set it to the endpoint that the bucket's page shows, such as {_B2_EXAMPLE}.",
            )
        return None
    endpoint = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(endpoint)
        is_plain = bool(parts.hostname) and not (parts.path or parts.query or parts.fragment or parts.username)
        is_plain &= parts.port != 0
    except ValueError:
        is_plain = False
    if not is_plain or parts.scheme not in {"http", "https"}:
        # Not quoted: what was pasted here by mistake may be a key.
        raise BadAccount(
            f"The endpoint for {scheme}:// is not the address of a server.",
            advice=f"It is a scheme and a host, without bucket or path, such as {_B2_EXAMPLE}.",
        )
    check_not_plain(endpoint)
    return endpoint


def check_not_plain(endpoint: str) -> None:
    """Refuse http:// beyond this machine: whoever listens could read the videos and use the signed addresses."""
    if endpoint.startswith("http://") and _host(endpoint) not in _LOOPBACK:
        raise BadAccount(f"{endpoint} would be spoken to without encryption.", advice="Use https://.")


def _check_b2(host: str, account: Account) -> None:
    """Catch the addresses that Backblaze has for other purposes: of its own API, of a bucket, of downloads."""
    if host.endswith("backblazeb2.com") and not _B2_HOST.fullmatch(host):
        raise BadAccount(
            f"{host} is not where B2 speaks S3.", advice=f"The bucket's page shows the endpoint, such as {_B2_EXAMPLE}."
        )
    told, named = account.region, _B2_HOST.fullmatch(host)
    if told and named and told != named[1]:
        raise BadAccount(f"The region is set to {told}, but {host} is in {named[1]}.", advice="Leave the region out.")


def _region(host: str) -> str | None:
    found = _B2_HOST.fullmatch(host) or _REGION_HOST.fullmatch(host)
    return found[1] if found else None


def _wants_path_style(scheme: str, host: str) -> bool:
    """Only a host with a name can have the bucket's name before it, and its certificate must allow for that."""
    return scheme == "b2" or host == "localhost" or bool(host and _ADDRESS.fullmatch(host))


def _host(endpoint: str) -> str:
    return urlsplit(endpoint).hostname or ""
