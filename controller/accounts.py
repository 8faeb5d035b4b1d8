"""Accounts of stores, gathered from the environment and the settings; and the bucket that a person calls their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from controller.errors import ConfigError
from controller.inputs.patterns import is_pattern
from controller.settings import Secrets, Settings
from controller.settings.stores import StoreOptions
from framehaul.contract.uris import SCHEMES
from framehaul.storage.accounts import Account, Accounts

# Where results go, below the configured bucket, when AUTO_UPLOAD_B2 is set and nobody said where.
_AUTO_FOLDER = "output/"
_WHERE = "Put it into .env or the environment."
NO_ACCOUNTS: Accounts = MappingProxyType({})


def accounts_of(secrets: Secrets, settings: Settings) -> Accounts:
    """Give an account for each scheme that something was said of. Half an account is its store's to refuse.

    What the environment says of an endpoint or region goes before the settings: it stands beside the key, and is
    that key's own. A scheme without any of it is left to its store (for s3:// that is boto3's own chain: AWS_PROFILE).
    """
    found = {"b2": _b2(secrets), "s3": _s3(secrets)}
    placed = {scheme: _placed(account, settings.stores.get(scheme, {})) for scheme, account in found.items()}
    return {scheme: account for scheme, account in placed.items() if account != Account()}


def own_bucket(secrets: Secrets, wanted_by: str) -> str:
    """Name the configured bucket; ConfigError says what wanted it."""
    if secrets.b2_bucket is None:
        raise ConfigError(f"{wanted_by} means a place in your bucket, and B2_BUCKET is not set.", advice=_WHERE)
    return secrets.b2_bucket


def input_below_bucket(prefix: str, secrets: Secrets) -> str:
    """Give the address of `--input-dir`: a prefix in the configured bucket; `./…`, `/…` and addresses as they are."""
    if not prefix.strip():
        raise ConfigError("--input-dir names nothing.", advice="For a whole bucket, give its address: b2://BUCKET/")
    if prefix.startswith(("/", "./", "../", "~")) or prefix in {".", ".."} or _is_address(prefix):
        return prefix
    bucket = own_bucket(secrets, f"--input-dir {prefix}")
    return f"b2://{bucket}/{prefix}" + ("" if prefix.endswith("/") or is_pattern(prefix) else "/")


def auto_target(secrets: Secrets) -> str | None:
    """Give where results go when nobody said so: into the configured bucket with AUTO_UPLOAD_B2, else None."""
    return f"b2://{own_bucket(secrets, 'AUTO_UPLOAD_B2')}/{_AUTO_FOLDER}" if secrets.auto_upload_b2 else None


def _b2(secrets: Secrets) -> Account:
    return Account(secrets.b2_key, secrets.b2_secret, endpoint=secrets.b2_endpoint)


def _s3(secrets: Secrets) -> Account:
    return Account(
        secrets.aws_access_key_id,
        secrets.aws_secret_access_key,
        secrets.aws_session_token,
        secrets.aws_endpoint_url_s3 or secrets.aws_endpoint_url,
        secrets.aws_region or secrets.aws_default_region,
    )


def _placed(account: Account, said: Mapping[str, object]) -> Account:
    """Fill in from the settings what the environment does not say."""
    options = StoreOptions.model_validate(dict(said))
    return Account(
        account.key_id,
        account.secret,
        account.session_token,
        account.endpoint or options.endpoint,
        account.region or options.region,
        options.path_style,
    )


def _is_address(text: str) -> bool:
    return ":" in text and text.partition(":")[0].lower() in SCHEMES
