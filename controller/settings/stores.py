"""Where a bucket's store answers: the options of `stores:`, and addresses of endpoints as people write them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

# What an account is called somewhere: none of it may stand in settings, which are shared and shown.
_SECRET = re.compile(r"(^|_)(key|key_?id|secret|token|password|passwd)$", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
BUCKET_SCHEMES = ("b2", "s3")


class StoreOptions(BaseModel):
    """What config.yaml may say under `stores: b2:` and `stores: s3:`; what is not said is the store's to find out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None

    @field_validator("endpoint")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else endpoint_of(value)

    @field_validator("region")
    @classmethod
    def _word(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
            raise ValueError("give a region's name, such as us-west-004")
        return value


def is_secret_option(name: str) -> bool:
    """Say whether an option's name is that of a secret, by whatever name a store calls it."""
    return _SECRET.search(name) is not None


def endpoint_of(text: str) -> str:
    """Spell an endpoint as an address: consoles show it without https://. ValueError, and never what stands there."""
    text = text.strip().rstrip("/")
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        told = bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        told = False
    if not told or parts.scheme not in {"http", "https"}:
        raise ValueError("give the address of a store, such as https://s3.us-west-004.backblazeb2.com")
    if parts.path or parts.query or parts.fragment:
        raise ValueError("give the store's address alone, without a bucket or path behind it")
    return f"{parts.scheme}://{parts.netloc}"
