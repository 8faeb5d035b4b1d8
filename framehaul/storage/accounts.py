"""What opens a store: ids, secrets and where it answers. Held by the controller alone; no agent ever sees one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True)
class Account:
    """One account, for all addresses of one scheme. Secrets print as ***; what is None is the store's to find out.

    `endpoint` is an address such as https://s3.us-west-004.backblazeb2.com; `path_style` puts the bucket into the
    path instead of the host's name.
    """

    key_id: SecretStr | None = None
    secret: SecretStr | None = None
    session_token: SecretStr | None = None
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None


# By scheme: "b2", "s3", "hf".
Accounts = Mapping[str, Account]
